"""Putting right a state directory that was copied or moved.

A copy may have been taken while the state was written to, one directory after the other. Then it has the same container
published and half made, or half removed; names that are no longer anybody's, or not yet; containers whose files were
copied before they were there. And wherever it is now, records name files by their paths, which were others.

This is done once, by the first command that finds the state (see `whereabouts`), under the lock that whoever begins a container
waits for.
"""

from __future__ import annotations

import fcntl
import os

from orlop.engine import container, monitor_lock, names, whereabouts
from orlop.errors import Conflict, NotFound, OrlopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.location import Location

#: The files of a bundle that have paths in them.
_CONFIGURATIONS = ("config.json", "config.template.json")


def settle(location: Location) -> None:
    """Make the state what it would be, had it always been here.

    Raises:
        Conflict: it is a copy, and what it is a copy of has containers that run.
        OrlopError: a record is damaged.
        OSError: the file system fails.
    """
    if not os.path.isdir(location.containers) or not os.path.isdir(location.names):
        return  # never used
    everybody = os.open(location.containers, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(everybody, fcntl.LOCK_EX)
        number, before = whereabouts.noted(location)
        if (number, before) == (os.stat(location.root).st_ino, location.root):
            return  # somebody else was quicker
        found = [_open(location, each) for each in container.every_id(location)]
        known = [each for each in found if each is not None]
        _check_run_directory(location, known)
        for each in known:
            if before not in ("", location.root):
                _move(each, before)
            _restore_files(each)
        _settle_names(location, known)
        whereabouts.note(location)
    finally:
        os.close(everybody)


def _open(location: Location, container_id: str) -> container.Container | None:
    """A container that has a record; what has none was copied while it was removed, and is treated so."""
    found = container.Container(location, container_id)
    try:
        _ = found.record
    except NotFound:
        os.rename(found.directory, f"{location.containers}/{container.GONE}{container_id}")
        return None
    return found


def _check_run_directory(location: Location, containers: list[container.Container]) -> None:
    """Refuse to take the running containers of the original for ours, which have the same ids."""
    for each in containers:
        if each.has_monitor():
            root = monitor_lock.root_of(location, each.id)
            if root not in ("", location.root) and os.path.isdir(f"{root}/containers/{each.id}"):
                raise Conflict(
                    f"{location.root} is a copy of {root}, whose container {each.name} runs: "
                    "name another run directory for the copy, with --run-root"
                )


def _move(target: container.Container, before: str) -> None:
    """Rewrite the paths that lead into the state directory, whose path was ``before``."""
    record = target.record
    moved = _Moved(before, target.location.root)
    moved.mounts(record.get("RootMounts", ()))
    for each in record.get("Mounts", ()):
        each["Source"] = moved.text(each.get("Source", ""))
    container.write(f"{target.directory}/{container.RECORD_FILE}", record)
    for name in _CONFIGURATIONS:
        config = container.read(f"{target.directory}/{name}")
        if config is not None:
            config["root"]["path"] = moved.text(config["root"]["path"])
            moved.mounts(config.get("mounts", ()))
            container.write(f"{target.directory}/{name}", config)
            _hide_state(target, config)


def _hide_state(target: container.Container, config: dict[str, Any]) -> None:
    if os.path.isdir(f"{target.directory}/upper"):
        from orlop.engine import host_view, rebasing

        rebasing.as_owner(target.location, lambda: host_view.hide(target.directory, config, target.location))


class _Moved:
    """What becomes of paths."""

    __slots__ = ("_pairs",)

    def __init__(self, before: str, now: str) -> None:
        from orlop.engine.host_view import escaped

        self._pairs = {(before, now), (escaped(before), escaped(now))}

    def mounts(self, mounts: list[dict[str, Any]]) -> None:
        """Rewrite the sources of mounts, and the options that are paths."""
        for each in mounts:
            if "source" in each:
                each["source"] = self.text(each["source"])
            if "options" in each:
                each["options"] = [self.text(option) for option in each["options"]]

    def text(self, text: str) -> str:
        """A path, or an option whose value is one."""
        key, equals, path = text.rpartition("=") if text[:1] != "/" else ("", "", text)
        for before, now in self._pairs:
            if path == before or path.startswith(before + "/"):
                return f"{key}{equals}{now}{path[len(before) :]}"
        return text


def _restore_files(target: container.Container) -> None:
    """Give a container its file system if that was copied before it was there: one in which nothing is written yet."""
    record = target.record
    if "RootMounts" not in record or "Rebase" in record:
        return
    from orlop.engine import image_store, rebasing

    snapshots = image_store.open_storage(target.location).snapshots
    below = record.get("Base") or record["Top"]
    if not snapshots.has(target.id) and snapshots.has(below):
        rebasing.as_owner(target.location, lambda: rebasing.begin_as(snapshots, target.id, below))


def _settle_names(location: Location, containers: list[container.Container]) -> None:
    """Give each container the name that its record says, or where two say the same, one of them another."""
    wanted: dict[str, container.Container] = {}
    nameless = [each for each in containers if wanted.setdefault(each.name, each) is not each]
    for name in os.listdir(location.names):
        if name[0] != "." and (name not in wanted or names.holder_of(location.names, name) != wanted[name].id):
            os.unlink(f"{location.names}/{name}")
    for name, each in wanted.items():
        if names.holder_of(location.names, name) is None:
            names.claim(location.names, name, each.id, location.containers)
    for each in nameless:
        _name_anew(each)


def _name_anew(target: container.Container) -> None:
    for attempt in range(1 << 16):
        name = names.generate(attempt)
        try:
            names.claim(target.location.names, name, target.id, target.location.containers)
        except Conflict:
            continue
        container.write(f"{target.directory}/{container.RECORD_FILE}", {**target.record, "Name": name})
        return
    raise OrlopError(f"container {target.id[:12]} has no name, and none is free: remove some containers")
