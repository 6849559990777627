"""Where a build's own files come from: a directory, and what of it the build is not to see."""

from __future__ import annotations

import errno
import os
import stat

from orlop.build import ignore, recopying, selection, tree_digest
from orlop.errors import InvalidArgument, NotFound
from orlop.linux import path as paths
from orlop.storage import digest as digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Context:
    """A directory that is open, so that it stays the same one. ``name`` is what errors call it."""

    __slots__ = ("_digests", "descriptor", "files", "ignored", "listings", "name", "path")

    def __init__(
        self, path: str, patterns: Sequence[str] = (), *, name: str = "the build context", known: str = ""
    ) -> None:
        self.path = os.path.realpath(path)
        self.name = name
        self.ignored = ignore.Ignored(patterns)
        try:
            self.descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFound(f"{name} {path} does not exist") from None
        except NotADirectoryError:
            raise InvalidArgument(f"{name} {path} is no directory") from None
        place = f"{known}/{digests.of(os.fsencode(self.path)).partition(':')[2]}.json" if known else ""
        if known:
            os.makedirs(known, 0o700, exist_ok=True)
        #: What is known of the files' contents from before.
        self.files = tree_digest.KnownFiles(place)
        self._digests: dict[tuple[str, ...], str] = {}
        #: What was in directories that the whole digest was asked of, by source and what was left out.
        self.listings: dict[tuple[str, ...], recopying.Listing] = {}

    @property
    def root(self) -> selection.Root:
        """The tree to copy from."""
        return selection.Root(self.descriptor, self.ignored, self.name, is_context=True)

    def digest(
        self, sources: Sequence[str], exclude: Sequence[str] = (), *, parents: bool = False, anew: bool = False
    ) -> str:
        """The digest of what sources mean, or was when it was asked for first, unless that is to be found out ``anew``.

        Raises:
            NotFound: one is not there.
            OrlopError: one cannot be read.
        """
        asked = (*sources, "", *exclude, str(parents))
        known = self._digests.get(asked)
        if known is not None and not anew:
            return known
        chosen = selection.choose(self.root, sources, exclude, parents=parents)
        listing = recopying.Listing() if len(chosen) == 1 and chosen[0].is_directory and not parents else None
        if listing is not None:
            self.listings[*sources, *exclude] = listing
        self._digests[asked] = digest_of(chosen, tree_digest.TreeDigest(self.files, owners=False, listing=listing))
        return self._digests[asked]

    def close(self) -> None:
        """Keep what is known of the files, and let go of the directory."""
        self.files.save()
        os.close(self.descriptor)


def digest_of(chosen: Sequence[selection.Chosen], made: tree_digest.TreeDigest) -> str:
    """The digest of files that were chosen, which are let go of."""
    try:
        for each in chosen:
            each.count_in(made)
    finally:
        for each in chosen:
            each.close()
    return made.result()


def patterns_for(directory: str, dockerfile: str, *, is_local: bool = True) -> list[str]:
    """The patterns that count for a Dockerfile: those of its own ``NAME.dockerignore``, or of the context's.

    ``.dockerignore`` and the Dockerfile may be named in them, since neither has to be copied to be read. Links in the user's
    own directory are meant as they are; in any other one, which is not ``is_local``, they lead nowhere outside.

    Raises:
        OSError: the file is there and cannot be read.
    """
    for path in ((f"{dockerfile}{ignore.FILE}",) if dockerfile else ()) + (f"{directory}/{ignore.FILE}",):
        try:
            with open(path if is_local else _open_in(directory, path), "rb") as file:
                return ignore.read(file.read(ignore.LARGEST + 1), path)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            continue
    return []


def _open_in(directory: str, path: str) -> int:
    """Open a regular file below a directory of which others have made the links.

    Raises:
        FileNotFoundError: there is none; a pipe, to which nobody may ever write, is none.
    """
    root = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        descriptor = paths.open_in_root(root, path.removeprefix(directory), os.O_RDONLY | os.O_NONBLOCK)
    finally:
        os.close(root)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise FileNotFoundError(errno.ENOENT, "it is no file", path)
