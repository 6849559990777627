"""Where a build's result goes beside the store: a directory of files, or an archive of them or of the image."""

from __future__ import annotations

import os
import stat
import sys

from orlop.build import copying, selection, tree
from orlop.build.ignore import Ignored
from orlop.build.value import Value
from orlop.errors import InvalidArgument
from orlop.images import attestations
from orlop.storage import digest as digests
from orlop.storage import mounts as storage_mounts
from orlop.storage.layers import diff
from orlop.storage.layers.changes import Source, walk
from orlop.storage.layers.tar_writer import FILE, HARD_LINK, Descriptor, Entry, TarWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from orlop.engine.building.attesting import Said
    from orlop.engine.building.request import Output
    from orlop.engine.location import Location
    from orlop.images.platform import Platform
    from orlop.images.store import Image
    from orlop.storage.store import Storage

#: Kinds for which there need be no image in the store.
FILES = ("local", "tar")
#: Nothing but what the build leaves in its cache.
NOTHING = "cacheonly"
KINDS = ("image", *FILES, "oci", "docker", NOTHING)
_CHUNK = 1 << 20


class Files(Value):
    """The files that were built for a ``platform``: the ``chain`` ID of their snapshot, and what is ``said`` of them."""

    platform: Platform
    chain: str
    said: Sequence[Said] = ()


def check(outputs: Sequence[Output], count: int) -> None:
    """See that what is built for so many platforms has its place in all outputs.

    Raises:
        InvalidArgument: it has not.
    """
    for each in outputs:
        if count > 1 and each.kind in FILES and each.split is False:
            raise InvalidArgument(
                f"--output type={each.kind} with platform-split=false is for one platform: the files of {count} would be mixed"
            )


def write(
    location: Location,
    outputs: Sequence[Output],
    storage: Storage,
    everything: Sequence[Files],
    image: Image | None,
    names: Sequence[str],
) -> None:
    """Write everything that is wanted. What is said goes beside files as a file of its own for each.

    Raises:
        InvalidArgument: an image without a name is to be in an archive of Docker's.
        OrlopError, OSError: it cannot be written.
    """
    for each in outputs:
        is_split = each.split if each.split is not None else len(everything) > 1
        places = [(str(files.platform).replace("/", "_") if is_split else "", files) for files in everything]
        if each.kind == "local":
            for place, files in places:
                _to_directory(storage, files.chain, os.path.join(each.destination, place), files.said)
        elif each.kind == "tar":
            _to_archive(storage, places, each.destination)
        elif each.kind != "image" and image is not None:
            _image_to_archive(location, image, names, each)


def _to_directory(storage: Storage, chain: str, path: str, said: Sequence[Said]) -> None:
    os.makedirs(path, exist_ok=True)
    target = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not chain:
            return
        with storage_mounts.attached(storage.snapshots.mounts(chain)) as shown:
            root = selection.Root(shown, Ignored(), "the image", is_context=False)
            (everything,) = selection.choose(root, ["/"])
            try:
                # The files are the user's own from now on, without what only root could have given them.
                style = copying.Style((os.geteuid(), os.getegid()), lambda mode: mode & 0o777, keep_owners=False)
                copying.Copier(target, style).copy([everything], [], "/")
            finally:
                everything.close()
            for name, data in _statements(shown, said):
                _put(target, name, data)
    finally:
        os.close(target)


def _statements(shown: int, said: Sequence[Said]) -> list[tuple[str, bytes]]:
    """What is said as statements about every file of a tree, as there is no image."""
    if not said:
        return []
    subjects = [
        attestations.subject(each.path, _digest(each)) for each in tree.walk(shown) if stat.S_ISREG(each.about.st_mode)
    ]
    return [(one.file, attestations.statement(subjects, one.kind, one.predicate)) for one in said]


def _digest(entry: tree.Entry) -> str:
    state = digests.hasher("sha256:")
    descriptor = entry.open()
    try:
        while data := os.read(descriptor, _CHUNK):
            state.update(data)
    finally:
        os.close(descriptor)
    return digests.result(state)


def _put(directory: int, name: str, data: bytes) -> None:
    """Write a file anew, whatever has its name: an image may have put a link there."""
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        pass
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(name, flags, 0o644, dir_fd=directory), "wb") as file:
        file.write(data)


def _opened(path: str) -> int:
    if path in {"", "-"}:
        if os.isatty(1):
            raise InvalidArgument(
                "an archive is not written to a terminal: use --output type=tar,dest=FILE, or redirect"
            )
        sys.stdout.flush()
        return os.dup(1)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)


class _Archive(TarWriter):
    """An archive whose entries are put below a directory."""

    __slots__ = ("below",)

    def __init__(self, sink: Descriptor) -> None:
        super().__init__(sink)
        self.below = b""

    def add(self, entry: Entry, data: bytes = b"") -> None:
        """See the class above."""
        super().add(self._placed(entry), data)

    def add_from(self, entry: Entry, source: int, *, may_change: bool = False) -> None:
        """See the class above."""
        super().add_from(self._placed(entry), source, may_change=may_change)

    def _placed(self, entry: Entry) -> Entry:
        if self.below:
            entry.path = os.path.join(self.below, entry.path) if entry.path else self.below
            if entry.kind == HARD_LINK:
                entry.link = os.path.join(self.below, entry.link)
        return entry


def _to_archive(storage: Storage, places: Sequence[tuple[str, Files]], path: str) -> None:
    descriptor = _opened(path)
    try:
        archive = _Archive(Descriptor(descriptor))
        for place, files in places:
            archive.below = place.encode()
            if files.chain:
                with storage_mounts.attached(storage.snapshots.mounts(files.chain)) as shown:
                    diff.write(walk(Source(shown)), archive, is_layer=False)
                    for name, data in _statements(shown, files.said):
                        archive.add(Entry(name.encode(), FILE, mode=0o644, size=len(data)), data)
        if any(files.chain for _, files in places):
            archive.finish()
    finally:
        os.close(descriptor)


def _image_to_archive(location: Location, image: Image, names: Sequence[str], output: Output) -> None:
    from orlop.engine import image_transfer

    if output.is_directory:
        image_transfer.save(location, list(names) or [image.id], output.destination, form="oci-dir")
        return
    descriptor = _opened(output.destination)
    try:
        image_transfer.save(location, list(names) or [image.id], Descriptor(descriptor), form=f"{output.kind}-archive")
    finally:
        os.close(descriptor)
