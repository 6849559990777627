"""Work that takes time or forks, done by a child of the server, whose result is waited for without holding up others.

The child has nothing of the server's but what it is given: no client's connection stays open because of it. If nobody
wants the result any more it is killed; what it leaves half done, the next command takes up or clears away.
"""

from __future__ import annotations

import _signal
import _socket
import asyncio
import os
import signal

from orlop import json_text
from orlop.engine import error_message
from orlop.errors import OrlopError
from orlop.linux import descriptors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

    Tell = Callable[..., None]
    Work = Callable[[Tell], Any]

_CHUNK = 1 << 16


class Child:
    """A child that does ``work`` from now on.

    ``work`` is given a function with which it tells of its progress: with the same arguments ``told`` is called here.
    ``keep`` are descriptors that it needs, which the caller may close.
    """

    __slots__ = ("_answers", "_pid", "_told")

    def __init__(self, work: Work, keep: Sequence[int] = (), told: Callable[..., object] | None = None) -> None:
        self._told = told
        self._answers, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        self._pid = os.fork()
        if self._pid == 0:
            _run(work, theirs, keep)
        theirs.close()
        self._answers.setblocking(False)

    async def result(self) -> Any:
        """What the work returns, which is JSON; whoever waits no more ends it.

        Raises:
            OrlopError: as the work says, or the child was killed.
        """
        loop = asyncio.get_running_loop()
        has_ended = False
        try:
            rest = b""
            while True:
                data = await loop.sock_recv(self._answers, _CHUNK)  # type: ignore[arg-type]  # all that it needs is there
                if not data:
                    has_ended = True
                    raise OrlopError("the process that was to do it was killed")
                *lines, rest = (rest + data).split(b"\n")
                for each in lines:
                    said = json_text.loads(each)
                    if "tell" in said:
                        if self._told is not None:
                            self._told(*said["tell"])
                        continue
                    has_ended = True
                    if "error" in said:
                        raise error_message.revive(said["error"])
                    return said["result"]
        finally:
            self._answers.close()
            if not has_ended:
                os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)  # noqa: ASYNC222 - it has said its last word, or was killed


async def call(work: Work) -> Any:
    """Have a child do ``work``, and return what that returns.

    Raises:
        OrlopError: as the work says, or the child was killed.
    """
    return await Child(work).result()


def _run(work: Work, answers: _socket.socket, keep: Sequence[int]) -> NoReturn:
    status = 1
    try:
        leave_server(answers.fileno(), *keep)

        def tell(*told: object) -> None:
            answers.sendall(json_text.dumps({"tell": told}).encode() + b"\n")

        try:
            said = {"result": work(tell)}
        except Exception as error:  # noqa: BLE001 - whatever it was, the client must hear of it
            said = {"error": error_message.describe(error)}
        answers.sendall(json_text.dumps(said).encode() + b"\n")
        status = 0
    finally:
        os._exit(status)


def leave_server(*keep: int) -> None:
    """In a child, let go of everything of the server's but some descriptors: clients, its loop, how it treats signals."""
    signal.set_wakeup_fd(-1)
    for number in (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP, _signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    descriptors.close_all_but((0, 1, 2, *keep))
