"""Removing what is there and not in use: stopped containers, and volumes that no container has."""

from __future__ import annotations

import os

from orlop.engine import container, removal, repair
from orlop.errors import Conflict, NotFound
from orlop.storage import usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from orlop.engine.location import Location


class Pruned:
    """The ``names`` or ids of what was removed, and the bytes that it took on the disk."""

    __slots__ = ("freed", "names")

    def __init__(self) -> None:
        self.names: list[str] = []
        self.freed = 0


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


def volumes(location: Location) -> Pruned:
    """Remove all volumes that no container has.

    Raises:
        OrlopError: a record is damaged, so that it is not known which volumes are in use.
        OSError: something cannot be removed.
    """
    done = Pruned()
    try:
        names = os.listdir(location.volumes)
    except FileNotFoundError:
        return done
    # In this order: a volume is moved to where we saw it when the record of a container names it already. The second look
    # finds those containers that were being published, under another name, during the first.
    used = _used(location) | _used(location)
    for name in sorted(set(names) - used):
        directory = f"{location.volumes}/{name}"
        try:
            size = usage.of_tree(directory).bytes
        except FileNotFoundError:
            continue  # somebody else was quicker
        removal.remove_tree(directory)
        done.names.append(name)
        done.freed += size
    return done


def _used(location: Location) -> set[str]:
    found = set()
    for entry in os.listdir(location.containers):
        record = container.read(f"{location.containers}/{entry}/{container.RECORD_FILE}")
        for each in (record or {}).get("Mounts", ()):
            if each["Type"] == "volume":
                found.add(each["Name"])
    return found
