"""Verifying blobs: each is read, and compared with its digest."""

from __future__ import annotations

import os

from orlop.errors import DigestMismatch, NotFound
from orlop.storage import digest as digests
from orlop.storage import ingest
from orlop.storage.problem import AGAIN, Problem, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from orlop.storage.blobs import Blobs

#: Blobs that are read at the same time: hashing takes a processor each, and a disk likes several requests.
_THREADS = 4


def strays(blobs: Blobs, *, repair: bool) -> Iterator[Problem]:
    """What lies among the blobs and is none."""
    for algorithm in digests.ALGORITHMS:
        try:
            entries = list(os.scandir(f"{blobs.directory}/blobs/{algorithm}"))
        except FileNotFoundError:
            continue
        for entry in entries:
            if not entry.is_file(follow_symlinks=False):
                what = "is not a regular file"
            elif not digests.is_digest(f"{algorithm}:{entry.name}"):
                what = "is not named by a digest"
            else:
                continue
            if repair:
                _remove(entry)
            yield Problem.of(f"blob {algorithm}:{entry.name}", entry.path, what, "removed", repaired=repair)


def verify(
    blobs: Blobs, needed: Mapping[str, str], verified: Callable[[str, int], None] | None, *, repair: bool
) -> Iterator[Problem]:
    """Blobs that are damaged, or missing."""
    from concurrent.futures import ThreadPoolExecutor

    there = dict(blobs.walk())
    threads = ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1), "orlop-check")
    try:
        for digest, damage in zip(there, threads.map(lambda each: _damage(blobs, each), there), strict=True):
            if damage is not None:
                what, inode = damage
                if repair:
                    _take_away(blobs, digest, inode)
                yield Problem.of(
                    f"blob {digest}", blobs.path(digest), what, "removed", user=needed.get(digest, ""), repaired=repair
                )
            if verified is not None:
                verified(digest, there[digest])
    finally:
        threads.shutdown(cancel_futures=True)
    for digest, user in needed.items():
        if digest not in there and digests.is_digest(digest) and not blobs.has(digest):
            yield Problem(f"blob {digest}", blobs.path(digest), "is missing", AGAIN, user=user, repaired=False)


def _damage(blobs: Blobs, digest: str) -> tuple[str, int] | None:
    """What is wrong with a blob, and the number of the inode that was read."""
    try:
        descriptor = blobs.open(digest)
    except NotFound:
        return None  # removed meanwhile
    try:
        inode = os.fstat(descriptor).st_ino
        try:
            ingest.verify(descriptor, digest, blobs.directory)
        except DigestMismatch:
            return "is damaged", inode
        except OSError as error:
            return f"cannot be read ({reason(error)})", inode
    finally:
        os.close(descriptor)
    return None


def _take_away(blobs: Blobs, digest: str, inode: int) -> None:
    aside = blobs.set_aside(digest)
    if not aside:
        return  # removed meanwhile
    if os.stat(aside).st_ino == inode:
        os.unlink(aside)
    else:
        os.rename(aside, blobs.path(digest))  # somebody has replaced it meanwhile, by a whole one


def _remove(entry: os.DirEntry[str]) -> None:
    if entry.is_dir(follow_symlinks=False):
        import shutil

        shutil.rmtree(entry.path)
    else:
        os.unlink(entry.path)
