"""``linux.intelRdt``: the resctrl group that a container's processes are in.

runtime-spec 1.3, config-linux.md, "IntelRdt". A group that the configuration names (``closID``) is somebody's, who may
have others in it, and stays; one that has the container's id is the container's, and goes with it.
"""

from __future__ import annotations

from orlop.errors import Conflict, InvalidConfig, NotFound, Unsupported
from orlop.linux import resctrl
from orlop.runtime.step import step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Allocation:
    """A container's group, and the group that monitors it alone, or None.

    ``is_own`` says whether the group goes with the container.
    """

    __slots__ = ("_group", "_is_own", "_monitor")

    def __init__(self, group: resctrl.Group, monitor: resctrl.Group | None, *, is_own: bool) -> None:
        self._group = group
        self._monitor = monitor
        self._is_own = is_own

    def record(self) -> dict[str, Any]:
        """It as JSON can hold it."""
        monitor = self._monitor.directory if self._monitor is not None else ""
        return {"group": self._group.directory, "monitor": monitor, "own": self._is_own}

    def add(self, pid: int) -> None:
        """Put a process into it, and so all that it will start.

        Raises:
            StepFailed: the kernel refuses.
        """
        for group in (self._group, self._monitor):
            if group is not None:
                with step("join resctrl group", group.directory):
                    group.add(pid)

    def change(self, lines: list[str]) -> None:
        """Give the group other shares.

        Raises:
            StepFailed: the kernel refuses.
        """
        with step("write", f"{self._group.directory}/schemata"):
            self._group.set_schemata(lines)

    def remove(self) -> None:
        """Remove what is the container's.

        Raises:
            StepFailed: the kernel refuses.
        """
        for group in (self._monitor, self._group if self._is_own else None):
            if group is not None:
                with step("remove resctrl group", group.directory):
                    group.remove()


def from_record(record: dict[str, Any]) -> Allocation:
    """What `Allocation.record` wrote down."""
    monitor = resctrl.Group(record["monitor"]) if record["monitor"] else None
    return Allocation(resctrl.Group(record["group"]), monitor, is_own=record["own"])


def allocate(wanted: dict[str, Any], container_id: str, top: str = "") -> Allocation:
    """Make or find the group that ``linux.intelRdt`` asks for; ``top`` is resctrl's root, if it is known.

    Raises:
        Unsupported: resctrl is not mounted.
        NotFound: a group is named that is not there, and nothing is said of its shares.
        Conflict: it is there and has other shares.
        StepFailed: the kernel refuses.
    """
    top = top or mounted("linux.intelRdt cannot be used")
    name = wanted.get("closID") or ""
    group = resctrl.Group(top if name == resctrl.DEFAULT else f"{top}/{name or container_id}")
    lines = asked(wanted)
    is_new = not group.exists
    if not is_new:
        _compare(group, lines)
    elif name and not lines:
        raise NotFound(f"linux.intelRdt.closID: there is no resctrl group {group.directory}")
    else:
        with step("make resctrl group", group.directory):
            group.make()
    monitors = wanted.get("enableMonitoring") or wanted.get("enableCMT") or wanted.get("enableMBM")
    monitor = group.monitor(container_id) if monitors else None
    try:
        if is_new:
            with step("write", f"{group.directory}/schemata"):
                group.set_schemata(lines)
        if monitor is not None:
            with step("make resctrl group", monitor.directory):
                monitor.make()
    except BaseException:
        if is_new:
            group.remove()
        raise
    return Allocation(group, monitor, is_own=not name)


def mounted(what: str) -> str:
    """Where resctrl is mounted.

    Raises:
        Unsupported: nowhere, and so ``what`` cannot be done.
    """
    top = resctrl.mountpoint()
    if not top:
        raise Unsupported(f"{what}: no resctrl file system is mounted")
    return top


def asked(wanted: dict[str, Any]) -> list[str]:
    """The lines for ``schemata``: where both schemas have a line for the bandwidth, the bandwidth's own counts."""
    bandwidth = wanted.get("memBwSchema") or ""
    lines = [line for line in (wanted.get("l3CacheSchema") or "").split("\n") if line]
    if bandwidth:
        lines = [line for line in lines if not line.startswith("MB:")] + [bandwidth]
    return lines + [line for line in wanted.get("schemata") or () if line]


def _compare(group: resctrl.Group, lines: list[str]) -> None:
    """Refuse to change a group that is there: others may be in it."""
    if not lines:
        return
    try:
        wanted = resctrl.shares("\n".join(lines))
    except ValueError as error:
        raise InvalidConfig(f"linux.intelRdt: {error}") from None
    with step("read", f"{group.directory}/schemata"):
        has = resctrl.shares(group.schemata())
    for (resource, domain), value in wanted.items():
        if has.get((resource, domain)) != value:
            raise Conflict(
                f"linux.intelRdt: the resctrl group {group.directory} is there and has other shares of {resource}"
            )
