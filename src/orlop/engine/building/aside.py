"""A directory of each build's own, for what is only needed meanwhile; what a killed build has left there goes with the next one."""

from __future__ import annotations

import os

from orlop.storage import directory_lock, trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location


class Aside:
    """``with Aside(location) as path:`` has an empty directory that is gone afterwards."""

    __slots__ = ("_everything", "_lock", "_path")

    def __init__(self, location: Location) -> None:
        self._everything = f"{location.root}/build/under-way"
        self._path = f"{self._everything}/{os.urandom(8).hex()}"
        self._lock = -1

    def __enter__(self) -> str:
        os.makedirs(self._everything, 0o700, exist_ok=True)
        for name in os.listdir(self._everything):
            path = f"{self._everything}/{name}"
            abandoned = directory_lock.lock_abandoned(self._everything, path)
            if abandoned is not None:
                trees.remove(path)
                os.close(abandoned)
        self._lock = directory_lock.begin(self._everything, self._path)
        return self._path

    def __exit__(self, *_exception: object) -> None:
        trees.remove(self._path)
        os.close(self._lock)
