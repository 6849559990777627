"""Caches of builds that are elsewhere: what of them is used, and what goes there."""

from __future__ import annotations

from orlop.build import cache_places
from orlop.build.cache_config import Known
from orlop.errors import OrlopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orlop.build.cache import Layer
    from orlop.build.cache_places import Place
    from orlop.build.cache_sources import Imported, Recalled
    from orlop.build.progress import Progress
    from orlop.build.scheduler import Files
    from orlop.build.work import Workshop
    from orlop.engine.building.request import BuildRequest


def opened(request: BuildRequest, directory: str, progress: Progress) -> list[Imported]:
    """The caches that a build may use. One that cannot be had is told of, and the build goes on without it."""
    if not request.cache_from:
        return []
    from orlop.build import cache_sources

    found = []
    for place in request.cache_from:
        try:
            found.append(cache_sources.opened(place, directory, request.platform, request.registries))
        except (OrlopError, OSError) as error:
            progress.say(f"no build cache is imported from {place}: {error}")
    return found


def known(shop: Workshop, files: Mapping[int, Files], recalled: Mapping[int, tuple[str, Recalled]]) -> list[Known]:
    """What is known of everything that this build came to, or found."""
    chains = {each.chain for each in files.values()}
    layers = {layer.digest for each in files.values() for layer in each.layers}
    found = {}
    for kept in shop.cache.kept():
        record = kept.record
        if (not record.chain or record.chain in chains) and (record.layer is None or record.layer.digest in layers):
            found[kept.key] = Known(kept.key, record.layer, record.chain, record.created)
    for key, each in recalled.values():
        found.setdefault(key, each.known)
    return list(found.values())


def inline(request: BuildRequest, found: Sequence[Known], diff_ids: Sequence[str]) -> str:
    """What the image's configuration has to have to be a cache too; empty if it is not to be one."""
    if not any(place.kind == cache_places.INLINE for place in request.cache_to):
        return ""
    from orlop.build import cache_targets

    return cache_targets.inline(found, diff_ids)


def export(
    request: BuildRequest, shop: Workshop, found: Sequence[Known], image: Sequence[Layer], progress: Progress
) -> None:
    """Bring what is known to all places that it is to go to; ``image`` are the layers of the image.

    Raises:
        OrlopError, OSError: it cannot be brought there, and the place does not forgive that.
    """
    for place in request.cache_to:
        if place.kind == cache_places.INLINE:
            continue
        try:
            _export(place, request, shop, found, image)
        except (OrlopError, OSError) as error:
            if not place.forgives:
                raise
            progress.say(f"the build cache is not exported to {place}: {error}")


def _export(
    place: Place, request: BuildRequest, shop: Workshop, found: Sequence[Known], image: Sequence[Layer]
) -> None:
    from orlop.build import cache_sources, cache_targets

    wanted = {layer.digest for layer in image}
    layers = {each.layer.digest: each.layer for each in found if each.layer is not None}
    chosen = [layer for digest, layer in sorted(layers.items()) if place.mode == cache_places.MAX or digest in wanted]
    gathered = cache_targets.Gathered(found, chosen, shop.imported, shop.storage.blobs, shop.directory)
    if place.kind == cache_places.LOCAL:
        cache_targets.to_directory(place, gathered)
        return
    there = None
    try:
        there = cache_sources.opened(place, shop.directory, request.platform, request.registries)
    except (OrlopError, OSError):
        pass  # there is none yet, or something else; whether it can be written, the registry says
    cache_targets.to_registry(place, gathered, there, request.registries)
