"""The saved files of a container."""

from __future__ import annotations

from orlop.library import errand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from orlop.engine.container import Container


class Snapshot:
    """A container's files as they were when it was ``created`` (RFC 3339), under a ``name``.

    ``stood_still`` is false if something in the container could be writing meanwhile, because it could not be paused.
    """

    __slots__ = ("created", "name", "stood_still")

    def __init__(self, known: Mapping[str, Any]) -> None:
        self.name = str(known["name"])
        self.created = str(known["created"])
        self.stood_still = bool(known["stood_still"])

    def __repr__(self) -> str:
        return f"<Snapshot {self.name} of {self.created}>"


class Snapshots:
    """What ``container.snapshots`` is. Volumes and binds are no part of a snapshot; it goes with its container."""

    __slots__ = ("_target",)

    def __init__(self, target: Container) -> None:
        self._target = target

    def create(self, name: str = "") -> Snapshot:
        """Save its files, running or not; without a name the snapshot gets a number.

        Raises:
            Conflict: there is one of that name, or the container is restarting.
            Unsupported: it is not one of an image.
        """
        arguments = {"container": self._target.id, "name": name}
        return Snapshot(errand.call(self._target.location, "save_snapshot", arguments, light=True))

    def list(self) -> list[Snapshot]:
        """All of them, the oldest first.

        Raises:
            NotFound: the container was removed.
        """
        from orlop.engine import container, container_snapshots

        found = container_snapshots.every(container.Container(self._target.location, self._target.id))
        return [Snapshot({"name": each.name, "created": each.created, "stood_still": True}) for each in found]

    def remove(self, name: str) -> None:
        """Forget one.

        Raises:
            NotFound: there is none of that name.
        """
        arguments = {"container": self._target.id, "name": name}
        errand.call(self._target.location, "remove_snapshot", arguments, light=True)

    def restore(self, name: str, timeout: float | None = None) -> None:
        """Have its files be as they were; what they are now is lost.

        One that runs is stopped for that, as by `Container.stop`, and started again.

        Raises:
            NotFound: there is none of that name.
            Conflict: it is restarting, or somebody has just started it.
            Unsupported: it runs, and is removed when it stops.
        """
        arguments = {"container": self._target.id, "name": name, "timeout": timeout}
        errand.call(self._target.location, "restore", arguments, light=True)
