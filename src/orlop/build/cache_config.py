"""What a build cache that is elsewhere consists of: records by their keys, and where the layers are (BuildKit's cacheconfig.v0).

Its form is BuildKit's, so that registries, and tools that copy or clear away caches, take it as one of those. The keys are our
own (`orlop.build.keys`): BuildKit's are made of its own definitions of steps, so neither finds what the other has done, and each
passes over the other's. What a record of ours needs beside BuildKit's fields is in one of our own, which BuildKit passes over as well.
"""

from __future__ import annotations

from orlop import json_text
from orlop.build.cache import Layer
from orlop.build.value import Value
from orlop.errors import InvalidArgument, InvalidImage
from orlop.storage import digest as digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from orlop.images.manifest import Descriptor

#: The media type of the records.
CONFIG = "application/vnd.buildkit.cacheconfig.v0"
#: The field of an image's configuration that has the records where the cache is the image itself, in base 64.
INLINE = "moby.buildkit.cache.v0"
_OURS = "dev.orlop.record"
_SHA256 = "sha256:"


class Known(Value):
    """What is known of the result of a key: its ``layer`` (None if nothing changed), and when it was made.

    ``chain`` is the chain ID of all its files; empty if the layer fits upon anything.
    """

    key: str
    layer: Layer | None
    chain: str = ""
    created: str = ""


class Config(Value):
    """A cache: what is known, by keys, and the blobs of layers by their DIFF IDs."""

    records: Mapping[str, Known]
    blobs: Mapping[str, Descriptor]


def records(known: Iterable[Known], places: Mapping[str, int]) -> list[dict[str, Any]]:
    """Records as they are written; ``places`` are those of the layers whose blobs are in the cache, by DIFF ID."""
    made = []
    for each in sorted(known, key=lambda each: each.key):
        layer = each.layer
        ours: dict[str, Any] = {"created": each.created, "chain": each.chain}
        record: dict[str, Any] = {"digest": f"{_SHA256}{each.key}"}
        if layer is not None:
            ours |= {"diffID": layer.diff_id, "size": layer.size}
            if layer.diff_id in places:
                result: dict[str, Any] = {"layer": places[layer.diff_id]}
                if each.created:
                    result["createdAt"] = each.created
                record["layers"] = [result]
        made.append(record | {_OURS: ours})
    return made


def write(known: Iterable[Known], blobs: Mapping[str, Descriptor]) -> bytes:
    """A whole cache, as a blob of its own; ``blobs`` are those of layers by DIFF ID."""
    layers = [
        {
            "blob": each.digest,
            "parent": -1,
            "annotations": {"mediaType": each.media_type, "diffID": diff_id, "size": each.size},
        }
        for diff_id, each in blobs.items()
    ]
    places = {diff_id: place for place, diff_id in enumerate(blobs)}
    return json_text.dumps({"layers": layers, "records": records(known, places)}).encode()


def read(data: bytes, there: Iterable[Descriptor]) -> Config:
    """A cache, whose manifest names the blobs ``there``.

    Raises:
        InvalidImage: it is none.
    """
    by_digest = {each.digest: each for each in there}
    try:
        document = json_text.loads(data)
        layers = document.get("layers") or []
        blobs: dict[str, Descriptor] = {}
        for each in layers:
            described = by_digest.get(each["blob"])
            diff_id = (each.get("annotations") or {}).get("diffID", "")
            if described is not None and digests.is_digest(diff_id):
                blobs[diff_id] = described
        return Config(_records(document.get("records") or []), blobs)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise InvalidImage(f"it is damaged: {error}") from None


def read_inline(encoded: str, layers: Sequence[Descriptor], diff_ids: Sequence[str]) -> Config:
    """The cache that an image's configuration has.

    Raises:
        InvalidImage: it is none.
    """
    import binascii

    try:
        value = json_text.loads(binascii.a2b_base64(encoded))
        return Config(_records(value), dict(zip(diff_ids, layers, strict=True)))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise InvalidImage(f"it is damaged: {error}") from None


def _records(values: Iterable[dict[str, Any]]) -> dict[str, Known]:
    found = {}
    for each in values:
        ours = each.get(_OURS)
        key = str(each.get("digest", "")).removeprefix(_SHA256)
        if not isinstance(ours, dict) or not digests.is_digest(f"{_SHA256}{key}"):
            continue  # BuildKit's own
        layer = None
        if ours.get("diffID"):
            try:
                diff_id = digests.check(str(ours["diffID"]))
            except InvalidArgument:
                continue
            layer = Layer(diff_id, diff_id, int(ours["size"]))
        found[key] = Known(key, layer, str(ours.get("chain") or ""), str(ours.get("created") or ""))
    return found
