"""Creating a container: from a bundle to a process that waits to become the container's program.

The story has two or three processes. The runtime sees the host: it reads the configuration, here, opens everything
that lies outside, makes the cgroup, and clones (`creation`). `init` is what it clones, in the new namespaces. Where a
namespace has to be entered by a parent for it to count for the child, `stage` comes between them.
Whatever fails, nothing is left behind.
"""

from __future__ import annotations

import os

from orlop.errors import HookFailed, InvalidArgument, InvalidConfig, OrlopError
from orlop.linux import sealed
from orlop.runtime import channel as channels
from orlop.runtime import hooks
from orlop.runtime.container import Container
from orlop.runtime.creation import Creation
from orlop.runtime.spec import load, machine, validate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.runtime.channel import Channel
    from orlop.runtime.request import Request

_KILL = 9
_FIRST_PRESERVED = 3


class Created:
    """A created container, seen by the process that created it and is its init's parent.

    Attributes:
        container: its state.
        pid, pidfd: its init process; the descriptor is the caller's to close.
        console: the terminal's master if it has one and no console socket took it, else -1; the caller's to close.
        warnings: what was asked for and could not be had.
    """

    __slots__ = ("_channel", "console", "container", "pid", "pidfd", "warnings")

    def __init__(self, container: Container, creation: Creation, warnings: list[str]) -> None:
        self.container = container
        self.pid = creation.pid
        self.pidfd = creation.pidfd
        self.console = creation.console
        self._channel = creation.channel
        self.warnings = warnings

    def release(self) -> None:
        """Start the program. Returns once it runs.

        Raises:
            CommandNotFound, CommandNotExecutable: it cannot be executed.
            StepFailed, HookFailed: a hook or the seccomp filter failed; the container is stopped.
        """
        try:
            self._channel.send("start", state=self.container.state("created"))
            finish_start(self.container, self._channel)
        finally:
            self._channel.close()


def finish_start(container: Container, channel: Channel) -> None:
    """Wait for init's exec, then run the poststart hooks.

    Raises:
        OrlopError: as `Created.release`.
    """
    answer = channel.receive()
    if answer is not None:
        raise _failure(container, answer[0])
    poststart = (container.config().get("hooks") or {}).get("poststart")
    if poststart:
        try:
            state = container.state("running")
            hooks.run(poststart, state, "poststart", state["bundle"])
        except HookFailed:
            if container.alive():
                container.signal(_KILL)
            raise


def _failure(container: Container, message: dict[str, Any]) -> OrlopError:
    if message["kind"] == "errno":
        from orlop.runtime import executable

        arguments = (container.config().get("process") or {}).get("args") or [""]
        return executable.failed(arguments[0], message["errno"])
    return channels.revive(message)


def create(request: Request, *, separate_start: bool = False) -> Created:
    """Create a container.

    With ``separate_start`` another process starts it later (`start.start`), through a socket in its state
    directory; otherwise only `Created.release` can, and the container does not survive its creator until then.

    Raises:
        InvalidConfig, NotFound: the bundle is wrong.
        Conflict: the id is taken, or the cgroup.
        Unsupported: the machine lacks something that the configuration asks for.
        StepFailed, HookFailed: it did not work; says at which step, on which path, and why.
        CommandNotFound, CommandNotExecutable: the program is not there or cannot be run.
    """
    bundle = os.path.realpath(request.bundle)
    spec = load(bundle, request.config)
    # Root of an outer user namespace can do without one more: rootless engines run us there.
    warnings = validate(spec, rootless=os.geteuid() != 0)
    if "process" not in spec and not separate_start:
        raise InvalidConfig("process is required")
    machine.check(spec)
    if request.restartable and _joins_processes(spec):
        sealed.ensure()
    _check_terminal(request, spec, separate_start)
    for descriptor in range(_FIRST_PRESERVED, _FIRST_PRESERVED + request.preserve_fds):
        try:
            os.fstat(descriptor)
        except OSError:
            raise InvalidArgument(f"--preserve-fds: descriptor {descriptor} is not open") from None
    container, lock = Container.claim(request.root, request.id)
    try:
        if container.is_left_over:
            from orlop.runtime import leftovers

            leftovers.clear_away(container)
        creation = Creation(request, container, spec, bundle, separate_start)
        try:
            creation.run(lock)
        except BaseException as error:
            failures = creation.undo()
            if failures:
                raise OrlopError("; ".join((str(error), *failures))) from None
            raise
        finally:
            creation.close()
    finally:
        lock.close()
    return Created(container, creation, [*warnings, *creation.warnings])


def _joins_processes(spec: dict[str, Any]) -> bool:
    """Whether others, who may be hostile, are in the container's pid namespace from the beginning."""
    listed = (spec.get("linux") or {}).get("namespaces") or ()
    return any(each["type"] == "pid" and each.get("path") for each in listed)


def _check_terminal(request: Request, spec: dict[str, Any], separate_start: bool) -> None:
    wants = bool((spec.get("process") or {}).get("terminal"))
    if wants and separate_start and not request.console_socket:
        raise InvalidArgument("cannot allocate a terminal without --console-socket when the runtime does not stay")
    if request.console_socket and not wants:
        raise InvalidArgument("--console-socket is for a process with a terminal, which this one has not")
