"""podman as an ordinary user: the runtime is called inside podman's user namespace, without cgroups of its own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.interop.podman import IMAGE, Podman

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.interop.home import Home

USER = "orlop-rootless"
UID = 7778
SUBORDINATE = 3_000_000


@pytest.fixture(scope="module")
def rootless(new_home: Callable[..., Home], runtime: Path, archive: Path, podman_programs: None) -> Podman:
    """podman of a user that only this home knows."""
    if shutil.which("newuidmap") is None:
        pytest.skip("needs newuidmap, which is not installed")
    home = new_home("rootless", range(UID, UID + 1))
    home.replace_file("/etc/passwd", Path("/etc/passwd").read_text() + f"{USER}:x:{UID}:{UID}::/:/bin/sh\n")
    home.replace_file("/etc/group", Path("/etc/group").read_text() + f"{USER}:x:{UID}:\n")
    for file in ("/etc/subuid", "/etc/subgid"):
        home.replace_file(file, f"{USER}:{SUBORDINATE}:65536\n")
    for directory in ("", "run"):
        (home.directory / directory).mkdir(exist_ok=True)
        os.chown(home.directory / directory, UID, UID)
    (home.directory / "run").chmod(0o700)
    own_archive = shutil.copy(archive, home.directory / "image.tar")
    as_user = ("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--inh-caps=-all")
    version = home.run([*as_user, str(runtime), "--version"])
    if version.code != 0:
        pytest.skip(f"an ordinary user cannot run {runtime}: {version.err}")
    return Podman(home, runtime, Path(own_archive), as_user=as_user)


@pytest.fixture(scope="module")
def running(rootless: Podman) -> Iterator[str]:
    result = rootless("run", "-d", "--name=waiting", IMAGE, "sleep", "1000")
    assert result.code == 0, result.err
    yield "waiting"
    rootless("rm", "-f", "-t", "0", "waiting")


def test_a_container_prints_and_ends(rootless: Podman) -> None:
    result = rootless("run", "--rm", IMAGE, "sh", "-c", "echo out; exit 42")
    assert (result.code, result.out) == (42, "out\n")


def test_root_inside_is_the_user_outside(rootless: Podman) -> None:
    result = rootless("run", "--rm", IMAGE, "sh", "-c", "id -u; cat /proc/self/uid_map; touch /root/file")
    assert result.code == 0, result.err
    assert result.out.split() == ["0", "0", str(UID), "1", "1", str(SUBORDINATE), "65536"]


def test_other_users_inside_are_subordinate_ids(rootless: Podman) -> None:
    result = rootless(
        "run", "--rm", "--user=alice", IMAGE, "sh", "-c", "id -u; touch /tmp/file && stat -c %u /tmp/file"
    )
    assert result.out.split() == ["1000", "1000"], result.err


def test_a_program_that_is_not_there_gives_127(rootless: Podman) -> None:
    assert rootless("run", "--rm", IMAGE, "no-such-program").code == 127


def test_exec_runs_another_program_in_the_container(rootless: Podman, running: str) -> None:
    assert rootless("exec", running, "sh", "-c", "cat /proc/1/comm; exit 5")[:2] == (5, "sleep\n")


def test_a_terminal_has_the_size_of_the_users(rootless: Podman) -> None:
    script = "until [ \"$(stty size 2> /dev/null)\" = '33 99' ]; do :; done; exit 7"
    assert rootless.on_terminal("run", "--rm", "-it", IMAGE, "sh", "-c", script, rows=33, columns=99).code == 7


def test_kill_ends_the_container(rootless: Podman) -> None:
    assert rootless("run", "-d", "--name=victim", IMAGE, "sleep", "1000").code == 0
    assert rootless("kill", "victim").code == 0
    assert rootless("wait", "victim").out == "137\n"
    assert rootless("rm", "victim").code == 0
