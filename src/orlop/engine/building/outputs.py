"""Where a build's result goes beside the store: a directory of files, or an archive of them or of the image."""

from __future__ import annotations

import os
import sys

from orlop.build import copying, selection
from orlop.build.ignore import Ignored
from orlop.errors import InvalidArgument
from orlop.storage import mounts as storage_mounts
from orlop.storage.layers import diff
from orlop.storage.layers.tar_writer import Descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from orlop.engine.building.request import Output
    from orlop.engine.location import Location
    from orlop.images.store import Image
    from orlop.storage.store import Storage

#: Kinds for which there need be no image in the store.
FILES = ("local", "tar")
KINDS = ("image", *FILES, "oci", "docker")


def write(
    location: Location,
    outputs: Sequence[Output],
    storage: Storage,
    chain: str,
    image: Image | None,
    names: Sequence[str],
) -> None:
    """Write everything that is wanted.

    Raises:
        InvalidArgument: an image without a name is to be in an archive of Docker's.
        OrlopError, OSError: it cannot be written.
    """
    for each in outputs:
        if each.kind == "local":
            _to_directory(storage, chain, each.destination)
        elif each.kind == "tar":
            _to_archive(storage, chain, each.destination)
        elif each.kind != "image" and image is not None:
            _image_to_archive(location, image, names, each)


def _to_directory(storage: Storage, chain: str, path: str) -> None:
    os.makedirs(path, exist_ok=True)
    target = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not chain:
            return
        with storage_mounts.attached(storage.snapshots.mounts(chain)) as tree:
            root = selection.Root(tree, Ignored(), "the image", is_context=False)
            (everything,) = selection.choose(root, ["/"])
            try:
                # The files are the user's own from now on, without what only root could have given them.
                style = copying.Style((os.geteuid(), os.getegid()), lambda mode: mode & 0o777, keep_owners=False)
                copying.Copier(target, style).copy([everything], [], "/")
            finally:
                everything.close()
    finally:
        os.close(target)


def _opened(path: str) -> int:
    if path in {"", "-"}:
        if os.isatty(1):
            raise InvalidArgument(
                "an archive is not written to a terminal: use --output type=tar,dest=FILE, or redirect"
            )
        sys.stdout.flush()
        return os.dup(1)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)


def _to_archive(storage: Storage, chain: str, path: str) -> None:
    descriptor = _opened(path)
    try:
        if chain:
            with storage_mounts.attached(storage.snapshots.mounts(chain)) as tree:
                diff.export(tree, descriptor)
    finally:
        os.close(descriptor)


def _image_to_archive(location: Location, image: Image, names: Sequence[str], output: Output) -> None:
    from orlop.engine import image_transfer

    descriptor = _opened(output.destination)
    try:
        image_transfer.save(location, list(names) or [image.id], Descriptor(descriptor), form=f"{output.kind}-archive")
    finally:
        os.close(descriptor)
