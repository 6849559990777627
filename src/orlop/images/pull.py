"""Getting an image from a registry: its manifest for this platform, then all that is missing of it, then its name."""

from __future__ import annotations

from orlop.errors import InvalidImage, NotFound
from orlop.images import attestations, install, manifest, platform, unpack
from orlop.images.progress import Quiet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.images.config import ImageConfig
    from orlop.images.manifest import Descriptor, Index, Manifest
    from orlop.images.platform import Platform
    from orlop.images.progress import Progress
    from orlop.images.reference import Reference
    from orlop.images.registry.client import Registry
    from orlop.images.registry.hosts import RegistryOptions
    from orlop.images.store import Image, ImageStore

#: Indexes may name indexes, which nobody does more than once.
_MOST_NESTED = 3


def pull(
    images: ImageStore,
    name: Reference,
    *,
    wanted: str = "",
    progress: Progress | None = None,
    options: RegistryOptions | None = None,
) -> Image:
    """Pull one image.

    ``name`` without tag and digest means ``latest``. ``wanted`` is a platform such as ``linux/arm64``; empty is this
    machine's. An image that had the name before keeps existing without it.

    Raises:
        InvalidArgument: ``wanted`` is no platform.
        NotFound: the registry has no such image, or none for the platform.
        Unauthorized, RegistryError: the registry refuses, or cannot be reached.
        InvalidImage, InvalidArchive, DigestMismatch, Unsupported: what came is broken, or no image of Linux containers.
        OSError: the file system fails.
    """
    from contextlib import closing

    from orlop.images.registry.client import Registry
    from orlop.images.registry.fetch import fetch_blob

    progress = progress or Quiet()
    blobs = images.storage.blobs
    name = name.with_default_tag()
    target = platform.parse(wanted) if wanted else platform.host()
    images.storage.prepare()
    with images.storage.leases.take() as lease, closing(Registry(name.domain, options)) as registry:
        progress.say(f"{name.digest or name.tag}: Pulling from {name.path}")
        top, chosen, listed = _manifest(registry, name, target)
        lease.hold(chosen.digest)
        names = [f"{name.name}@{top}"]
        if not name.digest:
            names.insert(0, str(name))
        before = _named(images, names[0])

        def fetch(descriptor: Descriptor, told: Progress) -> None:
            if not blobs.has(descriptor.digest):
                fetch_blob(registry, name.path, descriptor, blobs, told, unpack.short(descriptor))

        def check(config: ImageConfig) -> None:
            _check_platform(config.platform, target, name, asked=bool(wanted), progress=progress)

        attested = None
        if listed is not None:
            attested = attestations.gather(
                listed,
                chosen,
                lambda descriptor: registry.manifest(name.path, descriptor.digest)[0],
                lambda descriptor: fetch(descriptor, Quiet()),
                blobs,
                lease,
            )
        image = install.install(
            images,
            chosen,
            names,
            lease,
            fetch=fetch,
            progress=progress,
            name=f"the image {name.familiar}",
            check=check,
            stop=registry.close,
            attested=attested,
        )
        progress.say(f"Digest: {top}")
        news = "Image is up to date" if before == image.id else "Downloaded newer image"
        progress.say(f"Status: {news} for {name.familiar}")
        return image


def every_tag(
    images: ImageStore,
    name: Reference,
    *,
    wanted: str = "",
    progress: Progress | None = None,
    options: RegistryOptions | None = None,
) -> list[str]:
    """Pull all tags of a repository; returns the names. ``options`` say how the registry is talked to.

    Raises:
        NotFound: there is no such repository, or it has no tags.
        OrlopError, OSError: as `pull`.
    """
    from contextlib import closing

    from orlop.images.registry.client import Registry

    with closing(Registry(name.domain, options)) as registry:
        tags = registry.tags(name.path)
    if not tags:
        raise NotFound(f"the repository {name.familiar_name} has no tags")
    for tag in tags:
        pull(images, name.tagged(tag), wanted=wanted, progress=progress, options=options)
    return [str(name.tagged(tag)) for tag in tags]


def _manifest(registry: Registry, name: Reference, target: Platform) -> tuple[str, Manifest, Index | None]:
    """The digest that the name means, the manifest for the platform, and the index that has it."""
    data, media_type, digest = registry.manifest(name.path, name.digest or name.tag)
    top = digest
    listed = None
    for _ in range(_MOST_NESTED):
        document = manifest.parse(data, media_type, f"the manifest of {name.familiar}")
        if isinstance(document, manifest.Manifest):
            return top, document, listed
        listed = document
        descriptor = platform.choose(document.manifests, target, name.familiar)
        data, media_type, digest = registry.manifest(name.path, descriptor.digest)
    raise InvalidImage(f"{name.familiar} has indexes in indexes, more than {_MOST_NESTED} deep")


def _named(images: ImageStore, name: str) -> str:
    """The ID of the image that has a name now."""
    try:
        return images.find(name).id
    except NotFound:
        return ""


def _check_platform(offered: Platform, target: Platform, name: Reference, *, asked: bool, progress: Progress) -> None:
    """A manifest that no index names says its platform only in its configuration."""
    if platform.matches(offered, target):
        return
    if asked:
        raise NotFound(
            f"the image {name.familiar} is there for {offered} only, not for {target}: leave --platform out to use it"
        )
    progress.say(f"WARNING: the image's platform ({offered}) is not that of this machine ({target})")
