"""Removing what is there and not in use: stopped containers, and volumes that no container has."""

from __future__ import annotations

from orlop import filters
from orlop.engine import container, removal, repair, volume_store
from orlop.errors import Conflict, NotFound
from orlop.storage import usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from orlop.engine.location import Location
    from orlop.filters import Filter


class Pruned:
    """The ``names`` or ids of what was removed, and the bytes that it took on the disk."""

    __slots__ = ("freed", "names")

    def __init__(self) -> None:
        self.names: list[str] = []
        self.freed = 0


def tests_of_containers() -> dict[str, Filter]:
    """The filters by which containers are chosen."""
    return {
        "label": filters.label(lambda target: target.record["Config"]["Labels"]),
        "label!": filters.without_label(lambda target: target.record["Config"]["Labels"]),
        "until": filters.until(lambda target: target.record["Created"]),
    }


def tests_of_volumes() -> dict[str, Filter]:
    """The filters by which volumes are chosen."""
    return {
        "all": filters.flag(lambda _: True),
        "label": filters.label(lambda volume: volume["Labels"]),
        "label!": filters.without_label(lambda volume: volume["Labels"]),
    }


def containers(location: Location, wanted: Callable[[container.Container], bool]) -> Pruned:
    """Remove all containers that do not run and are ``wanted``.

    Raises:
        OrlopError: a record is damaged.
        OSError: something cannot be removed.
    """
    repair.everything(location)
    done = Pruned()
    for container_id in container.every_id(location):
        target = container.Container(location, container_id)
        try:
            if target.state()["Running"] or not wanted(target):
                continue
            size = usage.of_tree(target.directory).bytes
            removal.remove(target)
        except (NotFound, FileNotFoundError, Conflict):
            continue  # removed or started meanwhile
        done.names.append(container_id)
        done.freed += size
    return done


def volumes(location: Location, wanted: Callable[[Mapping[str, Any]], bool]) -> Pruned:
    """Remove the volumes that no container has and that are ``wanted``.

    Raises:
        OrlopError: a record is damaged, so that it is not known which volumes are in use.
        OSError: something cannot be removed.
    """
    volume_store.sweep(location)
    done = Pruned()
    used = volume_store.users(location)
    for volume in volume_store.every(location):
        name = volume["Name"]
        if name in used or not wanted(volume):
            continue
        try:
            size = usage.of_tree(f"{location.volumes}/{name}").bytes
            volume_store.remove(location, name)
        except (NotFound, FileNotFoundError, Conflict):
            continue  # removed, or taken, meanwhile
        done.names.append(name)
        done.freed += size
    return done
