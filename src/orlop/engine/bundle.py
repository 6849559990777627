"""Settings become an OCI configuration: the seam between the engine and any runtime.

`configuration` is a function from values to a value, but for what it must look up: the machine's bounding set, a
seccomp profile's file.
"""

from __future__ import annotations

import os

from orlop.engine import capabilities, defaults, network_files, network_mode
from orlop.engine.security_options import UNCONFINED, SecurityOptions
from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from orlop.engine import users
    from orlop.engine.settings import Settings

_CPU_PERIOD = 100_000  # microseconds, the kernel's default
_LEAST_MEMORY = 6 << 20
_EVERYTHING = (1 << 64) - 1


class Bundle:
    """An OCI configuration, and what the user should be told about it."""

    __slots__ = ("config", "warnings")

    def __init__(self, config: dict[str, Any], warnings: list[str]) -> None:
        self.config = config
        self.warnings = warnings


def configuration(
    settings: Settings,
    container_id: str,
    directory: str,
    rootfs: str,
    user: users.User,
    *,
    rootless: bool,
    host_view: Sequence[dict[str, Any]] = (),
    mounts: Sequence[dict[str, Any]] = (),
) -> Bundle:
    """The OCI configuration for a container.

    ``directory`` is the container's own (where its generated files are), ``rootfs`` its root directory, ``user`` who
    its program runs as, ``host_view`` what is mounted to make up the image `host`, ``mounts`` its binds, volumes and the like.

    Raises:
        InvalidArgument: settings that cannot be right.
        Unsupported: something that this machine lacks was asked for by name.
    """
    arguments = settings.entrypoint + settings.command
    if not arguments:
        raise InvalidArgument("no command specified")
    warnings: list[str] = []
    security = SecurityOptions(settings.security_opt)
    granted, missing = capabilities.choose(
        settings.cap_add,
        settings.cap_drop,
        privileged=settings.privileged,
        available=_EVERYTHING if rootless else capabilities.available(),
    )
    if missing:
        warnings.append(f"this machine's bounding set lacks {', '.join(missing)}: left out")
    uid_maps, gid_maps = _id_maps() if rootless else ([], [])
    own_network = settings.network != "host"
    config: dict[str, Any] = {
        "ociVersion": "1.2.0",
        "process": _process(settings, arguments, user, granted, security),
        "root": {"path": rootfs, "readonly": settings.read_only},
        "hostname": settings.hostname,
        "mounts": [
            *host_view,
            *defaults.mounts(
                privileged=settings.privileged,
                own_sys=own_network or not rootless,
                map_tty_group=not rootless or _is_mapped(gid_maps, 5),
            ),
            # What lies deeper comes later, so that nothing is hidden; of two at one place the user's is on top.
            *sorted([*network_files.mounts(directory), *mounts], key=_depth),
        ],
        "linux": {
            "namespaces": _namespaces(own_network=own_network, own_users=rootless),
            "resources": _resources(settings, rootless=rootless),
            "maskedPaths": list(defaults.MASKED_PATHS),
            "readonlyPaths": list(defaults.READONLY_PATHS),
        },
    }
    linux = config["linux"]
    if network_mode.is_connected(settings.network):
        linux["sysctl"] = dict(defaults.NETWORK_PARAMETERS)
        if rootless:  # where only the groups are known that the user has
            linux["sysctl"]["net.ipv4.ping_group_range"] = "0 0"
    if rootless:
        linux["uidMappings"] = uid_maps
        linux["gidMappings"] = gid_maps
    if not rootless or _limits(settings):
        linux["cgroupsPath"] = f"/orlop/{container_id}"
    if settings.privileged or security.unmask:
        linux["maskedPaths"] = []
        linux["readonlyPaths"] = []
    if security.process_label or security.apparmor or security.writable_cgroups:
        _confine(config, security)
    if settings.privileged and not rootless:
        linux["devices"] = defaults.host_devices()
    filter_ = _seccomp(settings, security, granted)
    if filter_ is not None:
        linux["seccomp"] = filter_
    if not settings.is_ordinary:
        from orlop.engine import further

        further.apply(config, settings, container_id, directory, rootless=rootless)
    return Bundle(config, warnings)


def _confine(config: dict[str, Any], security: SecurityOptions) -> None:
    """What kernels with a security module do more, and what few ask for."""
    if security.apparmor:
        config["process"]["apparmorProfile"] = security.apparmor
    if security.process_label:
        config["process"]["selinuxLabel"] = security.process_label
        config["linux"]["mountLabel"] = security.mount_label
    if security.writable_cgroups:
        for each in config["mounts"]:
            if each["type"] == "cgroup":
                each["options"] = [option for option in each["options"] if option != "ro"]


