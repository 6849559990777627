"""Putting an image into a registry: the blobs that it lacks, then the manifest, which makes the image visible there.

Layers that are stored uncompressed, as Docker's archives have them, are compressed first. The image then has a manifest
of its own for that, and keeps it, so that the next push finds the work done.
"""

from __future__ import annotations

from orlop.errors import InvalidReference, NotFound
from orlop.images import attestations, compression, reachable, reference, unpack
from orlop.images import progress as words
from orlop.images.manifest import Manifest
from orlop.images.progress import Quiet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from io import FileIO

    from orlop.images.manifest import Descriptor, Index
    from orlop.images.progress import Progress
    from orlop.images.reference import Reference
    from orlop.images.registry.client import Registry
    from orlop.images.registry.hosts import RegistryOptions
    from orlop.images.store import Image, ImageStore
    from orlop.storage.blobs import Blobs
    from orlop.storage.leases import Lease

#: Layers that are uploaded at the same time, as with Docker.
UPLOADS = 5


def push(
    images: ImageStore, name: Reference, progress: Progress | None = None, options: RegistryOptions | None = None
) -> str:
    """Push the image that has a name to the registry of that name; returns the digest that the name then means there.

    Raises:
        NotFound: no image has the name.
        InvalidReference: the name has a digest.
        Unauthorized, RegistryError: the registry refuses, or cannot be reached.
        OSError: the file system fails.
    """
    from contextlib import closing

    from orlop.images.registry.client import Registry

    progress = progress or Quiet()
    if name.digest:
        raise InvalidReference(f"cannot push a digest reference: {name.familiar}; name a tag")
    name = name.with_default_tag()
    blobs = images.storage.blobs
    images.storage.prepare()
    with images.storage.leases.take() as lease, closing(Registry(name.domain, options)) as registry:
        image = images.find(name.familiar)
        progress.say(f"The push refers to repository [{name.name}]")
        given, attested = image.read_manifest(), image.read_index()
        lease.hold(*reachable.blobs_of(blobs, [given.digest, *([attested.digest] if attested else ())]))
        upload = _Upload(registry, blobs, name, _sources(image, name), progress)
        chosen = _image(upload, given, lease)
        top: Manifest | Index = chosen
        if attested is not None:
            for each in [given, *_others(attested, given, blobs)]:
                pushed = chosen if each is given else _image(upload, each, lease)
                if pushed.digest != each.digest:
                    attested = attestations.moved(attested, each, pushed, blobs, lease)
                registry.put_manifest(name.path, pushed.digest, pushed.data, pushed.media_type)
            for said in attestations.documents(attested, blobs):
                for part in (said.config, *said.layers):
                    upload.blob(part, "")
                registry.put_manifest(name.path, said.digest, said.data, said.media_type)
            top = attested
        digest = registry.put_manifest(name.path, name.tag, top.data, top.media_type)
        progress.say(f"{name.tag}: digest: {digest} size: {len(top.data)}")
        images.pushed(image, chosen, str(name.pinned(digest)), attested)
        return digest


class _Upload:
    """Bringing blobs to one repository."""

    __slots__ = ("_name", "_registry", "_sources", "blobs", "progress")

    def __init__(
        self, registry: Registry, blobs: Blobs, name: Reference, sources: Sequence[str], progress: Progress
    ) -> None:
        self._registry = registry
        self.blobs = blobs
        self._name = name
        self._sources = sources
        self.progress = progress

    def stop(self) -> None:
        """End all transfers that are under way."""
        self._registry.close()

    def blob(self, descriptor: Descriptor, line: str) -> None:
        """Have the registry have a blob; what happens is told of ``line``, if it is not empty."""
        path, digest = self._name.path, descriptor.digest

        def tell(action: str, current: int | None = None) -> None:
            if line:
                self.progress.update(line, action, current, None if current is None else descriptor.size)

        if self._registry.has_blob(path, digest):
            tell(words.LAYER_EXISTS)
            return
        for source in self._sources if line else ():
            if self._registry.mount_blob(path, digest, source):
                tell(f"{words.MOUNTED} from {source}")
                return

        def open_at(offset: int) -> FileIO:
            file = open(self.blobs.open(digest), "rb", buffering=0)
            file.seek(offset)
            return file

        self._registry.upload_blob(path, digest, descriptor.size, open_at, lambda sent: tell(words.PUSHING, sent))
        tell(words.PUSHED)


def every_tag(
    images: ImageStore, name: Reference, progress: Progress | None = None, options: RegistryOptions | None = None
) -> list[str]:
    """Push all images of a repository; returns the names.

    Raises:
        NotFound: no image has a name in the repository.
        OrlopError, OSError: as `push`.
    """
    names = [each for image in images.images() for each in image.tags if each.rpartition(":")[0] == name.name]
    if not names:
        raise NotFound(f"no image here has a tag in the repository {name.familiar_name}")
    for each in sorted(names):
        push(images, reference.parse(each), progress, options)
    return sorted(names)


def _others(index: Index, given: Manifest, blobs: Blobs) -> list[Manifest]:
    """The images in an index beside the one that is used here: those for other platforms."""
    return [
        Manifest.parse(blobs.read(each.digest), each.media_type)
        for each in attestations.images(index)
        if each.digest != given.digest
    ]


def _image(upload: _Upload, given: Manifest, lease: Lease) -> Manifest:
    """Bring everything of an image but its manifest, compressed; the manifest that says so."""
    chosen = compression.compressed(given, upload.blobs, lease, upload.progress)
    _layers(upload, chosen, upload.progress)
    upload.blob(chosen.config, "")
    return chosen


def _layers(upload: _Upload, chosen: Manifest, progress: Progress) -> None:
    """Bring all layers, several at the same time; the first failure ends it."""
    from concurrent.futures import ThreadPoolExecutor

    layers = {layer.digest: layer for layer in chosen.layers}
    for layer in layers.values():
        progress.update(unpack.short(layer), words.PREPARING)
    with ThreadPoolExecutor(UPLOADS, "orlop-push") as threads:
        try:
            futures = [threads.submit(upload.blob, layer, unpack.short(layer)) for layer in layers.values()]
            for future in futures:
                future.result()
        except BaseException:
            upload.stop()
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def _sources(image: Image, name: Reference) -> list[str]:
    """Repositories of the same registry that have the image's layers, from which they can be mounted."""
    known = (reference.parse(each) for each in image.digests)
    return sorted({each.path for each in known if each.domain == name.domain and each.path != name.path})
