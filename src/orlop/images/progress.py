"""How a pull, a push or a load tells what it is doing, to whoever wants to know.

`Progress` is the interface, and its own implementation that shows nothing. The methods may be called from several
threads at once, as often as there is something to tell: whoever shows it decides what is worth showing.
"""

from __future__ import annotations

#: What a layer's line says: Docker's words, in the order in which a layer goes through them.
PULLING = "Pulling fs layer"
WAITING = "Waiting"
DOWNLOADING = "Downloading"
VERIFYING = "Verifying Checksum"
DOWNLOADED = "Download complete"
EXTRACTING = "Extracting"
PULLED = "Pull complete"
EXISTS = "Already exists"
RETRYING = "Retrying"
PREPARING = "Preparing"
COMPRESSING = "Compressing"
PUSHING = "Pushing"
PUSHED = "Pushed"
MOUNTED = "Mounted"
LAYER_EXISTS = "Layer already exists"
LOADED = "Loaded"

#: What is told again and again, with numbers that grow.
COUNTED = (DOWNLOADING, EXTRACTING, COMPRESSING, PUSHING)
_FINAL = (PULLED, EXISTS, PUSHED, LAYER_EXISTS, LOADED)


class Progress:
    """What is told while images move. Subclasses show it; this class shows nothing."""

    __slots__ = ()

    def update(self, identifier: str, action: str, current: int | None = None, total: int | None = None) -> None:
        """Tell what happens to one layer, whose ``identifier`` is the first 12 digits of its digest.

        ``action`` begins with one of the words above, and more may follow, as in ``Mounted from library/debian`` and
        ``Retrying in 2 seconds``. ``current`` bytes of ``total`` are done, where there is something to count; a number
        that is not known is 0 or left out.
        """

    def say(self, text: str) -> None:
        """Tell a whole line, such as ``Digest: sha256:…``; it has no line ending."""


class Quiet(Progress):
    """Progress that nobody looks at."""

    __slots__ = ()


def is_final(action: str) -> bool:
    """Whether nothing more happens to a layer after this."""
    return action in _FINAL or action.startswith(MOUNTED)
