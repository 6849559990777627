"""What a server has done, counted: numbers as Prometheus reads them (text exposition format 0.0.4).

What they are told apart by is bounded: endpoints by their patterns, not by the paths that clients ask for.
"""

from __future__ import annotations

import os
import resource
import time
from bisect import bisect_left
from contextlib import aclosing
from typing import cast

import orlop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping

    from orlop.api.exchange import Request

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: Bounds of the histogram, in seconds.
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
#: What requests are told apart by that no endpoint answers.
_NOTHING = ("other", "none")
_WORK = ("pulls", "builds")
#: How the last message of work begins that failed.
_FAILURE = b'{"errorDetail"'


class Metrics:
    """The numbers of one server."""

    __slots__ = ("_connections", "_durations", "_requests", "_started", "_work")

    def __init__(self) -> None:
        self._started = time.time()
        self._connections = 0
        self._durations: dict[tuple[str, str], list[float]] = {}
        self._requests: dict[tuple[str, str, int], int] = {}
        self._work = {(name, result): 0 for name in _WORK for result in ("succeeded", "failed")}

    def connected(self, change: int) -> None:
        """There is one connection more, or less."""
        self._connections += change

    def answered(self, request: Request, status: int, seconds: float) -> None:
        """A request was answered; with a ``status`` of 0 its client did not wait for that."""
        method, endpoint = (request.method, request.endpoint) if request.endpoint else _NOTHING
        counts = self._durations.setdefault((method, endpoint), [0] * (len(_BOUNDS) + 1) + [0.0])
        counts[bisect_left(_BOUNDS, seconds)] += 1
        counts[-1] += seconds
        key = (method, endpoint, status)
        self._requests[key] = self._requests.get(key, 0) + 1
        if status >= 400 and (work := _work(request)):
            self._work[work, "failed"] += 1

    def watched(self, request: Request, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same, counted at its end if it is the messages of some work."""
        work = _work(request)
        return self._counted(chunks, work) if work else chunks

    async def _counted(self, chunks: AsyncIterator[bytes], work: str) -> AsyncIterator[bytes]:
        result, last = "succeeded", b"\n"
        async with aclosing(cast("AsyncGenerator[bytes, None]", chunks)) as all_of_them:
            async for each in all_of_them:
                last = last[-len(_FAILURE) :] + each
                if b"\n" + _FAILURE in last:
                    result = "failed"
                yield each
        self._work[work, result] += 1

    def text(self, containers: Mapping[str, int]) -> str:
        """All of it; ``containers`` is how many there are in each state."""
        return "".join(f"{line}\n" for line in self._lines(containers))

    def _lines(self, containers: Mapping[str, int]) -> Iterator[str]:
        yield from _family("orlop_build_info", "gauge", "The version of orlop.", [({"version": orlop.__version__}, 1)])
        yield from _family(
            "orlop_containers",
            "gauge",
            "Containers by state.",
            [({"state": state}, count) for state, count in containers.items()],
        )
        for work in _WORK:
            yield from _family(
                f"orlop_{work}_total",
                "counter",
                f"Finished {work} that clients of this server asked for.",
                [({"result": result}, count) for (name, result), count in self._work.items() if name == work],
            )
        yield from _family("orlop_connections", "gauge", "Clients that are connected.", [({}, self._connections)])
        yield from _family(
            "orlop_http_requests_total",
            "counter",
            "Requests by endpoint and status; 0 for clients that did not wait for it.",
            [
                ({"method": method, "endpoint": endpoint, "code": str(code)}, count)
                for (method, endpoint, code), count in self._requests.items()
            ],
        )
        yield from self._histogram("orlop_http_request_duration_seconds")
        yield from _process(self._started)

    def _histogram(self, name: str) -> Iterator[str]:
        yield from _head(name, "histogram", "Seconds from a request until there was an answer, or the head of one.")
        for (method, endpoint), counts in self._durations.items():
            labels = {"method": method, "endpoint": endpoint}
            total = 0
            for bound, count in zip((*_BOUNDS, "+Inf"), counts, strict=False):
                total += int(count)
                yield _sample(f"{name}_bucket", {**labels, "le": str(bound)}, total)
            yield _sample(f"{name}_sum", labels, counts[-1])
            yield _sample(f"{name}_count", labels, total)


def _work(request: Request) -> str:
    """What kind of work a request asks for, empty if it is none that is counted."""
    if request.method != "POST":
        return ""
    if request.endpoint == "/images/create" and request.text("fromImage"):
        return "pulls"
    return "builds" if request.endpoint == "/build" else ""


def _process(started: float) -> Iterator[str]:
    """The numbers that all programs have, by their usual names."""
    with open("/proc/self/statm", encoding="ascii") as file:
        whole, resident = (int(each) * resource.getpagesize() for each in file.read().split()[:2])
    used = os.times()
    for name, kind, told, value in (
        ("cpu_seconds_total", "counter", "Processor time of the server, without what it had others do.", sum(used[:2])),
        ("virtual_memory_bytes", "gauge", "Address space.", whole),
        ("resident_memory_bytes", "gauge", "Memory.", resident),
        ("open_fds", "gauge", "Open files.", len(os.listdir("/proc/self/fd")) - 1),
        ("max_fds", "gauge", "Files that may be open.", resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
        ("start_time_seconds", "gauge", "When the server began, in seconds since 1970.", started),
    ):
        yield from _family(f"process_{name}", kind, told, [({}, value)])


def _family(name: str, kind: str, told: str, samples: Iterable[tuple[Mapping[str, str], float]]) -> Iterator[str]:
    yield from _head(name, kind, told)
    for labels, value in samples:
        yield _sample(name, labels, value)


def _head(name: str, kind: str, told: str) -> Iterator[str]:
    yield f"# HELP {name} {told}"
    yield f"# TYPE {name} {kind}"


def _sample(name: str, labels: Mapping[str, str], value: float) -> str:
    inner = ",".join(f'{key}="{_escaped(each)}"' for key, each in labels.items())
    return f"{name}{{{inner}}} {value}" if inner else f"{name} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
