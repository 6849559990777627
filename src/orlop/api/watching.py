"""What the server's clients wait for to change in directories, watched together."""

from __future__ import annotations

import asyncio

from orlop.linux.shared_inotify import SharedWatches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.shared_inotify import SharedWatch


class Watching:
    """The watches of a server, from the first one on."""

    __slots__ = ("_shared",)

    def __init__(self) -> None:
        self._shared: SharedWatches | None = None

    def watch(self, directory: str) -> SharedWatch:
        """Watch one directory; to be called in the event loop.

        Raises:
            OSError: it is not there, or too many are watched.
        """
        if self._shared is None:
            self._shared = SharedWatches()
            asyncio.get_running_loop().add_reader(self._shared.descriptor, self._shared.dispatch)
        return self._shared.watch(directory)
