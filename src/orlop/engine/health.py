"""Finding out every now and then whether a container works: Docker's health checks.

The monitor only keeps the time (`Checks`). Each check is a child of its, which runs the command in the container, writes
down what came of it, and ends, so that nothing of that stays in memory. ``health.json`` in the container's directory is
Docker's ``Health``: the status, how often it has failed in a row, and the last results.
"""

from __future__ import annotations

import _signal
import os
import select
import time

from orlop import clock
from orlop.engine import container, events, execution
from orlop.errors import Conflict, NotFound, OrlopError
from orlop.linux import prctl
from orlop.runtime import exec as runtime
from orlop.runtime.container import Container as RuntimeContainer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.linux.seccomp.cache import Cache

FILE = "health.json"

STARTING = "starting"
HEALTHY = "healthy"
UNHEALTHY = "unhealthy"

# Docker's defaults, in seconds.
_INTERVAL = 30.0
_TIMEOUT = 30.0
_START_INTERVAL = 5.0
_RETRIES = 3

#: Bytes of output, and results, that are kept.
_LONGEST_OUTPUT = 4096
_MOST_RESULTS = 5

#: The exit code of a check that took too long, and of one that could not be run, as Docker has them.
_EXPIRED = -1
_IMPOSSIBLE = -1

#: A checking child's exit status: the container is known to work or not to work, or may still be starting.
_SETTLED = 0
_NOT_YET = 1


def wanted(config: dict[str, Any]) -> dict[str, Any] | None:
    """A container's ``Healthcheck``, if there is anything to check; ``config`` is Docker's ``Config``."""
    check = config.get("Healthcheck") or {}
    test = check.get("Test") or ["NONE"]
    if test[0] not in ("CMD", "CMD-SHELL") or not test[1:]:
        return None
    return {**check, "Shell": config.get("Shell") or ["/bin/sh", "-c"]}


def begin(target: container.Container) -> None:
    """Write down that nothing is known yet of a container that is about to be started."""
    container.write(f"{target.directory}/{FILE}", {"Status": STARTING, "FailingStreak": 0, "Log": []})


def state(target: container.Container, *, running: bool) -> dict[str, Any] | None:
    """A container's ``Health``; None if it has no health check, or was never started."""
    found = container.read(f"{target.directory}/{FILE}")
    if found is not None and not running:
        found["Status"] = UNHEALTHY  # as Docker says of what has stopped
    return found


class Checks:
    """The monitor's side: when the next check is due, and the child that makes one. A `pump.Errand`."""

    __slots__ = (
        "_began",
        "_child",
        "_due",
        "_filters",
        "_interval",
        "_pidfd",
        "_request",
        "_start_interval",
        "_start_period",
        "_target",
    )

    def __init__(self, target: container.Container, request: dict[str, Any], filters: Cache) -> None:
        check = request["health"]
        self._target = target
        self._request = request
        self._filters = filters
        self._interval = _seconds(check, "Interval", _INTERVAL)
        self._start_interval = _seconds(check, "StartInterval", _START_INTERVAL)
        self._start_period = _seconds(check, "StartPeriod", 0.0)
        self._began = time.monotonic()
        self._child = 0
        self._pidfd = -1
        self._due = 0.0
        self._plan(_NOT_YET)

    def register(self, poll: select.poll) -> float | None:
        """Have ``poll`` tell of the end of a check, or return the milliseconds until the next."""
        if self._child:
            poll.register(self._pidfd, select.POLLIN)
            return None
        return max(0.0, self._due - time.monotonic()) * 1000 + 1

    def look(self, descriptors: set[int]) -> None:
        """Take note of the end of a check, or make one that is due."""
        if self._child:
            if self._pidfd in descriptors:
                self._plan(self._reap())
        elif time.monotonic() >= self._due:
            self._begin()

    def close(self) -> None:
        """There is nothing to check any more."""
        if self._child:
            os.kill(self._child, _signal.SIGKILL)
            self._reap()

    def _plan(self, last: int) -> None:
        starts = last == _NOT_YET and time.monotonic() - self._began < self._start_period
        self._due = time.monotonic() + (self._start_interval if starts else self._interval)

    def _begin(self) -> None:
        try:
            self._child = os.fork()
        except OSError:
            self._plan(_NOT_YET)  # no process more just now
            return
        if self._child == 0:
            status = _NOT_YET
            try:
                prctl.set_parent_death_signal(_signal.SIGKILL)
                prctl.set_name("orlop-health")
                age = time.monotonic() - self._began
                status = _check(self._target, self._request, self._filters, starting=age < self._start_period)
            finally:
                os._exit(status)
        self._pidfd = os.pidfd_open(self._child)

    def _reap(self) -> int:
        os.close(self._pidfd)
        _, status = os.waitpid(self._child, 0)
        self._child = 0
        return os.waitstatus_to_exitcode(status)


