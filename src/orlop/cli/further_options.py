"""The options that describe a container and are rarely used: loaded when one of them is."""

from __future__ import annotations

from orlop.cli import health_options, mount_option, network_option
from orlop.engine import devices, restart_policy
from orlop.engine.settings import DEFAULT_LOG_DRIVER
from orlop.errors import InvalidArgument
from orlop.network.ports import specification
from orlop.options import Option, integer, limit, natural, one_of, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from orlop.engine.settings import Settings
    from orlop.options import Parsed


def stream(text: str) -> str:
    """One of the standard streams, in small letters."""
    if text.lower() not in ("stdin", "stdout", "stderr"):
        raise ValueError("must be STDIN, STDOUT or STDERR")
    return text.lower()


def ulimit(text: str) -> dict[str, Any]:
    """Docker's ``Ulimit`` from ``name=soft[:hard]``; -1 is no limit."""
    from orlop.linux.rlimit import NUMBERS

    name, equals, values = text.partition("=")
    if not equals:
        raise ValueError(f"invalid ulimit argument: {text}")
    if f"RLIMIT_{name.upper()}" not in NUMBERS or name != name.lower():
        raise ValueError(f"invalid ulimit type: {name}")
    numbers = values.split(":")
    if len(numbers) > 2:
        raise ValueError(f"too many limit value arguments - {values}, can only have up to two, `soft[:hard]`")
    soft = integer(numbers[0])
    hard = integer(numbers[-1])
    if min(soft, hard) < -1 or (hard != -1 and (soft == -1 or soft > hard)):
        raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
    return {"Name": name, "Hard": hard, "Soft": soft}


