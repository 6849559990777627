"""What every container gets unless its user says otherwise; the values are Docker's."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: Files of /proc and /sys that tell about or act on the whole machine.
MASKED_PATHS = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

_QUIET = ["nosuid", "noexec", "nodev"]

#: Kernel parameters of containers on networks, as with Docker: what is root's on a host because others share it is not here.
NETWORK_PARAMETERS = {
    "net.ipv4.ip_unprivileged_port_start": "0",
    "net.ipv4.ping_group_range": "0 2147483647",
}


def mounts(*, privileged: bool, own_sys: bool, map_tty_group: bool) -> list[dict[str, Any]]:
    """The file systems of the kernel that a container sees.

    ``own_sys``: a sysfs of its own can be mounted, which takes a network namespace that belongs to the
    container's user namespace; otherwise the host's is bound. ``map_tty_group``: group 5 exists in the
    container's user namespace.
    """
    write = [] if privileged else ["ro"]
    pts = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]
    if own_sys:
        sys = _mount("/sys", "sysfs", "sysfs", [*_QUIET, *write])
    else:
        sys = _mount("/sys", "bind", "/sys", ["rbind", "rprivate", *_QUIET, *write])
    return [
        _mount("/proc", "proc", "proc", _QUIET),
        _mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount("/dev/pts", "devpts", "devpts", [*pts, "gid=5"] if map_tty_group else pts),
        sys,
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", [*_QUIET, *write]),
        _mount("/dev/mqueue", "mqueue", "mqueue", _QUIET),
        _mount("/dev/shm", "tmpfs", "shm", [*_QUIET, "mode=1777", "size=65536k"]),
    ]


def _mount(destination: str, kind: str, source: str, options: list[str]) -> dict[str, Any]:
    return {"destination": destination, "type": kind, "source": source, "options": options}


def device_rules(*, privileged: bool) -> list[dict[str, Any]]:
    """``linux.resources.devices``: nothing but the harmless ones, or everything."""
    if privileged:
        return [{"allow": True, "access": "rwm"}]
    rules: list[dict[str, Any]] = [
        {"allow": False, "access": "rwm"},
        {"allow": True, "type": "c", "access": "m"},
        {"allow": True, "type": "b", "access": "m"},
    ]
    # null, zero, full, random, urandom, tty, console, ptmx, and the terminals of devpts
    for major, minor in ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)):
        rules.append({"allow": True, "type": "c", "major": major, "minor": minor, "access": "rwm"})
    rules.append({"allow": True, "type": "c", "major": 136, "access": "rwm"})
    return rules


def host_devices() -> list[dict[str, Any]]:
    """Every device node of the machine's /dev, for a privileged container."""
    import os
    import stat

    found: list[dict[str, Any]] = []
    # The kernel's own and the terminals are made by the runtime; /dev/pts, shm and mqueue are file systems.
    own = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "console", "pts", "shm", "mqueue", "fd"}
    pending = ["/dev"]
    while pending:
        directory = pending.pop()
        try:
            entries = list(os.scandir(directory))
        except OSError:
            continue  # gone, or not ours to see
        for entry in entries:
            if directory == "/dev" and entry.name in own:
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append(entry.path)
                continue
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
                found.append(
                    {
                        "path": entry.path,
                        "type": "c" if stat.S_ISCHR(status.st_mode) else "b",
                        "major": os.major(status.st_rdev),
                        "minor": os.minor(status.st_rdev),
                        "fileMode": stat.S_IMODE(status.st_mode),
                        "uid": status.st_uid,
                        "gid": status.st_gid,
                    }
                )
    return found
