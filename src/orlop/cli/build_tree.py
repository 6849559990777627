"""``orlop build`` on a terminal: a tree of stages and their steps, drawn again and again in the same place.

Each step has its time; those that run show their last lines, those that were cached say so. What has scrolled out of the
terminal's height stays away until the end, when everything is written once more.
"""

from __future__ import annotations

import os
import time

from orlop.build.progress import Progress
from orlop.cli.build_progress import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import TextIO

    from orlop.build.graph import Node

_LINES = 6
_PERIOD = 0.1  # seconds between two drawings
_UNKNOWN = os.terminal_size((80, 24))
_GREEN, _RED, _BLUE, _FAINT, _PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[34m", "\x1b[2m", "\x1b[0m"


class _Step:
    __slots__ = ("begun", "lines", "node", "rest", "seconds", "state")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.state = "waiting"
        self.begun = 0.0
        self.seconds = 0.0
        self.lines: list[str] = []
        self.rest = b""


class Tree(Progress):
    """The tree; leaving its ``with`` draws it for the last time."""

    __slots__ = ("_begun", "_drawn", "_height", "_steps", "_stream", "_told")

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._steps: list[_Step] = []
        self._begun = time.monotonic()
        self._drawn = 0.0
        self._height = 0
        self._told: list[str] = []

    def __enter__(self) -> Tree:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._draw(is_last=True)

    @property
    def period(self) -> int:
        """See the class above: times go on while a step is silent."""
        return round(_PERIOD * 1000)

    def passed(self) -> None:
        """See the class above."""
        self._draw_if_due()

    def begin(self, nodes: list[Node]) -> None:
        """See the class above."""
        self._steps = [_Step(node) for node in nodes]
        self._draw()

    def started(self, node: Node) -> None:
        """See the class above."""
        step = self._steps[node.number]
        step.state, step.begun = "running", time.monotonic()
        self._draw_if_due()

    def output(self, node: Node, data: bytes) -> None:
        """See the class above."""
        step = self._steps[node.number]
        *lines, step.rest = (step.rest + data).split(b"\n")
        step.lines = [*step.lines, *map(shown, lines)][-_LINES:]
        self._draw_if_due()

    def finished(self, node: Node, seconds: float, *, cached: bool) -> None:
        """See the class above."""
        step = self._steps[node.number]
        step.state, step.seconds = "cached" if cached else "done", seconds
        self._draw_if_due()

    def failed(self, node: Node, seconds: float, message: str) -> None:  # noqa: ARG002 - it is told at the end
        """See the class above."""
        step = self._steps[node.number]
        step.state, step.seconds = "failed", seconds
        self._draw_if_due()

    def say(self, text: str) -> None:
        """See the class above."""
        self._told.append(text)
        self._draw_if_due()

    def _draw_if_due(self) -> None:
        if time.monotonic() - self._drawn >= _PERIOD:
            self._draw()

    def _draw(self, *, is_last: bool = False) -> None:
        self._drawn = time.monotonic()
        try:
            size = os.get_terminal_size(self._stream.fileno())
        except OSError:
            size = _UNKNOWN
        if not (size.columns and size.lines):
            size = _UNKNOWN  # a terminal that nobody has told its size
        lines = self._lines(size.columns)
        if not is_last and len(lines) >= size.lines:
            lines = [lines[0], *lines[-(size.lines - 2) :]]
        up = f"\x1b[{self._height}A" if self._height else ""
        self._stream.write(up + "\r\x1b[J" + "".join(f"{line}{_PLAIN}\n" for line in lines))
        self._stream.flush()
        self._height = len(lines)

    def _lines(self, width: int) -> list[str]:
        done = sum(step.state in {"done", "cached"} for step in self._steps)
        now = time.monotonic()
        state = "FINISHED" if done == len(self._steps) else ""
        lines = [f"[+] Building {now - self._begun:.1f}s ({done}/{len(self._steps)}) {state}".rstrip()]
        lines += [f" {text}"[:width] for text in self._told[-2:]]
        stage = ""
        for step in self._ordered():
            if step.node.title != stage:
                stage = step.node.title
                lines.append(f" {_BLUE}{stage}"[: width + len(_BLUE)])
            lines += self._of(step, now, width)
        return lines

    def _ordered(self) -> list[_Step]:
        """The steps by their stages, in the order in which these begin."""
        first: dict[str, int] = {}
        for step in self._steps:
            first.setdefault(step.node.title, step.node.number)
        return sorted(self._steps, key=lambda step: (first[step.node.title], step.node.number))

    def _of(self, step: _Step, now: float, width: int) -> list[str]:
        colour, mark, right = {
            "waiting": (_FAINT, " ", ""),
            "running": ("", ">", f"{now - step.begun:.1f}s"),
            "cached": (_GREEN, "=", "CACHED"),
            "done": (_GREEN, "=", f"{step.seconds:.1f}s"),
            "failed": (_RED, "!", f"{step.seconds:.1f}s"),
        }[step.state]
        left = f" {mark} {step.node.place} {' '.join(step.node.step.text.split())}"
        room = max(width - len(right) - 2, 10)
        left = left if len(left) <= room else f"{left[: room - 1]}…"
        lines = [f"{colour}{left:<{room}} {right}"]
        if step.state == "running":
            lines += [f"{_FAINT}     {line}"[: width + len(_FAINT)] for line in step.lines]
        return lines
