"""The images that builds begin with: those that are here, and those that a registry has."""

from __future__ import annotations

from orlop.build.graph import Base
from orlop.engine import image_settings, image_store, lost_snapshots, own_namespace
from orlop.errors import NotFound
from orlop.images import attestations, platform, reference
from orlop.images.config import ImageConfig
from orlop.images.manifest import Manifest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from orlop.build.progress import Progress
    from orlop.engine.location import Location
    from orlop.images.platform import Platform
    from orlop.images.registry.hosts import RegistryOptions
    from orlop.images.store import Image
    from orlop.storage.leases import Lease


class EngineImages:
    """The engine's images as `orlop.build.graph.Images`, each held by the lease.

    With ``pull`` the registry is always asked. ``registries`` makes what is to be known of registries, if that is not what
    the engine's user has.
    """

    __slots__ = ("_lease", "_location", "_progress", "_pull", "_registries", "_store")

    def __init__(
        self,
        location: Location,
        lease: Lease,
        progress: Progress,
        *,
        pull: bool = False,
        registries: Callable[[], RegistryOptions] | None = None,
    ) -> None:
        self._location = location
        self._lease = lease
        self._progress = progress
        self._pull = pull
        self._registries = registries
        self._store = image_store.open_store(location)

    def find(self, name: str, wanted: Platform) -> Base:
        """See the protocol."""
        if name.startswith("oci-layout://"):
            from orlop.engine.building import layout_image

            return layout_image.find(self._store.storage, self._lease, name, wanted)
        if not self._pull:
            try:
                return self._here(name, wanted)
            except NotFound:
                pass  # a registry may have it
        self._progress.say(f"pulling {reference.parse(name).with_default_tag().familiar} for {wanted}")
        location, registries = self._location, self._registries

        def pull() -> None:
            from orlop.engine import image_transfer
            from orlop.images.progress import Quiet

            options = registries() if registries is not None else None
            image_transfer.pull(location, name, Quiet(), wanted=str(wanted), options=options)

        own_namespace.run(pull)
        return self._here(name, wanted)

    def _here(self, name: str, wanted: Platform) -> Base:
        image = self._store.resolve(name)
        if not image_settings.is_for(image.config, str(wanted)):
            return self._beside(image, name, wanted)
        self._lease.hold(image.manifest, image.id)
        if image.top:
            self._lease.hold_snapshot(image.top)
        config, manifest = image.config, image.read_manifest()
        self._lease.hold(*(layer.digest for layer in manifest.layers))
        if image.top and not self._store.storage.snapshots.has(image.top):
            lost_snapshots.restore(self._store.storage, image.manifest, image.id)
        return Base(name, config, manifest)

    def _beside(self, image: Image, name: str, wanted: Platform) -> Base:
        """What an image's index has for another platform: it was built here for several.

        Raises:
            NotFound: it has nothing for that one.
        """
        index = image.read_index()
        if index is None:
            raise NotFound(f"the image {name} that is here is for {image.config.platform}, not for {wanted}")
        chosen = platform.choose(attestations.images(index), wanted, f"the image {name} that is here")
        blobs = self._store.storage.blobs
        manifest = Manifest.parse(blobs.read(chosen.digest), chosen.media_type)
        self._lease.hold(manifest.digest, manifest.config.digest, *(layer.digest for layer in manifest.layers))
        base = Base(name, ImageConfig.parse(blobs.read(manifest.config.digest)), manifest)
        self._lease.hold_snapshot(*base.config.chain_ids)
        if base.top and not self._store.storage.snapshots.has(base.top):
            lost_snapshots.restore(self._store.storage, manifest.digest, manifest.config.digest)
        return base
