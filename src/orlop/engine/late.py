"""The parts of a container's OCI configuration that are known only when it starts, each time anew.

They are: namespaces of another container, which must be running by then; variables that tell of containers it is linked
to; volumes with a file system of their own; parts of images; shared memory that others share; devices that CDI's files
describe; parts of volumes for another runtime than ours. For a container that has any of these the record has ``Late``,
and the configuration without them lies in ``template.json``.
"""

from __future__ import annotations

import os

from orlop.engine import container, modes, network_files, volume_store
from orlop.engine.host_config import OWN_RUNTIME
from orlop.errors import Conflict, NotFound, Unsupported
from orlop.runtime import create as runtime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.container import Container
    from orlop.engine.runtimes import Elsewhere
    from orlop.engine.settings import Settings
    from orlop.runtime.request import Request

TEMPLATE_FILE = "template.json"
_FILES = {"network": "net", "pid": "pid", "ipc": "ipc", "uts": "uts", "user": "user"}
_SHARED_MEMORY = "/dev/shm"  # in the container


def is_needed(settings: Settings) -> bool:
    """Whether anything of what these settings ask for has to wait for the start."""
    modes_said = (settings.network, settings.pid, settings.ipc, settings.uts)
    return (
        any(modes.donor_of(mode) for mode in modes_said)
        or settings.ipc == modes.SHAREABLE
        or settings.runtime not in ("", OWN_RUNTIME)
        or bool(settings.device_requests or settings.links)
    )


def create(target: Container, request: Request) -> runtime.Created | Elsewhere:
    """Have a container created of which something is known only now, or by another runtime than ours.

    Raises:
        OrlopError: as `complete`, `orlop.runtime.create.create` and `orlop.engine.runtimes.create`.
    """
    made = complete(target) if target.record.get("Late") else Completed()
    try:
        name = target.record["HostConfig"].get("Runtime") or OWN_RUNTIME
        if name == OWN_RUNTIME:
            request.trees = made.trees
            return runtime.create(request)
        from orlop.engine import runtimes

        return runtimes.create(target, request, name)
    finally:
        made.close()


class Completed:
    """What `complete` opened and the container's start still needs: `close` it afterwards.

    ``trees`` are detached mounts by their destinations, as `orlop.runtime.request.Request` takes them.
    """

    __slots__ = ("_descriptors", "trees")

    def __init__(self) -> None:
        self._descriptors: list[int] = []
        self.trees: dict[str, int] = {}

    def path(self, descriptor: int) -> str:
        """A path for what a descriptor is open on, until it is closed.

        Root's names this process, so that another runtime's can use it. An ordinary user's runtime could not, in a user
        namespace of its own: but that is ours, a child of this process, which has the same descriptors.
        """
        self._descriptors.append(descriptor)
        return f"/proc/{os.getpid() if os.geteuid() == 0 else 'self'}/fd/{descriptor}"

    def close(self) -> None:
        """Close everything."""
        for each in (*self._descriptors, *self.trees.values()):
            os.close(each)
        self._descriptors = []
        self.trees = {}


def complete(target: Container) -> Completed:
    """Write the configuration with which a container is started.

    Raises:
        Conflict: another container, whose namespaces it is to join, does not run.
        NotFound: that container or a volume is gone.
        OrlopError: a volume cannot be mounted.
    """
    made = Completed()
    try:
        config = container.read(f"{target.directory}/{TEMPLATE_FILE}")
        if config is None:
            raise NotFound(f"no such container: {target.id[:12]}")
        _join(made, target, config)
        _mount_volumes(target, config)
        if target.record["HostConfig"].get("Runtime", OWN_RUNTIME) != OWN_RUNTIME:
            _mount_parts(target, config)
        if target.record["HostConfig"].get("IpcMode") == modes.SHAREABLE and not target.location.rootless:
            _share_memory(target, config)
        requests = target.record["HostConfig"].get("DeviceRequests")
        if requests:
            from orlop.engine import cdi

            cdi.apply(config, requests, target.location.root, rootless=target.location.rootless)
        if target.record["HostConfig"].get("Links"):
            from orlop.engine import links

            process = config["process"]
            said = {each.partition("=")[0] for each in process["env"]}
            process["env"] += [each for each in links.environment(target) if each.partition("=")[0] not in said]
        container.write(f"{target.directory}/config.json", config)
    except BaseException:
        made.close()
        raise
    return made


def _join(made: Completed, target: Container, config: dict[str, Any]) -> None:
    namespaces = config["linux"]["namespaces"]
    for kind, donor_id in modes.joined(target.record["HostConfig"]).items():
        donor = container.Container(target.location, donor_id)
        path = made.path(_open_namespace(donor, kind))
        next(each for each in namespaces if each["type"] == kind)["path"] = path
        if target.location.rootless:
            _join_users(made, config, donor)
        if kind == "network":
            for each in config["mounts"]:
                for name in network_files.FILES:
                    if each["source"] == f"{target.directory}/{name}":
                        each["source"] = f"{donor.directory}/{name}"
        if kind == "ipc":
            _bind_shared_memory(config, _shared_memory(made, donor))


