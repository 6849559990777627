"""What this engine is, has and can do, in the words of Docker's API (``SystemInfo``)."""

from __future__ import annotations

import os

import orlop
from orlop import clock
from orlop.engine import container, image_store, pausing, repair
from orlop.errors import NotFound
from orlop.linux import cgroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.location import Location

_ID_FILE = "engine-id"
_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
#: Runtimes beside our own that are looked for.
_RUNTIMES = ("crun", "kata-runtime", "runc", "runsc", "youki")
#: File systems by their magic number (linux/magic.h), as Docker calls them.
_FILE_SYSTEMS = {
    0xEF53: "extfs",
    0x9123683E: "btrfs",
    0x58465342: "xfs",
    0x01021994: "tmpfs",
    0x2FC12FC1: "zfs",
    0x794C7630: "overlayfs",
    0xF2F52010: "f2fs",
    0x6969: "nfs",
    0x65735546: "fuse",
    0xCA451A4E: "bcachefs",
}


def describe(location: Location) -> dict[str, Any]:
    """Everything about an engine.

    Raises:
        OrlopError: a record is damaged, or the storage driver cannot be used.
        OSError: the state cannot be read.
    """
    location.prepare()
    repair.everything(location)
    images = image_store.open_store(location)
    counts = _count(location)
    layout = cgroup.detect()
    controllers = _controllers(layout)
    system = os.uname()
    return {
        "ID": _identity(location),
        "Containers": sum(counts.values()),
        "ContainersRunning": counts["running"],
        "ContainersPaused": counts["paused"],
        "ContainersStopped": counts["stopped"],
        "Images": len(list(images.images())),
        "Driver": images.storage.snapshots.driver,
        "DriverStatus": [["Backing Filesystem", _file_system(location.root)]],
        "DockerRootDir": location.root,
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "host", "ipvlan", "macvlan", "null"],
            "Authorization": None,
            "Log": ["journald", "json-file", "local", "none", "syslog"],
        },
        "MemoryLimit": "memory" in controllers,
        "SwapLimit": "memory" in controllers,
        "CpuCfsPeriod": "cpu" in controllers,
        "CpuCfsQuota": "cpu" in controllers,
        "CPUShares": "cpu" in controllers,
        "CPUSet": "cpuset" in controllers,
        "PidsLimit": "pids" in controllers,
        "OomKillDisable": "memory" in controllers and layout.v1_hierarchy("memory") is not None,
        "IPv4Forwarding": _number("/proc/sys/net/ipv4/ip_forward") == 1,
        "Debug": False,
        "SystemTime": clock.now(),
        "LoggingDriver": "json-file",
        "CgroupDriver": "cgroupfs" if layout.v1 or layout.unified else "none",
        "CgroupVersion": "1" if layout.v1 else "2",
        "KernelVersion": system.release,
        "OperatingSystem": _operating_system("PRETTY_NAME") or "Linux",
        "OSVersion": _operating_system("VERSION_ID"),
        "OSType": "linux",
        "Architecture": system.machine,
        "NEventsListener": 0,
        "NFd": len(os.listdir("/proc/self/fd")),
        "NGoroutines": 0,
        "NCPU": os.sysconf("SC_NPROCESSORS_ONLN"),
        "MemTotal": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": {
            "IndexConfigs": {"docker.io": {"Mirrors": [], "Name": "docker.io", "Official": True, "Secure": True}},
            "InsecureRegistryCIDRs": ["127.0.0.0/8", "::1/128"],
            "Mirrors": [],
        },
        "HttpProxy": os.environ.get("HTTP_PROXY", ""),
        "HttpsProxy": os.environ.get("HTTPS_PROXY", ""),
        "NoProxy": os.environ.get("NO_PROXY", ""),
        "Name": system.nodename,
        "Labels": [],
        "ExperimentalBuild": False,
        "ServerVersion": orlop.__version__,
        "Runtimes": _runtimes(),
        "DefaultRuntime": "orlop",
        "Swarm": {"LocalNodeState": "inactive"},
        "LiveRestoreEnabled": True,
        "Isolation": "",
        "InitBinary": "orlop-init",
        "SecurityOptions": _security_options(location),
        "Warnings": _warnings(location, controllers),
    }


def _count(location: Location) -> dict[str, int]:
    counts = {"running": 0, "paused": 0, "stopped": 0}
    for container_id in container.every_id(location):
        try:
            status = pausing.state(container.Container(location, container_id))["Status"]
        except NotFound:
            continue
        counts[status if status in counts else "running" if status == "restarting" else "stopped"] += 1
    return counts


def _identity(location: Location) -> str:
    """What tells this engine from all others; made at the first question."""
    path = f"{location.root}/{_ID_FILE}"
    while True:
        try:
            with open(path, encoding="ascii") as file:
                return file.read().strip()
        except FileNotFoundError:
            pass  # nobody has asked before
        number = os.urandom(16).hex()
        text = f"{number[:8]}-{number[8:12]}-{number[12:16]}-{number[16:20]}-{number[20:]}"
        aside = f"{path}.{os.getpid()}"
        with open(aside, "w", encoding="ascii") as file:
            file.write(text + "\n")
        try:
            os.link(aside, path)
        except FileExistsError:
            continue  # somebody else was quicker
        finally:
            os.unlink(aside)


def _file_system(path: str) -> str:
    from orlop.linux import mount

    descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        magic = mount.statfs_type(descriptor)
    finally:
        os.close(descriptor)
    return _FILE_SYSTEMS.get(magic, f"<unknown {magic:#x}>")


def _controllers(layout: cgroup.Layout) -> set[str]:
    found = {name for hierarchy in layout.v1 for name in hierarchy.controllers}
    if layout.unified is not None:
        try:
            with open(f"{layout.unified.mountpoint}/cgroup.controllers", encoding="ascii") as file:
                found.update(file.read().split())
        except OSError:
            pass  # nothing is known of it then
    return found


def _operating_system(key: str) -> str:
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                lines = file.read().splitlines()
        except OSError:
            continue
        for line in lines:
            name, _, value = line.partition("=")
            if name == key:
                return value.strip().strip("\"'")
    return ""


def _runtimes() -> dict[str, dict[str, str]]:
    found = {"orlop": {"path": "orlop-runtime"}}
    for name in _RUNTIMES:
        for directory in _PATH:
            if os.access(f"{directory}/{name}", os.X_OK):
                found[name] = {"path": f"{directory}/{name}"}
                break
    return found


def _security_options(location: Location) -> list[str]:
    found = []
    if os.path.isdir("/sys/kernel/security/apparmor"):
        found.append("name=apparmor")
    if os.path.exists("/proc/sys/kernel/seccomp/actions_avail"):
        found.append("name=seccomp,profile=builtin")
    if os.path.exists("/sys/fs/selinux/enforce"):
        found.append("name=selinux")
    if location.rootless:
        found.append("name=rootless")
    return [*found, "name=cgroupns"]


def _warnings(location: Location, controllers: set[str]) -> list[str]:
    """What containers here have to do without."""
    missing = [name for name in ("cpu", "cpuset", "memory", "pids") if name not in controllers]
    found = [f"WARNING: No {name} controller: its limits cannot be set" for name in missing]
    if location.rootless and not missing:
        found.append("WARNING: Limits can only be set in a control group that was delegated to you")
    return found


def _number(path: str) -> int:
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0
