"""What drivers have in common whose snapshots are whole trees, each in its directory ``fs``."""

from __future__ import annotations

from orlop.storage.mounts import Mount
from orlop.storage.snapshots import interface
from orlop.storage.snapshots.directory import SnapshotDirectory
from orlop.storage.snapshots.interface import Target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class WholeTrees(SnapshotDirectory):
    """Snapshots that are seen by a bind mount. A view has no tree of its own: it is its parent's, read-only."""

    __slots__ = ()

    def _path(self, name: str) -> str:
        return f"{self.directory}/{name}/fs"

    def _tree_mounts(self, name: str, record: dict[str, Any], *, writable: bool) -> list[Mount]:
        seen = record["parent"] if record["kind"] == interface.VIEW else name
        return [Mount("bind", self._path(seen), ["bind", "rw" if writable else "ro"])]

    def _tree_target(self, name: str) -> Target:
        return Target(self._path(name), interface.MERGED, rootless=self.rootless)

    def _tree_upper(self, name: str) -> str | None:  # noqa: ARG002 - there is none for any
        return None
