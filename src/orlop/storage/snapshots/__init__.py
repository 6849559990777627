"""Snapshots of file trees: what layers are unpacked into, and what containers write to.

`interface` has the words and the rules, `choice` the table of drivers and which one a root uses.
"""
