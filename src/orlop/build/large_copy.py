"""Copying one large directory from a context in a step: by what is known of an earlier copy of it, where that is enough.

See `orlop.build.recopying` for how. Where it is not enough, everything is copied, and that is known from then on.
"""

from __future__ import annotations

import os

from orlop.build import keys, recopying
from orlop.build.cache import Layer
from orlop.storage import mounts as storage_mounts
from orlop.storage.layers import changes, diff

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from orlop.build.cache import Record
    from orlop.build.selection import Chosen
    from orlop.build.steps import Copy
    from orlop.build.work import Workshop
    from orlop.storage.mounts import Mount

    #: Copies what was chosen into an open root, which is shown by these mounts; ``anew`` as for `orlop.build.copying.Copier`.
    Copying = Callable[[Sequence[Chosen], int, Sequence[Mount], bool], None]

#: Upon so many layers nothing more is put that is no layer of the image's.
_MOST_LAYERS = 200


def of(shop: Workshop, step: Copy, chosen: Sequence[Chosen], below: str, temporary: Iterator[str]) -> LargeCopy | None:
    """The copy that a step is, upon the snapshot ``below``, if it is such a one; ``temporary`` are keys of snapshots."""
    if not step.origin.is_context or step.link or step.documents or len(chosen) != 1:
        return None
    if not shop.storage.snapshots.independent_layers or chosen[0].under or not chosen[0].is_directory:
        return None
    listing = shop.contexts[step.origin.context].listings.get((*step.sources, *step.exclude))
    if listing is None or not listing.is_worth_while:
        return None
    snapshots = shop.storage.snapshots
    shown = snapshots.mounts(below) if below else snapshots.prepare(next(temporary))
    with storage_mounts.attached(shown) as root:
        is_vacant, is_absent = recopying.is_vacant(root, step.target)
    if not is_vacant:
        return None
    key = keys.of(step, below, {step.origin: ""}, clamp=shop.clamp, more=shop.more)
    return LargeCopy(shop, chosen[0], step.target, listing, key, anew=is_absent)


class LargeCopy:
    """One directory that is copied, what is in it, and a ``key`` that is the same whatever that is."""

    __slots__ = ("_anew", "_chosen", "_copies", "_key", "_listing", "_shop", "_target")

    def __init__(
        self, shop: Workshop, chosen: Chosen, target: str, listing: recopying.Listing, key: str, *, anew: bool
    ) -> None:
        self._shop = shop
        self._chosen = chosen
        self._target = target
        self._listing = listing
        self._key = key
        self._anew = anew
        self._copies = recopying.Copies(shop.storage.directory)

    def keep(self, record: Record, places: Sequence[tuple[bytes, int]]) -> None:
        """Know from now on what copying everything came to."""
        if record.layer is not None:
            self._copies.keep(
                self._key, recopying.Copied(record.chain, record.layer, self._listing.entries, list(places))
            )

    def again(self, key: str, aside: str, copy: Copying) -> Layer | None:
        """Make a snapshot by this key, and its layer, from an earlier copy of which little has changed; None if there is none.

        ``aside`` is a path for what is only needed meanwhile.
        """
        storage, lease = self._shop.storage, self._shop.lease
        known = self._copies.find(self._key)
        difference = recopying.difference(known.entries, self._listing.entries) if known is not None else None
        if known is None or difference is None:
            return None
        lease.hold(known.layer.digest)
        lease.hold_snapshot(known.chain)
        if not storage.blobs.has(known.layer.digest) or not storage.snapshots.has(known.chain):
            return None
        shown = storage_mounts.volatile(storage.snapshots.prepare(key, known.chain))
        if sum(option.startswith(storage_mounts.LOWER) for option in shown[0].options) > _MOST_LAYERS:
            storage.snapshots.remove(key)
            return None
        self._chosen.only = difference.put
        try:
            with storage_mounts.attached(shown) as root:
                recopying.remove(root, self._target, difference.removed)
                copy([self._chosen], root, shown, self._anew)
        finally:
            self._chosen.only = None
        return self._patched(key, known, aside)

    def _patched(self, key: str, known: recopying.Copied, aside: str) -> Layer:
        storage = self._shop.storage
        patch = recopying.Patch(aside)
        before = -1
        try:
            before = os.open(storage.blobs.path(known.layer.digest), os.O_RDONLY | os.O_CLOEXEC)
            with diff.opened(storage.snapshots.diff_base(key)) as source:
                patch.take(changes.walk(source), self._shop.clamp)
            with storage.blobs.writer() as blob:
                patch.write(before, known.layer.size, known.places, blob)
                digest, size = blob.commit(self._shop.lease)
        finally:
            patch.close()
            if before >= 0:
                os.close(before)
        return Layer(digest, digest, size)
