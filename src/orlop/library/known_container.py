"""What a container is, for whoever only looks."""

from __future__ import annotations

import os

from orlop.engine import container as engine_container
from orlop.engine import pausing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.explanation import Statement
    from orlop.engine.location import Location


class KnownContainer:
    """What is known of a container. It is looked up when it is asked for, so that it is true at that moment."""

    __slots__ = ("target",)

    def __init__(self, target: engine_container.Container) -> None:
        self.target = target

    def __repr__(self) -> str:
        return f"<Container {self.short_id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KnownContainer) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def location(self) -> Location:
        """The engine's directories."""
        return self.target.location

    @property
    def id(self) -> str:
        """64 hexadecimal digits."""
        return self.target.id

    @property
    def short_id(self) -> str:
        """The first 12 of them."""
        return self.target.id[:12]

    @property
    def name(self) -> str:
        """Its name.

        Raises:
            NotFound: it was removed.
        """
        return self._fresh().name

    @property
    def status(self) -> str:
        """``created``, ``running``, ``paused``, ``restarting``, ``exited``, or ``removed``."""
        from orlop.engine import repair

        repair.look_after(self.target)
        if not os.path.isdir(self.target.directory):
            return "removed"
        return str(pausing.state(self.target)["Status"])

    @property
    def image(self) -> str:
        """The name of its image as it was given, or its root directory.

        Raises:
            NotFound: it was removed.
        """
        return str(self.target.record["Config"]["Image"])

    @property
    def labels(self) -> dict[str, str]:
        """Its labels.

        Raises:
            NotFound: it was removed.
        """
        return dict(self.target.record["Config"].get("Labels") or {})

    @property
    def exit_code(self) -> int | None:
        """How its program ended; None if it runs or was never started."""
        return int(state["ExitCode"]) if (state := self.target.state())["Status"] == "exited" else None

    @property
    def oom_killed(self) -> bool:
        """Whether the kernel killed it for lack of memory."""
        return bool(self.target.state()["OOMKilled"])

    def inspect(self) -> dict[str, Any]:
        """Everything that is known of it, in the words of Docker's API.

        Raises:
            NotFound: it was removed.
        """
        from orlop.engine import inspection, repair

        repair.look_after(self.target)
        return inspection.describe(self._fresh())

    def explain(self) -> list[Statement]:
        """What isolates it, in words: each with a ``section``, ``subject`` and ``text``.

        ``weakened`` says by which option, ``warning`` what the kernel has otherwise than was asked for.

        Raises:
            NotFound: it was removed.
        """
        from orlop.engine import explanation

        return explanation.explain(self._fresh()).statements

    def _fresh(self) -> engine_container.Container:
        """Itself without what was read before: names change."""
        return engine_container.Container(self.target.location, self.target.id)
