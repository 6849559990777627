"""The names of a UTS namespace (sethostname(2), setdomainname(2))."""

from __future__ import annotations

from orlop.linux import number
from orlop.linux.call import syscall


def set_hostname(name: str) -> None:
    """Set the host name, at most 64 bytes."""
    encoded = name.encode()
    syscall(number.SETHOSTNAME, "sethostname", name, encoded, len(encoded))


def set_domainname(name: str) -> None:
    """Set the NIS domain name, at most 64 bytes."""
    encoded = name.encode()
    syscall(number.SETDOMAINNAME, "setdomainname", name, encoded, len(encoded))
