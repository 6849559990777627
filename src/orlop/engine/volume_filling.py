"""Volumes with names, when a container gets them: made if they are not there, and filled with what the image has there."""

from __future__ import annotations

import fcntl
import os

from orlop.engine import volume_store, volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from orlop.engine.location import Location
    from orlop.engine.mount_plan import NamedVolume
    from orlop.storage.mounts import Mount

#: In a volume's directory: whoever fills it has its flock. (The directory's own is for being there at all.)
_LOCK = "filling"


def take(location: Location, named: Sequence[NamedVolume]) -> list[int]:
    """Have these volumes be there and stay; returns descriptors to close once a container's record names them.

    Raises:
        OrlopError: one cannot be made.
    """
    held = []
    try:
        for each in named:
            volume_store.create(location, each.name, labels=each.labels, options=each.options)
            held.append(volume_store.hold(location, each.name))
    except BaseException:
        for descriptor in held:
            os.close(descriptor)
        raise
    return held


def fill(
    location: Location, aside: str, named: Sequence[NamedVolume], root_mounts: Sequence[Mount], directory: str
) -> None:
    """Have those that are empty begin as what the image has at their places; ``aside`` is on the same file system.

    The image is ``root_mounts``, a snapshot's, or without those what lies in ``directory``, if that is not empty.

    Raises:
        OrlopError: what the image has there cannot be copied.
    """
    if not (root_mounts or directory):
        return
    wanted = [each for each in named if each.is_filled and _is_empty(location, each.name)]
    if not wanted:
        return

    def work() -> None:
        for each in wanted:
            _fill(location, f"{aside}/filling", each, root_mounts, directory)

    if location.rootless:
        from orlop.engine import own_namespace

        own_namespace.run(work)
    else:
        work()


def _is_empty(location: Location, name: str) -> bool:
    try:
        return not os.listdir(f"{location.volumes}/{name}/{volume_store.DATA}")
    except PermissionError:
        return False  # an ordinary user's, which somebody in a container owns: it is in use


def _fill(location: Location, place: str, volume: NamedVolume, root_mounts: Sequence[Mount], directory: str) -> None:
    target = f"{location.volumes}/{volume.name}"
    lock = os.open(f"{target}/{_LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.listdir(f"{target}/{volume_store.DATA}"):
            return  # somebody else was quicker
        os.mkdir(place, 0o700)
        volumes.fill({volume.destination: place}, root_mounts, directory)
        if os.path.isdir(f"{place}/{volume_store.DATA}"):
            _put(location, volume.name, f"{place}/{volume_store.DATA}", f"{target}/{volume_store.DATA}")
        os.rmdir(place)
    finally:
        os.close(lock)


def _put(location: Location, name: str, source: str, target: str) -> None:
    """Put the copy in the place of the empty directory; or in that directory, if a container is looking at it."""
    if name not in volume_store.users(location):
        os.rename(source, target)
        return
    for entry in os.listdir(source):
        os.rename(f"{source}/{entry}", f"{target}/{entry}")
    about = os.stat(source)
    os.chown(target, about.st_uid, about.st_gid)
    os.chmod(target, about.st_mode & 0o7777)
    os.rmdir(source)