def _seconds(check: dict[str, Any], key: str, default: float) -> float:
    return int(check.get(key) or 0) / 1e9 or default


def _check(target: container.Container, request: dict[str, Any], filters: Cache, *, starting: bool) -> int:
    """Make one check; the child's exit status."""
    check = request["health"]
    begin_at = clock.now()
    try:
        code, output = _run(target, check, filters)
    except (Conflict, NotFound):
        return _NOT_YET  # it is paused, or has just ended: nothing was found out
    except (OrlopError, OSError) as error:
        code, output = _IMPOSSIBLE, str(error)
    found = container.read(f"{target.directory}/{FILE}") or {"Status": STARTING, "FailingStreak": 0, "Log": []}
    before = found["Status"]
    if code == 0:
        found["FailingStreak"] = 0
        found["Status"] = HEALTHY
    elif not (starting and before == STARTING):
        found["FailingStreak"] += 1
        if found["FailingStreak"] >= int(check.get("Retries") or _RETRIES):
            found["Status"] = UNHEALTHY
    result = {"Start": begin_at, "End": clock.now(), "ExitCode": code, "Output": output}
    found["Log"] = [*found["Log"], result][-_MOST_RESULTS:]
    if os.path.isdir(target.directory):
        container.write(f"{target.directory}/{FILE}", found)
    if found["Status"] != before:
        action = f"health_status: {found['Status']}"
        events.emit(target.location, events.CONTAINER, action, target.id, request["attributes"])
    return _NOT_YET if found["Status"] == STARTING else _SETTLED


def _run(target: container.Container, check: dict[str, Any], filters: Cache) -> tuple[int, str]:
    """Run the command in the container; its exit code and the beginning of its output.

    Raises:
        Conflict, NotFound: the container does not run.
        OrlopError: the command could not be executed.
    """
    inner = RuntimeContainer.load(target.location.runtime, target.id)
    kind, *words = check["Test"]
    command = execution.Command(words if kind == "CMD" else [*check["Shell"], words[0]])
    own = (container.read(f"{target.directory}/config.json") or {})["process"]
    process = execution.process(own, command, root=f"/proc/{inner.pid}/root")
    reader, writer = os.pipe2(os.O_CLOEXEC)
    null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    try:
        executed = runtime.start(runtime.ExecRequest(inner, process, stdio=(null, writer, writer), filters=filters))
    finally:
        os.close(writer)
        os.close(null)
    timeout = _seconds(check, "Timeout", _TIMEOUT)
    output, has_ended = _read(reader, executed.pidfd, time.monotonic() + timeout)
    if not has_ended:
        os.kill(executed.pid, _signal.SIGKILL)
        os.waitpid(executed.pid, 0)
        return _EXPIRED, f"Health check exceeded timeout ({timeout:g}s)" + (f": {output}" if output else "")
    _, status = os.waitpid(executed.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return (128 - code if code < 0 else code), output


def _read(reader: int, pidfd: int, end: float) -> tuple[str, bool]:
    """The beginning of what comes until the process ends; whether it did before the moment ``end``."""
    output = b""
    while True:
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        poll.register(pidfd, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(max(0.0, end - time.monotonic()) * 1000)}
        if reader in ready:
            data = os.read(reader, 1 << 16)
            output += data[: _LONGEST_OUTPUT + 1 - len(output)]
            if data:
                continue
        has_ended = pidfd in ready
        if has_ended or time.monotonic() >= end:
            break
        if reader in ready:  # it has closed its output and goes on
            has_ended = _has_ended(pidfd, end)
            break
    text = output[:_LONGEST_OUTPUT].decode("utf-8", "replace")
    return text + ("..." if len(output) > _LONGEST_OUTPUT else ""), has_ended


def _has_ended(pidfd: int, end: float) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(max(0.0, end - time.monotonic()) * 1000))
