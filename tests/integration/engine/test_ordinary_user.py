"""The engine as an ordinary user: the same commands, in a user namespace.

The user is known in a mount namespace of the test's own only, whose /etc/passwd and /etc/subuid name it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import busybox_root
from tests.integration.engine.conftest import ORLOP, Engine, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "orlop-engine"
UID = 7790
SUBORDINATE = 4_000_000

#: What the user's mount namespace is told before it serves: each file over the machine's own.
_PREPARE = """
for file in passwd group subuid subgid; do mount --bind "$1/$file" "/etc/$file" || exit 1; done
echo ready
exec sleep 100000
"""


def make_engine(rootfs: Path, *, ranges: bool) -> Iterator[Engine]:
    if shutil.which("newuidmap") is None:
        pytest.skip("needs newuidmap (Debian's uidmap)")
    directory = Path(f"/var/tmp/orlop-user-{os.getpid()}-{ranges}")
    directory.mkdir(mode=0o755)
    files = directory / "etc"
    files.mkdir()
    (files / "passwd").write_text(Path("/etc/passwd").read_text() + f"{USER}:x:{UID}:{UID}::{directory}/home:/bin/sh\n")
    (files / "group").write_text(Path("/etc/group").read_text() + f"{USER}:x:{UID}:\n")
    for name in ("subuid", "subgid"):
        (files / name).write_text(f"{USER}:{SUBORDINATE}:65536\n" if ranges else "")
    for name in ("home", "home/state", "home/run"):
        (directory / name).mkdir()
    busybox_root(directory / "home/rootfs")
    (directory / "home/rootfs/tmp").chmod(0o1777)
    subprocess.run(["chown", "-hR", f"{UID}:{UID}", directory / "home"], check=True)
    holder = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", _PREPARE, "sh", files], stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
        prefix = (
            "nsenter", f"--mount=/proc/{holder.pid}/ns/mnt",
            "setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--inh-caps=-all",
            "env", "-i", f"HOME={directory}/home", "PATH=/usr/local/bin:/usr/bin:/bin",
        )  # fmt: skip
        if subprocess.run([*prefix, ORLOP, "--version"], capture_output=True, check=False).returncode:
            pytest.skip(f"an ordinary user cannot run {ORLOP}")
        engine = Engine(directory / "home/state", directory / "home/rootfs", prefix)
        assert engine.run("true").code == 0
        yield engine
        engine.close()
    finally:
        holder.kill()
        holder.wait()
        assert holder.stdout is not None
        holder.stdout.close()
        shutil.rmtree(directory)


@pytest.fixture(scope="module")
def user(rootfs: Path) -> Iterator[Engine]:
    """The engine of a user with ranges of subordinate ids."""
    yield from make_engine(rootfs, ranges=True)


@pytest.fixture(scope="module")
def poor_user(rootfs: Path) -> Iterator[Engine]:
    """The engine of a user whom the administrator gave no ranges."""
    yield from make_engine(rootfs, ranges=False)


def test_root_inside_is_the_user_outside(user: Engine) -> None:
    out = user.run("-v", f"{user.root.parent}:/out", "sh", "-c", "id -u; cat /proc/self/uid_map; touch /out/file").out
    assert out.split() == ["0", "0", str(UID), "1", "1", str(SUBORDINATE), "65536"]
    path = user.root.parent / "file"
    assert path.stat().st_uid == UID
    path.unlink()


def test_other_users_inside_are_subordinate_ids_outside(user: Engine) -> None:
    result = user("run", "--name", "other", "-u", "5:6", "--rootfs", "ROOTFS", "sh", "-c", "id -u; touch /tmp/five")
    assert (result.code, result.out) == (0, "5\n")
    path = Path(user.rootfs, "tmp/five")
    assert (path.stat().st_uid, path.stat().st_gid) == (SUBORDINATE + 4, SUBORDINATE + 5)
    path.unlink()
    user.ok("rm", "other")


def test_without_ranges_only_root_is_mapped(poor_user: Engine) -> None:
    assert poor_user.run("cat", "/proc/self/uid_map").out.split() == ["0", str(UID), "1"]
    assert poor_user.run("-u", "5", "true").code == 125


def test_a_container_is_started_looked_into_and_stopped(user: Engine) -> None:
    user.detached("web", "sleep", "1000")
    assert user.state("web")["Status"] == "running"
    assert user("exec", "-i", "web", "sh", "-c", "cat; exit 3", given=b"typed").out == "typed"
    assert user("exec", "-u", "user", "web", "id", "-u").out == "1000\n"
    user.ok("stop", "-t", "0", "web")
    assert user.state("web")["ExitCode"] == 137
    user.ok("rm", "web")


@pytest.mark.parametrize("network", ["none", "host"])
def test_both_networks_work(user: Engine, network: str) -> None:
    devices = user.run("--network", network, "ls", "/sys/class/net").out.split()
    assert devices == (["lo"] if network == "none" else sorted(os.listdir("/sys/class/net")))


def test_the_host_s_files_can_be_read_and_changed_inside_only(user: Engine) -> None:
    script = "cat /etc/debian_version; echo x > /etc/made && cat /etc/made; touch /root/x; ls -A /run /tmp"
    result = user("run", "--rm", "host", "sh", "-c", script)
    assert result.code == 0, result
    assert result.out.split()[:2] == [Path("/etc/debian_version").read_text().strip(), "x"]
    assert not Path("/etc/made").exists()
    assert "orlop" not in result.out


def test_files_of_other_ids_in_the_view_are_removed_with_the_container(user: Engine) -> None:
    user("run", "--name", "owner", "host", "sh", "-c", "mkdir -m 700 /usr/x; touch /usr/x/y; chown -R 5:5 /usr/x")
    user.ok("rm", "owner")
    wait_until(lambda: user.containers() == [], "the end of clearing away")


def test_a_limit_that_cannot_be_set_is_an_error(user: Engine) -> None:
    result = user.run("--memory", "64m", "true")
    if result.code == 0:
        pytest.skip("this machine delegates the memory controller")
    assert result.code == 125
    assert "memory" in result.err
    wait_until(lambda: user.containers() == [], "the end of clearing away")


def test_the_commands_share_one_launcher(user: Engine) -> None:
    first = user.launcher()
    user.run("true")
    user.run("true")
    assert user.launcher() == first


def test_a_killed_monitor_is_repaired(user: Engine) -> None:
    container_id = user.detached("web", "sleep", "1000")
    os.kill(user.monitor(container_id), signal.SIGKILL)
    wait_until(lambda: user.state("web")["Status"] == "exited")
    assert user.state("web")["ExitCode"] == 137
    user.ok("rm", "web")


def test_somebody_else_cannot_use_the_launcher(user: Engine) -> None:
    """Not even root, whose containers it could not make: it serves its own user only."""
    result = subprocess.run(
        [ORLOP, "--root", user.root, "--run-root", user.run_root, "ps"], capture_output=True, text=True, check=False
    )
    assert result.returncode in (0, 125)  # looking is root's right
    from orlop.engine import frames, launch
    from orlop.engine.location import Location

    client = launch.connect(Location(str(user.root), str(user.run_root), rootless=False))
    assert client is not None
    launch.send(client, b"{}")
    assert client.recv(1000)[:1] == frames.REFUSED
    client.close()
