"""The controllers: for each, what ``linux.resources`` says turned into files and values.

A module has ``v1(section, directory)`` and, where version 2 has the controller, ``v2(section, directory)``.
Both return `Setting` values in the order in which they are to be written and write nothing themselves;
``directory`` is there to look up which of several files this kernel has, and what is set now where a file
holds two values. Absent, null and, where Go programs write it for "not given", zero mean: leave it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: What ``-1`` looks like after a Go program put it into an unsigned field.
UNSIGNED_MINUS_ONE = (1 << 64) - 1


class Setting:
    """A value for one file of a cgroup.

    ``unlimited`` says that the value takes a limit away, which a kernel without the controller has done
    already. ``again`` says that the kernel may refuse it until a later one of the same list is set (a
    limit above another that is about to be raised), and that it is then to be tried again.
    """

    __slots__ = ("again", "file", "unlimited", "value")

    def __init__(self, file: str, value: str, *, unlimited: bool = False, again: bool = False) -> None:
        self.file = file
        self.value = value
        self.unlimited = unlimited
        self.again = again

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Setting) and (self.file, self.value) == (other.file, other.value)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Setting({self.file!r}, {self.value!r})"


def number(section: dict[str, Any], name: str) -> int | None:
    """An integer of a section; None if it is absent, null or zero.

    Raises:
        InvalidConfig: it is something else.
    """
    return number_or_zero(section, name) or None


def number_or_zero(section: dict[str, Any], name: str) -> int | None:
    """An integer of a section where zero is a value of its own; None if it is absent or null."""
    value = section.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        from orlop.errors import InvalidConfig

        raise InvalidConfig(f"linux.resources: {name} must be an integer, not {value!r}")
    return value


def maximum(value: int) -> str:
    """A version 2 limit: ``max`` for -1."""
    return "max" if value < 0 else str(value)
