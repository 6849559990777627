"""An engine from Python: where everything begins."""

from __future__ import annotations

import os

from orlop.engine.location import locate
from orlop.library.containers import Containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from types import TracebackType
    from typing import Any

    from orlop.library.entries import Problem
    from orlop.library.images import Images
    from orlop.library.networks import Networks
    from orlop.library.volumes import Volumes


class Event:
    """Something that happened: ``action`` (``start``, ``pull``, …) to an object of a ``type``.

    ``id`` is the object's, ``attributes`` what is told of it, ``time`` seconds since 1970.
    """

    __slots__ = ("action", "attributes", "id", "time", "type")

    def __init__(self, told: Mapping[str, Any]) -> None:
        self.type = str(told["Type"])
        self.action = str(told["Action"])
        self.id = str(told["Actor"]["ID"])
        self.attributes: dict[str, str] = told["Actor"]["Attributes"]
        self.time: float = told["timeNano"] / 1e9

    def __repr__(self) -> str:
        return f"<Event {self.type} {self.action} {self.id[:19]}>"


class DiskUsage:
    """What one kind of things takes: ``total`` and ``active`` count them, ``size`` and ``reclaimable`` are bytes."""

    __slots__ = ("active", "reclaimable", "size", "total")

    def __init__(self, total: int, active: int, size: int, reclaimable: int) -> None:
        self.total = total
        self.active = active
        self.size = size
        self.reclaimable = reclaimable


class Engine:
    """Containers, images, volumes and networks below one directory, the same that the command line sees.

    Opening one costs nothing, any number of them may be open at once, in any processes, and one may be used by many
    threads. ``root`` and ``run_root`` are as for ``orlop --root`` and ``--run-root``. As a context manager it waits at the
    end until what its programs left is cleared away; containers that were detached stay.

    Raises:
        InvalidArgument: there is no directory that is ours alone to keep state in.
        OSError: it cannot be made.
    """

    __slots__ = ("_images", "_networks", "_volumes", "containers", "location")

    def __init__(
        self, root: str | os.PathLike[str] | None = None, run_root: str | os.PathLike[str] | None = None
    ) -> None:
        self.location = locate(
            None if root is None else os.fspath(root), None if run_root is None else os.fspath(run_root)
        )
        self.location.prepare()
        self.containers = Containers(self.location)
        self._images: Images | None = None
        self._networks: Networks | None = None
        self._volumes: Volumes | None = None

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Engine {self.location.root}>"

    @property
    def images(self) -> Images:
        """Its images."""
        if self._images is None:
            from orlop.library.images import Images

            self._images = Images(self.location, self.containers.settle)
        return self._images

    @property
    def networks(self) -> Networks:
        """Its networks."""
        if self._networks is None:
            from orlop.library.networks import Networks

            self._networks = Networks(self.location, self.containers.settle)
        return self._networks

    @property
    def volumes(self) -> Volumes:
        """Its volumes."""
        if self._volumes is None:
            from orlop.library.volumes import Volumes

            self._volumes = Volumes(self.location, self.containers.settle)
        return self._volumes

    def close(self) -> None:
        """End what is leashed to it, and wait until what its programs left is cleared away. It may be used again."""
        self.containers.close()

    def events(
        self, *, since: float | datetime | None = None, until: float | datetime | None = None
    ) -> Iterator[Event]:
        """What happens, as it happens; with ``since`` what happened from then on first, with ``until`` until then."""
        from orlop.engine import events
        from orlop.library import quantities

        begin = None if since is None else quantities.moment("since", since)
        end = None if until is None else quantities.moment("until", until)
        for told in events.follow(self.location, begin, end):
            yield Event(told)

    def info(self) -> dict[str, Any]:
        """What is known of the engine and of this machine, in the words of Docker's API."""
        from orlop.engine import information

        return information.describe(self.location)

    def df(self) -> dict[str, DiskUsage]:
        """What ``images``, ``containers`` and ``volumes`` take on the disk."""
        from orlop.library import errand

        found = errand.call(self.location, "disk_usage", {})
        return {name.rpartition(" ")[2].lower(): DiskUsage(*numbers) for name, *numbers in found}

    def check(self, *, repair: bool = False) -> list[Problem]:
        """Verify every blob and every snapshot, and what images and containers need of them: the problems.

        With ``repair`` what can be is put right: what is damaged or left over goes, what is missing is unpacked.
        """
        from orlop.library import errand
        from orlop.library.entries import Problem

        return [Problem(*each) for each in errand.call(self.location, "check", {"repair": repair})]

    def login(self, username: str, password: str, *, registry: str = "docker.io") -> None:
        """Try credentials with a registry, and keep them for the pulls and pushes of this user, also by the command line.

        Raises:
            Unauthorized: it does not accept them.
            RegistryError: it cannot be reached.
        """
        from orlop.library import errand

        arguments = {"registry": registry, "username": username, "password": password}
        errand.call(self.location, "login", arguments)

    def logout(self, *, registry: str = "docker.io") -> bool:
        """Forget a registry's credentials; False if there were none."""
        from orlop.library import errand

        return bool(errand.call(self.location, "logout", {"registry": registry}))

    def prune(self, *, all: bool = False, volumes: bool = False) -> int:  # noqa: A002 - Docker's word
        """Remove all containers that do not run, networks that none is on, and images without names; bytes freed.

        With ``all`` all images that no container has, with ``volumes`` volumes that nobody named, too.
        """
        freed = self.containers.prune()[1]
        self.networks.prune()
        if volumes:
            freed += self.volumes.prune()[1]
        return freed + self.images.prune(all=all).freed
