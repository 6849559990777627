"""A build as the messages of Docker's older builder, which clients show as they are and count."""

from __future__ import annotations

from orlop.build.progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from orlop.build.graph import Built, Graph, Node

_CACHED = " ---> Using cache\n"


class Messages(Progress):
    """Tells of every instruction in the Dockerfile's order, whether it is a step that takes time or a word in a configuration.

    What has no files of its own is told of with the next step that has: it was there before if that was.
    """

    __slots__ = ("_lines", "_send", "_steps", "_told", "_total", "_was_cached")

    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        self._send = send
        #: The instructions, and at which of them each step is.
        self._lines: list[str] = []
        self._steps: dict[int, int] = {}
        self._told = 0
        self._total = 0
        self._was_cached = False

    def planned(self, graph: Graph) -> None:
        """These are the instructions that there are."""
        seen: set[int] = set()
        for built in sorted(graph.stages, key=lambda each: each.stage.number):
            self._lines.append(built.stage.base.text)
            for text, node in _instructions(built, seen):
                if node is not None:
                    self._steps[node.number] = len(self._lines)
                self._lines.append(text)
        self._total = len(self._lines)

    def working(self, node: Node) -> None:
        """A step is being done."""
        self._tell_up_to(node, cached=False)

    def output(self, _node: Node, data: bytes) -> None:
        """A step's program wrote something."""
        self._send({"stream": data.decode("utf-8", "replace")})

    def finished(self, node: Node, _seconds: float, *, cached: bool) -> None:
        """A step is done; ``cached`` if there was nothing to do."""
        self._was_cached = cached
        if self._steps.get(node.number, self._total) >= self._told:
            self._tell_up_to(node, cached=cached)
        elif cached:
            self._send({"stream": _CACHED})

    def failed(self, node: Node, _seconds: float, _message: str) -> None:
        """A step failed."""
        self._tell_up_to(node, cached=False)

    def say(self, text: str) -> None:
        """A line that belongs to no step."""
        self._send({"stream": f"{text}\n"})

    def end(self) -> None:
        """Tell of what comes after the last step."""
        self._tell(self._total, cached=self._was_cached)

    def _tell_up_to(self, node: Node, *, cached: bool) -> None:
        self._tell(self._steps.get(node.number, self._told - 1) + 1, cached=cached)

    def _tell(self, end: int, *, cached: bool) -> None:
        while self._told < end:
            text = self._lines[self._told]
            self._told += 1
            self._send({"stream": f"Step {self._told}/{self._total} : {text}\n"})
            if cached and not text.upper().startswith("FROM"):
                self._send({"stream": _CACHED})


def _instructions(built: Built, seen: set[int]) -> list[tuple[str, Node | None]]:
    """What a stage has beyond the stage that it begins with: its instructions' texts, and the steps that they are."""
    own = [each for each in built.history if id(each) not in seen]
    seen.update(id(each) for each in own)
    written = [each.text for each in built.stage.instructions]
    before = len(own) - len(written)  # what the image below has for whoever builds upon it
    texts = [each.created_by for each, _ in own[:before]] + written
    return [(text, node) for text, (_, node) in zip(texts, own, strict=False)]
