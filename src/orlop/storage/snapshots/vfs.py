"""The vfs driver: each snapshot is a copy of its parent. It works everywhere.

On file systems that can share data between files (btrfs, xfs, bcachefs) a copy takes no space for it.
"""

from __future__ import annotations

import os

from orlop.storage.snapshots import interface
from orlop.storage.snapshots.plain import WholeTrees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.storage.snapshots.interface import Usage


class Vfs(WholeTrees):
    """Snapshots that are copies."""

    __slots__ = ()

    driver = "vfs"

    @classmethod
    def unsupported(cls, directory: str, *, rootless: bool) -> str:  # noqa: ARG003 - all drivers are asked in the same way
        """Nothing stands against it anywhere."""
        return ""

    def _tree_made(self, place: str, record: dict[str, Any]) -> None:
        if record["kind"] == interface.VIEW:
            return
        if record["parent"]:
            self._tree_copied(place, record, record["parent"])
            return
        os.mkdir(f"{place}/fs", 0o755)
        os.chmod(f"{place}/fs", 0o755)  # whatever the umask

    def _tree_copied(self, place: str, record: dict[str, Any], source: str) -> None:  # noqa: ARG002 - a copy has it all
        from orlop.storage import copying

        copying.copy_tree(self._path(source), f"{place}/fs", links=f"{place}/links")

    def _tree_usage(self, name: str, record: dict[str, Any]) -> Usage:  # noqa: ARG002 - a copy shares nothing we could know of
        from orlop.storage import usage

        return usage.of_tree(self._path(name))