def _join_users(made: Completed, config: dict[str, Any], donor: Container) -> None:
    """Be in the donor's user namespace, which its others belong to: an ordinary user's container has no right to them else.

    Raises:
        Unsupported: another donor has another one.
    """
    descriptor = _open_namespace(donor, "user")
    linux = config["linux"]
    entry = next(each for each in linux["namespaces"] if each["type"] == "user")
    if "path" in entry and not os.path.samestat(os.stat(entry["path"]), os.fstat(descriptor)):
        os.close(descriptor)
        raise Unsupported(
            f"cannot join namespaces of container {donor.id[:12]} and of another one: an ordinary user's containers have "
            "user namespaces of their own, and only one can be joined"
        )
    entry["path"] = made.path(descriptor)
    linux.pop("uidMappings", None)
    linux.pop("gidMappings", None)


def _open_namespace(donor: Container, kind: str) -> int:
    """Open a running container's namespace: of its own init, and not of who has got its number since."""
    from orlop.runtime.container import Container as RuntimeContainer

    words = {"network": "network", "pid": "PID", "ipc": "IPC", "uts": "UTS", "user": "user"}
    if not os.path.isdir(donor.directory):
        raise NotFound(f"no such container: {donor.id[:12]}")
    try:
        inner = RuntimeContainer.load(donor.location.runtime, donor.id)
        descriptor = os.open(f"/proc/{inner.pid}/ns/{_FILES[kind]}", os.O_RDONLY | os.O_CLOEXEC)
    except (NotFound, FileNotFoundError):
        raise Conflict(f"cannot join {words[kind]} of a non running container: {donor.id}") from None
    if not inner.alive():
        os.close(descriptor)
        raise Conflict(f"cannot join {words[kind]} of a non running container: {donor.id}")
    return descriptor


def _share_memory(target: Container, config: dict[str, Any]) -> None:
    from orlop.engine import host_mounts

    mounted = next(each for each in config["mounts"] if each["destination"] == _SHARED_MEMORY)
    size = next(each for each in mounted["options"] if each.startswith("size=")).removeprefix("size=")
    host_mounts.mount_shared_memory(target.location, target.id, _bytes(size))
    _bind_shared_memory(config, host_mounts.shared_memory(target.location, target.id))


def _shared_memory(made: Completed, donor: Container) -> str:
    """Where another container's shared memory is: an ordinary user's is in that container only, which has to be asked."""
    if not donor.location.rootless:
        from orlop.engine import host_mounts

        return host_mounts.shared_memory(donor.location, donor.id)
    from orlop.engine import container_tree

    tree = container_tree.open_mount(donor, _SHARED_MEMORY)
    if tree < 0:
        raise Conflict(f"cannot join IPC of a non running container: {donor.id}")
    made.trees[_SHARED_MEMORY] = tree
    return _SHARED_MEMORY


def _bytes(text: str) -> int:
    return int(text.removesuffix("k")) << 10 if text.endswith("k") else int(text)


def _bind_shared_memory(config: dict[str, Any], source: str) -> None:
    for each in config["mounts"]:
        if each["destination"] == _SHARED_MEMORY and each["type"] == "tmpfs":
            each.update(
                type="bind",
                source=source,
                options=["bind", "rprivate", "nosuid", "noexec", "nodev"],
            )


def _mount_volumes(target: Container, config: dict[str, Any]) -> None:
    images = list(target.record.get("MountedImages", ()))
    for point in target.record.get("Mounts") or ():
        if point["Type"] == "image":
            _mount_image(target, config, point, images.pop(0))
        if point["Type"] != "volume":
            continue
        volume = volume_store.find(target.location, point["Name"])
        if volume["Options"]:
            from orlop.engine import host_mounts

            host_mounts.mount_volume(target.location, target.id, volume)
            _map_ids(config, point["Destination"])


def _map_ids(config: dict[str, Any], destination: str) -> None:
    """Now that it is mounted, it can be told to whom a volume belongs that is to belong to the container's user."""
    entry = next(each for each in config["mounts"] if each["destination"] == destination)
    if "uidMappings" in entry:
        from orlop.engine import mount_plan

        mount_plan.map_ids(entry, config["process"]["user"]["uid"], config["process"]["user"]["gid"])


def _mount_image(target: Container, config: dict[str, Any], point: dict[str, Any], image: dict[str, Any]) -> None:
    """Mount a part of an image: the whole is mounted on the host first."""
    if not point.get("Subpath"):
        return
    from orlop.engine import host_mounts

    whole = host_mounts.mount_image(target.location, target.id, point["Destination"], image["Mount"])
    entry = next(each for each in config["mounts"] if each["destination"] == point["Destination"])
    entry.update(type="bind", source=whole, subpath=point["Subpath"], options=["bind", "rprivate", "ro"])


def _mount_parts(target: Container, config: dict[str, Any]) -> None:
    """Have parts of volumes and images on the host, for another runtime than ours, which finds none by itself."""
    from orlop.engine import host_mounts

    for entry in config["mounts"]:
        if "subpath" not in entry:
            continue
        part = volume_store.open_part(entry["source"], entry.pop("subpath"))
        try:
            entry["source"] = host_mounts.mount_part(target.location, target.id, entry["destination"], part)
        finally:
            os.close(part)
