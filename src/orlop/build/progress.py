"""How a build tells what it is doing, to whoever shows it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.build.graph import Graph, Node


class Progress:
    """What is told while an image is built. Subclasses show it; this class shows nothing. Numbers are `Node.number`."""

    __slots__ = ()

    @property
    def period(self) -> int | None:
        """After how many milliseconds without news `passed` is to be called; None for never."""
        return None

    def passed(self) -> None:
        """Nothing was told for a while."""

    def planned(self, graph: Graph) -> None:
        """This is what the Dockerfile asks for."""

    def begin(self, nodes: list[Node]) -> None:
        """These are the steps that there are."""

    def started(self, node: Node) -> None:
        """A step is being worked on."""

    def working(self, node: Node) -> None:
        """A step that was started is not known from before, and is being done."""

    def output(self, node: Node, data: bytes) -> None:
        """A step's program wrote something."""

    def finished(self, node: Node, seconds: float, *, cached: bool) -> None:
        """A step is done; ``cached`` if there was nothing to do."""

    def failed(self, node: Node, seconds: float, message: str) -> None:
        """A step failed."""

    def say(self, text: str) -> None:
        """A line that belongs to no step."""
