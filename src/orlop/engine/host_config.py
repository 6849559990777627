"""What few containers ask for, in the words of Docker's API."""

from __future__ import annotations

from orlop.engine.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Fields of ``HostConfig`` that are settings as they are.
FIELDS = {
    "Annotations": "annotations",
    "CgroupParent": "cgroup_parent",
    "CgroupnsMode": "cgroup_namespace",
    "ContainerIDFile": "container_id_file",
    "CpuPeriod": "cpu_period",
    "CpuQuota": "cpu_quota",
    "CpuRealtimePeriod": "cpu_realtime_period",
    "CpuRealtimeRuntime": "cpu_realtime_runtime",
    "CpuShares": "cpu_shares",
    "CpusetCpus": "cpuset_cpus",
    "CpusetMems": "cpuset_mems",
    "DeviceCgroupRules": "device_cgroup_rules",
    "DeviceRequests": "device_requests",
    "Devices": "devices",
    "Dns": "dns",
    "DnsOptions": "dns_options",
    "DnsSearch": "dns_search",
    "ExtraHosts": "extra_hosts",
    "GroupAdd": "group_add",
    "Init": "init",
    "IpcMode": "ipc",
    "Links": "links",
    "MemoryReservation": "memory_reservation",
    "MemorySwap": "memory_swap",
    "MemorySwappiness": "memory_swappiness",
    "Mounts": "mounts",
    "OomKillDisable": "oom_kill_disable",
    "OomScoreAdj": "oom_score_adjustment",
    "PidMode": "pid",
    "PortBindings": "port_bindings",
    "PublishAllPorts": "publish_all",
    "Runtime": "runtime",
    "ShmSize": "shm_size",
    "Sysctls": "sysctls",
    "Tmpfs": "tmpfs",
    "UTSMode": "uts",
    "Ulimits": "ulimits",
    "UsernsMode": "user_namespace",
    "VolumeDriver": "volume_driver",
    "VolumesFrom": "volumes_from",
}

#: The name of our own runtime among those that ``--runtime`` takes.
OWN_RUNTIME = "orlop"
DEFAULT_SHM_SIZE = 64 << 20

_BLOCK_IO = {
    "BlkioWeight": 0,
    "BlkioWeightDevice": [],
    "BlkioDeviceReadBps": [],
    "BlkioDeviceReadIOps": [],
    "BlkioDeviceWriteBps": [],
    "BlkioDeviceWriteIOps": [],
}
#: What `described` shows where nothing was said and that is not the setting's own default. Much of it is Windows's.
_SHOWN: dict[str, Any] = {
    "Cgroup": "",
    "CgroupnsMode": "private",
    "ConsoleSize": [0, 0],
    "CpuCount": 0,
    "CpuPercent": 0,
    "IOMaximumBandwidth": 0,
    "IOMaximumIOps": 0,
    "IpcMode": "private",
    "Isolation": "",
    "PortBindings": {},
    "Runtime": OWN_RUNTIME,
    "ShmSize": DEFAULT_SHM_SIZE,
    **_BLOCK_IO,
}


def complete(record: dict[str, Any], settings: Settings) -> None:
    """Add to a container's record what its settings have beyond those that every container has."""
    said = settings.fields()
    host = record["HostConfig"]
    for name, attribute in FIELDS.items():
        if attribute in said:
            host[name] = said[attribute]
    host.update(settings.block_io or {})
    if settings.domainname:
        record["Config"]["Domainname"] = settings.domainname


def described(host: dict[str, Any]) -> dict[str, Any]:
    """A record's ``HostConfig`` with all fields that Docker shows, and with its words for what was said in others."""
    defaults: dict[str, Any] = {}
    for name, attribute in FIELDS.items():
        default = getattr(Settings, attribute)
        defaults[name] = list(default) if isinstance(default, tuple) else default
    shown = {**defaults, **_SHOWN, **host}
    for name in ("CapAdd", "CapDrop"):
        shown[name] = [_capability(each) for each in shown[name]]
    shown["PidsLimit"] = shown["PidsLimit"] or None
    if not shown["MemorySwap"] and shown["Memory"] > 0:
        shown["MemorySwap"] = 2 * shown["Memory"]  # what the kernel was told
    if not shown["Init"]:
        del shown["Init"]
    return shown


def _capability(name: str) -> str:
    name = name.upper()
    return name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}"
