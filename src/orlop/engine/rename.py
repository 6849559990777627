"""Giving a container another name.

The new name is claimed first, then the container's record says it, then the old one is free. If that is broken off
between two of these, the container has two names until the next command that looks after everything
(`finish`): the record's is the one that counts.
"""

from __future__ import annotations

import os

from orlop.engine import container, events, names, networking
from orlop.errors import InvalidArgument, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location


def rename(target: container.Container, name: str) -> None:
    """Give a container another name, also while it runs.

    Raises:
        InvalidArgument: it can be no name, or is the name that the container has.
        Conflict: another container has it.
        NotFound: the container was removed meanwhile.
    """
    name = name.removeprefix("/")
    names.validate(name)
    lock = container.lock(target.directory)
    if lock is None:
        raise NotFound(f"no such container: {target.id[:12]}")
    try:
        record = dict(container.Container(target.location, target.id).record)
        old = record["Name"]
        if name == old:
            raise InvalidArgument(f"renaming a container with the same name as its current name: {name}")
        if names.holder_of(target.location.names, name) != target.id:  # else what an interrupted rename left
            names.claim(target.location.names, name, target.id, target.location.containers)
        try:
            record["Name"] = name
            container.write(f"{target.directory}/{container.RECORD_FILE}", record)
        except BaseException:
            names.release(target.location.names, name, target.id)
            raise
        names.release(target.location.names, old, target.id)
        networking.rename(target.location, target.id, old, name)
    finally:
        os.close(lock)
    about = {**events.attributes(record), "oldName": f"/{old}"}
    events.emit(target.location, events.CONTAINER, "rename", target.id, about)


def finish(location: Location) -> None:
    """Free the second names of containers whose renaming was broken off."""
    holders: dict[str, list[str]] = {}
    for name in os.listdir(location.names):
        holder = names.holder_of(location.names, name) if name[0] != "." else None
        if holder is not None:
            holders.setdefault(holder, []).append(name)
    for container_id, held in holders.items():
        if len(held) > 1:
            _keep_one(container.Container(location, container_id), held)


def _keep_one(target: container.Container, held: list[str]) -> None:
    lock = container.lock(target.directory, wait=False)
    if lock is None:
        return  # it is being renamed, or removed
    try:
        real = container.Container(target.location, target.id).name
        for name in held:
            if name != real:
                names.release(target.location.names, name, target.id)
    finally:
        os.close(lock)
