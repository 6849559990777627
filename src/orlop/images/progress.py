"""How a pull, a push or a load tells what it is doing, to whoever wants to know.

`Progress` is the interface, and its own implementation that shows nothing. The methods may be called from several
threads at once, as often as there is something to tell: whoever shows it decides what is worth showing.
"""

from __future__ import annotations

#: What a layer's line ends with; nothing follows it for that layer.
FINAL = frozenset(("Already exists", "Layer already exists", "Loaded", "Pull complete", "Pushed"))
_MOUNTED = "Mounted from "


class Progress:
    """What is told while images move. Subclasses show it; this class shows nothing."""

    __slots__ = ()

    def update(self, identifier: str, action: str, current: int | None = None, total: int | None = None) -> None:
        """Tell what happens to one layer, whose ``identifier`` is the first 12 digits of its digest.

        ``action`` is one of Docker's words: ``Pulling fs layer``, ``Waiting``, ``Downloading``,
        ``Verifying Checksum``, ``Download complete``, ``Extracting``, ``Pull complete``, ``Already exists``,
        ``Preparing``, ``Pushing``, ``Layer already exists``, ``Mounted from library/debian``, ``Pushed``,
        ``Retrying in 2 seconds``. ``current`` bytes of ``total`` are done, where there is something to count; a total
        that is not known is left out.
        """

    def say(self, text: str) -> None:
        """Tell a whole line, such as ``Digest: sha256:…``; it has no line ending."""


class Quiet(Progress):
    """Shows nothing."""

    __slots__ = ()


def is_final(action: str) -> bool:
    """Whether nothing more happens to a layer after this."""
    return action in FINAL or action.startswith(_MOUNTED)
