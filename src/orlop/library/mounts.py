"""What a container gets beside its own files: directories of this machine, volumes, and memory."""

from __future__ import annotations

import os

from orlop.engine import binds
from orlop.library import quantities

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Bind:
    """A file or directory of this machine, ``source``, at ``target`` in the container.

    It has to exist. What is mounted below it is seen, too, and with ``read_only`` cannot be written to either. With
    ``match_user`` files of the source's owner belong to the container's user inside, and the other way round.
    """

    __slots__ = ("match_user", "propagation", "read_only", "source", "target")

    def __init__(
        self,
        source: str | os.PathLike[str],
        target: str,
        *,
        read_only: bool = False,
        propagation: str = "",
        match_user: bool = False,
    ) -> None:
        self.source = os.path.abspath(os.fspath(source))
        self.target = target
        self.read_only = read_only
        self.propagation = propagation
        self.match_user = match_user

    def wanted(self) -> dict[str, Any]:
        """Docker's ``Mount`` object."""
        found: dict[str, Any] = {"Type": "bind", "Source": self.source, "Target": self.target}
        if self.read_only:
            found["ReadOnly"] = True
        if self.propagation:
            found["BindOptions"] = {"Propagation": self.propagation}
        if self.match_user:
            found["IDMap"] = binds.MATCH_USER
        return found


class VolumeMount:
    """The volume ``name`` at ``target``; it is made if it is not there. Without a name it is the container's own.

    A new volume gets what the image has at that place, unless ``copy`` is false. ``subpath`` is a directory in the volume.
    ``match_user`` is as for a `Bind`.
    """

    __slots__ = ("copy", "match_user", "name", "read_only", "subpath", "target")

    def __init__(
        self,
        name: str,
        target: str,
        *,
        read_only: bool = False,
        copy: bool = True,
        subpath: str = "",
        match_user: bool = False,
    ) -> None:
        self.name = name
        self.target = target
        self.read_only = read_only
        self.copy = copy
        self.subpath = subpath
        self.match_user = match_user

    def wanted(self) -> dict[str, Any]:
        """Docker's ``Mount`` object."""
        found: dict[str, Any] = {"Type": "volume", "Source": self.name, "Target": self.target}
        if self.read_only:
            found["ReadOnly"] = True
        options: dict[str, Any] = {}
        if not self.copy:
            options["NoCopy"] = True
        if self.subpath:
            options["Subpath"] = self.subpath
        if options:
            found["VolumeOptions"] = options
        if self.match_user:
            found["IDMap"] = binds.MATCH_USER
        return found


class Tmpfs:
    """Memory at ``target``, gone with the container: at most ``size`` bytes, or a text such as ``64m``."""

    __slots__ = ("mode", "size", "target")

    def __init__(self, target: str, *, size: int | str | None = None, mode: int | None = None) -> None:
        self.target = target
        self.size = None if size is None else quantities.size("size", size)
        self.mode = mode

    def wanted(self) -> dict[str, Any]:
        """Docker's ``Mount`` object."""
        options: dict[str, Any] = {}
        if self.size is not None:
            options["SizeBytes"] = self.size
        if self.mode is not None:
            options["Mode"] = self.mode
        return {"Type": "tmpfs", "Target": self.target, **({"TmpfsOptions": options} if options else {})}
