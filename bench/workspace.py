"""What all contestants are given: one root file system, one bundle, and the floor program."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]

#: The command that each container runs.
TRUE = "/bin/true"

_PROGRAMS = ["true", "sleep", "sh", "yes", "head"]

_NAMESPACES = ["pid", "network", "ipc", "uts", "mount", "cgroup"]

_MOUNTS: list[dict[str, object]] = [
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {
        "destination": "/dev",
        "type": "tmpfs",
        "source": "tmpfs",
        "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
    },
    {
        "destination": "/dev/pts",
        "type": "devpts",
        "source": "devpts",
        "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    {
        "destination": "/dev/shm",
        "type": "tmpfs",
        "source": "shm",
        "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
    },
    {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
    {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
    {
        "destination": "/sys/fs/cgroup",
        "type": "cgroup",
        "source": "cgroup",
        "options": ["nosuid", "noexec", "nodev", "relatime", "ro"],
    },
]

_MASKED = [
    *("/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list"),
    *("/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"),
]
_READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]


def bundle_config() -> dict[str, object]:
    """The default bundle of ``runc spec``, for ``/bin/true`` without a terminal, with a cgroup namespace."""
    capabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": [TRUE],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "cwd": "/",
            "capabilities": dict.fromkeys(
                ["bounding", "effective", "permitted", "ambient", "inheritable"], capabilities
            ),
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "bench",
        "mounts": _MOUNTS,
        "linux": {
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "namespaces": [{"type": name} for name in _NAMESPACES],
            "maskedPaths": _MASKED,
            "readonlyPaths": _READ_ONLY,
        },
    }


@dataclass(frozen=True)
class Workspace:
    """A directory that is the benchmark's alone."""

    path: Path

    @property
    def rootfs(self) -> Path:
        """A root file system of busybox."""
        return self.path / "bundle" / "rootfs"

    @property
    def bundle(self) -> Path:
        """A bundle of that root file system."""
        return self.path / "bundle"

    @property
    def floor(self) -> Path:
        """The compiled floor program."""
        return self.path / "floor"

    @property
    def log(self) -> str:
        """Where everything that is run writes to."""
        return str(self.path / "log")

    @property
    def tag(self) -> str:
        """A word that marks cgroups and names as this run's."""
        return f"orlop-bench-{os.getpid()}"

    def prepare(self) -> None:
        """Make the root file system and the bundle, and compile the floor.

        Raises:
            FileNotFoundError: busybox or gcc is not installed.
            subprocess.CalledProcessError: the compiler refuses the floor.
        """
        programs = self.rootfs / "bin"
        programs.mkdir(parents=True)
        busybox = shutil.which("busybox")
        if busybox is None:
            raise FileNotFoundError("busybox is not installed (Debian: busybox-static)")
        shutil.copy(busybox, programs / "busybox")
        for name in _PROGRAMS:
            (programs / name).symlink_to("busybox")
        for name in ("proc", "dev", "sys", "etc", "tmp"):
            (self.rootfs / name).mkdir()
        (self.bundle / "config.json").write_text(json.dumps(bundle_config(), indent=2))
        source = REPOSITORY / "bench" / "floor.c"
        subprocess.run(["gcc", "-O2", "-static", "-Wall", "-Wextra", "-Werror", "-o", self.floor, source], check=True)
