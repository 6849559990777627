"""Processes that do short works for the server, one after the other: what `children` does without a fork for each.

A fork of the server copies its page tables, and each of them has then to copy what it writes to: more than all the rest of
many a request. So a process that has done its work waits a while for more. It is forked when none is waiting, has
nothing of the server's but the line to it, and ends with that. If its client goes while it works it is killed; what it
leaves half done, the next command takes up or clears away.
"""

from __future__ import annotations

import _signal
import _socket
import asyncio
import gc
import os

from orlop import json_text
from orlop.api import children
from orlop.engine import error_message
from orlop.errors import OrlopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, NoReturn

    Works = Mapping[str, Callable[..., Any]]

#: How many wait for more at most, how long, and after how many works none does.
_MOST_WAITING = 4
_PATIENCE = 30.0
_MOST_WORKS = 500
_CHUNK = 1 << 16


class Workers:
    """Who does ``works``, which have names; to be used in the event loop.

    Each takes arguments and returns a result that are JSON, leaves the process as it was, and may wait as long as it likes.
    """

    __slots__ = ("_waiting", "_works")

    def __init__(self, works: Works) -> None:
        self._works = works
        self._waiting: list[_Worker] = []

    async def call(self, work: str, *arguments: object) -> Any:
        """Have a work done, and return what it returns; whoever waits no more ends it.

        Raises:
            OrlopError: as the work says, or whoever did it was killed.
        """
        asked = json_text.dumps([work, arguments]).encode() + b"\n"
        answer = None
        while answer is None:
            worker = self._waiting.pop() if self._waiting else _Worker(self._works)
            try:
                answer = await worker.do(asked)
            except ConnectionError:
                continue  # it was killed while it waited
            finally:
                if answer is None:
                    worker.end()
                else:
                    self._keep(worker)
        if "error" in answer:
            raise error_message.revive(answer["error"])
        return answer["result"]

    def _keep(self, worker: _Worker) -> None:
        if worker.done >= _MOST_WORKS or len(self._waiting) >= _MOST_WAITING:
            worker.end()
            return
        self._waiting.append(worker)
        worker.rest = asyncio.get_running_loop().call_later(_PATIENCE, self._dismiss, worker)

    def _dismiss(self, worker: _Worker) -> None:
        self._waiting.remove(worker)
        worker.end()


class _Worker:
    """One of the processes; ``rest`` ends it when it has waited long enough."""

    __slots__ = ("_line", "_pid", "done", "rest")

    def __init__(self, works: Works) -> None:
        self.done = 0
        self.rest: asyncio.TimerHandle | None = None
        self._line, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        self._pid = os.fork()
        if self._pid == 0:
            _live(works, theirs)
        theirs.close()
        self._line.setblocking(False)

    async def do(self, asked: bytes) -> dict[str, Any]:
        """Have it do what a line says; what came of it.

        Raises:
            ConnectionError: it was killed before it has read that, as the kernel tells by an error on the end (unix_release_sock
                in net/unix/af_unix.c).
            OrlopError: it was killed after that.
        """
        if self.rest is not None:
            self.rest.cancel()
            self.rest = None
        self.done += 1
        self._line.sendall(asked)  # for which there is room
        loop = asyncio.get_running_loop()
        text = b""
        while not text.endswith(b"\n"):
            data = await loop.sock_recv(self._line, _CHUNK)  # type: ignore[arg-type]  # all that it needs is there
            if not data:
                raise OrlopError("the process that was to do it was killed")
            text += data
        said: dict[str, Any] = json_text.loads(text)
        return said

    def end(self) -> None:
        """Have it do nothing any more."""
        self._line.close()
        os.kill(self._pid, _signal.SIGKILL)
        os.waitpid(self._pid, 0)


def _live(works: Works, line: _socket.socket) -> NoReturn:
    """A worker's whole life."""
    status = 1
    try:
        gc.freeze()  # looking through what is the server's would copy it
        children.leave_server(line.fileno())
        rest = b""
        while data := line.recv(_CHUNK):
            rest += data
            if not rest.endswith(b"\n"):
                continue
            work, arguments = json_text.loads(rest)
            rest = b""
            line.sendall(json_text.dumps(_said(works[work], arguments)).encode() + b"\n")
        status = 0
    finally:
        os._exit(status)


def _said(work: Callable[..., Any], arguments: Sequence[Any]) -> dict[str, Any]:
    try:
        return {"result": work(*arguments)}
    except Exception as error:  # noqa: BLE001 - whatever it was, the client must hear of it
        return {"error": error_message.describe(error)}
    finally:
        _bury()


def _bury() -> None:
    """Wait for whom a work has left behind and who has ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return
