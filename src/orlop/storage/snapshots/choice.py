"""Which driver keeps the snapshots of a root.

The first use settles it, for good: in order of precedence by the one that was asked for, by ORLOP_STORAGE_DRIVER, or
by what works on the file system, `DRIVERS` in their order. ``<root>/snapshots/driver`` is a file that says it.
Asking for another one later is an error as long as there are snapshots, since these would seem to be gone.
"""

from __future__ import annotations

import fcntl
import os

from orlop.errors import Conflict, InvalidArgument, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from orlop.storage.snapshots.directory import SnapshotDirectory

VARIABLE = "ORLOP_STORAGE_DRIVER"

_FILE = "driver"


def _overlay() -> type[SnapshotDirectory]:
    from orlop.storage.snapshots.overlay import Overlay

    return Overlay


def _btrfs() -> type[SnapshotDirectory]:
    from orlop.storage.snapshots.btrfs import Btrfs

    return Btrfs


def _vfs() -> type[SnapshotDirectory]:
    from orlop.storage.snapshots.vfs import Vfs

    return Vfs


#: Every driver by its name, the best first. A new one (zfs, device mapper, fuse-overlayfs) is a class in a module of its
#: own, a line here, and a line in the conformance suite.
DRIVERS: dict[str, Callable[[], type[SnapshotDirectory]]] = {"overlay": _overlay, "btrfs": _btrfs, "vfs": _vfs}


def open_snapshots(directory: str, *, asked: str = "", rootless: bool) -> SnapshotDirectory:
    """The snapshots below ``directory``, by the driver that it has or now gets.

    Raises:
        InvalidArgument: there is no driver of the name that was asked for.
        Conflict: there are snapshots of another driver than the one that was asked for.
        Unsupported: the driver does not work on this file system, or it is one of a newer orlop.
    """
    asked = asked or os.environ.get(VARIABLE, "")
    if asked and asked not in DRIVERS:
        raise InvalidArgument(f'unknown storage driver "{asked}": expected {_alternatives()}')
    used = _used(directory)
    if not used or (asked and asked != used):
        used = _settle(directory, used, asked, rootless=rootless)
    if used not in DRIVERS:
        raise Unsupported(f"{directory} has snapshots of driver {used}, which this version of orlop does not know")
    return DRIVERS[used]()(f"{directory}/{used}", rootless=rootless)


def _used(directory: str) -> str:
    try:
        with open(f"{directory}/{_FILE}", "rb", buffering=0) as file:
            return file.read().decode(errors="replace").strip()
    except FileNotFoundError:
        return ""


def _write(directory: str, driver: str) -> None:
    aside = f"{directory}/.{_FILE}-{os.urandom(6).hex()}"
    with open(aside, "xb", buffering=0) as file:
        file.write(f"{driver}\n".encode())
        os.fsync(file.fileno())  # a machine that loses power must not forget where its images are
    os.rename(aside, f"{directory}/{_FILE}")


def _settle(directory: str, used: str, asked: str, *, rootless: bool) -> str:
    """Settle the driver of a directory that has none, or has no snapshots of the one that it has."""
    os.makedirs(directory, 0o700, exist_ok=True)
    everybody = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(everybody, fcntl.LOCK_EX)
        used = _used(directory)  # it may have been settled while we waited
        if used and (not asked or asked == used):
            return used
        if used:
            _check_unused(directory, used, asked, rootless=rootless)
        chosen = _works(directory, asked, rootless=rootless)
        DRIVERS[chosen]().set_up(f"{directory}/{chosen}")
        _write(directory, chosen)
    finally:
        os.close(everybody)
    return chosen


def _check_unused(directory: str, used: str, asked: str, *, rootless: bool) -> None:
    known = DRIVERS.get(used)
    if known is None or next(iter(known()(f"{directory}/{used}", rootless=rootless).walk()), None) is not None:
        raise Conflict(
            f"{directory} has snapshots of driver {used}, which driver {asked} cannot use: unset {VARIABLE}, "
            "or name another state directory with --root, or remove all containers and images first"
        )


def _works(directory: str, asked: str, *, rootless: bool) -> str:
    """The driver that was asked for, or the first that works."""
    reasons = []
    for name in [asked] if asked else DRIVERS:
        reason = DRIVERS[name]().unsupported(directory, rootless=rootless)
        if not reason:
            return name
        reasons.append(reason)
    raise Unsupported(f"storage driver {asked} cannot be used: {'; '.join(reasons)}")


def _alternatives() -> str:
    *most, last = DRIVERS
    return f"{', '.join(most)} or {last}"
