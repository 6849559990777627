"""What a build needs of whoever runs containers. The engine is one (`orlop.engine.building`)."""

from __future__ import annotations

from orlop.build.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Protocol

    from orlop.build.dockerfile.run_devices import Device
    from orlop.storage.mounts import Mount
else:
    Protocol = object  # `typing` takes long to import


class Devices(Value):
    """Devices by their full ``names``, and the ``places`` in a container where they mount something."""

    names: tuple[str, ...] = ()
    places: tuple[str, ...] = ()


class Job(Value):
    """One program that is to be run to its end in a container of its own.

    ``root`` is its root file system, ``mounts`` are what the OCI runtime specification calls so, beside what every container
    has, and ``devices`` full names of CDI. ``output`` is a descriptor for both of its streams; ``leash`` one that is readable as soon as nobody wants the
    program any more.
    """

    root: Sequence[Mount]
    arguments: Sequence[str]
    environment: Sequence[str]
    user: str
    workdir: str
    network: str
    insecure: bool
    mounts: Sequence[dict[str, Any]]
    output: int
    leash: int
    devices: Sequence[str] = ()


class Worker(Protocol):
    """Runs programs in containers."""

    def run(self, job: Job) -> int:
        """Run a program to its end; returns its exit status as a shell says it.

        Raises:
            OrlopError: it could not be run.
        """

    def devices(self, wanted: Sequence[Device]) -> Devices:
        """The devices that a step gets of those that it wants.

        Raises:
            InvalidArgument: one is not allowed, or is required and not there.
        """

    def identity(self, root: Sequence[Mount], user: str) -> tuple[int, int]:
        """The user and group ids of ``user[:group]`` in the files of a tree.

        Raises:
            InvalidArgument: there are none of that name.
        """
