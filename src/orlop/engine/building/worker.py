"""Running the steps of a build: each program in a real container with the default isolation, by the runtime, in-process.

Such a container has no record, name, log or monitor, since whoever builds waits for it. Its directory lies below
``building`` in the run directory, locked by the process that runs it; what a killed build has left there the next one clears
away (`clear_abandoned`).
"""

from __future__ import annotations

import _signal
import os
import select

from orlop.engine import bundle, container, mount_points, network_files, users
from orlop.engine.building.step_network import StepNetwork
from orlop.engine.settings import Settings
from orlop.errors import InvalidArgument, NotFound, OrlopError
from orlop.linux import pidfd
from orlop.runtime import create, delete
from orlop.runtime.container import Container
from orlop.runtime.request import Request
from orlop.storage import directory_lock, trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from orlop.build.worker import Job
    from orlop.engine.location import Location
    from orlop.storage.mounts import Mount


class EngineWorker:
    """Runs programs as `orlop.build.worker.Worker` says. ``wishes`` are settings of all containers, by their names."""

    __slots__ = ("_directory", "_location", "_wishes", "allows_insecure")

    def __init__(
        self, location: Location, wishes: Mapping[str, Any] | None = None, *, allows_insecure: bool = False
    ) -> None:
        self._location = location
        self._directory = directory_of(location)
        self._wishes = wishes or {}
        self.allows_insecure = allows_insecure

    def identity(self, root: Sequence[Mount], user: str) -> tuple[int, int]:
        """See the protocol."""
        if not root:
            return _numbers(user)
        found = users.find_in_snapshot(root, user)
        name, _, group = user.partition(":")
        # A number alone means the group of that number too (Dockerfile reference, COPY --chown).
        return found.uid, found.gid if group or not name.isdigit() else int(name)

    def run(self, job: Job) -> int:
        """See the protocol."""
        identifier = f"build-{os.urandom(16).hex()}"
        aside = f"{self._directory}/{identifier}"
        os.makedirs(self._directory, 0o700, exist_ok=True)
        lock = directory_lock.begin(self._directory, aside)
        try:
            return self._run(job, identifier, aside)
        finally:
            os.close(lock)
            trees.remove(aside)

    def _run(self, job: Job, identifier: str, aside: str) -> int:
        settings = self._settings(job, identifier)
        network = StepNetwork(self._location, settings, identifier, aside)
        try:
            return self._run_on(network, settings, job, identifier, aside)
        finally:
            network.close()

    def _run_on(self, network: StepNetwork, settings: Settings, job: Job, identifier: str, aside: str) -> int:
        user = users.find_in_snapshot(list(job.root), job.user)
        mounts = mount_points.below(self._location, list(job.root), aside)
        rootfs = f"{aside}/rootfs"
        os.mkdir(rootfs, 0o755)
        network_files.write(aside, settings)
        made = bundle.configuration(
            settings, identifier, aside, rootfs, user, rootless=self._location.rootless, mounts=list(job.mounts)
        )
        if self._location.rootless:
            _stay_in_namespace(made.config)
        container.write(f"{aside}/config.json", made.config)
        null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        try:
            created = create.create(
                Request(
                    root=self._location.runtime,
                    id=identifier,
                    bundle=aside,
                    stdio=(null, job.output, job.output),
                    rootless=self._location.rootless,
                    root_mounts=[each.as_json() for each in mounts],
                    connect=network.connect,
                )
            )
        finally:
            os.close(null)
        try:
            network.begin()
            created.release()
            _wait(created.pidfd, job.leash, network)
        except BaseException:
            if created.container.alive():
                created.container.signal(_signal.SIGKILL)
            raise
        finally:
            _, status = os.waitpid(created.pid, 0)
            os.close(created.pidfd)
            with created.container.lock():
                delete.destroy(created.container)
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code

    def _settings(self, job: Job, identifier: str) -> Settings:
        settings = Settings(rootfs=identifier, command=list(job.arguments))
        settings.env = list(job.environment)
        settings.workdir = job.workdir
        settings.user = job.user
        if job.network != "default":
            settings.network = job.network
        if job.insecure:
            if not self.allows_insecure:
                raise InvalidArgument("RUN --security=insecure is not allowed: add --allow security.insecure")
            settings.privileged = True
        for name, value in self._wishes.items():
            setattr(settings, name, value)
        settings.hostname = "buildkitsandbox"
        return settings


def directory_of(location: Location) -> str:
    """Where the containers of an engine's builds have their directories."""
    return f"{location.run_root}/building"


def clear_abandoned(location: Location) -> None:
    """End and clear away the containers of builds that were killed.

    Raises:
        OrlopError: a container's processes do not end.
        OSError: something cannot be removed.
    """
    directory = directory_of(location)
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return
    for name in names:
        lock = directory_lock.lock_abandoned(directory, f"{directory}/{name}")
        if lock is None:
            continue  # it is at work, or has just ended
        try:
            try:
                delete.delete(Container.load(location.runtime, name), force=True)
            except NotFound:
                pass  # it was killed before there was a container
            trees.remove(f"{directory}/{name}")
        finally:
            os.close(lock)


def _wait(process: int, leash: int, network: StepNetwork) -> None:
    """Wait for the end of a process.

    Raises:
        OrlopError: nobody wants it any more.
    """
    while True:
        poll = select.poll()
        poll.register(process, select.POLLIN)
        poll.register(leash, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(network.register(poll))}
        if process in ready:
            return
        if leash in ready:
            pidfd.send_signal(process, _signal.SIGKILL)
            raise OrlopError("canceled")
        network.look(ready)


def _stay_in_namespace(config: dict[str, Any]) -> None:
    """Have a container of an ordinary user be in the user namespace that the build is in: it is root there."""
    linux = config["linux"]
    linux["namespaces"] = [each for each in linux["namespaces"] if each["type"] != "user"]
    linux.pop("uidMappings", None)
    linux.pop("gidMappings", None)


def _numbers(user: str) -> tuple[int, int]:
    """The ids of a user in an image without any file, where only numbers have a meaning."""
    name, _, group = user.partition(":")
    group = group or name
    if not (name.isdigit() and group.isdigit()) or max(len(name), len(group)) > 10:
        raise InvalidArgument(f"unable to find user {user}: the image has no /etc/passwd; use numbers")
    return int(name), int(group)
