"""What differs between a file tree and its parent, one directory after the other, in the order of an archive.

The answer depends on the two trees alone, not on where it comes from: two trees are compared name by name, and an
overlay's upper directory only saves looking at what cannot differ. So every storage driver gives the same layer.

- An entry differs if its type, mode, owner, size, modification time (nanoseconds), extended attributes (those of
  `orlop.storage.layers.attributes`), link target or device number do, or which of the names around it are hard links to
  it. If all of these are equal, the contents are compared: times can be set back, and whole tools do so. Only a file that
  still has the inode number and the change time it had in the parent, of which the tree is a btrfs snapshot, is not read.
- Entries that are the same are left out, also where an overlay has copied them up.
- The directories above what differs come along unchanged, the root included: archives name the parents first.
- What is missing is `REMOVED`; where two names or more are missing, and none that the parent's directory had is
  left, the directory is `emptied` instead, except the root, which overlay cannot have opaque. A removed directory stands
  for all below it, as does an entry of another type.
- A socket means nothing without the process that listens, and counts as missing.

The tree may be hostile, and may be written to meanwhile. Every name is looked up in a directory that is open, or on a
way without links that does not leave the root. What has disappeared when its turn comes is left out.
"""

from __future__ import annotations

import errno
import os
import stat

from orlop.errors import OrlopError
from orlop.storage.layers import attributes
from orlop.storage.layers.comparison import Comparison, reachable, same_status
from orlop.storage.layers.hard_links import HardLinks, is_whiteout, open_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ADDED = "added"
MODIFIED = "modified"
REMOVED = "removed"
#: A directory that is the same, above something that is not.
PARENT = "parent"

#: How the name of a whiteout begins (OCI image-spec, layer.md); what follows is the name that was removed.
WHITEOUT = b".wh."

#: What was listed is not there any more, or is something else.
GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)

#: So many directories on the way down stay open; those above them are found again by their paths.
_OPEN_LEVELS = 64

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Source:
    """What is looked at: open directories, which stay the caller's.

    ``directory`` is the tree, or an overlay's upper directory if ``marks`` says how attributes of overlay's own begin
    there (``trusted.overlay.``, or ``user.overlay.`` if it is mounted with ``userxattr``; the other ones are anybody's).
    ``parent`` is the parent's whole tree, or -1 if there is none. ``snapshot`` is for `Comparison`. ``passes_over``, where
    it is given, is asked of each directory, by its path and opened, whether what is in it is left out.
    """

    __slots__ = ("directory", "marks", "parent", "passes_over", "snapshot")

    def __init__(
        self,
        directory: int,
        parent: int = -1,
        *,
        marks: str = "",
        snapshot: bool = False,
        passes_over: Callable[[bytes, int], bool] | None = None,
    ) -> None:
        self.directory = directory
        self.parent = parent
        self.marks = marks
        self.snapshot = snapshot
        self.passes_over = passes_over


class Change:
    """One entry that differs from the parent, or is above one that does. Valid until the next one is asked for."""

    __slots__ = ("about", "descriptor", "emptied", "holder", "kind", "name", "path")

    def __init__(self, kind: str, path: bytes, name: bytes, holder: int, about: os.stat_result | None) -> None:
        #: ``added``, ``modified``, ``removed`` or ``parent``.
        self.kind = kind
        #: Relative to the root, which is empty itself.
        self.path = path
        self.name = name
        #: The open directory that it is in; -1 for a directory, which is open itself.
        self.holder = holder
        #: What it was when it was looked at; None if it was removed.
        self.about = about
        #: A directory itself, opened; otherwise -1.
        self.descriptor = -1
        #: Whether it is a directory that has nothing any more of what it had in the parent.
        self.emptied = False


class _Level:
    """A directory on the way to where the walk is."""

    __slots__ = ("change", "descriptor", "merged", "names", "others", "parent", "path", "removed")

    def __init__(self, path: bytes, descriptor: int, parent: int, *, merged: bool) -> None:
        self.path = path
        self.descriptor = descriptor
        #: The directory of the same path in the parent, or -1 where that has none, and whether it has one.
        self.parent = parent
        self.others = parent >= 0
        #: Whether what is not here is in the parent: an upper directory that is not opaque.
        self.merged = merged
        #: What is to come, the last first: what is there, and what was removed.
        self.names: list[bytes] = []
        self.removed: list[bytes] = []
        #: The directory's own change, until it has been told.
        self.change: Change | None = None

    def next(self) -> tuple[bytes, bool]:
        """The next name in an archive's order, and whether it was removed."""
        if not self.removed or (self.names and self.names[-1] < WHITEOUT + self.removed[-1]):
            return self.names.pop(), False
        return self.removed.pop(), True

    def close(self) -> None:
        for descriptor in (self.descriptor, self.parent):
            if descriptor >= 0:
                os.close(descriptor)
        self.descriptor = self.parent = -1