def _pair(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key, value


def sysctl(text: str) -> tuple[str, str]:
    """A kernel parameter and its value."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ValueError("must be NAME=VALUE")
    return key, value


def _swap(text: str) -> int:
    return -1 if text == "-1" else size(text)


def _microseconds(text: str) -> int:
    return integer(text)


def _for_device(key: str, read: Callable[[str], int]) -> Callable[[str], dict[str, Any]]:
    """A reader of ``path:number``."""

    def split(text: str) -> dict[str, Any]:
        path, colon, value = text.rpartition(":")
        if not colon or not path:
            raise ValueError(f"bad format: {text}")
        if not path.startswith("/dev/"):
            raise ValueError(f"bad format for device path: {text}")
        try:
            return {"Path": path, key: read(value)}
        except ValueError:
            raise ValueError(f"invalid {key.lower()} for device: {text}") from None

    return split


def _device(text: str) -> dict[str, Any]:
    """A device's path, or the name that a CDI file gives it: ``vendor.com/class=name``."""
    if not text.startswith("/") and "=" in text and "/" in text.partition("=")[0]:
        return {"Driver": "cdi", "Count": 0, "DeviceIDs": [text], "Capabilities": None, "Options": None}
    return dict(devices.parse(text))


def gpus(text: str) -> dict[str, Any]:
    """Docker's ``DeviceRequest`` from ``all``, a number, or ``device=0,capabilities=compute`` and the like."""
    import csv

    found: dict[str, Any] = {"Driver": "", "Count": 0, "DeviceIDs": None, "Capabilities": [["gpu"]], "Options": {}}
    capabilities = {"gpu"}
    for field in next(csv.reader([text]), []):
        key, equals, value = field.partition("=")
        if not equals:
            key, value = "count", key
        if key == "count":
            found["Count"] = -1 if value == "all" else integer(value)
        elif key == "device":
            found["DeviceIDs"] = value.split(",")
        elif key == "driver":
            found["Driver"] = value
        elif key == "capabilities":
            capabilities |= set(value.split(","))
        elif key == "options":
            found["Options"] = dict(_pair(each) for each in value.split(","))
        else:
            raise ValueError(f"unexpected key '{key}' in '{field}'")
    if found["DeviceIDs"] and found["Count"]:
        raise ValueError("count and device cannot both be given")
    if not found["DeviceIDs"] and not found["Count"]:
        found["Count"] = 1
    found["Capabilities"] = [sorted(capabilities)]
    return found


def _refused(name: str, why: str) -> Callable[[str], str]:
    """A reader of an option that means something only where there is what this is missing."""

    def read(_: str) -> str:
        raise ValueError(f"{name} {why}")

    return read


_RATE = "list"

OPTIONS = (
    Option("--add-host", "Add a custom host-to-IP mapping (host:ip)", value="list", many=True),
    Option("--annotation", "Add an annotation to the container", value="map", read=sysctl, many=True),
    Option("-a, --attach", "Attach to STDIN, STDOUT or STDERR", value="list", read=stream, many=True),
    Option("--blkio-weight", "Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)",
           value="uint16", read=natural),
    Option("--blkio-weight-device", "Block IO weight (relative device weight)", value=_RATE,
           read=_for_device("Weight", natural), many=True),
    Option("--cgroup-parent", "Optional parent cgroup for the container", value="string"),
    Option("--cgroupns", "Cgroup namespace to use (host|private)", value="string"),
    Option("--cidfile", "Write the container ID to the file", value="string"),
    Option("--cpu-period", "Limit CPU CFS (Completely Fair Scheduler) period", value="int", read=_microseconds),
    Option("--cpu-quota", "Limit CPU CFS (Completely Fair Scheduler) quota", value="int", read=_microseconds),
    Option("--cpu-rt-period", "Limit CPU real-time period in microseconds", value="int", read=_microseconds),
    Option("--cpu-rt-runtime", "Limit CPU real-time runtime in microseconds", value="int", read=_microseconds),
    Option("-c, --cpu-shares", "CPU shares (relative weight)", value="int", read=integer),
    Option("--cpuset-cpus", "CPUs in which to allow execution (0-3, 0,1)", value="string"),
    Option("--cpuset-mems", "MEMs in which to allow execution (0-3, 0,1)", value="string"),
    Option("--device", "Add a host device to the container, or one that CDI names (vendor.com/class=name)",
           value="list", read=_device, many=True),
    Option("--device-cgroup-rule", "Add a rule to the cgroup allowed devices list", value="list", many=True),
    Option("--device-read-bps", "Limit read rate (bytes per second) from a device", value=_RATE,
           read=_for_device("Rate", size), many=True),
    Option("--device-read-iops", "Limit read rate (IO per second) from a device", value=_RATE,
           read=_for_device("Rate", natural), many=True),
    Option("--device-write-bps", "Limit write rate (bytes per second) to a device", value=_RATE,
           read=_for_device("Rate", size), many=True),
    Option("--device-write-iops", "Limit write rate (IO per second) to a device", value=_RATE,
           read=_for_device("Rate", natural), many=True),
    Option("--disable-content-trust", "Skip image verification", default=True, hidden=True),
    Option("--dns", "Set custom DNS servers", value="list", many=True),
    Option("--dns-option, --dns-opt", "Set DNS options", value="list", many=True),
    Option("--dns-search", "Set custom DNS search domains", value="list", many=True),
    Option("--domainname", "Container NIS domain name", value="string"),
    Option("--expose", "Expose a port or a range of ports", value="list", many=True),
    Option("--gpus", "GPU devices to add to the container ('all' to pass all GPUs)", value="gpu-request",
           read=gpus, many=True),
    Option("--group-add", "Add additional groups to join", value="list", many=True),
    Option("--init", "Run an init inside the container that forwards signals and reaps processes"),
    Option("--ip", "IPv4 address", value="ip", read=network_option.ipv4),
    Option("--ip6", "IPv6 address", value="ip", read=network_option.ipv6),
    Option("--ipc", "IPC mode to use (none|private|shareable|host|container:NAME)", value="string"),
    Option("--isolation", "Container isolation technology", value="string", read=one_of("default", "container")),
    Option("--kernel-memory", "No effect", value="bytes", hidden=True, read=limit),
    Option("--label-file", "Read in a line delimited file of labels", value="list", many=True),
    Option("--link", "Add link to another container", value="list", many=True),
    Option("--link-local-ip", "Container IPv4/IPv6 link-local addresses", value="list", many=True,
           read=network_option.address),
    Option("--log-driver", "Logging driver for the container", value="string", default=""),
    Option("--log-opt", "Log driver options", value="list", many=True),
    Option("--mac-address", "Container MAC address", value="string", read=network_option.mac),
    Option("--memory-reservation", "Memory soft limit", value="bytes", read=size),
    Option("--memory-swap", "Swap limit equal to memory plus swap: '-1' to enable unlimited swap", value="bytes",
           read=_swap),
    Option("--memory-swappiness", "Tune container memory swappiness (0 to 100)", value="int", read=integer),
    Option("--mount", "Attach a filesystem mount to the container", value="mount", read=mount_option.read, many=True),
    Option("--network-alias, --net-alias", "Add network-scoped alias for the container", value="list", many=True),
    Option("--oom-kill-disable", "Disable OOM Killer"),
    Option("--oom-score-adj", "Tune host's OOM preferences (-1000 to 1000)", value="int", read=integer),
    Option("--pid", "PID namespace to use (host|container:NAME)", value="string"),
    Option("-p, --publish", "Publish a container's port(s) to the host", value="list", many=True,
           read=specification.parse),
    Option("-P, --publish-all", "Publish all exposed ports to random ports"),
    Option("--replace", "Remove the container that has the name, as podman does"),
    Option("--restart", "Restart policy to apply when a container exits", value="policy", read=restart_policy.read),
    Option("--runtime", "Runtime to use for this container: orlop, or the name or path of another OCI runtime",
           value="string"),
    Option("--shm-size", "Size of /dev/shm", value="bytes", read=size),
    Option("--stop-timeout", "Timeout (in seconds) to stop a container", value="int", read=integer),
    Option("--storage-opt", "Storage driver options for the container", value="list", many=True,
           read=_refused("--storage-opt", "is supported by no storage driver that is there")),
    Option("--sysctl", "Sysctl options", value="map", read=sysctl, many=True),
    Option("--tmpfs", "Mount a tmpfs directory", value="list", many=True),
    Option("--ulimit", "Ulimit options", value="ulimit", read=ulimit, many=True),
    Option("--userns", "User namespace to use", value="string"),
    Option("--uts", "UTS namespace to use (host|container:NAME)", value="string"),
    Option("--volume-driver", "Optional volume driver for the container", value="string"),
    Option("--volumes-from", "Mount volumes from the specified container(s)", value="list", many=True),
    *health_options.OPTIONS,
)  # fmt: skip

#: Options whose value is a setting as it is: the option, and the setting.
_PLAIN = {
    "add-host": "extra_hosts",
    "cgroup-parent": "cgroup_parent",
    "cgroupns": "cgroup_namespace",
    "cpu-period": "cpu_period",
    "cpu-quota": "cpu_quota",
    "cpu-rt-period": "cpu_realtime_period",
    "cpu-rt-runtime": "cpu_realtime_runtime",
    "cpu-shares": "cpu_shares",
    "cpuset-cpus": "cpuset_cpus",
    "cpuset-mems": "cpuset_mems",
    "cidfile": "container_id_file",
    "device-cgroup-rule": "device_cgroup_rules",
    "dns": "dns",
    "dns-option": "dns_options",
    "dns-search": "dns_search",
    "domainname": "domainname",
    "group-add": "group_add",
    "init": "init",
    "ipc": "ipc",
    "link": "links",
    "log-driver": "log_driver",
    "memory-reservation": "memory_reservation",
    "memory-swap": "memory_swap",
    "memory-swappiness": "memory_swappiness",
    "mount": "mounts",
    "oom-kill-disable": "oom_kill_disable",
    "oom-score-adj": "oom_score_adjustment",
    "pid": "pid",
    "restart": "restart_policy",
    "runtime": "runtime",
    "shm-size": "shm_size",
    "stop-timeout": "stop_timeout",
    "ulimit": "ulimits",
    "userns": "user_namespace",
    "uts": "uts",
    "volume-driver": "volume_driver",
    "volumes-from": "volumes_from",
}
_BLOCK_IO = {
    "blkio-weight": "BlkioWeight",
    "blkio-weight-device": "BlkioWeightDevice",
    "device-read-bps": "BlkioDeviceReadBps",
    "device-read-iops": "BlkioDeviceReadIOps",
    "device-write-bps": "BlkioDeviceWriteBps",
    "device-write-iops": "BlkioDeviceWriteIOps",
}


def read(said: Parsed, settings: Settings) -> None:
    """Add what a command line says with these options to the settings.

    Raises:
        InvalidArgument: options contradict each other or mean nothing yet, or a file cannot be read.
    """
    for option, attribute in _PLAIN.items():
        if said.given(option):
            setattr(settings, attribute, said[option])
    settings.log_driver = settings.log_driver or DEFAULT_LOG_DRIVER
    settings.log_options = dict(_pair(text) for text in said["log-opt"])
    settings.healthcheck = health_options.read(said)
    block_io = {name: said[option] for option, name in _BLOCK_IO.items() if said.given(option)}
    if block_io:
        settings.block_io = block_io
    if said.given("annotation"):
        settings.annotations = dict(said["annotation"])
    if said.given("sysctl"):
        settings.sysctls = dict(said["sysctl"])
    if said.given("tmpfs"):
        settings.tmpfs = {target: options for target, _, options in (text.partition(":") for text in said["tmpfs"])}
    if said.given("label-file"):
        settings.labels = {**_labels(said["label-file"]), **settings.labels}
    if said.given("expose"):
        settings.exposed_ports = [port for text in said["expose"] for port in specification.exposed(text)]
        if settings.network.startswith("container:"):
            raise InvalidArgument("conflicting options: port exposing and the container type network mode")
    if said.given("publish"):
        _publish([each for ports in said["publish"] for each in ports], settings)
    if said["publish-all"]:
        settings.publish_all = True
    _read_devices(said, settings)
    _check(said, settings)


def _read_devices(said: Parsed, settings: Settings) -> None:
    nodes = [each for each in said["device"] if "PathOnHost" in each]
    requests = [*(each for each in said["device"] if "PathOnHost" not in each), *said["gpus"]]
    if nodes:
        settings.devices = nodes
    if requests:
        settings.device_requests = requests


def _labels(paths: list[str]) -> dict[str, str]:
    found = {}
    for path in paths:
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                lines = file.read().splitlines()
        except OSError as error:
            raise InvalidArgument(f"cannot read the label file {path}: {error.strerror}") from None
        for line in lines:
            text = line.lstrip()
            if text and not text.startswith("#"):
                key, value = _pair(text)
                found[key] = value
    return found


def _publish(ports: list[tuple[str, dict[str, Any]]], settings: Settings) -> None:
    """What is published is exposed, too."""
    bindings: dict[str, list[dict[str, Any]]] = {}
    for port, binding in ports:
        bindings.setdefault(port, []).append(binding)
    settings.port_bindings = bindings
    settings.exposed_ports += [port for port in bindings if port not in settings.exposed_ports]


def _check(said: Parsed, settings: Settings) -> None:
    if settings.stop_timeout is not None and settings.stop_timeout < -1:
        raise InvalidArgument(f"invalid --stop-timeout {settings.stop_timeout}: it must be -1 (for ever) or more")
    if said.given("memory-swappiness") and settings.memory_swappiness == -1:
        settings.memory_swappiness = None
