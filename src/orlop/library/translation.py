"""From Python's keywords to the engine's settings."""

from __future__ import annotations

import os

from orlop.engine.settings import Settings
from orlop.errors import InvalidArgument
from orlop.library import quantities

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from orlop.library.mounts import Bind, Tmpfs, VolumeMount
    from orlop.library.ports import Ports

#: Host paths and profiles may be given relative to the caller's directory; the engine is told whole ones.
_NO_PROFILE = ("unconfined", "builtin")


def settings(
    image: str | None,
    command: str | Sequence[str] | None,
    rootfs: str | os.PathLike[str] | None,
    options: Mapping[str, Any],
) -> Settings:
    """The settings of a container.

    Raises:
        InvalidArgument: a value cannot be right.
        TypeError: there is no such option.
    """
    if bool(image) == bool(rootfs):
        raise InvalidArgument("a container is made of an image or of a root directory: give one of image and rootfs")
    wanted = Settings(
        image=image or "", rootfs=os.path.abspath(os.fspath(rootfs)) if rootfs else "", command=words(command)
    )
    for name, value in options.items():
        if value is None:
            continue
        place = _PLACES.get(name)
        if place is not None:
            setattr(wanted, place[0], place[1](name, value))
        elif name in _FURTHER:
            _FURTHER[name](wanted, value)
        else:
            known = (*_PLACES, *_FURTHER)
            raise TypeError(f"there is no option {name!r} of a container{perhaps(name, known)}")
    return wanted


def words(command: str | Sequence[str] | None) -> list[str]:
    """A command as a list; one text is a program without arguments, for no shell is between."""
    if command is None:
        return []
    return [command] if isinstance(command, str) else [os.fspath(word) for word in command]


def environment(name: str, value: Mapping[str, str | None] | Sequence[str]) -> list[str]:
    """Texts ``name=value``; a name alone takes a variable away.

    Raises:
        InvalidArgument: it is a text, and not several.
    """
    if isinstance(value, str):
        raise InvalidArgument(f"{name} must be a mapping or a list of texts, not {value!r}")
    if hasattr(value, "items"):
        return [key if text is None else f"{key}={text}" for key, text in value.items()]
    return list(value)


def perhaps(name: str, known: Sequence[str]) -> str:
    """A question whether the nearest of what is known was meant; empty if nothing is near."""
    import difflib

    close = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _same(_name: str, value: object) -> object:
    return value


def _text(_name: str, value: object) -> str:
    return str(value)


def _list(name: str, value: Sequence[object]) -> list[str]:
    if isinstance(value, str):
        raise InvalidArgument(f"{name} must be a list of texts, not {value!r}")
    return [str(each) for each in value]


def _dict(_name: str, value: Mapping[str, object]) -> dict[str, str]:
    return {key: str(text) for key, text in value.items()}


def _pids(_name: str, value: int) -> int | None:
    return value if value > 0 else None


def _entrypoint(_name: str, value: str | Sequence[str]) -> list[str]:
    return words(value) or [""]


def restart_policy(name: str, value: str) -> dict[str, Any]:
    """Docker's ``RestartPolicy``.

    Raises:
        InvalidArgument: it is none.
    """
    from orlop.engine import restart_policy as policies

    try:
        return policies.read(value)
    except ValueError as error:
        raise InvalidArgument(f"{name}={value!r} {error}") from None


def _mounts(_name: str, value: Sequence[Bind | VolumeMount | Tmpfs]) -> list[dict[str, Any]]:
    return [each.wanted() for each in value]


