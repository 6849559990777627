"""A container's volumes: those that are made with it, and how they begin and go.

A volume that no user named, an image's or that of ``-v /path``, is made in the directory of the container that is being
made, beginning as what the image has at its place, and moved to where volumes are (`orlop.engine.volume_store`) once the
container's record there names it. It is removed with its container by ``--rm`` and ``rm -v``, unless another container
has it too: moved back into the container's directory, which is out of sight by then. So whoever is killed, either a volume
is one that a container names, or the next command finds it where a container was being made or removed.
"""

from __future__ import annotations

import os

from orlop.engine import container
from orlop.errors import InvalidArgument, OrlopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from orlop.engine.location import Location
    from orlop.storage.mounts import Mount

VOLUME = "volume"
#: In a container's directory: its volumes, before and after it is there to be seen.
_ASIDE = "volumes"
#: In the directory of a container that is being removed: its volumes go too.
_MARK = "remove-volumes"


def plan(location: Location, targets: Iterable[str], taken: Iterable[str]) -> list[dict[str, Any]]:
    """A new volume for each target at which the user mounts nothing else, in the words of Docker's API.

    Raises:
        InvalidArgument: a target is no absolute path, or the root directory.
    """
    made: dict[str, dict[str, Any]] = {}
    others = set(taken)
    for target in targets:
        if not target.startswith("/") or "\0" in target:
            raise InvalidArgument(f'invalid volume "{target}": its path in the container must be absolute')
        path = "/" + os.path.normpath(target).lstrip("/")
        if path == "/":
            raise InvalidArgument(f'invalid volume "{target}": it cannot be the root directory')
        if path not in others:
            name = os.urandom(32).hex()
            made[path] = {
                "Type": VOLUME,
                "Name": name,
                "Source": f"{location.volumes}/{name}/_data",
                "Destination": path,
                "Driver": "local",
                "Mode": "",
                "RW": True,
                "Propagation": "",
            }
    return list(made.values())


def mounts(volumes: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The OCI mounts of volumes."""
    return [
        {
            "destination": each["Destination"],
            "type": "bind",
            "source": each["Source"],
            "options": ["rbind", "rprivate", "rw"],
        }
        for each in volumes
    ]


def prepare(
    location: Location, aside: str, volumes: Sequence[dict[str, Any]], root_mounts: Sequence[Mount], directory: str
) -> None:
    """Make volumes in the directory of a container that is being made, and fill them with what the image has there.

    The image is ``root_mounts``, a snapshot's, or without those what lies in ``directory``, if that is not empty.

    Raises:
        OrlopError: what the image has there cannot be copied.
    """
    if not volumes:
        return
    os.mkdir(f"{aside}/{_ASIDE}", 0o700)
    places = {}
    for each in volumes:
        place = f"{aside}/{_ASIDE}/{each['Name']}"
        os.mkdir(place, 0o700)
        places[each["Destination"]] = place
    if root_mounts and location.rootless:
        from orlop.engine import own_namespace

        own_namespace.run(lambda: fill(places, root_mounts, ""))
    elif root_mounts or directory:
        fill(places, root_mounts, directory)
    for place in places.values():
        if not os.path.isdir(f"{place}/_data"):
            os.mkdir(f"{place}/_data")
            os.chmod(f"{place}/_data", 0o755)


def fill(places: Mapping[str, str], root_mounts: Sequence[Mount], directory: str) -> None:
    """Copy what an image has at some paths, each to ``_data`` in its directory of ``places``; not what is not there.

    The image is ``root_mounts``, a snapshot's, or without those what lies in ``directory``.

    Raises:
        OrlopError: something cannot be copied.
    """
    from orlop.linux import path
    from orlop.storage import copying
    from orlop.storage import mounts as snapshots

    if root_mounts:
        root = snapshots.attach(root_mounts)
    else:
        root = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for destination, place in places.items():
            try:
                source = path.open_in_root(root, destination, os.O_PATH | os.O_DIRECTORY)
            except (FileNotFoundError, NotADirectoryError):
                continue  # the image has nothing there, or what starting the container will refuse to mount on
            try:
                copying.copy_tree(f"/proc/self/fd/{source}/.", f"{place}/_data", links=f"{place}/links")
            finally:
                os.close(source)
    except OSError as error:
        raise OrlopError(
            f"cannot copy what the image has at {destination} into a volume: {error.strerror or error}"
        ) from None
    finally:
        os.close(root)


def publish(location: Location, aside: str, volumes: Sequence[dict[str, Any]]) -> None:
    """Move a container's volumes to where they stay. Its record, in ``aside``, names them already."""
    if volumes:
        try:
            os.mkdir(location.volumes, 0o700)
        except FileExistsError:
            pass  # not the first ones
        for each in volumes:
            os.rename(f"{aside}/{_ASIDE}/{each['Name']}", f"{location.volumes}/{each['Name']}")
        os.rmdir(f"{aside}/{_ASIDE}")


def mark(directory: str) -> None:
    """Have the volumes of a container that is about to be removed go with it."""
    try:
        os.close(os.open(f"{directory}/{_MARK}", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except FileNotFoundError:
        return  # --rm has just taken it away, and its volumes with it


def unmark(directory: str) -> None:
    """Take back a `mark` that somebody made who was killed before anything was removed. The caller has the container's lock."""
    try:
        os.unlink(f"{directory}/{_MARK}")
    except FileNotFoundError:
        return


def is_marked(directory: str) -> bool:
    """Whether somebody is removing a container together with its volumes, or was killed before that."""
    return os.access(f"{directory}/{_MARK}", os.F_OK)


def withdraw(location: Location, directory: str, record: dict[str, Any]) -> None:
    """Move a container's volumes into its directory, which is out of sight and is going to be removed.

    Nothing happens if the container is one whose volumes stay.
    """
    names = [each["Name"] for each in record.get("Mounts", ()) if each["Type"] == VOLUME]
    if not names:
        return
    was_published = not os.path.basename(directory).startswith(container.NEW)
    if was_published and not (record["HostConfig"]["AutoRemove"] or is_marked(directory)):
        return
    try:
        os.mkdir(f"{directory}/{_ASIDE}", 0o700)
    except FileExistsError:
        pass  # whoever began this was killed
    from orlop.engine import volume_store

    for name in names:
        volume_store.withdraw(
            location, name, os.path.basename(directory).rpartition("-")[2], f"{directory}/{_ASIDE}/{name}"
        )
