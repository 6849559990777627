"""Making a container: everything is prepared aside and appears by one rename."""

from __future__ import annotations

import os

from orlop import clock
from orlop.engine import bundle, container, events, names, network_files, network_mode, users, volumes
from orlop.engine.settings import DEFAULT_LOG_DRIVER, HOST_IMAGE
from orlop.errors import Conflict, InvalidArgument, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine import image_root
    from orlop.engine.location import Location
    from orlop.engine.mount_plan import Plan
    from orlop.engine.settings import Settings
    from orlop.storage.leases import Lease
    from orlop.storage.mounts import Mount


class Created:
    """A container that was made and not started. ``lock`` is the flock on its directory: close it, or `leave`, when done."""

    __slots__ = ("container", "lock", "warnings")

    def __init__(self, made: container.Container, lock: int, warnings: list[str]) -> None:
        self.container = made
        self.lock = lock
        #: What was left out because this machine lacks it.
        self.warnings = warnings

    def leave(self) -> None:
        """Let go of it, for somebody to start it later.

        Without a state one with ``--rm`` would be what a ``run`` that was killed has left (`orlop.engine.repair`).
        """
        try:
            self.container.write_state(container.new_state())
        finally:
            os.close(self.lock)


def create(location: Location, settings: Settings) -> Created:
    """Make a container's directory, record and bundle, and publish them.

    ``settings`` gets what was chosen: the name, the host name, and what the image says where the user said nothing.

    Raises:
        InvalidArgument: a setting cannot be right.
        Conflict: the name is in use.
        ImageNotFound: there is no such image here.
        NotFound: there is no such root directory.
    """
    if settings.log_options or settings.log_driver != DEFAULT_LOG_DRIVER:
        from orlop.engine import log_drivers

        log_drivers.check(settings.log_driver, settings.log_options)
    made = _Creation(location, settings)
    if settings.name:
        names.validate(settings.name)
    location.prepare()
    lock = container.begin(location.containers, made.aside)
    try:
        _claim(location, settings, made.id)
        target = made.publish()
    except BaseException:
        names.release(location.names, settings.name, made.id)
        from orlop.engine import removal

        removal.clear(location, made.aside, made.id)
        os.close(lock)
        raise
    finally:
        made.close()
    return Created(target, lock, made.warnings)


