"""How a transfer tells what it is doing, whoever shows it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Progress(Protocol):
        """Hears of transfers. It is called from several threads at once, often, and must neither wait nor raise."""

        def update(self, name: str, action: str, current: int = 0, total: int = 0) -> None:
            """Say where the transfer of ``name`` (a digest, or a tag) is.

            ``action`` is one of `ACTIONS`; ``current`` and ``total`` are bytes, and 0 where they are not known.
            """


#: In the order in which a blob goes through them, Docker's words.
WAITING = "Waiting"
DOWNLOADING = "Downloading"
VERIFYING = "Verifying Checksum"
DOWNLOADED = "Download complete"
EXTRACTING = "Extracting"
PULLED = "Pull complete"
EXISTS = "Already exists"
RETRYING = "Retrying"
PREPARING = "Preparing"
PUSHING = "Pushing"
PUSHED = "Pushed"
MOUNTED = "Mounted"
LAYER_EXISTS = "Layer already exists"

ACTIONS = (
    WAITING, DOWNLOADING, VERIFYING, DOWNLOADED, EXTRACTING, PULLED, EXISTS, RETRYING, PREPARING, PUSHING, PUSHED,
    MOUNTED, LAYER_EXISTS,
)  # fmt: skip


class Silence:
    """Progress that nobody looks at."""

    __slots__ = ()

    def update(self, name: str, action: str, current: int = 0, total: int = 0) -> None:
        """Do nothing."""
