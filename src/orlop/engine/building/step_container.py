"""The container of one step: the program runs in it with the default isolation, by the runtime, in this process."""

from __future__ import annotations

import _signal
import os
import select

from orlop.engine import bundle, container, mount_points, network_files, users
from orlop.engine.building.aside import Aside
from orlop.engine.building.step_network import StepNetwork
from orlop.engine.settings import Settings
from orlop.errors import OrlopError
from orlop.linux import pidfd
from orlop.runtime import create, delete
from orlop.runtime.request import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from orlop.build.worker import Job
    from orlop.engine.location import Location
    from orlop.storage.mounts import Mount


class StepContainer:
    """A step's container: its ``identifier``, and the directory ``aside`` that has its files. ``wishes`` are settings by name."""

    __slots__ = ("_aside", "_identifier", "_job", "_location", "_settings")

    def __init__(self, location: Location, job: Job, identifier: str, aside: str, wishes: Mapping[str, Any]) -> None:
        self._location = location
        self._job = job
        self._identifier = identifier
        self._aside = aside
        self._settings = _settings(job, identifier, wishes)

    def run(self) -> int:
        """Run the program to its end; its exit status.

        Raises:
            OrlopError: it cannot be run, or nobody wants it any more.
        """
        network = StepNetwork(self._location, self._settings, self._identifier, self._aside)
        try:
            return self._run(network)
        finally:
            network.close()

    def _run(self, network: StepNetwork) -> int:
        user = users.find_in_snapshot(list(self._job.root), self._job.user)
        mounts = self._with_mount_points(list(self._job.root))
        rootfs = f"{self._aside}/rootfs"
        os.mkdir(rootfs, 0o755)
        network_files.write(self._aside, self._settings)
        made = bundle.configuration(
            self._settings,
            self._identifier,
            self._aside,
            rootfs,
            user,
            rootless=self._location.rootless,
            mounts=list(self._job.mounts),
        )
        if self._job.devices:
            from orlop.engine import cdi

            requests = [{"Driver": "cdi", "DeviceIDs": list(self._job.devices)}]
            cdi.apply(made.config, requests, self._location.root, rootless=self._location.rootless)
        if self._location.rootless:
            _stay_in_namespace(made.config)
        network.prepare(made.config)
        container.write(f"{self._aside}/config.json", made.config)
        null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        try:
            created = create.create(
                Request(
                    root=self._location.runtime,
                    id=self._identifier,
                    bundle=self._aside,
                    stdio=(null, self._job.output, self._job.output),
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
            _wait(created.pidfd, self._job.leash, network)
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

    def _with_mount_points(self, root: list[Mount]) -> list[Mount]:
        """The root with what is below every container's image; the first one of all makes that, where its place is."""
        if os.path.isdir(self._location.mount_points):
            return mount_points.below(self._location, root, self._aside)
        with Aside(self._location) as aside:
            return mount_points.below(self._location, root, aside)


def _settings(job: Job, identifier: str, wishes: Mapping[str, Any]) -> Settings:
    settings = Settings(rootfs=identifier, command=list(job.arguments))
    settings.env = list(job.environment)
    settings.workdir = job.workdir
    settings.user = job.user
    if job.network != "default":
        settings.network = job.network
    settings.privileged = job.insecure
    for name, value in wishes.items():
        setattr(settings, name, value)
    settings.hostname = wishes.get("hostname") or "buildkitsandbox"
    return settings


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
