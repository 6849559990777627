"""The same bundle run by two runtimes, and what the container saw of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING, Any

from tests.integration.interop.home import Result

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CAPABILITIES = ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SETGID", "CAP_SETUID"]

_LIBC_S_OWN = 1 << 31 | 1 << 32  # signals 32 and 33

MASKED_DIRECTORIES = {"/proc/acpi", "/sys/firmware"}

# Each section is printed under its name; the script is process 1 itself.
PROBE = """
section() { echo "=== $1"; }
section capabilities; grep -E '^(Cap|NoNewPrivs)' /proc/self/status
section seccomp; grep -E '^Seccomp' /proc/self/status
section signals; grep -E '^Sig(Blk|Ign)' /proc/1/status
section identity; grep -E '^(Uid|Gid|Groups)' /proc/self/status; umask; id
section session; set -- $(cut -d')' -f2 /proc/1/stat); echo "parent $2 group $3 session $4 terminal $5"
section limits; cat /proc/self/limits
section mounts; cat /proc/self/mountinfo
section devices; for f in /dev/*; do stat -c '%N %F %t:%T %a %u:%g' "$f"; done; ls /dev/pts
section namespaces; for n in /proc/self/ns/*; do echo "${n##*/} $(readlink $n)"; done
section uid_map; cat /proc/self/uid_map /proc/self/gid_map; cat /proc/self/setgroups
section environment; tr '\\0' '\\n' < /proc/1/environ
section directory; pwd; readlink /proc/1/cwd; readlink /proc/1/root
section host_name; hostname; cat /proc/sys/kernel/domainname
section cgroups; cat /proc/self/cgroup
section oom_score; cat /proc/self/oom_score_adj
section descriptors; ls /proc/1/fd
section arguments; tr '\\0' '\\n' < /proc/1/cmdline | head -n 2
section sysctl; cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax
section writable; for d in / /proc/sys/kernel/msgmax /sys/kernel /dev /tmp /etc/passwd; do
    test -w $d && echo "$d writable" || echo "$d not"; done
section masked; cat /proc/kcore /proc/keys /proc/timer_list 2>&1 | head -c 300; ls /proc/acpi /sys/firmware 2>&1
section interfaces; cat /proc/net/dev | cut -d: -f1
section timer_slack; cat /proc/1/timerslack_ns; grep -E 'Cpus_allowed_list|Mems_allowed_list' /proc/self/status
section scheduling; cut -d')' -f2 /proc/1/stat | cut -d' ' -f17,18,39,40
section personality; cat /proc/1/personality; cat /proc/1/coredump_filter; cat /proc/1/autogroup 2> /dev/null | wc -l
"""


class SideBySide:
    """One bundle, one runtime; made twice, the results can be compared."""

    def __init__(self, runtime: str, state: Path, bundle: Path, identity: str) -> None:
        self.runtime = runtime
        self.state = state
        self.bundle = bundle
        self.identity = identity

    def __call__(self, *arguments: str, seconds: float = 20.0, env: Mapping[str, str] | None = None) -> Result:
        """Run a command of the runtime; its output goes to files, as a container left behind keeps them open."""
        out, err = self.state / "out", self.state / "err"
        self.state.mkdir(exist_ok=True)
        with out.open("wb") as out_stream, err.open("wb") as err_stream:
            done = subprocess.run(
                [self.runtime, f"--root={self.state}/root", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out_stream,
                stderr=err_stream,
                timeout=seconds,
                check=False,
                env=env,
            )
        return Result(done.returncode, out.read_text(errors="replace"), err.read_text(errors="replace"))

    def write(self, config: dict[str, Any]) -> None:
        (self.bundle / "config.json").write_text(json.dumps(config))

    def run(self, *options: str) -> Result:
        return self("run", *options, "--bundle", str(self.bundle), self.identity)

    def sections(self) -> dict[str, str]:
        """What the probe saw, normalised so that only differences of substance remain."""
        result = self.run()
        assert result.code == 0, f"{self.runtime}: {result.err}"
        found = {}
        for part in result.out.split("=== ")[1:]:
            name, _, text = part.partition("\n")
            found[name] = _normal(name, text)
        assert "personality" in found, f"{self.runtime}: the probe broke off: {result}"
        return found


def _normal(section: str, text: str) -> str:
    if section == "mounts":
        # Sorted, as a mount that was prepared aside is listed before its elders.
        # Of a hybrid layout runc mounts only the v1 hierarchies.
        lines = [line for line in text.splitlines() if " /sys/fs/cgroup/unified " not in line]
        return "\n".join(sorted(map(_normal_mount, lines)))
    if section == "namespaces":
        pairs = [line.split() for line in text.splitlines()]
        return "\n".join(f"{name} {'shared' if value == _own(name) else 'new'}" for name, value in pairs)
    if section == "signals":
        # runc leaves those ignored that libc keeps for itself and posix_spawn(3) left ignored, as make(1) starts us.
        return re.sub(r"[0-9a-f]{16}", lambda mask: f"{int(mask[0], 16) & ~_LIBC_S_OWN:016x}", text)
    if section == "devices":
        # Its owner is who made the IPC namespace, before or after becoming root of the user namespace.
        return re.sub(r"(/dev/mqueue.*) \S+", r"\1", text)
    return text


def _own(namespace: str) -> str:
    return os.readlink(f"/proc/self/ns/{namespace}")


def _normal_mount(line: str) -> str:
    """What is mounted where and how, without what differs from run to run or is meant to differ.

    Mount and device numbers differ each time. Meant to differ: the directory of v1 hierarchies is read-only here
    when they are, the null device that masks files is the machine's own, and a masked directory is read-only in
    its file system too.
    """
    fields = line.split()
    optional = [re.sub(r"\d+", "N", field) for field in fields[6 : fields.index("-")]]
    kind, source, options = fields[fields.index("-") + 1 :]
    inside, place = fields[3:5]
    if kind == "tmpfs" and place == "/sys/fs/cgroup":
        return f"{place} {kind}"
    if kind == "cgroup":
        source = kind
    if inside == "/null":
        return f"{place} {inside}"
    if kind == "tmpfs" and place in MASKED_DIRECTORIES:
        return f"{place} {kind} {'ro' in fields[5].split(',') + options.split(',')}"
    return " ".join([inside, place, ",".join(sorted(fields[5].split(","))), *optional, kind, source, options])


def base_config(root_filesystem: Path, cgroup: str) -> dict[str, Any]:
    """A container as engines configure one, with the probe as its program."""
    nosuid = ["nosuid", "noexec", "nodev"]
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": ["/bin/sh", "-c", PROBE],
            "env": ["PATH=/bin", "EMPTY=", "SPACE=a b"],
            "cwd": "/",
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), CAPABILITIES),
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 512, "hard": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": str(root_filesystem), "readonly": False},
        "hostname": "side-by-side",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": [*nosuid, "mode=1777"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": nosuid},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [*nosuid, "ro"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": [*nosuid, "ro"]},
        ],
        "linux": {
            "cgroupsPath": cgroup,
            "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")],
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    }  # fmt: skip
