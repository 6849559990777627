"""The overlay driver: each layer in a directory of its own, put together by the kernel when it is looked at.

``<name>/fs``
    the layer's files; whiteouts are character devices 0/0, opaque directories are marked by an extended attribute
``<name>/work``
    what overlay needs beside a directory that is written to; only active snapshots have it

``redirect_dir=nofollow`` and ``metacopy=off`` keep the kernel from writing references to layers below instead of files,
and from following such as a hostile layer may bring: what a layer's directory holds is the whole truth about it.
See https://docs.kernel.org/filesystems/overlayfs.html.
"""

from __future__ import annotations

import os
import stat

from orlop.errors import Unsupported
from orlop.storage.mounts import LOWER, Mount
from orlop.storage.snapshots import interface
from orlop.storage.snapshots.directory import SnapshotDirectory
from orlop.storage.snapshots.interface import Target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.storage.snapshots.interface import Usage

#: OVL_MAX_STACK of fs/overlayfs/params.h is 500; one of them is what is made upon these.
_MOST_LAYERS = 499

_OPTIONS = ["redirect_dir=nofollow", "metacopy=off", "index=off"]
_OWN_ATTRIBUTES = ("trusted.overlay.", "user.overlay.")

#: An empty directory: overlay without a directory to write to wants two layers, and hides whiteouts only then.
_EMPTY = ".empty"


class Overlay(SnapshotDirectory):
    """Snapshots that share the files of the layers below."""

    __slots__ = ()

    driver = "overlay"
    independent_layers = True

    @classmethod
    def unsupported(cls, directory: str, *, rootless: bool) -> str:
        """Why overlay does not work on the file system of ``directory``; empty if it does."""
        from orlop.storage.snapshots import overlay_probe

        return overlay_probe.unsupported(directory, _options(rootless=rootless))

    @classmethod
    def set_up(cls, directory: str) -> None:
        """Make the directory, and the empty layer in it."""
        super().set_up(directory)
        os.makedirs(f"{directory}/{_EMPTY}", 0o700, exist_ok=True)

    def _layers_on(self, parent: str) -> list[str]:
        layers = super()._layers_on(parent)
        if len(layers) > _MOST_LAYERS:
            raise Unsupported(
                f"nothing can be made upon {parent}: it has {len(layers)} layers, and overlay takes {_MOST_LAYERS}"
            )
        return layers

    def _tree_made(self, place: str, record: dict[str, Any]) -> None:
        layers = record["layers"]
        if record["kind"] == interface.VIEW:
            return
        own = f"{place}/fs"
        os.mkdir(own, 0o755)
        if not layers:
            os.chmod(own, 0o755)  # whatever the umask
            return
        os.mkdir(f"{place}/work", 0o700)
        _copy_attributes(f"{self.directory}/{layers[0]}/fs", own)

    def _tree_copied(self, place: str, record: dict[str, Any], source: str) -> None:
        from orlop.storage import copying

        copying.copy_tree(f"{self.directory}/{source}/fs", f"{place}/fs", links=f"{place}/links")
        if record["layers"]:
            os.mkdir(f"{place}/work", 0o700)

    def _tree_mounts(self, name: str, record: dict[str, Any], *, writable: bool) -> list[Mount]:
        layers = [f"{self.directory}/{layer}/fs" for layer in record["layers"]]
        own = f"{self.directory}/{name}"
        if writable:
            if not layers:
                return [Mount("bind", f"{own}/fs", ["bind", "rw"])]
            places = [f"upperdir={own}/fs", f"workdir={own}/work", "rw"]
        else:
            if record["kind"] != interface.VIEW:
                layers.insert(0, f"{own}/fs")
            if len(layers) == 1:
                layers.append(f"{self.directory}/{_EMPTY}")
            places = ["ro"]
        lower = [f"{LOWER}={layer}" for layer in layers]
        return [Mount("overlay", "overlay", [*lower, *places, *_options(rootless=self.rootless)])]

    def _tree_target(self, name: str) -> Target:
        return Target(f"{self.directory}/{name}/fs", interface.OVERLAY, rootless=self.rootless)

    def _tree_usage(self, name: str, record: dict[str, Any]) -> Usage:  # noqa: ARG002 - the layer's directory says it all
        from orlop.storage import usage

        return usage.of_tree(f"{self.directory}/{name}/fs")

    def _tree_upper(self, name: str) -> str | None:
        return f"{self.directory}/{name}/fs"

    def _settle(self, name: str) -> None:
        work = f"{self.directory}/{name}/work"
        if os.path.lexists(work):
            self._clear(work, threads=1)


def _options(*, rootless: bool) -> list[str]:
    return [*_OPTIONS, "userxattr"] if rootless else _OPTIONS


def _copy_attributes(source: str, target: str) -> None:
    """Give a layer's root directory what the one below has: it is what the whole tree's has."""
    status = os.lstat(source)
    os.chown(target, status.st_uid, status.st_gid)
    os.chmod(target, stat.S_IMODE(status.st_mode))
    for attribute in os.listxattr(source):
        if not attribute.startswith(_OWN_ATTRIBUTES):
            os.setxattr(target, attribute, os.getxattr(source, attribute))
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
