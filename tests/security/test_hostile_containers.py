"""exec into containers whose init did what it could to be in the way."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import orlop
from tests.security import hostile

if TYPE_CHECKING:
    from tests.integration.conftest import Bundle, BundleMaker, Runtime

BEGIN = "import ctypes, os, resource, time\nlibc = ctypes.CDLL(None, use_errno=True)\n"
END = "\nopen('/ready', 'w').close()\ntime.sleep(100)\n"


def after(runtime: Runtime, bundle: BundleMaker, deed: str, *capabilities: str) -> tuple[Bundle, str]:
    """A running container whose init has done ``deed``."""
    made = bundle()
    made.process["args"] = [hostile.with_python(made), hostile.script(made, BEGIN + deed + END)]
    hostile.grant(made, *capabilities)
    name = hostile.start(runtime, made)
    hostile.eventually((made.rootfs / "ready").exists)
    return made, name


def test_init_changed_its_limits(runtime: Runtime, bundle: BundleMaker) -> None:
    deed = (
        "for kind, value in ((resource.RLIMIT_NOFILE, 8), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_NPROC, 1),"
        " (resource.RLIMIT_FSIZE, 1000)):\n    resource.setrlimit(kind, (value, value))"
    )
    made = bundle()
    made.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 200, "hard": 300}]
    made.process["args"] = [hostile.with_python(made), hostile.script(made, BEGIN + deed + END)]
    name = hostile.start(runtime, made)
    hostile.eventually((made.rootfs / "ready").exists)
    assert runtime("exec", name, "sh", "-c", "ulimit -n; ulimit -Hn").output.split() == ["200", "300"]


def test_init_changed_its_root(runtime: Runtime, bundle: BundleMaker) -> None:
    """chroot(2) in init neither takes exec along nor lets it out."""
    _, name = after(
        runtime, bundle, "os.mkdir('/jail')\nopen('/ready', 'w').close()\nos.chroot('/jail')", "CAP_SYS_CHROOT"
    )
    assert "jail" in runtime("exec", name, "ls", "/").output


def test_init_changed_its_working_directory_to_one_that_it_removed(runtime: Runtime, bundle: BundleMaker) -> None:
    _, name = after(runtime, bundle, "os.mkdir('/gone')\nos.chdir('/gone')\nos.rmdir('/gone')")
    assert runtime("exec", name, "pwd").output == "/\n"


def test_init_went_to_namespaces_of_its_own(runtime: Runtime, bundle: BundleMaker) -> None:
    """Whatever namespaces exec joins, it must come out in the container and with no more than its rights."""
    deed = "assert not libc.unshare(0x00020000 | 0x04000000 | 0x08000000 | 0x40000000)"  # mount, uts, ipc, network
    _, name = after(runtime, bundle, deed, "CAP_SYS_ADMIN")
    said = runtime(
        "exec", name, "sh", "-c", "ls -d /attack.py; readlink /proc/self/ns/net; readlink /proc/self/ns/mnt"
    ).output.split()
    assert said[0] == "/attack.py"
    assert os.readlink("/proc/self/ns/net") not in said
    assert os.readlink("/proc/self/ns/mnt") not in said


def test_init_went_to_a_user_namespace_of_its_own(runtime: Runtime, bundle: BundleMaker) -> None:
    _, name = after(runtime, bundle, "assert not libc.unshare(0x10000000)")
    result = runtime.call("exec", name, "sh", "-c", "ls -d /attack.py; cat /proc/self/uid_map")
    # Nobody is mapped there: it fails, or runs as nobody; on no account with the rights of the host.
    assert result.status == 255 or "4294967295" not in result.output, result


def test_init_left_its_cgroup(runtime: Runtime, bundle: BundleMaker) -> None:
    """Where init went does not matter: exec joins what the container was created with."""
    made = bundle(
        "sh", "-c", "mkdir /sys/fs/cgroup/pids/below; echo 1 > /sys/fs/cgroup/pids/below/tasks; touch /ready; sleep 100"
    )
    if not Path("/sys/fs/cgroup/pids").is_dir():
        pytest.skip("needs a version 1 pids hierarchy that the container may write")
    hostile.mount(made, "/sys/fs/cgroup", "cgroup", "cgroup")
    made.linux["resources"]["pids"] = {"limit": 20}
    name = hostile.start(runtime, made)
    hostile.eventually((made.rootfs / "ready").exists)
    said = runtime("exec", name, "cat", "/proc/self/cgroup").output
    assert f"pids:{made.linux['cgroupsPath']}\n" in said


def test_init_mounted_over_what_exec_might_look_at(runtime: Runtime, bundle: BundleMaker) -> None:
    """A /proc of its own making, and libraries in the place of the host's."""
    shell = (
        "mkdir -p /fake/self/fd /fake/self/attr; mknod /fake/self/attr/exec p; mknod /fake/self/setgroups p;"
        " mount -t tmpfs fake /proc; cp -r /fake/self /proc/; mknod /proc/self/oom_score_adj p; touch /ready; sleep 100"
    )
    made = bundle("/bin/busybox", "sh", "-c", shell)
    (made.rootfs / "bin/cp").symlink_to("busybox")
    hostile.grant(made, "CAP_SYS_ADMIN", "CAP_MKNOD")
    made.process["oomScoreAdj"] = 500
    name = hostile.start(runtime, made)
    hostile.eventually((made.rootfs / "ready").exists)
    assert runtime("exec", "--user", "1000:1000", name, "echo", "ran", timeout=20).output == "ran\n"


