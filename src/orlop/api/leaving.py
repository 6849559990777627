"""That a client leaves, and with that the work for it ends."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import cast

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Leaving(asyncio.Event):
    """Set when a client leaves, which others can wait for.

    The task that works for it needs nobody who waits for that beside it, as every request would cost another task: it is
    cancelled.
    """

    def __init__(self) -> None:
        super().__init__()
        self._working: asyncio.Task[object] | None = None
        self._has_ended_it = False

    def set(self) -> None:
        """asyncio's: it has left."""
        super().set()
        self._end_work()

    @contextmanager
    def ends_work(self) -> Iterator[None]:
        """What the current task does in this block ends when the client leaves.

        What does not wait for anything is done even if it has left already.

        Raises:
            ConnectionResetError: it has left.
        """
        task = cast("asyncio.Task[object]", asyncio.current_task())
        self._working, self._has_ended_it = task, False
        if self.is_set():
            asyncio.get_running_loop().call_soon(self._end_work)
        try:
            yield
        except asyncio.CancelledError:
            if not self._has_ended_it or task.cancelling() > 1:
                raise  # the server ends
            raise ConnectionResetError("the client has gone") from None
        finally:
            self._working = None
            if self._has_ended_it:
                task.uncancel()

    def _end_work(self) -> None:
        if self._working is not None and not self._has_ended_it:
            self._has_ended_it = True
            self._working.cancel()
