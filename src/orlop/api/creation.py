"""What a client asks a container to be (``ContainerCreateRequest``), as the engine's settings."""

from __future__ import annotations

from orlop.api import host_objects
from orlop.api.fields import Fields
from orlop.engine import host_config, network_mode
from orlop.engine.settings import DEFAULT_LOG_DRIVER, Settings
from orlop.errors import InvalidArgument, Unsupported
from orlop.network.ports import specification
from orlop.runtime import kill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Fields of ``HostConfig`` that are settings of another name and type than they have there, or none at all.
_UNSUPPORTED = ("StorageOpt",)
#: What ``Isolation`` may be.
_ISOLATIONS = ("", "default", "container")
#: How the other fields of ``HostConfig`` that few containers need are read; all others are texts.
_READERS: dict[str, Callable[[Fields, str], object]] = {
    "Annotations": Fields.pairs,
    "CpuPeriod": Fields.number,
    "CpuQuota": Fields.number,
    "CpuRealtimePeriod": Fields.number,
    "CpuRealtimeRuntime": Fields.number,
    "CpuShares": Fields.number,
    "DeviceCgroupRules": Fields.texts,
    "DeviceRequests": host_objects.device_requests,
    "Devices": host_objects.devices,
    "Dns": Fields.texts,
    "DnsOptions": Fields.texts,
    "DnsSearch": Fields.texts,
    "ExtraHosts": Fields.texts,
    "GroupAdd": Fields.texts,
    "Init": Fields.flag,
    "Links": Fields.texts,
    "MemoryReservation": Fields.number,
    "MemorySwap": Fields.number,
    "MemorySwappiness": Fields.number,
    "Mounts": host_objects.mounts,
    "OomKillDisable": Fields.flag,
    "OomScoreAdj": Fields.number,
    "PublishAllPorts": Fields.flag,
    "ShmSize": Fields.number,
    "Sysctls": Fields.pairs,
    "Tmpfs": Fields.pairs,
    "Ulimits": host_objects.ulimits,
    "VolumesFrom": Fields.texts,
}
_BLOCK_IO = {
    "BlkioWeightDevice": "Weight",
    "BlkioDeviceReadBps": "Rate",
    "BlkioDeviceReadIOps": "Rate",
    "BlkioDeviceWriteBps": "Rate",
    "BlkioDeviceWriteIOps": "Rate",
}


def settings(request: dict[str, Any], name: str, platform: str) -> Settings:
    """The settings that a request means.

    Raises:
        InvalidArgument: something of it has another type than the API's description says, or cannot be.
        Unsupported: it asks for what there is not.
    """
    said = Fields(request)
    wanted = Settings(image=said.text("Image"), command=said.words("Cmd") or [])
    if not wanted.image:
        raise InvalidArgument("config cannot be empty in order to create a container: it names no Image")
    wanted.name = name.removeprefix("/")
    wanted.platform = platform
    entrypoint = said.words("Entrypoint")
    wanted.entrypoint = [""] if entrypoint == [] else entrypoint or []
    wanted.env = said.texts("Env")
    wanted.workdir = said.text("WorkingDir")
    wanted.user = said.text("User")
    wanted.terminal = said.flag("Tty")
    wanted.open_stdin = said.flag("OpenStdin")
    wanted.stdin_once = said.flag("StdinOnce")
    wanted.hostname = said.text("Hostname")
    if said.text("Domainname"):
        wanted.domainname = said.text("Domainname")
    wanted.volumes = said.names("Volumes")
    wanted.exposed_ports = [port for text in said.names("ExposedPorts") for port in specification.exposed(text)]
    if said.has("Healthcheck"):
        wanted.healthcheck = host_objects.health_check(said)
    wanted.shell = said.texts("Shell")
    wanted.labels = said.pairs("Labels")
    wanted.stop_signal = said.text("StopSignal")
    if wanted.stop_signal:
        kill.signal_number(wanted.stop_signal)
    wanted.stop_timeout = said.number("StopTimeout") if said.has("StopTimeout") else None
    _read_host(said.inner("HostConfig"), wanted)
    _read_networks(said, wanted)
    return wanted


