"""What is mounted in a container beside the file systems of the kernel: binds, volumes, memory, images.

``-v``, ``--mount``, ``--tmpfs``, ``--volumes-from`` and an image's volumes become one `Plan`, before anything is made:
OCI mounts, and what ``inspect`` tells of them in the words of Docker's API (``MountPoint``).
"""

from __future__ import annotations

import os

from orlop.engine import binds, container, volume_store, volumes
from orlop.engine.mount_kinds import BIND, KINDS, TMPFS, VOLUME, checked
from orlop.engine.mount_plan import Plan
from orlop.engine.settings import Settings
from orlop.errors import InvalidArgument, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from orlop.engine.location import Location
    from orlop.engine.users import User
    from orlop.storage.leases import Lease
    from orlop.storage.mounts import Mount


def plan(location: Location, settings: Settings) -> Plan:
    """Find out what is to be mounted; nothing is made.

    Raises:
        InvalidArgument: something cannot be mounted like that.
        NotFound: there is no container to take volumes from.
        Unsupported: it takes a right or a driver that is not there.
    """
    made = Plan()
    wanted = [*(binds.parse(text) for text in settings.binds), *map(checked, settings.mounts)]
    for target, options in (settings.tmpfs or {}).items():
        path = binds.target_of(target, f'invalid tmpfs "{target}"')
        wanted.append({"Type": TMPFS, "Target": path, "Words": options.split(",") if options else []})
    taken: set[str] = set()
    for each in wanted:
        if each["Target"] in taken:
            raise InvalidArgument(f"duplicate mount point: {each['Target']}")
        taken.add(each["Target"])
    for text in settings.volumes_from:
        _inherit(made, location, text, taken)
    for each in wanted:
        KINDS[each["Type"]](made, location, settings, each)
    made.made = volumes.plan(location, settings.volumes, taken)
    made.points += made.made
    volume_store.check_driver(settings.volume_driver)
    return made


class prepared:  # noqa: N801 - used like a function, as contextlib's are
    """``with prepared(…):`` what a container is going to mount is there and stays, until its record says so.

    ``aside`` is the container's directory; the image is ``root_mounts``, a snapshot's, or what lies in ``directory``.

    Raises:
        OrlopError: something cannot be made or filled.
    """

    __slots__ = ("_held", "_lease")

    def __init__(
        self,
        location: Location,
        made: Plan,
        user: User,
        aside: str,
        root_mounts: Sequence[Mount],
        directory: str,
    ) -> None:
        self._held: list[int] = []
        self._lease: Lease | None = None
        for source in made.sources:
            binds.make_source(source)
        volumes.prepare(location, aside, made.made, root_mounts, directory)
        try:
            if made.named:
                from orlop.engine import volume_filling

                self._held = volume_filling.take(location, made.named)
                volume_filling.fill(location, aside, made.named, root_mounts, directory)
            if made.images:
                self._hold_images(location, made.images)
            made.map_ids(user)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> None:
        return

    def __exit__(self, *_exception: object) -> None:
        for descriptor in self._held:
            os.close(descriptor)
        if self._lease is not None:
            self._lease.release()

    def _hold_images(self, location: Location, images: Sequence[Mapping[str, Any]]) -> None:
        """Keep the images until the container's record says that it has them."""
        from orlop.engine import image_store

        storage = image_store.open_storage(location)
        self._lease = storage.leases.take()
        for each in images:
            self._lease.hold(each["Manifest"], each["Image"])
            self._lease.hold_snapshot(each["Top"])
            if not storage.snapshots.has(each["Top"]):
                raise NotFound(f"the image {each['Image']} was removed meanwhile")


def _inherit(made: Plan, location: Location, text: str, taken: set[str]) -> None:
    """``--volumes-from CONTAINER[:ro|rw]``: its volumes and binds, but where the user mounts something else."""
    name, _, mode = text.partition(":")
    if mode not in ("", "ro", "rw", "z", "Z"):
        raise InvalidArgument(f"invalid volumes-from specification '{text}': invalid mode: {mode}")
    donor = container.find(location, name)
    for point in donor.record.get("Mounts") or ():
        if point["Type"] not in (BIND, VOLUME) or point["Destination"] in taken:
            continue
        taken.add(point["Destination"])
        mount = {
            "Type": point["Type"],
            "Source": point["Name"] if point["Type"] == VOLUME else point["Source"],
            "Target": point["Destination"],
            "Mode": point["Mode"],
            "ReadOnly": mode == "ro" or not point["RW"],
        }
        if point["Type"] == VOLUME:
            mount["VolumeOptions"] = {"NoCopy": True, "Subpath": point.get("Subpath", "")}
        else:
            mount["BindOptions"] = {"Propagation": point["Propagation"]}
        KINDS[point["Type"]](made, location, Settings(), mount)
