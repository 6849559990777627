"""dockerd --userns-remap: every container in a user namespace of the daemon's choice."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.interop.docker import IMAGE, Docker

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.interop.home import Home

USER = "orlop-remap"


@pytest.fixture(scope="module")
def remapped(new_home: Callable[..., Home], runtime: Path, archive: Path, docker_programs: None) -> Docker:
    """A daemon whose containers' root is uid 200000 of the machine."""
    home = new_home("userns")
    home.replace_file("/etc/passwd", Path("/etc/passwd").read_text() + f"{USER}:x:7777:7777::/:/bin/false\n")
    home.replace_file("/etc/group", Path("/etc/group").read_text() + f"{USER}:x:7777:\n")
    for file in ("/etc/subuid", "/etc/subgid"):
        if not Path(file).exists():
            pytest.skip(f"needs {file}, which uidmap installs")
        home.replace_file(file, f"{USER}:200000:65536\n")
    return Docker(home, runtime, archive, f"--userns-remap={USER}")


def test_the_mapping_is_the_daemons(remapped: Docker) -> None:
    result = remapped.run(IMAGE, "cat", "/proc/self/uid_map", "/proc/self/gid_map")
    assert result.code == 0, result.err
    assert result.out.split() == ["0", "200000", "65536"] * 2


def test_root_inside_is_nobody_outside(remapped: Docker) -> None:
    name = remapped.start(IMAGE, "sleep", "1000")
    pid = remapped.inspect(name)["State"]["Pid"]
    assert Path(f"/proc/{pid}").stat().st_uid == 200000
    remapped("rm", "-f", name)


def test_exec_joins_the_user_namespace(remapped: Docker) -> None:
    name = remapped.start(IMAGE, "sleep", "1000")
    result = remapped("exec", name, "sh", "-c", "id -u; cat /proc/self/uid_map; touch /root/f")
    assert result.out.split() == ["0", "0", "200000", "65536"]
    remapped("rm", "-f", name)


def test_the_root_file_system_belongs_to_the_containers_root(remapped: Docker) -> None:
    assert remapped.run(IMAGE, "stat", "-c", "%u %g", "/bin", "/dev/null", "/dev/pts").out.split()[:2] == ["0", "0"]


def test_devices_and_terminals_work(remapped: Docker) -> None:
    assert remapped.run(IMAGE, "sh", "-c", "echo x > /dev/null && head -c 4 /dev/zero | wc -c").out == "4\n"
    result = remapped.on_terminal("run", "--rm", "-it", "--network=none", IMAGE, "tty", rows=24, columns=80)
    assert (result.code, result.out) == (0, "/dev/pts/0\n")


def test_the_hosts_user_namespace_can_be_kept(remapped: Docker) -> None:
    result = remapped.run("--userns=host", IMAGE, "cat", "/proc/self/uid_map")
    assert result.out.split() == ["0", "0", "4294967295"]
