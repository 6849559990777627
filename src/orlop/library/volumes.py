"""The volumes of an engine."""

from __future__ import annotations

from orlop.library import errand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from orlop.engine.location import Location


class Volume:
    """What a volume is, at the time it was asked for; ``path`` is where its files are on this machine."""

    __slots__ = ("created", "driver", "labels", "name", "options", "path")

    def __init__(self, known: Mapping[str, Any]) -> None:
        self.name = str(known["Name"])
        self.path = str(known["Mountpoint"])
        self.driver = str(known["Driver"])
        self.created = str(known["CreatedAt"])
        self.labels: dict[str, str] = dict(known["Labels"] or {})
        self.options: dict[str, str] = dict(known["Options"] or {})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Volume) and other.path == self.path

    def __hash__(self) -> int:
        return hash(self.path)

    def __repr__(self) -> str:
        return f"<Volume {self.name}>"


class Volumes:
    """What ``engine.volumes`` is."""

    __slots__ = ("_location", "_settle")

    def __init__(self, location: Location, settle: Callable[[], object]) -> None:
        self._location = location
        #: Waits until programs that have ended hold nothing any more.
        self._settle = settle

    def create(
        self,
        name: str = "",
        *,
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
        driver: str = "",
    ) -> Volume:
        """Make a volume, or find the one of that name; ``options`` are ``type``, ``o`` and ``device``, as for mount(8).

        Raises:
            InvalidArgument: the name or the options cannot be.
            Conflict: there is one of that name with other options.
        """
        from orlop.engine import volume_store

        return Volume(volume_store.create(self._location, name, driver=driver, labels=labels, options=options))

    def get(self, name: str) -> Volume:
        """The volume of a name.

        Raises:
            NotFound: there is none.
        """
        from orlop.engine import volume_store

        return Volume(volume_store.find(self._location, name))

    def list(self) -> list[Volume]:
        """All volumes, by name."""
        from orlop.engine import volume_store

        return [Volume(each) for each in volume_store.every(self._location)]

    def remove(self, name: str) -> None:
        """Remove a volume and what is in it.

        Raises:
            NotFound: there is none.
            Conflict: a container has it.
        """
        self._settle()
        errand.call(self._location, "remove_volume", {"name": name}, light=True)

    def prune(self, *, all: bool = False) -> tuple[Sequence[str], int]:  # noqa: A002 - Docker's word
        """Remove those without a name of their own that no container has, with ``all`` named ones too.

        Their names, and the bytes that were freed.
        """
        self._settle()
        names, freed = errand.call(self._location, "prune_volumes", {"everything": all}, light=True)
        return names, freed
