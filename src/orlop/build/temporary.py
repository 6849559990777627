"""Snapshots that are of no use after a build, or after one of its steps."""

from __future__ import annotations

from orlop.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from orlop.storage.leases import Lease
    from orlop.storage.store import Storage


class Temporary:
    """Makes keys of snapshots, and removes whatever was made by them; a killed build's go with its lease, by a sweep."""

    __slots__ = ("_keys", "_lease", "_storage")

    def __init__(self, storage: Storage, lease: Lease) -> None:
        self._storage = storage
        self._lease = lease
        self._keys: list[str] = []

    def key(self) -> str:
        """A new key."""
        self._keys.append(self._lease.temporary_key())
        return self._keys[-1]

    def keys(self, count: int) -> Iterator[str]:
        """Several new keys, for another process: each takes a lock, which that had better not."""
        return iter([self.key() for _ in range(count)])

    def directory(self) -> str:
        """A new empty directory."""
        key = self.key()
        self._storage.snapshots.prepare(key)
        return self._storage.snapshots.unpack_target(key).path

    def __enter__(self) -> Temporary:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.clear()

    def clear(self) -> None:
        """Remove what is there.

        Raises:
            OSError: something cannot be removed.
        """
        while self._keys:
            try:
                self._storage.snapshots.remove(self._keys.pop())
            except NotFound:
                continue  # it was never made, or was committed