class _Creation:
    """One container on its way: what it is made of, and where."""

    __slots__ = ("_image", "_lease", "_location", "_published", "_rootfs", "_settings", "aside", "id", "warnings")

    def __init__(self, location: Location, settings: Settings) -> None:
        self._location = location
        self._settings = settings
        self._rootfs = _rootfs(settings)
        self._image: image_root.Found | None = None
        self._lease: Lease | None = None
        self.warnings: list[str] = []
        if not self._rootfs and settings.image != HOST_IMAGE:
            self._use_image()
        if settings.entrypoint == [""]:
            settings.entrypoint = []
        joins = any(mode.startswith("container:") for mode in (settings.pid, settings.ipc, settings.uts))
        settings.network = network_mode.chosen(settings.network, rootless=location.rootless, joins=joins)
        if network_mode.is_connected(settings.network):
            from orlop.engine import networking

            networking.check(location, settings)
        self.id = os.urandom(32).hex()
        if not settings.is_ordinary:
            from orlop.engine import further

            self.warnings += further.check(location, settings)
        settings.hostname = bundle.hostname_for(settings, self.id)
        self._published = f"{location.containers}/{self.id}"
        self.aside = f"{location.containers}/{container.NEW}{self.id}"

    def _use_image(self) -> None:
        from orlop.engine import image_root, image_settings

        self._image = image_root.find(self._location, self._settings)
        self.warnings += image_settings.check_platform(self._settings, self._image.config)
        image_settings.merge(self._settings, self._image.config.config)

    def publish(self) -> container.Container:
        """Make everything aside, and then visible. Whoever calls this removes what is there if it fails."""
        location, settings, aside = self._location, self._settings, self.aside
        mounted = self._plan_mounts()
        root_mounts: list[Mount] = []
        host_mounts: list[dict[str, Any]] = []
        if self._image is not None:
            root_mounts = self._prepare_snapshot(self._image)
            user = users.find_in_snapshot(root_mounts, settings.user, settings.group_add)
        elif self._rootfs:
            user = users.find(self._rootfs, settings.user, settings.group_add)
        else:
            from orlop.engine import host_view

            host_mounts = host_view.prepare(aside, self._published, location)
            user = users.find("/", settings.user, settings.group_add)
        made = bundle.configuration(
            settings,
            self.id,
            self._published,
            self._rootfs or f"{self._published}/rootfs",
            user,
            rootless=location.rootless,
            host_view=host_mounts,
            mounts=[*mounted.mounts, *volumes.mounts(mounted.made)] if mounted is not None else (),
        )
        self.warnings += made.warnings
        network_files.write(aside, settings)
        record = self._record(root_mounts, mounted.points if mounted is not None else [])
        if mounted is None:
            self._write(record, made.config)
            os.rename(aside, self._published)
        else:
            from orlop.engine import mounting

            if mounted.images:
                record["MountedImages"] = mounted.images
            with mounting.prepared(location, mounted, user, aside, root_mounts, self._rootfs):
                self._write(record, made.config, is_late=mounted.is_late)
                volumes.publish(location, aside, mounted.made)
                os.rename(aside, self._published)
        events.emit(location, events.CONTAINER, "create", self.id, events.attributes(record))
        return container.Container(location, self.id, record)

    def _write(self, record: dict[str, Any], config: dict[str, Any], *, is_late: bool = False) -> None:
        """Write the record and the configuration; what is known only at the start makes the latter a template."""
        aside, settings = self.aside, self._settings
        if not settings.is_ordinary:
            from orlop.engine import further, late

            further.write_files(aside, settings)
            is_late = is_late or late.is_needed(settings)
        if is_late:
            from orlop.engine import late

            record["Late"] = True
            container.write(f"{aside}/{late.TEMPLATE_FILE}", config)
        container.write(f"{aside}/{container.RECORD_FILE}", record)
        container.write(f"{aside}/config.json", config)

    def _plan_mounts(self) -> Plan | None:
        """Find out what is to be mounted; None for a container that has nothing but what every one has."""
        settings = self._settings
        if not (settings.binds or settings.volumes or settings.mounts or settings.tmpfs or settings.volumes_from):
            return None
        from orlop.engine import mounting

        return mounting.plan(self._location, settings)

    def _prepare_snapshot(self, image: image_root.Found) -> list[Mount]:
        from orlop.engine import image_root, mount_points

        self._lease = image.storage.leases.take()
        mounts = mount_points.below(self._location, image_root.prepare(image, self.id, self._lease), self.aside)
        os.mkdir(f"{self.aside}/rootfs", 0o755)  # where they are attached, in the container's mount namespace
        return mounts

    def _record(self, root_mounts: list[Mount], points: list[dict[str, Any]]) -> dict[str, Any]:
        arguments = self._settings.entrypoint + self._settings.command
        record = {
            "Id": self.id,
            "Created": clock.now(),
            "Name": self._settings.name,
            "Path": arguments[0],
            "Args": arguments[1:],
            **self._settings.record(),
            "Mounts": points,
        }
        if self._image is not None:
            image = self._image.image
            record["Image"] = image.id
            record["Manifest"] = image.manifest
            record["Top"] = image.top
            record["Driver"] = self._image.storage.snapshots.driver
            record["RootMounts"] = [each.as_json() for each in root_mounts]
        return record

    def close(self) -> None:
        """Let go of the image: the container that is there now, or is not going to be, keeps it or does not."""
        if self._lease is not None:
            self._lease.release()


def _rootfs(settings: Settings) -> str:
    """The absolute root directory, or empty for that of an image."""
    if not settings.rootfs:
        return ""
    rootfs = os.path.realpath(settings.rootfs)
    if not os.path.isdir(rootfs):
        raise NotFound(f"the root directory {settings.rootfs} does not exist or is not a directory")
    if rootfs == "/":
        raise InvalidArgument(f"--rootfs / would write to this machine; use the image name {HOST_IMAGE}")
    settings.rootfs = rootfs
    return rootfs


def _claim(location: Location, settings: Settings, container_id: str) -> None:
    if settings.name:
        names.claim(location.names, settings.name, container_id, location.containers)
        return
    attempt = 0
    while True:
        name = names.generate(attempt)
        try:
            names.claim(location.names, name, container_id, location.containers)
        except Conflict:
            attempt += 1
            continue
        settings.name = name
        return
