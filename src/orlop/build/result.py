"""What the steps came to becomes an image: its configuration with its history, and its manifest."""

from __future__ import annotations

from orlop import clock
from orlop.build.cache_config import INLINE
from orlop.images import config, manifest, media_types
from orlop.images.config import History, ImageConfig
from orlop.images.manifest import Descriptor
from orlop.storage.layers.compress import NONE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orlop.build.cache import Layer
    from orlop.build.graph import Built
    from orlop.build.scheduler import Files
    from orlop.images.manifest import Manifest

_COMMENT = "orlop"


def of(
    target: Built,
    files: Mapping[int, Files],
    *,
    clamp: int | None = None,
    squashed: Layer | None = None,
    annotations: Mapping[str, str] | None = None,
    inline: Callable[[Sequence[str]], str] | None = None,
) -> tuple[ImageConfig, Manifest]:
    """The image's configuration and manifest; whoever calls this stores both.

    The same steps with the same results are the same image: its time is that of the last step, and that of its base where
    nothing was to be done. With ``clamp`` (SOURCE_DATE_EPOCH) it is that. ``squashed`` is one layer instead of all that
    were made. ``annotations`` are the manifest's. ``inline`` makes a build cache of the layers' DIFF IDs, which is put into the
    configuration.
    """
    base = target.base
    made = ImageConfig(target.platform, base.config.diff_ids)
    made.config = target.state.config
    made.author = target.state.author or base.config.author
    made.others = {name: value for name, value in base.config.others.items() if name != INLINE}
    created = base.config.created
    layers = files[target.top.number].layers if target.top is not None else ()
    steps: list[History] = []
    for written, node in target.history:
        done = files[node.number] if node is not None else None
        if done is not None and done.created:
            created = done.created
        has_layer = done is not None and done.has_layer and squashed is None
        shown = created if clamp is None else rfc3339(clamp)
        steps.append(History(shown, written.created_by, comment=_COMMENT, empty_layer=not has_layer))
    if squashed is not None:
        steps.append(History(created, comment=f"merge of {len(layers)} layers"))
        layers = (squashed,)
    made.created = rfc3339(clamp) if clamp is not None else created or clock.now()
    made.history = [*base.config.history, *steps]
    made.diff_ids += [layer.diff_id for layer in layers]
    if inline is not None:
        cache = inline(made.diff_ids)
        if cache:
            made.others[INLINE] = cache
    below = base.manifest
    media_type = below.media_type if below is not None else media_types.OCI_MANIFEST
    config_type = below.config.media_type if below is not None else media_types.OCI_CONFIG
    kind = media_types.layer_type(media_type, NONE)
    upon = [Descriptor(kind, layer.digest, layer.size) for layer in layers]
    described = config.describe(made.to_bytes(), config_type)
    everything = [*(below.layers if below is not None else ()), *upon]
    said = dict(annotations) if annotations else None
    return made, manifest.make_manifest(described, everything, media_type=media_type, annotations=said)


def rfc3339(seconds: int) -> str:
    """A time as image configurations have it."""
    import datetime as dt

    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
