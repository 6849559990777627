"""The ``config.json`` that ``orlop-runtime spec`` writes: a shell in a container, to be edited.

It is the same container as that of ``runc spec``: the same namespaces, mounts, capabilities and limits. It differs
where runc's own changed since or where its lines had no effect: more paths are masked, and the ambient set is
left out, because nothing can be ambient that is not inheritable, and nothing should be (CVE-2022-29162).
"""

from __future__ import annotations

import os

from orlop.runtime.spec.validation import NEWEST_VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CAPABILITIES = ("CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE")

#: What tells about the machine or steers it, and no container needs.
MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",  # counts keystrokes and network packets of the whole machine
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",  # energy meters precise enough to read keys from (CVE-2020-8694)
    "/sys/firmware",
)
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


def for_this_machine(*, rootless: bool = False) -> dict[str, Any]:
    """The configuration for the calling user on this machine's cgroup layout."""
    unified = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
    if rootless:
        return config(unified=unified, mapped=(os.geteuid(), os.getegid()))
    return config(unified=unified)


def config(*, unified: bool = False, mapped: tuple[int, int] | None = None) -> dict[str, Any]:
    """A new default configuration.

    Args:
        unified: the machine has cgroup version 2 only, so the container also gets a cgroup namespace.
        mapped: for a container without privileges, the user and group id that are root in it.
    """
    namespaces = ["pid", "ipc", "uts", "mount"]
    if mapped is None:
        namespaces.insert(1, "network")
    if unified:
        namespaces.append("cgroup")
    if mapped is not None:
        namespaces.append("user")
    linux: dict[str, Any] = {}
    if mapped is None:
        linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
    else:
        linux["uidMappings"] = [{"containerID": 0, "hostID": mapped[0], "size": 1}]
        linux["gidMappings"] = [{"containerID": 0, "hostID": mapped[1], "size": 1}]
    linux["namespaces"] = [{"type": kind} for kind in namespaces]
    linux["maskedPaths"] = list(MASKED_PATHS)
    linux["readonlyPaths"] = list(READONLY_PATHS)
    return {
        "ociVersion": NEWEST_VERSION,
        "process": {
            "terminal": True,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {kind: list(CAPABILITIES) for kind in ("bounding", "effective", "permitted")},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "orlop",
        "mounts": _mounts(rootless=mapped is not None),
        "linux": linux,
    }


def _mounts(*, rootless: bool) -> list[dict[str, Any]]:
    terminals = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]
    if rootless:
        # A sysfs can be mounted only by the owner of the network namespace, which is the host's here.
        sysfs = _mount("/sys", "none", "/sys", ["rbind", "nosuid", "noexec", "nodev", "ro"])
    else:
        sysfs = _mount("/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev", "ro"])
        terminals.append("gid=5")  # the group tty, which a mapping of one id does not have
    return [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        _mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount("/dev/pts", "devpts", "devpts", terminals),
        _mount("/dev/shm", "tmpfs", "shm", ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        _mount("/dev/mqueue", "mqueue", "mqueue", ["nosuid", "noexec", "nodev"]),
        sysfs,
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", ["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ]


def _mount(destination: str, kind: str, source: str, options: list[str]) -> dict[str, Any]:
    return {"destination": destination, "type": kind, "source": source, "options": options}
