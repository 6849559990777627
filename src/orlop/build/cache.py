"""What steps came to, kept for the next build: a record for each key, found by content (`orlop.build.keys`).

A record is a file named for its key and says which snapshot and which layer there is. Both stay in the engine's store for
as long as the record does: whoever sweeps asks `Cache.kept`. A record whose layer or snapshot is gone is as good as none.
When a record was last of use is its file's time.
"""

from __future__ import annotations

import os

from orlop import clock, json_text
from orlop.build.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from orlop.storage.leases import Lease
    from orlop.storage.store import Storage

_PRIVATE = 0o700
_VERSION = 1


class Layer(Value):
    """A layer's blob, not compressed."""

    diff_id: str
    digest: str
    size: int


class Record(Value):
    """What a step came to: its ``layer`` (None if nothing changed), and the ``chain`` ID of its files (empty: none)."""

    layer: Layer | None
    chain: str
    text: str = ""
    created: str = ""

    def as_json(self) -> dict[str, Any]:
        """The record as it is written down."""
        layer = self.layer
        kept = {"diff_id": layer.diff_id, "digest": layer.digest, "size": layer.size} if layer is not None else None
        return {"layer": kept, "chain": self.chain, "text": self.text, "created": self.created}


class Kept(Value):
    """A record with its key, its bytes on the disk, and when it was last of use (seconds since the epoch)."""

    key: str
    record: Record
    size: int
    used: float


class Cache:
    """The records below one directory."""

    __slots__ = ("directory",)

    def __init__(self, root: str) -> None:
        self.directory = f"{root}/build/records"

    def find(self, key: str, storage: Storage, lease: Lease) -> Record | None:
        """The record of a key, what it says being there and held by the lease; None if there is none."""
        record = self._read(key)
        if record is None:
            return None
        layer = record.layer
        lease.hold_all((layer.digest,) if layer is not None else (), (record.chain,) if record.chain else ())
        if layer is not None and not storage.blobs.has(layer.digest):
            return None
        if record.chain and not storage.snapshots.has(record.chain):
            return None
        try:
            os.utime(f"{self.directory}/{key}")
        except FileNotFoundError:
            return None  # pruned just now
        return record

    def add(self, keys: Iterable[str], record: Record) -> None:
        """Write a record down under each of its keys.

        Raises:
            OSError: the directory cannot be written to.
        """
        os.makedirs(self.directory, _PRIVATE, exist_ok=True)
        text = json_text.dumps({"version": _VERSION, **record.as_json()})
        for key in keys:
            aside = f"{self.directory}/.{os.urandom(8).hex()}"
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, text.encode())
            finally:
                os.close(descriptor)
            os.rename(aside, f"{self.directory}/{key}")

    def kept(self) -> Iterator[Kept]:
        """All records, in no order."""
        try:
            names = os.listdir(self.directory)
        except FileNotFoundError:
            return
        for name in names:
            if name.startswith("."):
                continue
            record = self._read(name)
            if record is None:
                continue
            try:
                used = os.stat(f"{self.directory}/{name}").st_mtime
            except FileNotFoundError:
                continue  # pruned just now
            yield Kept(name, record, record.layer.size if record.layer is not None else 0, used)

    def remove(self, keys: Iterable[str]) -> None:
        """Forget records; a sweep of the store then frees what only they kept."""
        for key in keys:
            try:
                os.unlink(f"{self.directory}/{key}")
            except FileNotFoundError:
                continue  # somebody else was quicker

    def _read(self, key: str) -> Record | None:
        try:
            with open(f"{self.directory}/{key}", encoding="utf-8") as file:
                found = json_text.loads(file.read())
            if found["version"] != _VERSION:
                return None
            layer = Layer(**found["layer"]) if found["layer"] is not None else None
            return Record(layer, found["chain"], found["text"], found["created"])
        except FileNotFoundError:
            return None
        except (KeyError, TypeError, ValueError):
            return None  # of another version, or half of it was lost with the power


def made(layer: Layer | None, chain: str, text: str) -> Record:
    """A record of now."""
    return Record(layer, chain, text, clock.now())
