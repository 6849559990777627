"""Snapshots as directories: names, records and life cycle, which all drivers share.

``<root>/snapshots/<driver>/<name>/`` is prepared as ``.new-…``, published by one rename, and removed by first renaming it
to ``.gone-…``. In it:

``record.json``
    the kind that it was prepared as, its parent and all ancestors (`orlop.storage.snapshots.record`)
``fs``
    the tree, or with overlay the layer's own part of it
``usage.json``
    what a committed snapshot takes, once it was counted

A snapshot is committed if its name is a digest. Who prepares one holds flock on its directory until it is published.
The driver's directory itself is locked shared for a moment to begin one, which is when the parent must exist, and
exclusively to take committed snapshots away, which is when nobody may be their child, to put one in the place of another
that is damaged or was lost with the machine's power, and to confirm one.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

from orlop.errors import Conflict, InvalidArgument, NotFound, OrlopError
from orlop.storage import digest, directory_lock
from orlop.storage.snapshots import interface, names
from orlop.storage.snapshots import record as records
from orlop.storage.snapshots.interface import DiffBase, Info, Snapshots, Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from orlop.storage.mounts import Mount
    from orlop.storage.snapshots.interface import Target

NEW = ".new-"
GONE = ".gone-"


#: Threads that remove a committed snapshot: they wait for the disk more than they compute.
_THREADS = 4


class SnapshotDirectory(Snapshots):
    """Snapshots below one directory. A driver inherits from this and says how its trees are made and seen.

    It defines `unsupported` and the methods that begin with ``_tree``, and may extend `set_up`, `_settle` and `_clear`.
    """

    __slots__ = ("directory", "rootless")

    def __init__(self, directory: str, *, rootless: bool) -> None:
        self.directory = directory
        self.rootless = rootless

    @classmethod
    def unsupported(cls, directory: str, *, rootless: bool) -> str:
        """Why the driver cannot keep its snapshots in ``directory``, an existing one; empty if it can."""
        raise NotImplementedError

    @classmethod
    def set_up(cls, directory: str) -> None:
        """Make ``directory``, in which the driver keeps its snapshots; called until it has succeeded once."""
        os.makedirs(directory, 0o700, exist_ok=True)

    def _tree_made(self, place: str, record: dict[str, Any]) -> None:
        """Make the tree of a new snapshot in ``place``, a directory that is still being prepared."""
        raise NotImplementedError

    def _tree_copied(self, place: str, record: dict[str, Any], source: str) -> None:
        """Make the tree of a new snapshot in ``place``, as snapshot ``source`` has it."""
        raise NotImplementedError

    def _tree_mounts(self, name: str, record: dict[str, Any], *, writable: bool) -> list[Mount]:
        """What to mount to see the tree."""
        raise NotImplementedError

    def _tree_target(self, name: str) -> Target:
        """Where to unpack a layer into the tree."""
        raise NotImplementedError

    def _tree_usage(self, name: str, record: dict[str, Any]) -> Usage:
        """What the tree takes without its parent."""
        raise NotImplementedError

    def _tree_upper(self, name: str) -> str | None:
        """The directory that holds only what differs from the parent, if there is one."""
        raise NotImplementedError

    def _settle(self, name: str) -> None:
        """Remove what only an active snapshot needs, after it was committed; may be done more than once."""

    def _clear(self, place: str, *, threads: int) -> None:
        """Remove a directory that is out of sight, with everything in it."""
        from orlop.storage import trees

        trees.remove(place, threads=threads)

    def prepare(self, key: str, parent: str = "") -> list[Mount]:
        """See `Snapshots.prepare`."""
        return self._begin(key, parent, interface.ACTIVE)

    def view(self, key: str, parent: str) -> list[Mount]:
        """See `Snapshots.view`."""
        if not parent:
            raise InvalidArgument(f"view {key} needs a parent")
        return self._begin(key, parent, interface.VIEW)

    def duplicate(self, key: str, source: str) -> list[Mount]:
        """See `Snapshots.duplicate`."""
        record = self._read(source)
        if records.kind(source, record) == interface.VIEW:
            raise InvalidArgument(f"snapshot {source} cannot be duplicated: it is a view")
        return self._begin(key, record["parent"], interface.ACTIVE, source=source)

    def mounts(self, name: str) -> list[Mount]:
        """See `Snapshots.mounts`."""
        record = self._read(name)
        return self._tree_mounts(name, record, writable=records.kind(name, record) == interface.ACTIVE)

    def _begin(self, key: str, parent: str, kind: str, *, source: str = "") -> list[Mount]:
        names.check(key)
        if digest.is_digest(key):
            raise InvalidArgument(f"{key} cannot be the key of a snapshot: digests are names of committed ones")
        record: dict[str, Any] = {"kind": kind, "parent": parent, "created": time.time(), "layers": []}
        aside = f"{self.directory}/{NEW}{os.urandom(12).hex()}"
        lock = -1
        published = False
        try:
            everybody = self._lock(fcntl.LOCK_SH)
            try:
                if parent:
                    record["layers"] = self._layers_on(parent)
                if self.has(key):
                    raise names.taken(key)
                lock = directory_lock.make(aside)
                records.write(f"{aside}/{records.RECORD_FILE}", record)
            finally:
                os.close(everybody)
            if source:
                self._tree_copied(aside, record, source)
            else:
                self._tree_made(aside, record)
            published = self._rename(aside, key)
            if not published:
                raise names.taken(key)
        finally:
            if lock >= 0:
                if not published:
                    self._clear(aside, threads=1)
                os.close(lock)
        return self._tree_mounts(key, record, writable=kind == interface.ACTIVE)

    def commit(
        self,
        name: str,
        key: str,
        parent: str | None = None,
        *,
        provisional: bool = False,
        usage: Usage | None = None,
    ) -> None:
        """See `Snapshots.commit`."""
        if not digest.is_digest(name):
            raise InvalidArgument(f'"{name}" cannot be the name of a committed snapshot: it is no digest')
        record = self._read(key)
        if records.kind(key, record) != interface.ACTIVE:
            raise InvalidArgument(f"snapshot {key} cannot be committed: it is not an active one")
        if provisional:
            records.make_provisional(record)
        try:
            if usage is not None:
                self._note_usage(key, usage)
            if parent is not None and parent != record["parent"]:
                self._adopt(key, record, parent)
            elif provisional:
                records.write(f"{self.directory}/{key}/{records.RECORD_FILE}", record)
            published = self._rename(f"{self.directory}/{key}", name) or self._replace(name, key, record)
        except FileNotFoundError:
            raise names.not_found(key) from None
        if not published:
            raise names.taken(name)
        self._settle(name)

    def _replace(self, name: str, key: str, record: dict[str, Any]) -> bool:
        """Commit in the place of a lost snapshot; False if there is one that is not."""
        gone = ""
        everybody = self._lock(fcntl.LOCK_EX)
        try:
            if self.has(name):
                return False
            if os.path.lexists(f"{self.directory}/{name}"):
                if self._is_vouched_for(name):
                    self._confirm(name, record)
                    return False
                gone = self._hidden_name()
                self._hide(name, gone)
            published = self._rename(f"{self.directory}/{key}", name)
        finally:
            os.close(everybody)
        if gone:
            self._clear(gone, threads=_THREADS)
        return published

    def _is_vouched_for(self, name: str) -> bool:
        """Whether a snapshot that was confirmed is made upon this one, which may have been used as its part then."""
        for other in os.listdir(self.directory):
            if digest.is_digest(other):
                try:
                    record = self._read_any(other)
                except OrlopError:
                    continue
                if name in record["layers"] and records.is_confirmed(record):
                    return True
        return False

    def provisional(self, names: Iterable[str]) -> dict[str, float]:
        """See `Snapshots.provisional`."""
        return {name: record["created"] for name, record in self._provisional(names).items()}

    def _provisional(self, names: Iterable[str]) -> dict[str, dict[str, Any]]:
        found = {}
        for name in names:
            try:
                record = self._read(name)
            except OrlopError:
                continue  # removed meanwhile
            if records.is_provisional(record):
                found[name] = record
        return found

    def confirm(self, found: Mapping[str, float]) -> None:
        """See `Snapshots.confirm`."""
        everybody = self._lock(fcntl.LOCK_EX)
        try:
            waiting = self._provisional(found)
            # Whoever is confirmed vouches for what it is made upon, so that comes first.
            for name in sorted(waiting, key=lambda name: len(waiting[name]["layers"])):
                if waiting[name]["created"] == found[name]:
                    self._confirm(name, waiting[name])
        finally:
            os.close(everybody)

    def _confirm(self, name: str, record: dict[str, Any]) -> None:
        records.write(f"{self.directory}/{name}/{records.RECORD_FILE}", records.confirmed(record))

    def _adopt(self, key: str, record: dict[str, Any], parent: str) -> None:
        """Put a snapshot without a parent on top of another."""
        if not self.independent_layers:
            raise InvalidArgument(f"snapshot {key} cannot be put on {parent}: driver {self.driver} cannot do that")
        if record["parent"]:
            raise InvalidArgument(f"snapshot {key} cannot be put on {parent}: its parent is {record['parent']}")
        everybody = self._lock(fcntl.LOCK_SH)
        try:
            record["layers"] = self._layers_on(parent)
            record["parent"] = parent
            records.write(f"{self.directory}/{key}/{records.RECORD_FILE}", record)
        finally:
            os.close(everybody)

    def _layers_on(self, parent: str) -> list[str]:
        """The ancestors of a child of ``parent``, nearest first."""
        if not digest.is_digest(parent):
            raise InvalidArgument(f'"{parent}" cannot be the parent of a snapshot: it is not a committed one')
        return [parent, *self._read(parent)["layers"]]

    def remove(self, name: str) -> None:
        """See `Snapshots.remove`."""
        names.check(name)
        gone = self._hidden_name()
        if not digest.is_digest(name):
            self._hide(name, gone)
            self._clear(gone, threads=1)
            return
        everybody = self._lock(fcntl.LOCK_EX)
        try:
            children = self.children(name)
            if children:
                raise Conflict(f"snapshot {name} cannot be removed: {len(children)} others are based on it")
            self._hide(name, gone)
        finally:
            os.close(everybody)
        self._clear(gone, threads=_THREADS)

    def discard(self, names: Iterable[str]) -> list[str]:
        """See `Snapshots.discard`."""
        wanted = set(names)
        gone: list[str] = []
        everybody = self._lock(fcntl.LOCK_EX)
        try:
            parents = self._parents()
            children: dict[str, int] = {}
            for parent in parents.values():
                children[parent] = children.get(parent, 0) + 1
            ready = [name for name in wanted if name in parents and not children.get(name)]
            while ready:
                name = ready.pop()
                self._hide(name, self._hidden_name())
                gone.append(name)
                parent = parents[name]
                children[parent] -= 1
                if parent in wanted and parent in parents and not children[parent]:
                    ready.append(parent)
        finally:
            os.close(everybody)
        return gone

    def has(self, name: str) -> bool:
        """See `Snapshots.has`."""
        names.check(name)
        if not digest.is_digest(name):
            return os.path.lexists(f"{self.directory}/{name}")
        try:
            self._read(name)
        except OrlopError:
            return False
        return True

    def info(self, name: str) -> Info:
        """See `Snapshots.info`."""
        record = self._read_any(name)
        return Info(name, records.kind(name, record), record["parent"], record["created"])

    def usage(self, name: str) -> Usage:
        """See `Snapshots.usage`."""
        record = self._read(name)
        kind = records.kind(name, record)
        if kind == interface.VIEW:
            return Usage(0, 0)
        if kind == interface.COMMITTED:
            known = records.read_usage(f"{self.directory}/{name}/{records.USAGE_FILE}")
            if known is not None:
                return known
        try:
            counted = self._tree_usage(name, record)
            if kind == interface.COMMITTED:
                self._note_usage(name, counted)
        except FileNotFoundError:
            raise names.not_found(name) from None
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EROFS}:
                raise  # else it is counted again the next time: who asks may be about to make room
        return counted

    def _note_usage(self, name: str, usage: Usage) -> None:
        value = {"bytes": usage.bytes, "inodes": usage.inodes}
        records.write(f"{self.directory}/{name}/{records.USAGE_FILE}", value)

    def walk(self) -> Iterator[Info]:
        """See `Snapshots.walk`."""
        for name in os.listdir(self.directory):
            if name[0] == ".":
                continue
            try:
                yield self.info(name)
            except NotFound:
                continue
            except OrlopError:
                yield Info(name, interface.DAMAGED, "", 0.0)

    def children(self, name: str) -> list[str]:
        """See `Snapshots.children`."""
        names.check(name)
        return [child for child, parent in self._parents().items() if parent == name]

    def unpack_target(self, key: str) -> Target:
        """See `Snapshots.unpack_target`."""
        if records.kind(key, self._read(key)) != interface.ACTIVE:
            raise InvalidArgument(f"nothing can be unpacked into snapshot {key}: it is not an active one")
        return self._tree_target(key)

    def diff_base(self, name: str, since: str | None = None) -> DiffBase:
        """See `Snapshots.diff_base`."""
        record = self._read(name)
        parent = record["parent"] if since is None else since
        below = self._tree_mounts(parent, self._read(parent), writable=False) if parent else []
        seen = self._tree_mounts(name, record, writable=False)
        is_own = records.kind(name, record) != interface.VIEW and parent == record["parent"]
        upper = self._tree_upper(name) if is_own else None
        return DiffBase(upper, seen, below, rootless=self.rootless)

    def cleanup(self) -> None:
        """See `Snapshots.cleanup`."""
        for entry in os.listdir(self.directory):
            if entry.startswith((NEW, GONE)):
                path = f"{self.directory}/{entry}"
                if entry.startswith(NEW):
                    lock = directory_lock.lock_abandoned(self.directory, path)
                else:  # nobody prepares that, so it does not matter whether somebody is just beginning another one
                    lock = directory_lock.lock(path, wait=False)
                if lock is not None:
                    try:
                        self._clear(path, threads=_THREADS)
                    finally:
                        os.close(lock)
            elif digest.is_digest(entry):
                self._settle(entry)

    def _parents(self) -> dict[str, str]:
        """Every snapshot's parent, or an empty text; of those in preparation only what is not abandoned."""
        found = {}
        for entry in os.listdir(self.directory):
            if entry[0] == "." and not entry.startswith(NEW):
                continue
            try:
                record = records.read(f"{self.directory}/{entry}")
            except OrlopError:
                found[entry] = ""  # nothing can be done with it any more, so it needs no parent
                continue
            if record is None:
                continue  # removed just now, or killed while it was begun
            if entry[0] != "." or self._is_being_prepared(entry):
                found[entry] = record["parent"]
        return found

    def _is_being_prepared(self, entry: str) -> bool:
        lock = directory_lock.lock(f"{self.directory}/{entry}", wait=False)
        if lock is None:
            return True  # by somebody who holds it, or it got its name just now
        os.close(lock)
        return False

    def _lock(self, how: int) -> int:
        """flock the driver's directory until the descriptor is closed."""
        return directory_lock.hold(self.directory, how)

    def _hidden_name(self) -> str:
        return f"{self.directory}/{GONE}{os.urandom(12).hex()}"

    def _hide(self, name: str, gone: str) -> None:
        try:
            os.rename(f"{self.directory}/{name}", gone)
        except FileNotFoundError:
            raise names.not_found(name) from None

    def _rename(self, source: str, name: str) -> bool:
        """Publish a directory; False if the name is taken."""
        try:
            os.rename(source, f"{self.directory}/{name}")
        except OSError as error:
            if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:  # no published directory is ever empty
                return False
            raise
        return True

    def _read(self, name: str) -> dict[str, Any]:
        """The record of a snapshot that can be relied upon."""
        record = self._read_any(name)
        if records.is_lost(record):
            raise names.not_found(name)
        return record

    def _read_any(self, name: str) -> dict[str, Any]:
        """The record of a snapshot, be it lost or not."""
        names.check(name)
        record = records.read(f"{self.directory}/{name}")
        if record is None:
            raise names.not_found(name)
        return record
