"""Starting a container again when it has ended, by its restart policy and with Docker's back-off.

Its monitor stays and with it all that outlives the program: the lock, the control socket, the clients. Each start is a
new starter's, so that the monitor stays small however often that happens.
"""

from __future__ import annotations

import select
import time

from orlop import json_text
from orlop.engine import birth, frames, launch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.clients import Clients
    from orlop.engine.container import Container
    from orlop.linux.seccomp.cache import Cache

#: Seconds before the first start anew; each further pause is twice as long, up to the longest.
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 60.0
#: A container that ran for so many seconds begins with the first pause again.
_LONG_LIFE = 10.0


class Restarts:
    """What becomes of a container each time that its program has ended."""

    __slots__ = ("_clients", "_count", "_filters", "_pause", "_request")

    def __init__(self, request: dict[str, Any], clients: Clients, filters: Cache) -> None:
        self._request = request
        self._clients = clients
        self._filters = filters
        self._count = int(request.get("restart_count", 0))
        self._pause = 0.0

    def next(
        self, target: Container, state: dict[str, Any], born: birth.Born
    ) -> tuple[birth.Starter, birth.Born] | None:
        """Start the container again after a pause; None if it is to stay as it is, which ``state`` then tells.

        ``state`` is what is known of its end, ``born`` the life that has ended.
        """
        ran = time.monotonic() - born.began
        self._pause = _FIRST_PAUSE if ran >= _LONG_LIFE or not self._pause else min(self._pause * 2, _LONGEST_PAUSE)
        if not self._is_wanted(state["ExitCode"]):
            return None
        self._count += 1
        between = {**state, "Status": "restarting", "Running": True, "Restarting": True, "RestartCount": self._count}
        try:
            target.write_state(between)
        except OSError:
            pass  # a full disk is no reason to stay down
        self._clients.tell(frames.EXITED, bytes((state["ExitCode"],)))
        self._clients.release()
        self._wait()
        if self._clients.halted or not self._is_wanted(state["ExitCode"], counted=True):
            return None
        return self._start(state)

    def last(self, state: dict[str, Any]) -> dict[str, Any]:
        """How the container ended for good."""
        return {**state, "RestartCount": self._count}

    def _is_wanted(self, code: int, *, counted: bool = False) -> bool:
        policy = self._request.get("restart") if self._clients.policy is None else self._clients.policy
        if self._clients.halted or not policy:
            return False
        name = policy.get("Name")
        if name == "on-failure":
            most = int(policy.get("MaximumRetryCount") or 0)
            return code != 0 and (most == 0 or self._count - counted < most)
        return name in ("always", "unless-stopped")

    def _wait(self) -> None:
        """Let the pause pass, serving the clients; it is over at once when a user wants the container to stop."""
        end = time.monotonic() + self._pause
        while not self._clients.halted and (left := end - time.monotonic()) > 0:
            poll = select.poll()
            self._clients.register(poll, typing=True)
            for descriptor, happened in poll.poll(left * 1000 + 1):
                self._clients.heed(descriptor, happened)

    def _start(self, state: dict[str, Any]) -> tuple[birth.Starter, birth.Born] | None:
        request = {**self._request, "again": True, "restart_count": self._count}
        data = json_text.dumps(request).encode()
        ours, theirs = launch.pair()

        def receive() -> birth.Call:
            ours.close()
            return birth.Call(theirs, data, request)

        start = birth.Starter(receive, self._filters)
        theirs.close()
        born = start.wait_born()
        if born is not None:
            ours.close()
            return start, born
        answer = ours.recv(frames.LARGEST + 1)
        ours.close()
        start.wait_done()
        told = json_text.loads(answer[1:]) if answer[:1] == frames.FAILED else {}
        state["Error"] = str(told.get("message") or "the container could not be started again")
        state["ExitCode"] = int(told.get("exit_code") or state["ExitCode"])
        return None
