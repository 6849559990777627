"""Walking and removing file trees whose content is hostile.

A program can leave directories nested deeper than a path may be long or a process has descriptors for, links to
anywhere, directories that nobody may read, and mounts. So every step is by descriptor, through no link and into no other
mount (a btrfs subvolume is none), and neither the stack nor the number of open files grows with the depth.
"""

from __future__ import annotations

import errno
import os

from orlop.errors import OrlopError
from orlop.linux import path as paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: How the names of directories begin that are out of sight and being removed, the engine's too.
GONE = ".gone-"

_DEEPEST = 100
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ENOUGH = 32


def walk(top: int) -> Iterator[tuple[int, str, int, list[os.DirEntry[str]]]]:
    """Visit a directory and every directory below, parents first.

    Yields:
        the depth (0 for ``top`` itself), the directory's name, a descriptor of it that is valid until the next step, and
        its entries. What disappears meanwhile is left out, with what was in it.
    """
    here = os.open(".", _DIRECTORY, dir_fd=top)
    #: For each directory on the way down: what identifies it, and which of its directories are still to be visited.
    way: list[tuple[tuple[int, int], list[str]]] = []
    name = ""
    try:
        while True:
            entries = _entries(here)
            yield len(way), name, here, entries
            way.append((_identity(here), [each.name for each in entries if each.is_dir(follow_symlinks=False)][::-1]))
            below = -1
            while below < 0:
                while not way[-1][1]:
                    way.pop()
                    if not way:
                        return
                    above = os.open("..", _DIRECTORY, dir_fd=here)
                    os.close(here)
                    here = above
                    if _identity(here) != way[-1][0]:
                        return  # moved while we were in it: where this leads to is nothing that was asked for
                name = way[-1][1].pop()
                try:
                    below = open_directory(here, name)
                except (FileNotFoundError, NotADirectoryError):
                    continue
            os.close(here)
            here = below
    finally:
        os.close(here)


def open_directory(parent: int, name: str) -> int:
    """Open a directory in a directory for reading.

    Raises:
        OrlopError: something is mounted there.
    """
    return _open(parent, name, _DIRECTORY)


def _open(parent: int, name: str, flags: int) -> int:
    try:
        return paths.open_beneath(parent, name, flags)
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise OrlopError(f"{_path_of(parent)}/{name} cannot be entered: something is mounted there") from None
        if error.errno == errno.ELOOP:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name) from None
        raise


def _open_to_empty(parent: int, name: str) -> int:
    """Open a directory whatever its mode: that of overlay's work directory is 0."""
    try:
        return open_directory(parent, name)
    except PermissionError:
        handle = _open(parent, name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            # fchmodat without following links takes a path in /proc.
            os.chmod(f"/proc/self/fd/{handle}", 0o700)
            return os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        finally:
            os.close(handle)


def remove(path: str, *, threads: int = 1) -> None:
    """Remove a directory, or whatever is there, with everything in it; nothing being there is fine.

    Several calls may be at the same tree. More ``threads`` are quicker where the disk is what one waits for; with one,
    no other than the caller's is used. What is nested too deeply is moved beside ``path`` on the way, under a name
    that begins with `GONE`.

    Raises:
        OSError: something in it cannot be removed.
        OrlopError: something is mounted in it.
    """
    try:
        top = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    name = os.path.basename(path)
    try:
        area = _Area(top)
        if threads > 1:
            _spread(area, name, threads)
        _remove_below(top, name, area, 0)
        area.finish()
    finally:
        os.close(top)


class _Area:
    """All that can be renamed into one directory: what is below it on the same file system or, with btrfs, subvolume.

    A subvolume itself can be renamed into any other: it goes to the ``outer`` area's directory.
    """

    __slots__ = ("device", "outer", "pending", "top")

    def __init__(self, top: int, outer: _Area | None = None) -> None:
        self.top = top
        self.outer = outer or self
        self.device = os.fstat(top).st_dev
        #: What was too deep and has been moved to the top.
        self.pending: list[str] = []

    def take(self, parent: int, name: str) -> bool:
        """Move a directory to the top, to be removed from there.

        It cannot be if it only stands for a subvolume that a snapshot does not have; then it is empty.
        """
        shallow = f"{GONE}{os.urandom(16).hex()}"
        try:
            os.rename(name, shallow, src_dir_fd=parent, dst_dir_fd=self.top)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            return False
        self.pending.append(shallow)
        return True

    def finish(self) -> None:
        """Remove what was taken."""
        while self.pending:
            _remove_below(self.top, self.pending.pop(), self, 0)


def _remove_below(parent: int, name: str, area: _Area, depth: int) -> None:
    try:
        os.unlink(name, dir_fd=parent)
        return
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError) as error:
        refused = error
    try:
        directory = _open_to_empty(parent, name)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise refused from None
    try:
        if os.fstat(directory).st_dev != area.device:
            if depth and area.outer.take(parent, name):
                return
            within = _Area(directory, area.outer)
            _remove_content(directory, within, 1)
            within.finish()
        elif depth == _DEEPEST and area.take(parent, name):
            return
        else:
            _remove_content(directory, area, depth + 1)
    finally:
        os.close(directory)
    try:
        os.rmdir(name, dir_fd=parent)
    except FileNotFoundError:
        return


def _remove_content(directory: int, area: _Area, depth: int) -> None:
    """Empty a directory. A file system may skip entries while others are removed, so it is read until it is empty."""
    progress = True
    while progress:
        progress = False
        below = []
        try:
            entries = os.scandir(directory)
        except FileNotFoundError:
            return  # somebody else has removed the directory itself
        with entries:
            for each in entries:
                progress = True
                if each.is_dir(follow_symlinks=False):
                    below.append(each.name)
                    continue
                try:
                    os.unlink(each.name, dir_fd=directory)
                except FileNotFoundError:
                    continue
                except IsADirectoryError:
                    below.append(each.name)
        for name in below:
            _remove_below(directory, name, area, depth)


def _spread(area: _Area, name: str, threads: int) -> None:
    """Empty the directories of a tree by several threads; what stops one of them, the caller meets again."""
    import threading

    opened: list[int] = []
    work = [(area.top, name)]
    try:
        # Go down by levels until there are enough directories to share out.
        while work and len(work) < _ENOUGH and len(opened) < 3 * _ENOUGH:
            level: list[tuple[int, str]] = []
            for parent, each in work:
                try:
                    opened.append(_open_to_empty(parent, each))
                except FileNotFoundError:
                    continue
                except NotADirectoryError:
                    return
                level += [
                    (opened[-1], entry.name) for entry in _entries(opened[-1]) if entry.is_dir(follow_symlinks=False)
                ]
            work = level

        def labour() -> None:
            while True:
                try:
                    parent, each = work.pop()
                except IndexError:
                    return
                try:
                    _remove_below(parent, each, area, 1)
                except (OSError, OrlopError):
                    return  # the caller goes over all of it once more, and says what is wrong

        labourers = [threading.Thread(target=labour) for _ in range(min(threads, len(work)))]
        for labourer in labourers:
            labourer.start()
        for labourer in labourers:
            labourer.join()
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _entries(directory: int) -> list[os.DirEntry[str]]:
    with os.scandir(directory) as entries:
        return list(entries)


def _identity(directory: int) -> tuple[int, int]:
    found = os.fstat(directory)
    return found.st_dev, found.st_ino


def _path_of(directory: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{directory}")
    except OSError:
        return "."  # without /proc the last part of the path has to do
