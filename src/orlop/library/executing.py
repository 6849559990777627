"""Commands in running containers."""

from __future__ import annotations

import time

from orlop.engine import control_socket, execution, frames
from orlop.engine import start as engine_start
from orlop.library import translation
from orlop.library.errors import TimedOut
from orlop.library.results import Result, Timings, Usage
from orlop.library.streams import Source, Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from orlop.engine.container import Container
    from orlop.library.streams import Readable

_KILL = b"\x09"


class Execution:
    """A command that was started: its ``stream``, and what is needed to tell of it."""

    __slots__ = ("_begun", "_command", "_exec_id", "_started", "_target", "stream")

    def __init__(
        self,
        target: Container,
        command: str | Sequence[str],
        *,
        stdin: bool,
        tty: bool,
        limit: int | None,
        options: Mapping[str, Any],
    ) -> None:
        self._begun = time.perf_counter()
        self._target = target
        self._command = translation.words(command)
        wanted = execution.Command(self._command)
        wanted.open_stdin = stdin
        wanted.terminal = tty
        for name, value in options.items():
            if name == "env":
                wanted.env = translation.environment(name, value)
            elif name in ("user", "workdir"):
                setattr(wanted, name, str(value))
            elif name == "privileged":
                wanted.privileged = value
            else:
                raise TypeError(f"there is no option {name!r} of a command in a container")
        self._exec_id = execution.prepare(target, wanted)
        session = execution.start_prepared(target.location, self._exec_id)
        try:
            session.wait_started()
        except BaseException as error:
            session.socket.close()
            if isinstance(error, engine_start.StartFailed):
                error.container_id = target.id
            raise
        self._started = time.perf_counter()
        self.stream = Stream(session, f"a command in container {target.id[:12]}", limit)

    def kill(self) -> None:
        """Have the command end; also when it takes no input, so that its own line is stuck."""
        client = control_socket.connect(self._target.location, self._exec_id)
        if client is None:
            return  # it has just ended
        try:
            engine_start.Session(client, None).send(frames.SIGNAL, _KILL)
        finally:
            client.close()

    def result(self) -> Result:
        """What came of it; it has ended."""
        said = self.stream.conversation
        stdout, stderr = said.kept()
        return Result(
            said.exit_code or 0,
            stdout,
            stderr,
            container_id=self._target.id,
            image=str(self._target.record["Config"]["Image"]),
            command=self._command,
            timings=Timings(self._started - self._begun, said.ended - self._started),
            usage=Usage(),
            truncated=said.truncated,
        )


def run(
    target: Container,
    command: str | Sequence[str],
    *,
    stdin: bytes | str | Readable | None,
    timeout: float | None,
    check: bool,
    limit: int | None,
    options: Mapping[str, Any],
) -> Result:
    """Run a command to its end; see `orlop.library.container.Container.exec`."""
    done = Execution(target, command, stdin=stdin is not None, tty=False, limit=limit, options=options)
    with done.stream as stream:
        try:
            stream.communicate(Source(stdin), timeout=timeout)
        except TimeoutError:
            done.kill()
            stream.communicate()
            raise TimedOut(done.result(), timeout or 0) from None
        except BaseException:
            done.kill()
            raise
    result = done.result()
    return result.check() if check else result


def start(
    target: Container,
    command: str | Sequence[str],
    *,
    tty: bool,
    limit: int | None,
    options: Mapping[str, Any],
) -> Stream:
    """Start a command; see `orlop.library.container.Container.open`."""
    return Execution(target, command, stdin=True, tty=tty, limit=limit, options=options).stream
