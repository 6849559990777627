"""How ``orlop build`` shows what it is doing: lines, or an object for each event; `build_tree` is for terminals."""

from __future__ import annotations

import time
from collections import deque

from orlop import clock, json_text
from orlop.build.progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from orlop.build.graph import Node

_WIDEST = 200


def title(node: Node) -> str:
    """What a step is called."""
    text = node.step.text if len(node.step.text) <= _WIDEST else f"{node.step.text[: _WIDEST - 1]}…"
    return f"[{node.title} {node.place}] {text}"


class Plain(Progress):
    """Lines, each with its step's number and the seconds since that began, as BuildKit's are."""

    __slots__ = ("_begun", "_last", "_rest", "_stream")

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begun: dict[int, float] = {}
        self._rest: dict[int, bytes] = {}
        self._last = -1

    def started(self, node: Node) -> None:
        """See the class above."""
        self._begun[node.number] = time.monotonic()
        self._turn(node)
        self._write(f"#{node.number + 1} {title(node)}")

    def output(self, node: Node, data: bytes) -> None:
        """See the class above."""
        self._turn(node)
        since = time.monotonic() - self._begun[node.number]
        *lines, self._rest[node.number] = (self._rest.get(node.number, b"") + data).split(b"\n")
        for line in lines:
            self._write(f"#{node.number + 1} {since:.3f} {shown(line)}")

    def finished(self, node: Node, seconds: float, *, cached: bool) -> None:
        """See the class above."""
        self._flush(node)
        self._turn(node)
        self._write(f"#{node.number + 1} {'CACHED' if cached else f'DONE {seconds:.1f}s'}")

    def failed(self, node: Node, seconds: float, message: str) -> None:
        """See the class above."""
        self._flush(node)
        self._turn(node)
        self._write(f"#{node.number + 1} ERROR {seconds:.1f}s: {message}")

    def say(self, text: str) -> None:
        """See the class above."""
        self._write(text)

    def _flush(self, node: Node) -> None:
        rest = self._rest.pop(node.number, b"")
        if rest:
            self.output(node, b"\n" if not rest else rest + b"\n")
            self._rest.pop(node.number, None)

    def _turn(self, node: Node) -> None:
        """Set the lines of another step off."""
        if self._last not in (-1, node.number):
            self._write("")
        self._last = node.number

    def _write(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()


class RawJson(Progress):
    """For programs: an object a line, with ``event``, ``time``, and of a step ``step``, ``stage`` and ``name``."""

    __slots__ = ("_stream",)

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def started(self, node: Node) -> None:
        """See the class above."""
        self._tell("started", node)

    def output(self, node: Node, data: bytes) -> None:
        """See the class above."""
        self._tell("output", node, data=data.decode("utf-8", "replace"))

    def finished(self, node: Node, seconds: float, *, cached: bool) -> None:
        """See the class above."""
        self._tell("finished", node, seconds=round(seconds, 3), cached=cached)

    def failed(self, node: Node, seconds: float, message: str) -> None:
        """See the class above."""
        self._tell("failed", node, seconds=round(seconds, 3), error=message)

    def say(self, text: str) -> None:
        """See the class above."""
        self._write({"event": "message", "time": clock.now(), "text": text})

    def _tell(self, event: str, node: Node, **more: object) -> None:
        about = {"step": node.number + 1, "stage": node.title, "name": node.step.text, "line": node.step.span.first}
        self._write({"event": event, "time": clock.now(), **about, **more})

    def _write(self, value: dict[str, object]) -> None:
        self._stream.write(json_text.dumps(value) + "\n")
        self._stream.flush()


class Remembering(Progress):
    """Passes everything on, and keeps the end of each step's output for when it fails."""

    __slots__ = ("_logs", "_shown")

    #: Pieces of output that are kept of a step.
    MOST = 500

    def __init__(self, shown: Progress) -> None:
        self._shown = shown
        self._logs: dict[int, deque[bytes]] = {}

    @property
    def period(self) -> int | None:
        """See the class above."""
        return self._shown.period

    def passed(self) -> None:
        """See the class above."""
        self._shown.passed()

    def begin(self, nodes: list[Node]) -> None:
        """See the class above."""
        self._shown.begin(nodes)

    def started(self, node: Node) -> None:
        """See the class above."""
        self._shown.started(node)

    def output(self, node: Node, data: bytes) -> None:
        """See the class above."""
        self._logs.setdefault(node.number, deque(maxlen=self.MOST)).append(data)
        self._shown.output(node, data)

    def finished(self, node: Node, seconds: float, *, cached: bool) -> None:
        """See the class above."""
        self._logs.pop(node.number, None)
        self._shown.finished(node, seconds, cached=cached)

    def failed(self, node: Node, seconds: float, message: str) -> None:
        """See the class above."""
        self._shown.failed(node, seconds, message)

    def say(self, text: str) -> None:
        """See the class above."""
        self._shown.say(text)

    def log(self, node: Node) -> list[str]:
        """The lines that a step has written."""
        text = b"".join(self._logs.get(node.number, ()))
        return [shown(line) for line in text.rstrip(b"\n").split(b"\n")] if text else []


def shown(line: bytes) -> str:
    """A line of a program's output without what a terminal would obey."""
    text = line.decode("utf-8", "replace").rstrip("\r").rpartition("\r")[2].expandtabs()
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
