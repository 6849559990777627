"""Reading a file of a snapshot's tree without mounting it.

Mounting takes rights that an ordinary user has only in a namespace of their own, which takes longer to make than all else
that there is to do for a container. So the layers are looked through here as overlay does: the uppermost that has
an entry counts, a whiteout ends the search, directories are merged down to an opaque one. Nothing is made of redirects and
of data that is elsewhere: our snapshots have neither (``redirect_dir=off,metacopy=off``).

The tree is an image's, so hostile: links are followed below its root only, and nothing is opened but a regular file.
See overlayfs.rst in the kernel's documentation.
"""

from __future__ import annotations

import errno
import os
import stat

from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from orlop.storage.mounts import Mount

_MOST_LINKS = 40  # MAXSYMLINKS of the kernel
_PLACE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = _PLACE | os.O_DIRECTORY
_ABSENT = (errno.ENOENT, errno.ENAMETOOLONG)


def read(mounts: Sequence[Mount], path: str, limit: int) -> str | None:
    """The text of a file in the tree that ``mounts`` would show, up to ``limit`` bytes; None if it is no regular file.

    Raises:
        OSError: a directory or the file cannot be read.
    """
    search = _Search(mounts)
    try:
        return search.read(path, limit)
    finally:
        search.close()


class _Search:
    """One walk through the layers; a merged directory is the list of descriptors of what is merged."""

    __slots__ = ("_attribute", "_directories", "_opened")

    def __init__(self, mounts: Sequence[Mount]) -> None:
        self._opened: list[int] = []
        self._directories, self._attribute = _layers(mounts)

    def close(self) -> None:
        for descriptor in self._opened:
            os.close(descriptor)

    def read(self, path: str, limit: int) -> str | None:
        stack = [[self._open(each) for each in self._directories]]
        pending = _components(path)
        links = 0
        while pending:
            name = pending.pop()
            if name == "..":
                del stack[max(len(stack) - 1, 1) :]
                continue
            found = self._look_up(stack[-1], name)
            if isinstance(found, list):
                stack.append(found)
                continue
            kind = stat.S_IFMT(os.fstat(found).st_mode) if found >= 0 else 0
            if kind != stat.S_IFLNK:
                return _read(found, limit) if kind == stat.S_IFREG and not pending else None
            links += 1
            if links > _MOST_LINKS:
                return None
            target = os.readlink("", dir_fd=found)
            if target.startswith("/"):
                del stack[1:]
            pending += _components(target)
        return None

    def _open(self, path: str, directory: int | None = None) -> int:
        self._opened.append(os.open(path, _PLACE if directory is not None else _DIRECTORY, dir_fd=directory))
        return self._opened[-1]

    def _look_up(self, layers: list[int], name: str) -> int | list[int]:
        """What a directory has under a name: a merged directory, a descriptor of anything else, or -1 for nothing."""
        merged: list[int] = []
        for layer in layers:
            try:
                found = self._open(name, layer)
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                continue
            about = os.fstat(found)
            if not stat.S_ISDIR(about.st_mode):
                if merged:
                    break  # hidden by the directory above it
                return -1 if _is_whiteout(about) else found
            merged.append(found)
            if self._is_opaque(found):
                break
        return merged or -1

    def _is_opaque(self, directory: int) -> bool:
        if not self._attribute:
            return False
        try:
            return os.getxattr(f"/proc/self/fd/{directory}", self._attribute) == b"y"
        except OSError as error:
            if error.errno not in (errno.ENODATA, errno.ENOTSUP):
                raise
            return False


def _layers(mounts: Sequence[Mount]) -> tuple[list[str], str]:
    """The directories of a tree, the uppermost first, and the attribute that marks opaque ones."""
    what = mounts[0]
    if what.type == "bind":
        return [what.source], ""
    if what.type != "overlay":
        raise InvalidArgument(f"a snapshot that is a mount of type {what.type} cannot be looked into")
    layers: list[str] = []
    for option in what.options:
        key, _, value = option.partition("=")
        if key == "upperdir":
            layers.insert(0, value)
        elif key == "lowerdir+":
            layers.append(value)
    return layers, "user.overlay.opaque" if "userxattr" in what.options else "trusted.overlay.opaque"


def _components(path: str) -> list[str]:
    """A path's components, the last one first."""
    return [each for each in path.split("/") if each and each != "."][::-1]


def _is_whiteout(about: os.stat_result) -> bool:
    return stat.S_ISCHR(about.st_mode) and about.st_rdev == 0


def _read(place: int, limit: int) -> str:
    # By way of the descriptor: it is the regular file that we have just looked at, and can be nothing else.
    with open(f"/proc/self/fd/{place}", "rb", buffering=0) as file:
        data = file.read(limit) or b""
        while len(data) < limit and (more := file.read(limit - len(data))):
            data += more
    return data.decode(errors="replace")
