"""What few containers ask for, put into an OCI configuration that is an ordinary container's otherwise."""

from __future__ import annotations

import os

from orlop.engine import devices, modes, resources
from orlop.engine.host_config import OWN_RUNTIME
from orlop.errors import InvalidArgument, InvalidConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.location import Location
    from orlop.engine.settings import Settings

#: The directory of control groups, below which every container has its own.
_PARENT = "/orlop"
#: The version of the specification that every other runtime knows; nothing in our configurations is newer.
_OLDEST_VERSION = "1.0.2"


def check(location: Location, settings: Settings) -> list[str]:
    """What can be told before anything of a container is there; names of other containers become ids. Returns warnings.

    Raises:
        InvalidArgument: a setting cannot be right, or contradicts another.
        NotFound: a container that is named is not there.
        Unsupported: something that this machine lacks was asked for by name.
    """
    modes.resolve(location, settings)
    settings.hostname = settings.hostname or modes.hostname_of_donor(location, settings)
    if settings.links:
        from orlop.engine import links

        links.resolve(location, settings)
    if settings.runtime:
        from orlop.engine import runtimes

        runtimes.find(settings.runtime)
    if settings.device_requests:
        from orlop.engine import cdi

        cdi.check(settings.device_requests, location.root)
    return _check_ports(settings)


def _check_ports(settings: Settings) -> list[str]:
    if not settings.port_bindings and not settings.publish_all:
        return []
    if settings.network.startswith("container:"):
        raise InvalidArgument("conflicting options: port publishing and the container type network mode")
    if settings.port_bindings:
        from orlop.network.ports import specification

        settings.port_bindings = specification.check(settings.port_bindings)
    if settings.network == "host" and settings.port_bindings:
        return ["Published ports are discarded when using host network mode"]
    return []


def write_files(aside: str, settings: Settings) -> None:
    """Make what lies beside the configuration in a container's directory."""
    if settings.init:
        from orlop.engine import init_program

        init_program.write(aside)


def apply(config: dict[str, Any], settings: Settings, container_id: str, directory: str, *, rootless: bool) -> None:
    """Change a configuration; ``directory`` is the container's own.

    Raises:
        InvalidArgument: a setting cannot be right.
        Unsupported: something that this machine lacks was asked for by name.
    """
    process, linux = config["process"], config["linux"]
    modes.apply(linux, settings)
    _set_names(config, settings)
    _shared_memory(config["mounts"], settings)
    if rootless:
        _kernel_files(config["mounts"], settings)
    if settings.ulimits:
        process["rlimits"] = resources.limits(settings.ulimits)
    if settings.oom_score_adjustment:
        process["oomScoreAdj"] = resources.oom_score_adjustment(settings.oom_score_adjustment)
    if resources.apply(linux["resources"], settings) or settings.cgroup_parent:
        linux["cgroupsPath"] = f"{_cgroup_parent(settings.cgroup_parent)}/{container_id}"
    devices.apply(config, settings, rootless=rootless)
    if settings.annotations:
        config["annotations"] = dict(settings.annotations)
    if settings.sysctls:
        linux["sysctl"] = {**linux.get("sysctl", {}), **settings.sysctls}
    if settings.init:
        from orlop.engine import init_program

        init_program.apply(config, directory)
    if settings.runtime not in ("", OWN_RUNTIME):
        config["ociVersion"] = _OLDEST_VERSION
    _validate(config, rootless=rootless)


def _set_names(config: dict[str, Any], settings: Settings) -> None:
    if settings.uts not in ("", modes.PRIVATE):
        del config["hostname"]  # it belongs to the namespace, which is another's
    elif settings.domainname:
        config["domainname"] = settings.domainname


def _shared_memory(mounts: list[dict[str, Any]], settings: Settings) -> None:
    """Size and whereabouts of /dev/shm."""
    if settings.shm_size is not None:
        if settings.shm_size < 0:
            raise InvalidArgument("SHM size can not be less than 0")
        mount = next(each for each in mounts if each["destination"] == "/dev/shm")
        size = settings.shm_size or 64 << 20
        mount["options"] = [*(each for each in mount["options"] if not each.startswith("size=")), f"size={size}"]
    if settings.ipc == modes.NONE:
        mounts[:] = [each for each in mounts if each["destination"] != "/dev/shm"]
    elif settings.ipc == modes.HOST:
        for each in mounts:
            if each["destination"] == "/dev/shm":
                each.update(type="bind", source="/dev/shm", options=["rbind", "rprivate", "nosuid", "noexec", "nodev"])


def _kernel_files(mounts: list[dict[str, Any]], settings: Settings) -> None:
    """Take the machine's own where an ordinary user may not mount those of a namespace that is the machine's."""
    if settings.pid == modes.HOST:
        for each in mounts:
            if each["type"] == "proc":
                each.update(type="bind", source="/proc", options=["rbind", "rprivate", "nosuid", "noexec", "nodev"])
    if settings.ipc == modes.HOST and not os.path.isdir("/dev/mqueue"):
        mounts[:] = [each for each in mounts if each["type"] != "mqueue"]


def _cgroup_parent(said: str) -> str:
    if not said:
        return _PARENT
    if ".." in said.split("/"):
        raise InvalidArgument(f"invalid cgroup parent {said}: it must not lead upwards")
    if said.endswith(".slice"):
        raise InvalidArgument(f"invalid cgroup parent {said}: control groups are not made by systemd here; use a path")
    return "/" + said.strip("/")


def _validate(config: dict[str, Any], *, rootless: bool) -> None:
    """Everything that the runtime would refuse is refused before anything is made."""
    from orlop.runtime.spec import validate

    try:
        validate(config, rootless=rootless)
    except InvalidConfig as error:
        text = str(error)
        for prefix in ("linux.sysctl.", "linux.", "process."):
            if text.startswith(prefix):
                text = ("sysctl " if "sysctl" in prefix else "") + text.removeprefix(prefix)
                break
        raise InvalidArgument(text) from None
