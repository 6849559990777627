"""Which devices a group may use: the rules of ``linux.resources.devices``.

Rules count in their order, and for each kind of access the last that matches decides; before the first,
everything is denied. After the configuration's rules come the devices that every container has and the
making of device nodes, which is harmless as long as they cannot be opened; both as runc has them.

Version 1 has a controller for it (cgroup-v1/devices.rst), version 2 a BPF program on the cgroup.
"""

from __future__ import annotations

import errno

from orlop.errors import InvalidConfig, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.linux.cgroup.group import Group

#: Bits of an access, as the kernel numbers them (linux/bpf.h, BPF_DEVCG_ACC_*).
MKNOD, READ, WRITE = 1, 2, 4
EVERYTHING = MKNOD | READ | WRITE
#: A major or minor number that stands for all.
ANY = -1


class Rule:
    """Allow or deny kinds of access to one device, or to all with the same major number, or to all.

    ``kind`` is ``b`` or ``c``, or ``a`` for a rule about everything, which has nothing but ``allow``.
    """

    __slots__ = ("access", "allow", "kind", "major", "minor")

    def __init__(self, allow: bool, kind: str, major: int, minor: int, access: int) -> None:
        self.allow = allow
        self.kind = kind
        self.major = major
        self.minor = minor
        self.access = access

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rule) and repr(self) == repr(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Rule({self.allow}, {self.kind!r}, {self.major}, {self.minor}, {self.access})"


#: What the specification gives every container ("Default Devices"), terminals, and making nodes.
DEFAULTS = (
    Rule(True, "c", ANY, ANY, MKNOD),
    Rule(True, "b", ANY, ANY, MKNOD),
    Rule(True, "c", 1, 3, EVERYTHING),  # /dev/null
    Rule(True, "c", 1, 5, EVERYTHING),  # /dev/zero
    Rule(True, "c", 1, 7, EVERYTHING),  # /dev/full
    Rule(True, "c", 1, 8, EVERYTHING),  # /dev/random
    Rule(True, "c", 1, 9, EVERYTHING),  # /dev/urandom
    Rule(True, "c", 5, 0, EVERYTHING),  # /dev/tty
    Rule(True, "c", 5, 2, EVERYTHING),  # /dev/ptmx
    Rule(True, "c", 136, ANY, EVERYTHING),  # /dev/pts/*
)


def everything_allowed(rules: list[Rule]) -> bool:
    """Whether the rules deny nothing at all, as those of a privileged container."""
    for rule in reversed(rules):
        if rule.kind == "a" or not rule.allow:
            return rule.allow
    return False


def parse(entries: list[dict[str, Any]]) -> list[Rule]:
    """The rules that a configuration writes down, without the defaults.

    An entry without type is about all devices; if it names numbers or some kinds of access only, it stands
    for a rule about block devices and one about character devices.

    Raises:
        InvalidConfig: an entry is not what config-linux.md, "Allowed Device list", describes.
    """
    rules: list[Rule] = []
    for entry in entries:
        allow = entry.get("allow")
        if not isinstance(allow, bool):
            raise InvalidConfig(f"linux.resources: a device rule must say allow true or false: {entry!r}")
        kind = entry.get("type") or "a"
        if kind not in ("a", "b", "c", "u"):
            raise InvalidConfig(f"linux.resources: the type of a device rule must be a, b or c: {entry!r}")
        major = _device_number(entry, "major")
        minor = _device_number(entry, "minor")
        access = _access(entry)
        if kind != "a":
            rules.append(Rule(allow, "b" if kind == "b" else "c", major, minor, access))
        elif major == minor == ANY and access == EVERYTHING:
            rules.append(Rule(allow, "a", ANY, ANY, EVERYTHING))
        else:
            rules += [Rule(allow, "b", major, minor, access), Rule(allow, "c", major, minor, access)]
    return rules


def _device_number(entry: dict[str, Any], name: str) -> int:
    value = entry.get(name)
    if value is None:
        return ANY
    if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value < 1 << 32:
        raise InvalidConfig(f"linux.resources: the {name} number of a device rule cannot be {value!r}")
    return value


def _access(entry: dict[str, Any]) -> int:
    text = entry.get("access") or "rwm"
    access = 0
    for letter in text:
        bit = {"r": READ, "w": WRITE, "m": MKNOD}.get(letter)
        if bit is None:
            raise InvalidConfig(f"linux.resources: the access of a device rule is made of r, w and m, not {text!r}")
        access |= bit
    return access


def apply(group: Group, entries: list[dict[str, Any]], *, new: bool, rootless: bool) -> None:
    """Make the rules and the defaults hold for a group.

    A rootless container needs none: the kernel lets a user namespace make no device that could be opened.

    Raises:
        InvalidConfig: as `parse`.
        Unsupported: version 1 cannot express the rules, or the kernel has no means to enforce them.
        OSError: the kernel refused.
    """
    rules = [*parse(entries), *DEFAULTS]
    try:
        hierarchy = group.layout.v1_hierarchy("devices")
        if hierarchy is not None:
            from orlop.linux.cgroup import devices_v1

            devices_v1.apply(rules, hierarchy.directory(group.path), new=new)
        elif group.layout.unified is not None:
            from orlop.linux.cgroup import device_filter

            device_filter.apply(rules, group.layout.unified.directory(group.path), new=new)
        elif entries and not rootless:
            raise Unsupported(
                "device rules (devices.deny) cannot be set: no cgroup hierarchy that enforces them is mounted"
            )
    except PermissionError as error:
        if not rootless or error.errno not in (errno.EPERM, errno.EACCES):
            raise
