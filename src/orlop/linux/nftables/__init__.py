"""nf_tables, the kernel's packet filter, by netlink: `transaction` changes it, `listing` reads it.

`expression` has the words of rules, `types` what sets and maps are made of.
"""
