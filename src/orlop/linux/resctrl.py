"""Shares of the processor's caches and of the memory's bandwidth, by the kernel's resctrl file system.

Intel calls it RDT, AMD QoS. A group is a directory that has ``schemata``, lines such as ``L3:0=ff;1=0f``, and ``tasks``;
a directory in its ``mon_groups`` counts what some of its tasks use. Whoever removes one gives its tasks back to the
group above (the kernel's filesystems/resctrl.rst).
"""

from __future__ import annotations

import os

#: The group of all that are in no other, which is the file system's root.
DEFAULT = "/"


def mountpoint() -> str:
    """Where resctrl is mounted, or empty."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            before, _, after = line.partition(" - ")
            if after.startswith("resctrl "):
                return before.split(" ")[4]
    return ""


class Group:
    """One group, by its directory."""

    __slots__ = ("directory",)

    def __init__(self, directory: str) -> None:
        self.directory = directory

    @property
    def exists(self) -> bool:
        """Whether it is there."""
        return os.path.isdir(self.directory)

    def make(self) -> None:
        """Make it; ENOSPC if the processor has no more, and FileExistsError if it is there."""
        os.mkdir(self.directory, 0o755)

    def remove(self) -> None:
        """Remove it, if it is there."""
        try:
            os.rmdir(self.directory)
        except FileNotFoundError:
            return

    def monitor(self, name: str) -> Group:
        """A group below this one that only counts."""
        return Group(f"{self.directory}/mon_groups/{name}")

    def schemata(self) -> str:
        """What the group has."""
        with open(f"{self.directory}/schemata", encoding="ascii") as file:
            return file.read()

    def set_schemata(self, lines: list[str]) -> None:
        """Give the group shares; what no line names stays.

        Raises:
            OSError: the kernel refuses a line; in ``strerror`` are its own words, where it has some.
        """
        where = f"{self.directory}/schemata"
        for line in lines:
            try:
                _write(where, line + "\n")
            except OSError as error:
                raise OSError(error.errno, self._reason() or error.strerror, where) from None

    def _reason(self) -> str:
        """The kernel's explanation of the last failure in any group."""
        try:
            with open(f"{mountpoint()}/info/last_cmd_status", encoding="ascii", errors="replace") as file:
                said = file.read().strip()
        except OSError:  # resctrl is older than Linux 4.17, or gone
            return ""
        return "" if said == "ok" else said

    def add(self, pid: int) -> None:
        """Move a task into the group."""
        _write(f"{self.directory}/tasks", f"{pid}\n")


def _write(where: str, text: str) -> None:
    descriptor = os.open(where, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, where) from None
    finally:
        os.close(descriptor)


def shares(lines: str) -> dict[tuple[str, str], int]:
    """The lines of a ``schemata`` file as numbers: ``L3:0=ff`` is ``{("L3", "0"): 255}``.

    Raises:
        ValueError: a line is of another form.
    """
    found = {}
    for line in lines.split("\n"):
        if not line.strip():
            continue
        resource, colon, domains = line.strip().partition(":")
        for each in domains.split(";"):
            domain, equals, value = each.partition("=")
            if not (colon and equals):
                raise ValueError(f"{line!r} has not the form of 'L3:0=ff;1=ff'")
            # Bandwidth is a number of percents or megabytes, everything else a bit mask.
            found[resource.strip(), domain.strip()] = int(value, 10 if resource.strip() == "MB" else 16)
    return found
