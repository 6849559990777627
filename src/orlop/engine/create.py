"""Making a container: everything is prepared aside and appears by one rename."""

from __future__ import annotations

import os

from orlop.engine import bundle, clock, container, names, network_files
from orlop.engine.settings import HOST_IMAGE
from orlop.errors import Conflict, InvalidArgument, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.engine.settings import Settings


class Created:
    """A container that was made and not started. ``lock`` is the flock on its directory: close it when done."""

    __slots__ = ("container", "lock", "warnings")

    def __init__(self, made: container.Container, lock: int, warnings: list[str]) -> None:
        self.container = made
        self.lock = lock
        #: What was left out because this machine lacks it.
        self.warnings = warnings


def create(location: Location, settings: Settings) -> Created:
    """Make a container's directory, record and bundle, and publish them.

    ``settings`` gets the name and the host name that were chosen.

    Raises:
        InvalidArgument: a setting cannot be right.
        Conflict: the name is in use.
        NotFound: there is no such image or root directory.
    """
    rootfs = _rootfs(settings)
    if settings.name:
        names.validate(settings.name)
    location.prepare()
    container_id = os.urandom(32).hex()
    settings.hostname = bundle.hostname_for(settings, container_id)
    published = f"{location.containers}/{container_id}"
    aside = f"{location.containers}/{container.NEW}{container_id}"
    lock = container.begin(location.containers, aside)
    try:
        _claim(location, settings, container_id)
        root_mounts = None
        if not rootfs:
            from orlop.engine import host_view

            root_mounts = host_view.prepare(aside, published, location)
        made = bundle.configuration(
            settings,
            container_id,
            published,
            rootfs or f"{published}/rootfs",
            lookup_root=rootfs or "/",
            rootless=location.rootless,
            root_mounts=root_mounts,
        )
        for text in settings.binds:
            from orlop.engine import binds

            binds.make_source(binds.mount(text)["source"])
        network_files.write(aside, settings.hostname, settings.network)
        arguments = settings.entrypoint + settings.command
        container.write(
            f"{aside}/{container.RECORD_FILE}",
            {
                "Id": container_id,
                "Created": clock.now(),
                "Name": settings.name,
                "Path": arguments[0],
                "Args": arguments[1:],
                **settings.record(),
            },
        )
        container.write(f"{aside}/config.json", made.config)
        os.rename(aside, published)
    except BaseException:
        names.release(location.names, settings.name, container_id)
        from orlop.engine import removal

        removal.remove_tree(aside)
        os.close(lock)
        raise
    return Created(container.Container(location, container_id), lock, made.warnings)


def _rootfs(settings: Settings) -> str:
    """The absolute root directory, or empty for the host's."""
    if settings.rootfs:
        rootfs = os.path.realpath(settings.rootfs)
        if not os.path.isdir(rootfs):
            raise NotFound(f"the root directory {settings.rootfs} does not exist or is not a directory")
        if rootfs == "/":
            raise InvalidArgument(f"--rootfs / would write to this machine; use the image name {HOST_IMAGE}")
        settings.rootfs = rootfs
        return rootfs
    if settings.image != HOST_IMAGE:
        raise NotFound(
            f'unable to find image "{settings.image}": the only image there is yet is "{HOST_IMAGE}"; or use --rootfs DIR'
        )
    return ""


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
