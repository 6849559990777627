"""Sending a container a signal.

runtime-spec, runtime.md, "Kill": only a created or running container can be signalled, anything else is an
error and changes nothing.
"""

from __future__ import annotations

import _signal
import os

from orlop.errors import Conflict, InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.runtime.container import Container


def signal_number(text: str) -> int:
    """The signal that a user names: ``9``, ``KILL``, ``SIGKILL``, ``kill``, ``RTMIN+3``.

    Raises:
        InvalidArgument: there is no such signal.
    """
    if text.isascii() and text.isdigit():
        number = int(text) if len(text) < 4 else _signal.NSIG
    else:
        number = _named(text.upper().removeprefix("SIG"))
    if not 0 <= number < _signal.NSIG:
        raise InvalidArgument(f'unknown signal "{text}"')
    return number


def _named(name: str) -> int:
    for base, first, sign in (("RTMIN", _signal.SIGRTMIN, "+"), ("RTMAX", _signal.SIGRTMAX, "-")):
        offset = name.removeprefix(base + sign)
        if offset != name and offset.isascii() and offset.isdigit() and len(offset) < 3:
            number = first + int(offset) if sign == "+" else first - int(offset)
            return number if _signal.SIGRTMIN <= number <= _signal.SIGRTMAX else -1
    # `_`: SIG_BLOCK and the like are arguments of sigprocmask, not signals.
    found = getattr(_signal, "SIG" + name, -1) if name[:1] != "_" else -1
    return int(found)


def has_own_pid_namespace(container: Container) -> bool:
    """Whether the end of the init process ends all the others, as the kernel does in a pid namespace."""
    linux = container.config().get("linux") or {}
    return any(entry["type"] == "pid" and not entry.get("path") for entry in linux.get("namespaces") or ())


def kill(container: Container, signal: int, *, everyone: bool = False) -> None:
    """Send ``signal`` to the init process, or with ``everyone`` to all processes of the container.

    SIGKILL reaches them all in any case: where the kernel would not see to that, because the container
    shares its pid namespace, the cgroup is used. A paused container that is killed is let go to die.

    Raises:
        Conflict: the container does not run. Not with ``everyone``, which is for what outlived the init.
    """
    fatal = signal == _signal.SIGKILL
    if everyone:
        _signal_group(container, signal)
        return
    try:
        if not container.pid:
            raise ProcessLookupError("it is being created")
        container.signal(signal)
    except ProcessLookupError:
        raise Conflict(f'container not running: "{container.id}" has no init process to signal') from None
    if not fatal:
        return
    if not has_own_pid_namespace(container):
        _signal_group(container, signal)
    elif (group := container.cgroup()).frozen:
        group.thaw()  # the version 1 freezer holds even the dead


def _signal_group(container: Container, signal: int) -> None:
    group = container.cgroup()
    if group.exists:
        group.kill(signal)
    else:
        _signal_each(container, signal)  # no cgroup was to be had: rootless, and nothing delegated


def _signal_each(container: Container, signal: int) -> None:
    from orlop.runtime import ps

    for pid in ps.pids(container):
        try:
            os.kill(pid, signal)
        except ProcessLookupError:
            continue  # it ended meanwhile
