"""Copying a large directory again of which little has changed since it was copied before.

A layer with fifty thousand files takes seconds to make, and the next one differs from it in a few of them. So of a large
directory that was copied from a context it is written down what was in it, and where in the layer's archive each of its files
is. The next time the files are made upon the snapshot of the earlier copy, changing only what differs, and the new layer's
archive is the earlier one with other pieces where it differs. Both are what copying everything makes, to the byte.

That is only so where all that is at the target comes from the copy: where there was nothing, or an empty directory.
"""

from __future__ import annotations

import os
import stat

from orlop import json_text
from orlop.build.cache import Layer
from orlop.build.value import Value
from orlop.errors import OrlopError
from orlop.linux import path as paths
from orlop.storage.layers import diff, tar_writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from orlop.storage.ingest import Writer
    from orlop.storage.layers.changes import Change

#: As many entries a directory has at least for this to be worth while.
LEAST = 300
#: What part of the entries may have changed at most.
_PART = 8
#: So many copies are known at most; the least recently used ones are forgotten.
_MOST = 16
_VERSION = 1
_CHUNK = 1 << 20
#: The two blocks at an archive's end.
_END = 1024
_ABSENT = (FileNotFoundError, NotADirectoryError)


class Listing:
    """What is in a directory: a text for each path, which is another one if the entry is."""

    __slots__ = ("entries", "is_plain")

    def __init__(self) -> None:
        self.entries: dict[str, str] = {}
        #: Whether there are files, directories and links only, and no file has several names.
        self.is_plain = True

    def add(self, path: str, about: os.stat_result, content: str) -> None:
        """Note an entry and what it has for content."""
        mode = about.st_mode
        if not (stat.S_ISDIR(mode) or stat.S_ISLNK(mode) or (stat.S_ISREG(mode) and about.st_nlink == 1)):
            self.is_plain = False
        self.entries[path] = f"{mode:o} {about.st_mtime_ns} {content}"

    @property
    def is_worth_while(self) -> bool:
        """Whether there is so much that one had better not copy all of it again."""
        return self.is_plain and len(self.entries) >= LEAST


class Copied(Value):
    """What copying a directory came to: the snapshot, the layer upon it, what was in it, and where in the archive that begins."""

    chain: str
    layer: Layer
    entries: Mapping[str, str]
    places: Sequence[tuple[bytes, int]]


class Difference(Value):
    """The paths of what is to be put there, directories before what is in them, and of what has to go, the other way round."""

    put: Sequence[str]
    removed: Sequence[str]


class Copies:
    """The copies that are known, by a key that says everything but what was in the directory."""

    __slots__ = ("_directory",)

    def __init__(self, root: str) -> None:
        self._directory = f"{root}/build/copies"

    def find(self, key: str) -> Copied | None:
        """The copy that was made with this key last."""
        path = f"{self._directory}/{key}"
        try:
            with open(path, encoding="utf-8") as file:
                found = json_text.loads(file.read())
            if found["version"] != _VERSION:
                return None
            os.utime(path)
            places = [(os.fsencode(name), place) for name, place in found["places"]]
            return Copied(found["chain"], Layer(**found["layer"]), found["entries"], places)
        except FileNotFoundError:
            return None
        except (KeyError, TypeError, ValueError):
            return None  # of another version, or half of it was lost with the power

    def keep(self, key: str, copied: Copied) -> None:
        """Know a copy from now on.

        Raises:
            OSError: it cannot be written down.
        """
        os.makedirs(self._directory, 0o700, exist_ok=True)
        self.forget(_MOST - 1)
        layer = copied.layer
        text = json_text.dumps(
            {
                "version": _VERSION,
                "chain": copied.chain,
                "layer": {"diff_id": layer.diff_id, "digest": layer.digest, "size": layer.size},
                "entries": dict(copied.entries),
                "places": [[os.fsdecode(name), place] for name, place in copied.places],
            }
        )
        aside = f"{self._directory}/.{os.urandom(8).hex()}"
        with open(aside, "x", encoding="utf-8") as file:
            file.write(text)
        os.rename(aside, f"{self._directory}/{key}")

    def forget(self, keep: int = 0) -> None:
        """Forget all but the copies that were of use last."""
        found = []
        try:
            entries = list(os.scandir(self._directory))
        except FileNotFoundError:
            return
        for entry in entries:
            try:
                found.append((entry.stat().st_mtime_ns, entry.path))
            except FileNotFoundError:
                continue  # another build has forgotten it
        for _, path in sorted(found)[: max(0, len(found) - keep)]:
            try:
                os.unlink(path)
            except FileNotFoundError:
                continue


