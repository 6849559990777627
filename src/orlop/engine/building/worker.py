"""Running the steps of a build: each program in a real container with the default isolation, by the runtime, in-process.

Such a container has no record, name, log or monitor, since whoever builds waits for it. Its directory lies below
``building`` in the run directory, locked by the process that runs it; what a killed build has left there the next command clears
away (`clear_abandoned`).
"""

from __future__ import annotations

import os

from orlop.engine import container, removal
from orlop.errors import InvalidArgument
from orlop.storage import directory_lock, trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Any

    from orlop.build.dockerfile.run_devices import Device
    from orlop.build.worker import Devices, Job
    from orlop.engine.location import Location
    from orlop.storage.mounts import Mount


class EngineWorker:
    """Runs programs as `orlop.build.worker.Worker` says. ``wishes`` are settings of all containers, by their names.

    ``allowed`` are entitlements (`orlop.engine.building.entitlements`).
    """

    __slots__ = ("_allowed", "_directory", "_location", "_wishes")

    def __init__(
        self, location: Location, wishes: Mapping[str, Any] | None = None, allowed: Collection[str] = ()
    ) -> None:
        self._location = location
        self._directory = directory_of(location)
        self._wishes = wishes or {}
        self._allowed = allowed

    def identity(self, root: Sequence[Mount], user: str) -> tuple[int, int]:
        """See the protocol."""
        if not root:
            return _numbers(user)
        from orlop.engine import users

        found = users.find_in_snapshot(root, user)
        name, _, group = user.partition(":")
        # A number alone means the group of that number too (Dockerfile reference, COPY --chown).
        return found.uid, found.gid if group or not name.isdigit() else int(name)

    def devices(self, wanted: Sequence[Device]) -> Devices:
        """See the protocol."""
        from orlop.engine.building import entitlements

        return entitlements.devices(wanted, self._allowed, self._location.root)

    def run(self, job: Job) -> int:
        """See the protocol."""
        from orlop.engine.building.step_container import StepContainer

        identifier = f"{container.STEP}{os.urandom(16).hex()}"
        aside = f"{self._directory}/{identifier}"
        os.makedirs(self._directory, 0o700, exist_ok=True)
        lock = directory_lock.begin(self._directory, aside)
        try:
            made = StepContainer(self._location, job, identifier, aside, self._wishes)
            return made.run()
        finally:
            os.close(lock)
            trees.remove(aside)


def directory_of(location: Location) -> str:
    """Where the containers of an engine's builds have their directories."""
    return f"{location.run_root}/building"


def clear_abandoned(location: Location) -> None:
    """End and clear away the containers of builds that were killed, or whose steps could not do so themselves.

    Raises:
        OrlopError: a container's processes do not end.
        OSError: something cannot be removed.
    """
    directory = directory_of(location)
    # A step's directory is there before its container and goes after it: these are looked for first.
    running = [name for name in _entries(location.runtime) if name.startswith(container.STEP)]
    left = _entries(directory)
    for name in dict.fromkeys([*left, *running]):
        path = f"{directory}/{name}"
        if not os.path.lexists(path):
            removal.release_runtime(location, name)
            continue
        lock = directory_lock.lock_abandoned(directory, path)
        if lock is None:
            continue  # it is at work, or has just ended
        try:
            removal.release_runtime(location, name)
            removal.remove_tree(path)
        finally:
            os.close(lock)


def _entries(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def _numbers(user: str) -> tuple[int, int]:
    """The ids of a user in an image without any file, where only numbers have a meaning."""
    name, _, group = user.partition(":")
    group = group or name
    if not (name.isdigit() and group.isdigit()) or max(len(name), len(group)) > 10:
        raise InvalidArgument(f"unable to find user {user}: the image has no /etc/passwd; use numbers")
    return int(name), int(group)
