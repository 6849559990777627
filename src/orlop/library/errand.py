"""Having something done by a process of its own: what forks, enters namespaces, or has threads and heavy imports.

The caller of the library may have threads, whose locks a fork would copy in whatever state they are (fork(2)). So the
process (`orlop.library.helper`) is started by posix_spawn(3), and everything goes through one socket: a request of one
line of JSON with descriptors beside it, then lines with progress, and at last one with the result or the error.
"""

from __future__ import annotations

import _socket
import os
import sys
from _thread import get_ident

from orlop import json_text
from orlop.engine import error_message, launch
from orlop.errors import OrlopError, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from orlop.engine.location import Location

    Tell = Callable[..., object]

#: Where the helper finds its socket.
DESCRIPTOR = 3
_CHUNK = 1 << 16
_KILL = 9


class Helper:
    """A process that does one thing for us; `stop` may be called from another thread."""

    __slots__ = ("_pid", "_rest", "_socket", "stopped")

    def __init__(self) -> None:
        if not sys.executable:
            raise Unsupported("this program's Python interpreter has no file: sys.executable is empty")
        code = (
            f"import sys; sys.path.append({os.path.dirname(launch.package())!r})\n"
            "from orlop.library import helper; helper.main()"
        )
        arguments = [sys.executable, "-I", "-S", "-c", code]
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        self._rest = b""
        self.stopped = False
        try:
            self._socket = _socket.socket(fileno=ours.detach())
            actions = [(os.POSIX_SPAWN_DUP2, theirs.fileno(), DESCRIPTOR)]
            # In a process group of its own: what a user types to interrupt comes to us, and we end it.
            self._pid = os.posix_spawn(sys.executable, arguments, os.environ, file_actions=actions, setpgroup=0)
        finally:
            theirs.close()

    def ask(self, request: dict[str, Any], descriptors: Sequence[int]) -> None:
        """Say what is to be done."""
        data = json_text.dumps(request).encode() + b"\n"
        packed = b"".join(each.to_bytes(4, sys.byteorder) for each in descriptors)
        ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)] if packed else []
        sent = self._socket.sendmsg([data], ancillary, _socket.MSG_NOSIGNAL)
        while sent < len(data):
            sent += self._socket.send(data[sent:], _socket.MSG_NOSIGNAL)

    def line(self) -> dict[str, Any] | None:
        """The next thing that it tells; None if it has ended."""
        while b"\n" not in self._rest:
            data = self._socket.recv(_CHUNK)
            if not data:
                return None
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        told: dict[str, Any] = json_text.loads(line)
        return told

    def stop(self) -> None:
        """End it, whatever it is doing. What it leaves half done, the next command takes up or clears away."""
        self.stopped = True
        try:
            os.killpg(self._pid, _KILL)
        except (ProcessLookupError, PermissionError):
            return  # it has ended

    def close(self) -> None:
        """Wait for its end."""
        self._socket.close()
        try:
            os.waitpid(self._pid, 0)
        except ChildProcessError:
            return  # a handler of the caller's has waited for it


def call(
    location: Location,
    action: str,
    arguments: Mapping[str, Any],
    *,
    descriptors: Sequence[int] = (),
    tell: Tell | None = None,
    light: bool = False,
) -> Any:
    """Have `orlop.library.helper` do something; what it returns.

    What is ``light`` forks and does nothing else that concerns the caller: root without other threads does it here.

    Raises:
        OrlopError: as the action says.
    """
    if light and not location.rootless and len(os.listdir("/proc/self/task")) == 1:
        from orlop.library import helper

        return helper.ACTIONS[action](location, dict(arguments), list(descriptors), tell or _nothing)
    process = Helper()
    observe = _observers.get(get_ident())
    if observe is not None:
        observe(process)
    try:
        request = {
            "root": location.root,
            "run_root": location.run_root,
            "rootless": location.rootless,
            "directory": _directory(),
            "action": action,
            "arguments": dict(arguments),
        }
        process.ask(request, descriptors)
        while (told := process.line()) is not None:
            if "tell" in told:
                if tell is not None:
                    tell(*told["tell"])
            elif "error" in told:
                raise error_message.revive(told["error"])
            else:
                return told["result"]
    except BaseException:
        process.stop()
        raise
    finally:
        process.close()
    raise OrlopError(f"the process that was to {action.replace('_', ' ')} was killed")


_observers: dict[int, Callable[[Helper], object]] = {}


class observed:  # noqa: N801 - used like a function, as contextlib's are
    """``with observed(function):`` has the helpers of this thread made known, for somebody else to stop them."""

    __slots__ = ("_observe",)

    def __init__(self, observe: Callable[[Helper], object]) -> None:
        self._observe = observe

    def __enter__(self) -> None:
        _observers[get_ident()] = self._observe

    def __exit__(self, *exception: object) -> None:
        del _observers[get_ident()]


def _directory() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "/"


def _nothing(*_told: object) -> None:
    """Progress that nobody looks at."""
