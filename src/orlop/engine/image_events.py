"""Telling what happened to images, as Docker does: by the image's ID, or where a registry took part by its name."""

from __future__ import annotations

from orlop.engine import events
from orlop.images import reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from orlop.engine.location import Location


def transferred(location: Location, action: str, name: str) -> None:
    """``pull`` or ``push`` of the image of a whole name."""
    parsed = reference.parse(name)
    events.emit(location, events.IMAGE, action, parsed.familiar, {"name": parsed.familiar_name})


def happened(location: Location, action: str, image_id: str, name: str = "") -> None:
    """``load``, ``save``, ``import``, ``tag`` or ``untag`` of an image; ``name`` is the whole name that it is about."""
    shown = reference.parse(name).familiar if name else image_id
    events.emit(location, events.IMAGE, action, image_id, {"name": shown})


def removed(location: Location, image_id: str, untagged: Iterable[str], *, deleted: bool) -> None:
    """Names were taken from an image, and with ``deleted`` itself away."""
    for name in untagged:
        happened(location, "untag", image_id, name)
    if deleted:
        happened(location, "delete", image_id)