def _tmpfs(_name: str, value: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    if isinstance(value, str):
        value = [value]
    if hasattr(value, "items"):
        return dict(value.items())
    found = {}
    for text in value:
        target, _, how = text.partition(":")
        found[target] = how
    return found


def _ulimits(_name: str, value: Mapping[str, int | tuple[int, int]]) -> list[dict[str, Any]]:
    found = []
    for name, limits in value.items():
        soft, hard = (limits, limits) if isinstance(limits, int) else limits
        found.append({"Name": name, "Soft": soft, "Hard": hard})
    return found


def _add_devices(wanted: Settings, value: Sequence[str]) -> None:
    from orlop.engine import devices

    nodes, requests = [], []
    for text in _list("devices", value):
        if text.startswith("/"):
            try:
                nodes.append(devices.parse(text))
            except ValueError as error:
                raise InvalidArgument(f"devices={text!r} {error}") from None
        else:
            requests.append(
                {"Driver": "cdi", "Count": 0, "DeviceIDs": [text], "Capabilities": None, "Options": None},
            )
    wanted.devices = nodes
    wanted.device_requests = [*wanted.device_requests, *requests]


def _block_io(wanted: Settings, **fields: Any) -> None:
    wanted.block_io = {**(wanted.block_io or {}), **fields}


def _limit_devices(name: str, field: str, key: str) -> Callable[[Settings, Any], None]:
    """A reader of an option that limits devices, by their paths."""

    def add(wanted: Settings, value: Mapping[str, int | str]) -> None:
        limits = [{"Path": path, key: quantities.size(name, limit)} for path, limit in value.items()]
        _block_io(wanted, **{field: limits})

    return add


def _add_gpus(wanted: Settings, value: str | int | Sequence[str]) -> None:
    count, ids = 0, None
    if value == "all":
        count = -1
    elif isinstance(value, int):
        count = value
    else:
        ids = [value] if isinstance(value, str) else list(value)
    request = {"Driver": "", "Count": count, "DeviceIDs": ids, "Capabilities": [["gpu"]], "Options": {}}
    wanted.device_requests = [*wanted.device_requests, request]


def _pairs(name: str, value: Mapping[str, str] | Sequence[str]) -> list[str]:
    if hasattr(value, "items"):
        return [f"{key}:{what}" for key, what in value.items()]
    return _list(name, value)


def _security(name: str, value: Sequence[str]) -> list[str]:
    found = []
    for text in _list(name, value):
        key, separator, profile = text.partition("=" if "=" in text else ":")
        if key == "seccomp" and profile and profile not in _NO_PROFILE and not profile.lstrip().startswith("{"):
            text = f"{key}{separator}{os.path.abspath(profile)}"  # noqa: PLW2901 - what is relative to our directory
        found.append(text)
    return found


def _add_volumes(wanted: Settings, value: Sequence[str] | Mapping[str | os.PathLike[str], str]) -> None:
    if isinstance(value, str):
        raise InvalidArgument(f"volumes must be a mapping or a list of texts, not {value!r}")
    if hasattr(value, "items"):
        texts = [f"{_source(os.fspath(source))}:{target}" for source, target in value.items()]
    else:
        texts = list(value)
    for text in texts:
        source, colon, rest = text.partition(":")
        if colon:
            wanted.binds.append(f"{_source(source)}:{rest}")
        else:
            wanted.volumes.append(text)


def _source(source: str) -> str:
    """A whole path for what is a path; a volume's name is none."""
    return os.path.abspath(source) if "/" in source or source in (".", "..") else source


#: What can be asked of a network for a container: the option, its place in Docker's words, and its kind.
_OF_NETWORK: dict[str, tuple[str, Callable[[str, Any], Any]]] = {
    "aliases": ("Aliases", _list),
    "driver_options": ("DriverOpts", _dict),
    "gateway_priority": ("GwPriority", _same),
    "mac_address": ("MacAddress", _text),
}
_ADDRESSES = {"ip": "IPv4Address", "ip6": "IPv6Address"}


def _add_networks(wanted: Settings, value: str | Sequence[str] | Mapping[str, Mapping[str, Any] | None]) -> None:
    if isinstance(value, str):
        wanted.network = value
        return
    said = dict(value.items() if hasattr(value, "items") else ((name, None) for name in value))
    if not said:
        raise InvalidArgument("network names no network: say 'none' for a container without one")
    networks: dict[str, dict[str, Any]] = {}
    for name, options in said.items():
        asked = networks.setdefault(name, {})
        for option, each in (options or {}).items():
            if option in _ADDRESSES:
                asked.setdefault("IPAMConfig", {})[_ADDRESSES[option]] = str(each)
            elif option in _OF_NETWORK:
                key, read = _OF_NETWORK[option]
                asked[key] = read(f"network {name}: {option}", each)
            else:
                question = perhaps(option, (*_ADDRESSES, *_OF_NETWORK))
                raise TypeError(f"there is no option {option!r} of a container's network{question}")
    wanted.network = next(iter(networks))
    if len(networks) > 1 or networks[wanted.network]:
        wanted.networks = networks


def _publish(wanted: Settings, value: Ports) -> None:
    from orlop.library import ports

    ports.add(wanted, value)


def _expose(wanted: Settings, value: Sequence[int | str]) -> None:
    from orlop.library import ports

    ports.expose(wanted, value)


def _publish_all(wanted: Settings, value: bool) -> None:
    if value:
        wanted.publish_all = True


#: For each option, the setting's name and how its value is read.
_PLACES: dict[str, tuple[str, Callable[[str, Any], Any]]] = {
    "annotations": ("annotations", _dict),
    "cap_add": ("cap_add", _list),
    "cap_drop": ("cap_drop", _list),
    "cgroup_parent": ("cgroup_parent", _same),
    "cgroupns": ("cgroup_namespace", _same),
    "cpu_period": ("cpu_period", _same),
    "cpu_quota": ("cpu_quota", _same),
    "cpu_rt_period": ("cpu_realtime_period", _same),
    "cpu_rt_runtime": ("cpu_realtime_runtime", _same),
    "cpu_shares": ("cpu_shares", _same),
    "cpus": ("nano_cpus", quantities.processors),
    "cpuset_cpus": ("cpuset_cpus", _text),
    "cpuset_mems": ("cpuset_mems", _text),
    "device_cgroup_rules": ("device_cgroup_rules", _list),
    "dns": ("dns", _list),
    "dns_options": ("dns_options", _list),
    "dns_search": ("dns_search", _list),
    "domainname": ("domainname", _same),
    "entrypoint": ("entrypoint", _entrypoint),
    "env": ("env", environment),
    "extra_hosts": ("extra_hosts", _pairs),
    "group_add": ("group_add", _list),
    "healthcheck": ("healthcheck", _same),
    "hostname": ("hostname", _same),
    "init": ("init", _same),
    "ipc": ("ipc", _same),
    "labels": ("labels", _dict),
    "links": ("links", _pairs),
    "log_driver": ("log_driver", _same),
    "log_options": ("log_options", _dict),
    "memory": ("memory", quantities.size),
    "memory_reservation": ("memory_reservation", quantities.size),
    "memory_swap": ("memory_swap", quantities.limit),
    "memory_swappiness": ("memory_swappiness", _same),
    "mounts": ("mounts", _mounts),
    "name": ("name", _same),
    "oom_kill_disable": ("oom_kill_disable", _same),
    "oom_score_adj": ("oom_score_adjustment", _same),
    "pid": ("pid", _same),
    "pids_limit": ("pids_limit", _pids),
    "platform": ("platform", _same),
    "privileged": ("privileged", _same),
    "read_only": ("read_only", _same),
    "restart": ("restart_policy", restart_policy),
    "runtime": ("runtime", _same),
    "security_opt": ("security_opt", _security),
    "shm_size": ("shm_size", quantities.size),
    "stop_signal": ("stop_signal", _same),
    "stop_timeout": ("stop_timeout", _same),
    "sysctls": ("sysctls", _dict),
    "tmpfs": ("tmpfs", _tmpfs),
    "ulimits": ("ulimits", _ulimits),
    "user": ("user", _text),
    "userns": ("user_namespace", _same),
    "uts": ("uts", _same),
    "volume_driver": ("volume_driver", _same),
    "volumes_from": ("volumes_from", _list),
    "workdir": ("workdir", _same),
}

#: What is more than one setting.
_FURTHER: dict[str, Callable[[Settings, Any], None]] = {
    "blkio_weight": lambda wanted, value: _block_io(wanted, BlkioWeight=value),
    "blkio_weight_device": _limit_devices("blkio_weight_device", "BlkioWeightDevice", "Weight"),
    "device_read_bps": _limit_devices("device_read_bps", "BlkioDeviceReadBps", "Rate"),
    "device_read_iops": _limit_devices("device_read_iops", "BlkioDeviceReadIOps", "Rate"),
    "device_write_bps": _limit_devices("device_write_bps", "BlkioDeviceWriteBps", "Rate"),
    "device_write_iops": _limit_devices("device_write_iops", "BlkioDeviceWriteIOps", "Rate"),
    "devices": _add_devices,
    "expose": _expose,
    "gpus": _add_gpus,
    "network": _add_networks,
    "ports": _publish,
    "publish_all": _publish_all,
    "volumes": _add_volumes,
}
