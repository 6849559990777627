"""A container's system call filter on both sides of the clone: compiled outside, its listener handed over inside."""

from __future__ import annotations

from orlop.errors import StepFailed
from orlop.runtime.step import step

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any

    from orlop.linux.seccomp import Program
    from orlop.linux.seccomp.cache import Cache


def prepare(config: dict[str, Any] | None, kept: Cache | None) -> tuple[Program | None, _socket.socket | None]:
    """Compile ``linux.seccomp``, or take it from what is ``kept``; reach its agent while the agent can be seen.

    Returns:
        the program, if there is one, and for one that notifies the connection to its agent.

    Raises:
        InvalidConfig: the section breaks the specification.
        StepFailed: nobody listens at ``listenerPath``, or there is none.
    """
    if not config:
        return None, None
    from orlop.linux import seccomp

    program = kept.compile(config) if kept is not None else seccomp.compile(config)
    if not program.notify:
        return program, None
    from orlop.linux.seccomp.listener import connect

    where = config.get("listenerPath") or ""
    if not where:
        raise StepFailed("install seccomp filter", "", "SCMP_ACT_NOTIFY needs a listenerPath")
    with step("connect to seccomp agent", where):
        return program, connect(where)


def warnings(program: Program | None) -> list[str]:
    """A sentence about each name in the profile that no system call has, whose rule has no effect."""
    names = program.unknown if program is not None else ()
    return [f"linux.seccomp: {name!r} is no system call and is ignored" for name in names]


def hand_over(listener: int, agent: _socket.socket | None, state: dict[str, Any], config: dict[str, Any]) -> None:
    """Send the listener of an installed filter to the agent that `prepare` reached; -1 is none.

    Raises:
        OSError: the agent went away.
    """
    if listener < 0 or agent is None:
        return
    from orlop.linux.seccomp.listener import send

    send(agent, listener, state, config.get("listenerMetadata") or "")