def environment(settings: Settings, home: str) -> list[str]:
    """The program's environment: Docker's variables, and the user's over them."""
    variables = {"PATH": defaults.PATH[5:], "HOSTNAME": settings.hostname}
    if settings.terminal:
        variables["TERM"] = "xterm"
    merge(variables, settings.env)
    variables.setdefault("HOME", home)
    return [f"{name}={value}" for name, value in variables.items()]


def merge(variables: dict[str, str], texts: list[str]) -> None:
    """Put ``NAME=value`` texts over variables; a name alone takes that variable away.

    Raises:
        InvalidArgument: a text without a name.
    """
    for text in texts:
        name, equals, value = text.partition("=")
        if not name:
            raise InvalidArgument(f'invalid environment variable "{text}": use NAME=value')
        if equals:
            variables[name] = value
        else:
            variables.pop(name, None)


def _process(
    settings: Settings, arguments: list[str], user: users.User, granted: list[str], security: SecurityOptions
) -> dict[str, Any]:
    workdir = settings.workdir or "/"
    if not workdir.startswith("/"):
        raise InvalidArgument(f'the working directory "{workdir}" is invalid: it needs to be an absolute path')
    # Another user than root gets them in the bounding set only, as with Docker: its programs may regain them.
    held = granted if user.uid == 0 else []
    process: dict[str, Any] = {
        "terminal": settings.terminal,
        "user": {**user.config(), "umask": 0o022},
        "args": arguments,
        "env": environment(settings, user.home),
        "cwd": workdir,
        "capabilities": {"bounding": granted, "effective": held, "permitted": held},
        "noNewPrivileges": security.no_new_privileges,
    }
    if settings.terminal and settings.console_size:
        process["consoleSize"] = {"height": settings.console_size[0], "width": settings.console_size[1]}
    return process


def _namespaces(*, own_network: bool, own_users: bool) -> list[dict[str, Any]]:
    kinds = ["mount", "uts", "ipc", "pid", "cgroup"]
    if own_network:
        kinds.append("network")
    if own_users:
        kinds.append("user")
    return [{"type": kind} for kind in kinds]


def _id_maps() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    from orlop.engine import id_maps

    return id_maps.of_this_user()


def _depth(mount: dict[str, Any]) -> int:
    return str(mount["destination"]).rstrip("/").count("/")


def _limits(settings: Settings) -> bool:
    return bool(settings.memory or settings.nano_cpus or settings.pids_limit)


def _resources(settings: Settings, *, rootless: bool) -> dict[str, Any]:
    resources: dict[str, Any] = {}
    if not rootless:  # only root can have made a device node that its container may not use
        resources["devices"] = defaults.device_rules(privileged=settings.privileged)
    if settings.memory:
        if settings.memory < _LEAST_MEMORY:
            raise InvalidArgument("minimum memory limit allowed is 6MB")
        from orlop.engine import resources as limits

        resources["memory"] = {"limit": settings.memory}
        swap = limits.memory_and_swap(settings.memory)
        if swap is not None:
            resources["memory"]["swap"] = swap
    if settings.nano_cpus:
        from orlop.engine import resources as limits

        limits.check_processors(settings.nano_cpus)
        resources["cpu"] = {"quota": settings.nano_cpus * _CPU_PERIOD // 1_000_000_000, "period": _CPU_PERIOD}
    if settings.pids_limit:
        resources["pids"] = {"limit": settings.pids_limit}
    return resources


def _seccomp(settings: Settings, security: SecurityOptions, granted: list[str]) -> dict[str, Any] | None:
    if security.seccomp == UNCONFINED or (settings.privileged and not security.seccomp):
        return None
    from orlop.engine import seccomp_profile

    if security.seccomp:
        return seccomp_profile.load(security.seccomp, granted)
    return seccomp_profile.default(granted)


def _is_mapped(mappings: list[dict[str, Any]], inside: int) -> bool:
    return any(each["containerID"] <= inside < each["containerID"] + each["size"] for each in mappings)


def hostname_for(settings: Settings, container_id: str) -> str:
    """The name that the container's machine has: the user's, the host's on its network, or its id's beginning."""
    for name in (settings.hostname, settings.domainname):
        if len(name) > 64 or not (name.isprintable() and name.isascii()) or "/" in name or " " in name:
            raise InvalidArgument(f"invalid hostname {name!r}: at most 64 characters, no blank and no slash")
    if settings.hostname:
        return settings.hostname
    return os.uname().nodename if settings.network == "host" else container_id[:12]
