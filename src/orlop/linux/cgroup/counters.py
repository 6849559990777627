"""The formats of statistics files: flat keyed, nested keyed, lists (cgroup-v2.rst, "Interface Files")."""

from __future__ import annotations

import os

from orlop.linux.cgroup import file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: What stands for "no limit" in statistics, as in Go's math.MaxUint64.
UNLIMITED = (1 << 64) - 1


def number(path: str) -> int | None:
    """The one number in a file, ``max`` being `UNLIMITED`; None if there is no such file, or it is not readable."""
    value = text(path)
    if not value:
        return None
    return UNLIMITED if value == "max" else int(value)


def numbers(path: str) -> list[int]:
    """A list of numbers on one line."""
    return [int(word) for word in (text(path) or "").split()]


def keyed(path: str) -> dict[str, int]:
    """Lines of ``KEY VALUE``; others are left out."""
    found = {}
    for line in (text(path) or "").split("\n"):
        words = line.split()
        if len(words) == 2 and words[1].lstrip("-").isdecimal():
            found[words[0]] = int(words[1])
    return found


def nested(path: str) -> list[tuple[str, dict[str, str]]]:
    """Lines of ``NAME KEY=VALUE KEY=VALUE …``."""
    found = []
    for line in (text(path) or "").split("\n"):
        name, *pairs = line.split() or [""]
        if name:
            found.append((name, dict(pair.split("=", 1) for pair in pairs if "=" in pair)))
    return found


def id_list(path: str) -> list[int]:
    """A list of processors or nodes such as ``0-2,7``, written out."""
    found: list[int] = []
    for part in (text(path) or "").split(","):
        first, _, last = part.strip().partition("-")
        if first:
            found += range(int(first), int(last or first) + 1)
    return found


def pressure(path: str) -> dict[str, Any] | None:
    """Pressure stall information (accounting/psi.rst); None where the kernel has none."""
    found: dict[str, Any] = {}
    for name, values in nested(path):
        found[name] = {key: float(values[key]) for key in ("avg10", "avg60", "avg300") if key in values}
        found[name]["total"] = int(values.get("total", 0))
    return found or None


def names(directory: str) -> list[str]:
    """The names of a cgroup's files; none if it is gone."""
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


def without_zeros(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry with keys left out whose value is zero or empty, as Go's ``omitempty`` does."""
    return {key: value for key, value in entry.items() if value}


def text(path: str) -> str | None:
    """The text of a statistics file; None if this kernel, or this group, has none."""
    try:
        return file.read_if_there(path)
    except OSError:
        return None  # a counter that the kernel has the file for but not the means (EOPNOTSUPP, EIO)
