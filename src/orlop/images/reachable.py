"""What an image consists of: the blobs and the snapshot that must stay while it exists."""

from __future__ import annotations

from orlop.errors import OrlopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from orlop.storage.blobs import Blobs


def blobs_of(blobs: Blobs, manifests: Iterable[str]) -> set[str]:
    """The digests of manifests and indexes, and of everything that they name.

    A manifest that is gone or damaged stands for itself alone; `orlop.storage.check` tells of it.
    """
    from orlop import json_text

    found: set[str] = set()
    waiting = list(manifests)
    while waiting:
        digest = waiting.pop()
        if digest in found:
            continue
        found.add(digest)
        try:
            value = json_text.loads(blobs.read(digest))
        except (OrlopError, ValueError):
            continue
        if not isinstance(value, dict):
            continue
        for descriptor in [value.get("config"), *(value.get("layers") or ())]:
            if isinstance(descriptor, dict):
                found.add(str(descriptor.get("digest")))
        listed = value.get("manifests") or ()
        waiting += [str(descriptor.get("digest")) for descriptor in listed if isinstance(descriptor, dict)]
    return found
