"""Which files a COPY means: its sources, wildcards and exclusions against a tree.

A source that is a link means what that points to, below the tree's root; links deeper in the tree are copied as links. A
directory means what is in it.
"""

from __future__ import annotations

import os
import posixpath
import stat

from orlop.build import tree
from orlop.build.ignore import Ignored, expression
from orlop.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orlop.build.tree import Entry
    from orlop.build.tree_digest import TreeDigest

_WILD = "*?["


class Root:
    """A tree to copy from: its open directory, and what of it is not to be seen."""

    __slots__ = ("descriptor", "ignored", "is_context", "name")

    def __init__(self, descriptor: int, ignored: Ignored, name: str, *, is_context: bool) -> None:
        self.descriptor = descriptor
        self.ignored = ignored
        self.name = name
        self.is_context = is_context


class Chosen:
    """One file or directory that is to be copied: ``path`` below the root, and its name ``under`` the target (``--parents``).

    ``only`` are the paths in a directory that are to be copied, if not all are.
    """

    __slots__ = ("_root", "about", "exclude", "only", "path", "place", "under")

    def __init__(self, root: Root, path: str, exclude: Ignored, under: str) -> None:
        self._root = root
        self.path = path
        self.under = under
        self.exclude = exclude
        self.only: Sequence[str] | None = None
        self.place = tree.resolve(root.descriptor, path)
        self.about = os.fstat(self.place)

    @property
    def is_directory(self) -> bool:
        """Whether what is in it is meant."""
        return stat.S_ISDIR(self.about.st_mode)

    @property
    def name(self) -> str:
        """Its last component."""
        return posixpath.basename(self.path)

    def entries(self) -> Iterator[Entry]:
        """What is in the directory, without what is left out."""
        if self.only is not None:
            yield from self._some(self.only)
            return
        directory = tree.opened(self.place)
        try:
            for entry in tree.walk(directory, self._root.ignored or None, self.path):
                if not self.exclude or not self.exclude.leaves_out(entry.path):
                    yield entry
        finally:
            os.close(directory)

    def _some(self, paths: Sequence[str]) -> Iterator[Entry]:
        for path in paths:
            above, _, name = path.rpartition("/")
            holder = tree.resolve(self.place, above)
            try:
                yield tree.Entry(path, holder, name, os.lstat(name, dir_fd=holder))
            finally:
                os.close(holder)

    def count_in(self, digest: TreeDigest) -> None:
        """Have it count in a digest."""
        digest.word(f"{self.under}/{'' if self.is_directory else self.name}")
        if self.is_directory:
            digest.word(f"{self.about.st_mode:o}")
            digest.add(self.entries())
        else:
            digest.entry(self.as_entry(), "")

    def as_entry(self) -> Entry:
        """The file itself as an entry of the directory that it is in."""
        return tree.OpenEntry(self.path, self.place, self.about)

    def close(self) -> None:
        """Let go of it."""
        os.close(self.place)


def choose(root: Root, sources: Sequence[str], exclude: Sequence[str] = (), *, parents: bool = False) -> list[Chosen]:
    """The files that sources mean, those of a wildcard in their order.

    Raises:
        NotFound: a source without a wildcard is not there.
        InvalidArgument: a pattern cannot be.
        OSError: a directory cannot be read.
    """
    left_out = Ignored(exclude)
    found: list[Chosen] = []
    try:
        for source in sources:
            pivot, path = _split(source, parents=parents)
            matches = _matches(root, path) if any(mark in path for mark in _WILD) else [path]
            for match in matches:
                found += _one(root, match, left_out, pivot, parents=parents, is_match=match is not path)
    except BaseException:
        for chosen in found:
            chosen.close()
        raise
    return found


def _one(root: Root, path: str, left_out: Ignored, pivot: str, *, parents: bool, is_match: bool) -> list[Chosen]:
    if left_out and path and left_out.leaves_out(posixpath.basename(path)):
        return []
    is_out = bool(path) and root.ignored.leaves_out(path)
    if is_out and not root.ignored.may_be_in_below(path):
        if is_match:
            return []
        raise NotFound(f"/{path} is not in {root.name}: .dockerignore leaves it out")
    under = posixpath.dirname(path[len(pivot) :].lstrip("/")) if parents else ""
    try:
        chosen = Chosen(root, path, left_out, under)
    except OSError as error:
        if error.errno in tree.ABSENT:
            if is_match:
                return []  # a link to nowhere
            raise NotFound(f"/{path} is not in {root.name}: {os.strerror(error.errno).lower()}") from None
        raise
    if parents and chosen.is_directory:
        chosen.under = path[len(pivot) :].strip("/")
    return [chosen]


def _split(source: str, *, parents: bool) -> tuple[str, str]:
    """A source as a clean path, and what of it comes before ``/./``, which ``--parents`` leaves out."""
    path = posixpath.normpath(posixpath.join("/", source)).lstrip("/")
    before, mark, _ = source.partition("/./")
    if not (parents and mark):
        return "", path
    return posixpath.normpath(posixpath.join("/", before)).lstrip("/"), path


def _matches(root: Root, pattern: str) -> list[str]:
    """The paths that a pattern matches, component by component."""
    found = [""]
    for part in pattern.split("/"):
        step = []
        for path in found:
            if not any(mark in part for mark in _WILD):
                step.append(f"{path}/{part}".lstrip("/"))
                continue
            if part == "**":
                step += [path, *_directories_below(root, path)]
                continue
            matches = expression(part.replace("**", "*"))
            for name in _names(root, path):
                if matches.fullmatch(name):
                    step.append(f"{path}/{name}".lstrip("/"))
        found = list(dict.fromkeys(step))
    return [path for path in found if _is_there(root, path)]


def _names(root: Root, path: str) -> list[str]:
    try:
        place = tree.resolve(root.descriptor, path)
    except OSError as error:
        if error.errno in tree.ABSENT:
            return []
        raise
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            return []
        directory = tree.opened(place)
    finally:
        os.close(place)
    try:
        return sorted(os.listdir(directory))
    finally:
        os.close(directory)


def _directories_below(root: Root, path: str) -> list[str]:
    place = tree.resolve(root.descriptor, path)
    try:
        return [
            f"{path}/{entry.path}".lstrip("/")
            for entry in tree.walk(place, root.ignored or None, path)
            if stat.S_ISDIR(entry.about.st_mode)
        ]
    finally:
        os.close(place)


def _is_there(root: Root, path: str) -> bool:
    try:
        os.close(tree.resolve(root.descriptor, path, follow=False))
    except OSError as error:
        if error.errno in tree.ABSENT:
            return False
        raise
    return True