def walk(source: Source) -> Iterator[Change]:
    """Tell every change: directories before what is in them, names in a directory in the order of their bytes.

    A removed name's place is that of its whiteout, ``.wh.NAME``.

    Raises:
        OrlopError: something cannot be read, or a path is so long and deep that it cannot be reached again.
        OSError: a tree's files of several names cannot be looked up.
    """
    return _Walk(source).run()


class _Walk:
    __slots__ = ("_comparison", "_levels", "_links", "_source")

    def __init__(self, source: Source) -> None:
        self._source = source
        self._comparison = Comparison(snapshot=source.snapshot)
        self._levels: list[_Level] = []
        self._links = HardLinks(source.directory, source.parent, self._comparison) if source.parent >= 0 else None

    def run(self) -> Iterator[Change]:
        source = self._source
        try:
            parent = os.open(".", _DIRECTORY, dir_fd=source.parent) if source.parent >= 0 else -1
            try:
                root = os.open(".", _DIRECTORY, dir_fd=source.directory)
            except OSError:
                if parent >= 0:
                    os.close(parent)
                raise
            yield from self._enter(b"", b"", root, parent, merged=bool(source.marks))
            while self._levels:
                level = self._levels[-1]
                if not (level.names or level.removed) or not self._is_open(level):
                    self._levels.pop().close()
                    continue
                name, is_removed = level.next()
                path = level.path + b"/" + name if level.path else name
                if is_removed:
                    yield from self._above()
                    yield Change(REMOVED, path, name, level.descriptor, None)
                else:
                    yield from self._visit(level, path, name)
        except OSError as error:
            path = self._levels[-1].path if self._levels else b""
            raise OrlopError(f"/{os.fsdecode(path)} or something in it cannot be read: {error.strerror}") from error
        finally:
            for level in self._levels:
                level.close()

    def _visit(self, level: _Level, path: bytes, name: bytes) -> Iterator[Change]:
        about = _status(level.descriptor, name)
        if about is None or self._is_nothing(about):
            return
        if stat.S_ISDIR(about.st_mode):
            yield from self._visit_directory(level, path, name)
            return
        try:
            kind = self._kind(level, name, about)
        except FileNotFoundError:
            return  # just now
        if kind:
            yield from self._above()
            yield Change(kind, path, name, level.descriptor, about)

    def _visit_directory(self, level: _Level, path: bytes, name: bytes) -> Iterator[Change]:
        try:
            descriptor = os.open(name, _DIRECTORY, dir_fd=level.descriptor)
        except OSError as error:
            if error.errno not in GONE:
                raise
            return
        parent = -1
        if level.parent >= 0:
            try:
                parent = os.open(name, _DIRECTORY, dir_fd=level.parent)
            except OSError as error:
                if error.errno not in GONE:
                    os.close(descriptor)
                    raise
        yield from self._enter(path, name, descriptor, parent, merged=level.merged)

    def _enter(self, path: bytes, name: bytes, descriptor: int, parent: int, *, merged: bool) -> Iterator[Change]:
        """Go down into a directory; both descriptors are closed when the walk leaves it."""
        about = os.fstat(descriptor)
        holder = self._levels[-1] if self._levels else None
        level = _Level(path, descriptor, parent, merged=merged and parent >= 0)
        self._levels.append(level)
        if len(self._levels) > _OPEN_LEVELS:
            self._levels[-1 - _OPEN_LEVELS].close()
        has_hidden_files = False
        if level.merged:
            mark = attributes.value(descriptor, self._source.marks + "opaque")
            level.merged = mark != b"y"
            has_hidden_files = mark == b"x"
        kind = PARENT
        if parent < 0:
            kind = ADDED if holder is None or _status(holder.parent, name) is None else MODIFIED
        elif not same_status(about, os.fstat(parent)) or attributes.read(descriptor) != attributes.read(parent):
            kind = MODIFIED
        change = Change(kind, path, name, -1, about)
        change.descriptor = descriptor
        change.emptied = self._list(level, has_hidden_files=has_hidden_files)
        level.change = change
        if kind != PARENT or change.emptied:
            yield from self._above()

    def _above(self) -> Iterator[Change]:
        """Tell the directories on the way here that have not been told."""
        if self._levels[-1].change is None:
            return
        for level in self._levels:
            change = level.change
            if change is not None:
                level.change = None
                was_open = level.descriptor >= 0
                if self._is_open(level):
                    change.descriptor = level.descriptor
                    yield change
                    if not was_open:
                        level.close()

    def _list(self, level: _Level, *, has_hidden_files: bool) -> bool:
        """Find what there is in a directory and what is missing; True if it was emptied."""
        passes_over = self._source.passes_over
        if passes_over is not None and passes_over(level.path, level.descriptor):
            return False
        listed = [os.fsencode(name) for name in os.listdir(level.descriptor)]
        if level.parent < 0:
            level.names = listed
            level.names.sort(reverse=True)
            return False
        present = {name for name in listed if self._is_there(level, name, has_hidden_files=has_hidden_files)}
        before = listed if level.merged else [os.fsencode(name) for name in os.listdir(level.parent)]
        removed = [name for name in before if name not in present and _is_something(level.parent, name)]
        level.names = sorted(present, reverse=True)
        if len(removed) > 1 and level.path and not _is_anything_left(level.parent, present, set(removed)):
            return True
        level.removed = sorted(removed, reverse=True)
        return False

    def _is_there(self, level: _Level, name: bytes, *, has_hidden_files: bool) -> bool:
        about = _status(level.descriptor, name)
        if about is None or self._is_nothing(about):
            return False
        if not has_hidden_files or about.st_size or not stat.S_ISREG(about.st_mode):
            return True
        # A whiteout in the form of an attribute: fs/overlayfs, Linux 6.7.
        return attributes.value(reachable(level.descriptor, name), self._source.marks + "whiteout") is None

    def _kind(self, level: _Level, name: bytes, about: os.stat_result) -> str:
        """How an entry that is no directory differs; empty if it does not."""
        if self._links is None or level.parent < 0:
            return ADDED
        before = _status(level.parent, name)
        if before is None or stat.S_ISSOCK(before.st_mode):
            return ADDED
        differs = self._links.differs(about)
        if differs is None:
            differs = not self._comparison.same(about, level.descriptor, before, level.parent, name)
            # Copying a file up, overlay parts it from its other names. Where that is all that has happened to it, a
            # layer leaves it with them, as it would be on any other file system.
            differs = differs or (not self._source.marks and self._links.is_split(before))
        return MODIFIED if differs else ""

    def _is_nothing(self, about: os.stat_result) -> bool:
        return stat.S_ISSOCK(about.st_mode) or (bool(self._source.marks) and is_whiteout(about))

    def _is_open(self, level: _Level) -> bool:
        """Whether a level is open; one that was closed for being far up is opened again, if it is there still."""
        if level.descriptor >= 0:
            return True
        try:
            level.descriptor = open_directory(self._source.directory, level.path)
            if level.others:
                level.parent = open_directory(self._source.parent, level.path)
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise OrlopError(
                    f"the path /{os.fsdecode(level.path[:64])}… is {len(level.path)} bytes long and has more than"
                    f" {_OPEN_LEVELS} directories below: move it up"
                ) from None
            if error.errno not in GONE:
                raise
            level.close()
            return False
        return True


def _status(directory: int, name: bytes) -> os.stat_result | None:
    if directory < 0:
        return None
    try:
        return os.lstat(name, dir_fd=directory)
    except FileNotFoundError:
        return None


def _is_something(directory: int, name: bytes) -> bool:
    about = _status(directory, name)
    return about is not None and not stat.S_ISSOCK(about.st_mode)


def _is_anything_left(parent: int, present: set[bytes], removed: set[bytes]) -> bool:
    """Whether any name of the parent's directory still is one."""
    for decoded in os.listdir(parent):
        name = os.fsencode(decoded)
        if name not in removed and (name in present or _is_something(parent, name)):
            return True
    return False
