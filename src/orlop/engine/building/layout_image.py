"""An image out of an OCI image layout in a directory, for a build alone: ``oci-layout://DIRECTORY[:TAG][@DIGEST]``."""

from __future__ import annotations

import os

from orlop.build.graph import Base
from orlop.errors import NotFound
from orlop.images import unpack
from orlop.images.archive import contents, load
from orlop.images.config import ImageConfig
from orlop.images.progress import Quiet
from orlop.storage import unwritten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.images.platform import Platform
    from orlop.storage.leases import Lease
    from orlop.storage.store import Storage

SCHEME = "oci-layout://"


def find(storage: Storage, lease: Lease, name: str, wanted: Platform) -> Base:
    """The image of a layout, its files unpacked and held by the lease; no name here means it.

    Raises:
        NotFound: there is no such directory, or no such image in it.
        InvalidArchive, InvalidImage, Unsupported, DigestMismatch: it is broken, or cannot be used here.
        OSError: the file system fails.
    """
    place, _, digest = name.removeprefix(SCHEME).partition("@")
    directory, colon, tag = place.rpartition(":")
    if not colon or "/" in tag:
        directory, tag = place, ""
    directory = os.path.abspath(directory)
    if not os.path.isdir(directory):
        raise NotFound(f"there is no OCI image layout in {directory}")
    manifest = load.one(contents.of_directory(storage.blobs, lease, directory), wanted, tag=tag, digest=digest)
    lease.hold(manifest.digest)
    config = ImageConfig.parse(storage.blobs.read(manifest.config.digest), f"the configuration of {name}")
    lease.hold_snapshot(*config.chain_ids)
    made = unpack.unpack(storage, unpack.layers_of(manifest, config), lease, None, Quiet())
    if made:
        unwritten.note(storage, made)
    return Base(name, config, manifest)