def difference(before: Mapping[str, str], now: Mapping[str, str]) -> Difference | None:
    """How what is in a directory differs from what was; None if it had better be copied as a whole."""
    changed = [path for path, text in now.items() if before.get(path) != text]
    gone = [path for path in before if path not in now]
    if not now or (len(changed) + len(gone)) * _PART > len(now):
        return None
    if any(path in before and _is_directory(before[path]) != _is_directory(now[path]) for path in changed):
        return None
    # The directories above get their times again, which change with what is put into them.
    put = set(changed)
    for path in (*changed, *gone):
        while path := path.rpartition("/")[0]:
            if path in now:
                put.add(path)
    return Difference(sorted(put, key=_order), sorted(gone, key=_order, reverse=True))


def _is_directory(text: str) -> bool:
    return stat.S_ISDIR(int(text.partition(" ")[0], 8))


def _order(path: str) -> list[str]:
    return path.split("/")


def is_vacant(root: int, target: str) -> tuple[bool, bool]:
    """Whether there is nothing at ``target`` in a tree but perhaps an empty directory, and whether there is nothing at all."""
    try:
        place = paths.open_in_root(root, target, os.O_PATH)
    except _ABSENT:
        return True, True
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            return False, False
        directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=place)
    finally:
        os.close(place)
    try:
        return not os.listdir(directory), False
    finally:
        os.close(directory)


def remove(root: int, target: str, gone: Sequence[str]) -> None:
    """Take away from the copy at ``target`` what is gone, what is in a directory before itself.

    The directory at ``target`` keeps its times; those in it get theirs when the copy is made.
    """
    if not gone:
        return
    top = paths.open_in_root(root, target, os.O_PATH | os.O_DIRECTORY)
    try:
        about = os.fstat(top)
        _remove(root, target, gone)
        os.utime(f"/proc/self/fd/{top}", ns=(about.st_atime_ns, about.st_mtime_ns))
    finally:
        os.close(top)


def _remove(root: int, target: str, gone: Sequence[str]) -> None:
    for path in gone:
        above, _, name = path.rpartition("/")
        place = paths.open_in_root(root, f"{target}/{above}", os.O_PATH | os.O_DIRECTORY)
        try:
            try:
                os.unlink(name, dir_fd=place)
            except IsADirectoryError:
                os.rmdir(name, dir_fd=place)
        finally:
            os.close(place)


class Patch:
    """The pieces of an archive that differ from an earlier one's, and what of that has no place any more."""

    __slots__ = ("_aside", "_end", "_gone", "_places")

    def __init__(self, aside: str) -> None:
        self._aside = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._places: list[tuple[bytes, int]] = []
        self._gone: set[bytes] = set()
        self._end = 0

    def take(self, changes: Iterable[Change], clamp: int | None) -> None:
        """Take in what has changed since the earlier copy.

        Raises:
            OrlopError: something cannot be read, or has no place in a layer.
        """
        archive = tar_writer.TarWriter(tar_writer.Descriptor(self._aside))
        diff.write(self._there(changes), archive, clamp=clamp, places=self._places)
        self._end = archive.position
        archive.finish()

    def _there(self, changes: Iterable[Change]) -> Iterator[Change]:
        for change in changes:
            if change.about is None:
                self._gone.add(change.path)
            elif change.emptied:
                raise OrlopError(f"/{os.fsdecode(change.path)} lost everything in it")
            else:
                yield change

    def write(self, before: int, size: int, places: Sequence[tuple[bytes, int]], blob: Writer) -> None:
        """Write the whole archive: the earlier one, open as ``before``, with its ``size`` and ``places``, and the pieces."""
        pieces = dict(_spans(before, places, size - _END))
        for path in [path for path in pieces if self._is_gone(path)] if self._gone else []:
            del pieces[path]
        added = [path for path, _ in self._places if path not in pieces]
        pieces.update(_spans(self._aside, self._places, self._end))
        order = sorted(pieces, key=lambda path: path.split(b"/")) if added else list(pieces)
        source = start = end = -1
        for path in order:
            piece = pieces[path]
            if piece[0] == source and piece[1] == end:
                end = piece[2]
                continue
            _copy(source, start, end, blob)
            source, start, end = piece
        _copy(source, start, end, blob)
        blob.write(bytes(_END))

    def _is_gone(self, path: bytes) -> bool:
        while path:
            if path in self._gone:
                return True
            path = path.rpartition(b"/")[0]
        return False

    def close(self) -> None:
        """Let go of the pieces."""
        os.close(self._aside)


def _spans(source: int, places: Sequence[tuple[bytes, int]], end: int) -> Iterator[tuple[bytes, tuple[int, int, int]]]:
    """For each path where it is: the descriptor, and from where to where."""
    starts = [place for _, place in places]
    for (path, start), stop in zip(places, [*starts[1:], end], strict=False):  # no place has no end either
        yield path, (source, start, stop)


def _copy(source: int, start: int, end: int, blob: Writer) -> None:
    while start < end:
        data = os.pread(source, min(_CHUNK, end - start), start)
        if not data:
            raise OrlopError("the archive of an earlier copy is shorter than it was")
        blob.write(data)
        start += len(data)
