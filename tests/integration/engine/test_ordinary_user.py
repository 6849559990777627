"""The engine as an ordinary user: the same commands, in a user namespace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import REPOSITORY
from tests.integration.engine.conftest import ORLOP, wait_until
from tests.integration.engine.image_maker import make
from tests.integration.engine.ordinary_user import SUBORDINATE, UID, make_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.engine.conftest import Engine


@pytest.fixture(scope="module")
def user(rootfs: Path) -> Iterator[Engine]:
    """The engine of a user with ranges of subordinate ids."""
    with make_engine("life", ranges=True) as engine:
        yield engine


@pytest.fixture(scope="module")
def poor_user(rootfs: Path) -> Iterator[Engine]:
    """The engine of a user whom the administrator gave no ranges."""
    with make_engine("life", ranges=False) as engine:
        yield engine


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


def entered(user: Engine, code: str) -> str:
    """What a process of the user's prints that has entered a namespace of its own."""
    script = f"""
import os, sys
sys.path.insert(0, {str(REPOSITORY / "src")!r})
from orlop.engine import own_namespace
own_namespace.enter()
{code}
"""
    command = [*user.prefix, sys.executable, "-I", "-S", "-c", script]
    return subprocess.run(command, capture_output=True, check=True, text=True, timeout=60).stdout


def test_a_command_becomes_root_of_its_own_namespace_with_all_of_the_users_ids(user: Engine) -> None:
    path = user.root.parent / "entered"
    code = f"""
print(os.getuid(), os.geteuid(), os.getgid())
os.close(os.open({str(path)!r}, os.O_CREAT | os.O_WRONLY))
os.chown({str(path)!r}, 5, 6)
own_namespace.enter()
print(open("/proc/self/uid_map").read())
"""
    assert entered(user, code).split() == ["0", "0", "0", "0", str(UID), "1", "1", str(SUBORDINATE), "65536"]
    assert (path.stat().st_uid, path.stat().st_gid) == (SUBORDINATE + 4, SUBORDINATE + 5)
    path.unlink()


def test_what_a_command_mounts_in_its_own_namespace_nobody_else_sees(user: Engine) -> None:
    code = f"""
from orlop.linux import mount
tree = mount.new("tmpfs", "tmpfs")
mount.attach(tree, os.open({str(user.root)!r}, os.O_PATH))
print("tmpfs " + {str(user.root)!r} in open("/proc/self/mounts").read())
"""
    assert entered(user, code) == "True\n"
    holder = next(word for word in user.prefix if word.startswith("--mount=")).removeprefix("--mount=")
    assert str(user.root) not in Path(holder).parent.parent.joinpath("mounts").read_text()


def test_a_user_without_ranges_is_root_alone_in_the_own_namespace(poor_user: Engine) -> None:
    code = 'print(os.geteuid(), open("/proc/self/uid_map").read())'
    assert entered(poor_user, code).split() == ["0", "0", str(UID), "1"]


def test_a_process_with_threads_is_told_that_it_cannot_enter(user: Engine) -> None:
    code = f"""
import os, sys, threading
sys.path.insert(0, {str(REPOSITORY / "src")!r})
from orlop.engine import own_namespace
done = threading.Event()
threading.Thread(target=done.wait).start()
try:
    own_namespace.enter()
except Exception as error:
    print(error)
done.set()
"""
    command = [*user.prefix, sys.executable, "-I", "-c", code]
    out = subprocess.run(command, capture_output=True, check=True, text=True, timeout=60).stdout
    assert out == "a user namespace can only be entered by a process with one thread\n"


def test_a_user_without_ranges_runs_images_whose_files_are_all_root_s(poor_user: Engine) -> None:
    make(
        poor_user,
        "poor:latest",
        config={"Cmd": ["sh", "-c", "id -u; touch /new; ls /new"], "Env": ["PATH=/bin"], "Volumes": {"/data": {}}},
    )
    assert poor_user.ok("run", "--rm", "poor").split() == ["0", "/new"]
    poor_user.ok("run", "--name", "changed", "poor", "rm", "/bin/cat")
    poor_user.ok("commit", "changed", "less")
    assert poor_user.ok("run", "--rm", "less", "sh", "-c", "[ -e /bin/cat ] || echo gone") == "gone\n"
    poor_user.ok("rm", "-v", "changed")
