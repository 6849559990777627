"""What a monitor does when its container's program has ended, and what it asks its request for before.

Apart from `monitor`, so that what an idle monitor uses lies together in memory.
"""

from __future__ import annotations

import os
import time

from orlop import clock, json_text
from orlop.engine import container, control_socket, events, frames, monitor_lock, names, oom, starter
from orlop.engine.location import Location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from orlop.engine import health
    from orlop.engine.birth import Born, Starter
    from orlop.engine.clients import Clients
    from orlop.engine.pump import Log
    from orlop.linux.seccomp.cache import Cache

    Accompany = Callable[[Starter, Born, Clients, Cache], int | None]


def finish(born: Born, lock: int, clients: Clients, filters: Cache, code: int | None, accompany: Accompany) -> None:
    """Record the end, clear away, and tell the clients; or have the container live on until it ends for good.

    ``code`` is the exit code, None if the program was never executed; ``accompany`` is with the container in a further
    life, and returns that.
    """
    request = json_text.loads(born.data)
    target = _target(request)
    if code is not None:
        code = _record(target, request, born, clients, filters, code, accompany)
        starter.clean_up(target.location, request)
    control_socket.remove(target.location, target.id)
    monitor_lock.drop(target.location, target.id, lock)
    clients.finish(frames.EXITED + bytes((code or 0,)))
    if os.path.isdir(f"{target.location.run_root}/networks"):
        from orlop.engine import networking

        networking.linger(target.location)


def _record(
    target: container.Container,
    request: dict[str, Any],
    born: Born,
    clients: Clients,
    filters: Cache,
    code: int,
    accompany: Accompany,
) -> int:
    state = _state(target, request, born, code)
    if "restart" in request or clients.policy is not None:
        from orlop.engine import restarting

        restarts = restarting.Restarts(request, clients, filters)
        while (life := restarts.next(target, state, born)) is not None:
            start, born = life
            again = accompany(start, born, clients, filters)
            if again is None:
                state["Error"] = "the container could not be started again"
                break
            code = again
            state = _state(target, request, born, code)
        state = restarts.last(state)
    if "wishes" in request and request["wishes"].get("measure"):
        from orlop.engine import usage

        clients.tell(frames.USAGE, json_text.dumps(usage.measure(target.location.runtime, target.id)).encode())
    starter.record_end(target, request, state)
    clients.tell(frames.EXITED, bytes((code,)))
    return code


def _state(target: container.Container, request: dict[str, Any], born: Born, code: int) -> dict[str, Any]:
    """What is known of a container whose program has just ended; this tells of its end by an event."""
    state = container.new_state("exited")
    if code == 137:
        state["OOMKilled"] = oom.happened(target.location.runtime, target.id)
    state.update(ExitCode=code, Error=born.error, StartedAt=born.started_at, FinishedAt=clock.now())
    if names.holder_of(target.location.names, request["name"]) != target.id:
        request["attributes"] = events.attributes(target.record)  # it was renamed
    if state["OOMKilled"]:
        events.emit(target.location, events.CONTAINER, "oom", target.id, request["attributes"])
    lasted = max(0, int(time.monotonic() - born.began))
    about = {**request["attributes"], "execDuration": str(lasted), "exitCode": str(code)}
    events.emit(target.location, events.CONTAINER, "die", target.id, about)
    if "volumes" in request:
        events.of_volumes(target.location, "unmount", target.id, request["volumes"])
    return state


def about_log(data: bytes) -> tuple[str, Mapping[str, str], str]:
    """A json-file's path, its options, and what its records say beside, from the request ``data``."""
    request = json_text.loads(data)
    log = request["log"]
    attributes = ""
    if "Attributes" in log:
        from orlop.engine import log_drivers

        attributes = log_drivers.dump(log["Attributes"])
    return _target(request).log, log["Config"], attributes


def other_log(data: bytes) -> Log:
    """The writer of a log that is no plain json-file."""
    from orlop.engine import log_drivers

    request = json_text.loads(data)
    target = _target(request)
    made: Log = log_drivers.writer(target.directory, target.log, request["log"])
    return made


def checks(data: bytes, filters: Cache) -> health.Checks:
    """The container's health checks."""
    from orlop.engine import health

    request = json_text.loads(data)
    return health.Checks(_target(request), request, filters)


def _target(request: dict[str, Any]) -> container.Container:
    location = Location(request["root"], request["run_root"], rootless=request["rootless"])
    return container.Container(location, request["id"])
