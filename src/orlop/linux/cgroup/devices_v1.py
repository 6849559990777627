"""Device rules on version 1 (cgroup-v1/devices.rst).

The kernel does not keep rules but a state: everything is denied, or allowed, and exceptions to that. A
write adds an exception or takes away exactly the one that it names; taking away a part of one is ignored
without a word. So the state that the rules amount to is worked out here, and then brought about.
"""

from __future__ import annotations

import os

from orlop.errors import Unsupported
from orlop.linux.cgroup import file
from orlop.linux.cgroup.devices import ANY, MKNOD, READ, WRITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.cgroup.devices import Rule

    Device = tuple[str, int, int]

_LETTERS = ((READ, "r"), (WRITE, "w"), (MKNOD, "m"))


class State:
    """What a group may use: ``allow`` for all devices but the exceptions, which map a device to access bits."""

    __slots__ = ("allow", "exceptions")

    def __init__(self, *, allow: bool = False, exceptions: dict[Device, int] | None = None) -> None:
        self.allow = allow
        self.exceptions = {} if exceptions is None else exceptions


def state_of(rules: list[Rule]) -> State:
    """The state that rules, taken in order, amount to.

    Raises:
        Unsupported: a rule excepts a part of a device range that an earlier one excepts as a whole.
    """
    state = State()
    for rule in rules:
        if rule.kind == "a":
            state = State(allow=rule.allow)
        elif rule.allow != state.allow:
            device = (rule.kind, rule.major, rule.minor)
            state.exceptions[device] = state.exceptions.get(device, 0) | rule.access
        else:
            _take_back(state.exceptions, rule)
    return state


def _take_back(exceptions: dict[Device, int], rule: Rule) -> None:
    for device, access in list(exceptions.items()):
        kind, major, minor = device
        if kind != rule.kind or not access & rule.access:
            continue
        if rule.major in (ANY, major) and rule.minor in (ANY, minor):
            left = access & ~rule.access
            if left:
                exceptions[device] = left
            else:
                del exceptions[device]
        elif _overlap(rule.major, major) and _overlap(rule.minor, minor):
            raise Unsupported(
                f"device rule {_line((rule.kind, rule.major, rule.minor), rule.access)!r} makes an exception from "
                f"{_line(device, access)!r}, which the controller devices of cgroup v1 (devices.deny) cannot express"
            )


def _overlap(one: int, other: int) -> bool:
    return one == other or ANY in (one, other)


def apply(rules: list[Rule], directory: str, *, new: bool) -> None:
    """Bring a group from the state that it is in to the one that the rules amount to.

    Of a group in use, only the difference is written, allowing before denying, so that its processes never
    miss a device that both states have.

    Raises:
        Unsupported: as `state_of`.
        OSError: the kernel refused, for instance what the parent group may not use itself.
    """
    target = state_of(rules)
    exceptions = target.exceptions
    allow_file = directory + "/devices.allow"
    deny_file = directory + "/devices.deny"
    if target.allow:
        if exceptions or not new or not _parse(file.read(directory + "/devices.list")).allow:
            file.write(allow_file, "a")
        _write(deny_file, _lines(exceptions))
        return
    current = None if new else _parse(file.read(directory + "/devices.list"))
    if current is None or current.allow:
        file.write(deny_file, "a")
        current = State()
    had = current.exceptions
    _write(allow_file, _lines({device: access & ~had.get(device, 0) for device, access in exceptions.items()}))
    _write(deny_file, _lines({device: access & ~exceptions.get(device, 0) for device, access in had.items()}))


def _parse(devices_list: str) -> State:
    """The state that ``devices.list`` shows; it does not show the exceptions of a group that may use all."""
    state = State()
    for line in devices_list.split("\n"):
        if not line:
            continue
        kind, device, letters = line.split()
        if kind == "a":
            return State(allow=True)
        major, _, minor = device.partition(":")
        access = sum(bit for bit, letter in _LETTERS if letter in letters)
        state.exceptions[(kind, _number(major), _number(minor))] = access
    return state


def _number(text: str) -> int:
    return ANY if text == "*" else int(text)


def _lines(exceptions: dict[Device, int]) -> list[str]:
    return [_line(device, access) for device, access in exceptions.items() if access]


def _line(device: Device, access: int) -> str:
    kind, major, minor = device
    letters = "".join(letter for bit, letter in _LETTERS if access & bit)
    return f"{kind} {'*' if major == ANY else major}:{'*' if minor == ANY else minor} {letters}"


def _write(path: str, lines: list[str]) -> None:
    """One write for each line, on one descriptor: there are a dozen for every container."""
    if not lines:
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        for line in lines:
            try:
                os.write(descriptor, line.encode())
            except OSError as error:
                raise OSError(error.errno, f"write {line!r}: {os.strerror(error.errno or 0)}", path) from None
    finally:
        os.close(descriptor)
