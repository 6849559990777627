"""What is going to be mounted in a container beside the file systems of the kernel, as a value."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from orlop.engine.users import User

#: The last id is 2**32 - 2 (user_namespaces(7)).
_IDS = (1 << 32) - 1


class NamedVolume:
    """A volume that the user named and a container is to have: it is made if it is not there.

    ``is_filled`` says that it begins as what the image has at ``destination``, if it is empty.
    """

    __slots__ = ("destination", "is_filled", "labels", "name", "options")

    def __init__(
        self, name: str, destination: str, *, is_filled: bool, labels: Mapping[str, str], options: Mapping[str, str]
    ) -> None:
        self.name = name
        self.destination = destination
        self.is_filled = is_filled
        self.labels = labels
        self.options = options


class Plan:
    """What is going to be mounted.

    Attributes:
        points: what `orlop inspect` shows.
        mounts: entries of the OCI configuration, without those of new volumes.
        made: the points of volumes without a name, which are made with the container.
        named: the volumes that have one.
        sources: directories of the host to make if they are not there.
        images: of each image that is mounted its manifest, its id, its topmost snapshot, and what to mount to see it.
        is_late: some of it can be found only when the container starts, each time anew.
    """

    __slots__ = ("_matched", "images", "is_late", "made", "mounts", "named", "points", "sources")

    def __init__(self) -> None:
        self.points: list[dict[str, Any]] = []
        self.mounts: list[dict[str, Any]] = []
        self.made: list[dict[str, Any]] = []
        self.named: list[NamedVolume] = []
        self.sources: list[str] = []
        self.images: list[dict[str, Any]] = []
        self.is_late = False
        self._matched: list[dict[str, Any]] = []

    def match_user(self, mount: dict[str, Any]) -> None:
        """Have the files of a mount belong to the container's user (`map_ids`)."""
        self._matched.append(mount)

    def map_ids(self, user: User) -> None:
        """Exchange the owner of each matched source and the container's user, once the sources are there.

        Raises:
            OSError: a source cannot be looked at.
        """
        for mount in self._matched:
            map_ids(mount, user.uid, user.gid)
            mount["options"].append("idmap")


def map_ids(mount: dict[str, Any], uid: int, gid: int) -> None:
    """Exchange the owner of a mount's source for a user and group.

    Raises:
        InvalidArgument: there is no such part of the source.
        OSError: the source cannot be looked at.
    """
    if mount.get("subpath"):
        from orlop.engine import volume_store

        part = volume_store.open_part(mount["source"], mount["subpath"])
        try:
            owner = os.fstat(part)
        finally:
            os.close(part)
    else:
        owner = os.stat(mount["source"])
    mount["uidMappings"] = exchanged(owner.st_uid, uid)
    mount["gidMappings"] = exchanged(owner.st_gid, gid)


def exchanged(one: int, other: int) -> list[dict[str, int]]:
    """A mapping of all ids to themselves, but for two that stand for each other."""
    low, high = sorted((one, other))
    ranges = [(0, 0, low), (low, high, 1), (low + 1, low + 1, high - low - 1), (high, low, 1)]
    if low == high:
        ranges = [(0, 0, high), (high, high, 1)]
    ranges.append((high + 1, high + 1, _IDS - high - 1))
    return [{"containerID": inside, "hostID": outside, "size": size} for inside, outside, size in ranges if size > 0]
