"""Which image another one was made of, as far as both are here.

Nothing is written down for that: an image that was committed has the history and the layers of the one that its container
was of, and one step more.
"""

from __future__ import annotations

from orlop.errors import OrlopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from orlop.images.config import ImageConfig
    from orlop.images.store import Image


class Parents:
    """The images by what was done to make them."""

    __slots__ = ("_made",)

    def __init__(self, images: Iterable[Image]) -> None:
        self._made: dict[object, str] = {}
        for image in images:
            try:
                self._made.setdefault(_made(image.config, 0), image.id)
            except OrlopError:
                continue  # removed just now, or damaged

    def of(self, image: Image) -> str:
        """The ID of the image that one was made of; empty if that is not known."""
        return self._made.get(_made(image.config, 1), "") if image.config.history else ""


def _made(config: ImageConfig, without: int) -> object:
    """What was done, but for the last steps, of which there are ``without``, and the layers that this came to."""
    history = config.history[: len(config.history) - without]
    gone = sum(not step.empty_layer for step in config.history[len(history) :])
    steps = tuple((step.created, step.created_by, step.empty_layer) for step in history)
    return steps, tuple(config.diff_ids[: len(config.diff_ids) - gone])
