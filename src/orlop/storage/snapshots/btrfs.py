"""The btrfs driver: each snapshot is a subvolume, made as a snapshot of its parent's at once, whatever is in it."""

from __future__ import annotations

import errno
import os

from orlop.linux import btrfs
from orlop.storage.snapshots import interface
from orlop.storage.snapshots.plain import WholeTrees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.storage.snapshots.interface import Usage

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Btrfs(WholeTrees):
    """Snapshots that are subvolumes."""

    __slots__ = ()

    driver = "btrfs"

    @classmethod
    def unsupported(cls, directory: str, *, rootless: bool) -> str:  # noqa: ARG003 - all drivers are asked in the same way
        """Why subvolumes cannot be made in ``directory``; empty if they can."""
        descriptor = os.open(directory, _DIRECTORY)
        try:
            if not btrfs.is_btrfs(descriptor):
                return f"{directory} is not on a btrfs file system"
        finally:
            os.close(descriptor)
        return ""

    def _tree_made(self, place: str, record: dict[str, Any]) -> None:
        if record["kind"] == interface.VIEW:
            return
        if record["parent"]:
            self._tree_copied(place, record, record["parent"])
            return
        target = os.open(place, _DIRECTORY)
        try:
            btrfs.create_subvolume(target, "fs")
            os.chmod("fs", 0o755, dir_fd=target)  # whatever the umask
        finally:
            os.close(target)

    def _tree_copied(self, place: str, record: dict[str, Any], source: str) -> None:  # noqa: ARG002 - it has it all
        target = os.open(place, _DIRECTORY)
        try:
            tree = os.open(self._path(source), _DIRECTORY)
            try:
                btrfs.snapshot(tree, target, "fs")
            finally:
                os.close(tree)
        finally:
            os.close(target)

    def _tree_usage(self, name: str, record: dict[str, Any]) -> Usage:
        from orlop.storage import usage

        if record["parent"]:
            return usage.of_difference(self._path(name), self._path(record["parent"]))
        return usage.of_tree(self._path(name))

    def _clear(self, place: str, *, threads: int) -> None:
        try:
            descriptor = os.open(place, _DIRECTORY)
        except FileNotFoundError:
            return
        try:
            btrfs.delete_subvolume(descriptor, "fs")
        except FileNotFoundError:
            if btrfs.is_subvolume(descriptor):  # one that was taken out of another to be removed
                self._unlock(descriptor)
        except OSError as error:
            # An ordinary user deletes subvolumes by emptying them, and so has to be done what has others within.
            if error.errno not in {errno.EPERM, errno.EACCES, errno.ENOTEMPTY}:
                raise
            self._unlock(descriptor)
        finally:
            os.close(descriptor)
        super()._clear(place, threads=threads)

    def _unlock(self, place: int) -> None:
        """Make the subvolumes writable that a program has made within; it may have made read-only ones."""
        from orlop.storage import trees

        for _, _, directory, _ in trees.walk(place):
            if btrfs.is_subvolume(directory):
                btrfs.make_writable(directory)