def _read_host(host: Fields, wanted: Settings) -> None:
    for name in _UNSUPPORTED:
        if host.pairs(name):
            raise Unsupported(f"{name} is supported by no storage driver that is there")
    binds = host.texts("Binds")
    wanted.binds = [text for text in binds if ":" in text]
    wanted.volumes += [text for text in binds if ":" not in text]
    wanted.read_only = host.flag("ReadonlyRootfs")
    wanted.memory = host.number("Memory") or None
    wanted.nano_cpus = host.number("NanoCpus") or None
    wanted.pids_limit = limit if (limit := host.number("PidsLimit")) > 0 else None
    wanted.cap_add = host.texts("CapAdd")
    wanted.cap_drop = host.texts("CapDrop")
    wanted.security_opt = host.texts("SecurityOpt") + _unmasked(host)
    wanted.privileged = host.flag("Privileged")
    wanted.network = host.text("NetworkMode") or network_mode.DEFAULT
    wanted.auto_remove = host.flag("AutoRemove")
    log = host.inner("LogConfig")
    wanted.log_driver = log.text("Type") or DEFAULT_LOG_DRIVER
    wanted.log_options = log.pairs("Config")
    wanted.restart_policy = host_objects.restart_policy(host)
    if wanted.auto_remove and wanted.restart_policy["Name"] != "no":
        raise InvalidArgument("can't create 'AutoRemove' container with restart policy")
    if host.text("Isolation") not in _ISOLATIONS:
        raise InvalidArgument(f"invalid isolation ({host.text('Isolation')}): linux only supports 'default'")
    if host.has("ConsoleSize"):
        wanted.console_size = _console_size(host.plain()["ConsoleSize"])
    if host.has("PortBindings"):
        wanted.port_bindings = _port_bindings(host)
    block_io: dict[str, Any] = {
        name: host_objects.for_devices(key)(host, name) for name, key in _BLOCK_IO.items() if host.objects(name)
    }
    if host.number("BlkioWeight"):
        block_io["BlkioWeight"] = host.number("BlkioWeight")
    if block_io:
        wanted.block_io = block_io
    for name, attribute in host_config.FIELDS.items():
        value = _READERS.get(name, Fields.text)(host, name) if name != "PortBindings" else None
        if value or (value == 0 and name == "MemorySwappiness" and host.has(name)):
            setattr(wanted, attribute, value)
    if wanted.memory_swappiness == -1:
        wanted.memory_swappiness = None


def _unmasked(host: Fields) -> list[str]:
    """Empty lists of masked and read-only paths are what the docker command makes of ``systempaths=unconfined``."""
    both = ("MaskedPaths", "ReadonlyPaths")
    return ["systempaths=unconfined"] if all(host.has(name) and not host.texts(name) for name in both) else []


def _console_size(value: object) -> tuple[int, int] | None:
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(each, int) and each >= 0 for each in value):
        raise InvalidArgument("invalid JSON: HostConfig.ConsoleSize must be two numbers, the height and the width")
    return (value[0], value[1]) if any(value) else None


def _port_bindings(host: Fields) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    bindings = host.inner("PortBindings")
    for port in bindings.plain():
        each = [Fields(one, f"HostConfig.PortBindings.{port}.") for one in bindings.objects(port)]
        found[port] = [{**one.plain(), "HostIp": one.text("HostIp"), "HostPort": one.text("HostPort")} for one in each]
    return found


def _read_networks(said: Fields, wanted: Settings) -> None:
    networks = said.inner("NetworkingConfig").inner("EndpointsConfig")
    for name in networks.plain():
        if not networks.has(name):
            raise InvalidArgument(f"no EndpointSettings for {name}")
    found = {name: networks.inner(name).plain() for name in networks.plain()}
    if said.flag("NetworkDisabled"):
        wanted.network = "none"
    elif found:
        if wanted.network in ("", network_mode.DEFAULT) or wanted.network not in found:
            if wanted.network in ("", network_mode.DEFAULT):
                wanted.network = next(iter(found))
            elif len(found) == 1 and wanted.network not in ("host", "none"):
                found = {wanted.network: next(iter(found.values()))}
        wanted.networks = found
    address = said.text("MacAddress")
    if address and wanted.network in ("host", "none"):
        raise InvalidArgument("conflicting options: mac-address and the network mode")
    if address:
        wanted.networks = {**(wanted.networks or {wanted.network: {}})}
        first = wanted.networks.get(wanted.network) or {}
        wanted.networks[wanted.network] = {**first, "MacAddress": first.get("MacAddress") or address}