def set_traps(root: Path) -> None:
    """Put every module that the runtime could still want at the host's path below ``root``, traitorous."""
    trap = "import os\nos.open('/sprung', os.O_CREAT | os.O_WRONLY)\n"
    source = Path(orlop.__file__).parent
    places = [source.parent, *(Path(place) for place in sys.path if place and Path(place).is_dir())]
    traps = [str(module) for module in source.rglob("*.py")]
    for name in ("encodings/idna", "encodings/ascii", "locale", "traceback", "linecache", "pwd", "random"):
        traps += [f"{place}/{name}.py" for place in places]
    for module in traps:
        target = root / module.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(trap)


def test_cve_2019_14271_no_python_of_the_container_is_imported(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "100")
    set_traps(made.rootfs)
    made.process["scheduler"] = {"policy": "SCHED_BATCH"}
    made.process["ioPriority"] = {"class": "IOPRIO_CLASS_BE", "priority": 4}
    made.linux["personality"] = {"domain": "LINUX"}
    made.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["acct"], "action": "SCMP_ACT_ERRNO"}],
    }
    hook = {"path": "/bin/true"}
    made.config["hooks"] = {"startContainer": [hook], "createContainer": [hook]}
    hostile.mount(made, "/copied", "tmpfs", "tmpfs", "tmpcopyup")
    name = hostile.start(runtime, made)
    for arguments in (["true"], ["missing"], ["/etc/passwd"], ["sh", "-c", "exit 3"]):
        runtime.call("exec", name, *arguments)
        runtime.call("exec", "--cwd", "/missing", "--tty", name, *arguments)
    made.process["args"] = ["missing\udcff"]
    hostile.attempt(runtime, made)
    assert not (made.rootfs / "sprung").exists()


def test_cve_2019_14271_no_python_of_a_mount_namespace_that_is_joined_is_imported(
    runtime: Runtime, bundle: BundleMaker
) -> None:
    hosting = bundle("sleep", "100")
    set_traps(hosting.rootfs)
    joining = bundle("echo", "ran")
    inside = hosting.rootfs / str(joining.rootfs).lstrip("/")
    shutil.copytree(joining.rootfs, inside, symlinks=True)
    name = hostile.start(runtime, hosting)
    for entry in joining.linux["namespaces"]:
        if entry["type"] == "mount":
            entry["path"] = f"/proc/{runtime.state(name)['pid']}/ns/mnt"
    joining.linux["maskedPaths"] = joining.linux["readonlyPaths"] = []
    hostile.mount(joining, "/copied", "tmpfs", "tmpfs", "tmpcopyup")
    result = hostile.attempt(runtime, joining)
    assert not (hosting.rootfs / "sprung").exists()
    assert not (inside / "sprung").exists()
    assert "import" not in result.errors, result


@pytest.mark.parametrize("trap", ["fifo", "device", "directory", "huge", "link", "binary", "endless line"])
def test_etc_passwd_is_a_trap(runtime: Runtime, bundle: BundleMaker, trap: str) -> None:
    made = bundle("sh", "-c", "echo $HOME")
    passwd = made.rootfs / "etc/passwd"
    passwd.unlink()
    if trap == "fifo":
        os.mkfifo(passwd)
    elif trap == "device":
        os.mknod(passwd, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    elif trap == "directory":
        passwd.mkdir()
    elif trap == "huge":
        with passwd.open("wb") as file:
            file.truncate(1 << 40)
    elif trap == "link":
        passwd.symlink_to("/proc/self/fd/0")
    elif trap == "binary":
        passwd.write_bytes(b"\xff\0:\n:0:0::::\n" * 1000)
    else:
        passwd.write_bytes(b"x" * (3 << 20) + b":x:0:0::/far:")
    assert hostile.output(runtime, made, timeout=20) == "/\n"
    made.process["args"] = ["sleep", "100"]
    name = hostile.start(runtime, made)
    assert runtime("exec", name, "sh", "-c", "echo $HOME", timeout=20).output == "/\n"


def test_a_filter_s_listener_does_not_reach_the_container(
    runtime: Runtime, bundle: BundleMaker, tmp_path: Path
) -> None:
    """SCMP_ACT_NOTIFY: who holds the listener decides about the others' calls, so the container must not."""
    made = bundle("sh", "-c", "ls -l /proc/$$/fd | grep -c seccomp; ls /proc/$$/fd | wc -l")
    path = f"/tmp/{made.path.name}.sock"
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(path)
        listener.listen()
        made.linux["seccomp"] = {
            "defaultAction": "SCMP_ACT_ALLOW",
            "listenerPath": path,
            "syscalls": [{"names": ["acct"], "action": "SCMP_ACT_NOTIFY"}],
        }
        result = hostile.attempt(runtime, made)
        assert result.output.split()[0] == "0", result
        listener.settimeout(10)
        connection, _ = listener.accept()
        _, descriptors, _, _ = socket.recv_fds(connection, 65536, 4)
        assert len(descriptors) == 1
        for descriptor in descriptors:
            os.close(descriptor)
        connection.close()
    finally:
        listener.close()
        os.unlink(path)


def test_a_strict_filter_does_not_stand_in_the_way_of_the_trampoline(runtime: Runtime, bundle: BundleMaker) -> None:
    """Else people would loosen their filters, or the runtime would go without what keeps the interpreter safe."""
    made = bundle("echo", "ran")
    names = ["memfd_create", "fchmod", "openat2", "clone3", "setns", "unshare", "mount", "open_tree", "capset"]
    made.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": names, "action": "SCMP_ACT_KILL_PROCESS"}],
    }
    assert made.process["noNewPrivileges"]  # without it the filter comes before the last rights are given up
    assert hostile.output(runtime, made) == "ran\n"
    made.process["args"] = ["sleep", "100"]
    name = hostile.start(runtime, made)
    assert runtime("exec", name, "echo", "ran").output == "ran\n"
