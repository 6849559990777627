"""An image becomes one of the store's: its blobs are had, its layers unpacked, and its names published.

Everything that makes an image ends here, wherever its blobs come from: a registry, an archive, a container, a build.
"""

from __future__ import annotations

from orlop import clock
from orlop.errors import InvalidImage, Unsupported
from orlop.images import progress as words
from orlop.images import unpack
from orlop.images.config import ImageConfig
from orlop.images.index import Entry
from orlop.images.progress import Quiet
from orlop.storage import unwritten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from orlop.images.manifest import Descriptor, Index, Manifest
    from orlop.images.progress import Progress
    from orlop.images.store import Image, ImageStore
    from orlop.storage.leases import Lease


def install(
    images: ImageStore,
    manifest: Manifest,
    names: Sequence[str],
    lease: Lease,
    *,
    fetch: Callable[[Descriptor, Progress], None] | None = None,
    progress: Progress | None = None,
    done: str = words.PULLED,
    name: str = "the image",
    check: Callable[[ImageConfig], None] | None = None,
    stop: Callable[[], None] | None = None,
    unpacked: Iterable[str] = (),
    attested: Index | None = None,
) -> Image:
    """Make an image of a manifest, and give it names.

    Nothing but the blobs is then known to be on the disk: the caller has `orlop.storage.unwritten.settle` seen to.

    ``fetch`` makes sure that the blob of a descriptor is there; without it all of them are, held by the lease. It is
    called from several threads; ``stop`` ends what it waits for when the work is given up. ``name`` is what errors call
    the image. ``check`` may refuse its configuration. ``unpacked`` are snapshots that the caller has made already. ``attested``
    is the index that has its attestations, which is there with all that it names, held by the lease.

    Raises:
        InvalidImage: manifest and configuration do not belong together.
        Unsupported: it is not an image of Linux containers.
        InvalidArchive, DigestMismatch: a layer cannot be unpacked, or is not what it should be.
        OrlopError, OSError: whatever ``fetch`` raises, or the file system.
    """
    storage = images.storage
    progress = progress or Quiet()
    manifest.check_image(name)
    lease.hold(manifest.digest, manifest.config.digest, *(layer.digest for layer in manifest.layers))
    if fetch is not None:
        fetch(manifest.config, Quiet())
    config = ImageConfig.parse(storage.blobs.read(manifest.config.digest), f"the configuration of {name}")
    _check(config, manifest, name)
    if check is not None:
        check(config)
    lease.hold_snapshot(*config.chain_ids)
    storage.blobs.write(manifest.data)
    layers = unpack.layers_of(manifest, config)
    made = unpack.unpack(storage, layers, lease, fetch, progress, done=done, stop=stop)
    if made or unpacked:
        unwritten.note(storage, [*made, *unpacked])
    return publish(images, manifest, config, names, attested)


def publish(
    images: ImageStore,
    manifest: Manifest,
    config: ImageConfig,
    names: Sequence[str],
    attested: Index | None = None,
) -> Image:
    """Give names to an image whose blobs and snapshots are there, held by the caller's lease.

    Raises:
        OSError: the index cannot be written.
    """
    chain_ids = config.chain_ids
    return images.publish(
        Entry(
            name="",
            digest=manifest.digest,
            size=len(manifest.data),
            media_type=manifest.media_type,
            id=manifest.config.digest,
            top=chain_ids[-1] if chain_ids else "",
            created=clock.in_utc(config.created),
            layers=[images.storage.snapshots.usage(chain_id).bytes for chain_id in chain_ids],
            added=clock.now(),
            index=attested.digest if attested is not None else "",
        ),
        names,
    )


def _check(config: ImageConfig, manifest: Manifest, name: str) -> None:
    if config.platform.os != "linux":
        raise Unsupported(f"{name} is for the operating system {config.platform.os}: only Linux images can be used")
    if len(config.diff_ids) != len(manifest.layers):
        raise InvalidImage(
            f"{name} has {len(manifest.layers)} layers in its manifest and {len(config.diff_ids)} in its configuration"
        )
