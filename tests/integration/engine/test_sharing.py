"""Containers that share namespaces: ``--network``, ``--pid``, ``--ipc`` and ``--uts container:NAME``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.conftest import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.engine.conftest import Engine


@pytest.fixture(scope="module")
def donor(shared: Engine) -> Iterator[Engine]:
    """An engine with a container ``donor`` that shares what it has."""
    shared.detached(
        "donor", "--ipc", "shareable", "-h", "giver", "sh", "-c", "echo shared > /dev/shm/x; exec sleep 600"
    )
    wait_until(lambda: shared("exec", "donor", "cat", "/dev/shm/x").out == "shared\n", "the donor's file")
    yield shared
    shared.ok("rm", "-f", "donor")


@pytest.mark.parametrize(("option", "file"), [("network", "net"), ("pid", "pid"), ("ipc", "ipc"), ("uts", "uts")])
def test_a_namespace_is_another_container_s(donor: Engine, option: str, file: str) -> None:
    theirs = donor.ok("exec", "donor", "readlink", f"/proc/self/ns/{file}")
    assert donor.run(f"--{option}", "container:donor", "readlink", f"/proc/self/ns/{file}").out == theirs
    assert donor.run("readlink", f"/proc/self/ns/{file}").out != theirs


def test_with_the_network_come_the_donor_s_names(donor: Engine) -> None:
    text = donor.run("--network", "container:donor", "sh", "-c", "hostname; cat /etc/hosts /etc/hostname").out
    assert text.startswith("giver\n")
    assert text.endswith("127.0.1.1\tgiver\ngiver\n")


def test_shared_memory_is_shared_with_its_files(donor: Engine) -> None:
    assert donor.run("--ipc", "container:donor", "cat", "/dev/shm/x").out == "shared\n"
    result = donor.run("--ipc", "private", "ls", "/dev/shm")
    assert result.out == ""


def test_the_record_has_the_donor_s_id_so_that_its_name_may_change(donor: Engine) -> None:
    made = donor.ok("create", "--network", "container:donor", "--pid", "container:donor", "--rootfs", "ROOTFS", "true")
    host = donor.inspect(made.strip())["HostConfig"]
    full = donor.inspect("donor")["Id"]
    assert (host["NetworkMode"], host["PidMode"]) == (f"container:{full}", f"container:{full}")
    donor.ok("rm", made.strip())


def test_only_what_is_shareable_is_shared(donor: Engine) -> None:
    made = donor.ok("create", "--name", "private", "--rootfs", "ROOTFS", "true").strip()
    result = donor.run("--ipc", "container:private", "true")
    assert (result.code, "non-shareable IPC" in result.err) == (125, True)
    donor.ok("rm", made)


def test_a_donor_that_is_not_there_or_does_not_run_is_named(donor: Engine) -> None:
    assert "No such container: nobody" in donor.run("--network", "container:nobody", "true").err
    made = donor.ok("create", "--name", "idle", "--rootfs", "ROOTFS", "true").strip()
    for option, word in (("--network", "network"), ("--pid", "PID"), ("--uts", "UTS")):
        result = donor.run(option, "container:idle", "true")
        assert (result.code, result.err) == (125, f"orlop: cannot join {word} of a non running container: {made}\n")
    wait_until(lambda: len(donor.names()) == 2, "the end of clearing away")
    donor.ok("rm", "idle")


@pytest.mark.parametrize(
    "words", [("-h", "x"), ("--dns", "1.1.1.1"), ("--add-host", "a:1.1.1.1")], ids=["hostname", "dns", "hosts"]
)
def test_what_belongs_to_the_donor_cannot_be_said_again(donor: Engine, words: tuple[str, ...]) -> None:
    result = donor.run("--network", "container:donor", *words, "true")
    assert (result.code, "conflicting options" in result.err) == (125, True)


def test_a_container_joins_anew_each_time_that_it_starts(engine: Engine) -> None:
    engine.detached("first", "sleep", "600")
    engine.ok(
        "create",
        "--name",
        "second",
        "--network",
        "container:first",
        "--rootfs",
        "ROOTFS",
        "readlink",
        "/proc/self/ns/net",
    )
    before = engine.ok("start", "-a", "second")
    engine.ok("restart", "-t", "0", "first")
    after = engine.ok("start", "-a", "second")
    assert after == engine.ok("exec", "first", "readlink", "/proc/self/ns/net")
    assert before.startswith("net:")


def test_shared_memory_is_gone_from_the_host_with_its_container(engine: Engine) -> None:
    made = engine.detached("giver", "--ipc", "shareable", "sleep", "600")
    assert f"extras/{made}/shm" in Path("/proc/self/mountinfo").read_text()
    engine.ok("rm", "-f", "giver")
    assert made not in Path("/proc/self/mountinfo").read_text()
    assert not (engine.run_root / "extras" / made).exists()


@pytest.fixture(scope="module")
def users(owner: Engine) -> Iterator[Engine]:
    """An ordinary user's engine with a container ``giver`` that shares what it has."""
    if not owner.prefix:
        pytest.skip("this is about an ordinary user's engine")
    owner.ok("run", "-d", "--name", "giver", "-h", "giver", "--ipc", "shareable", "plain", "sleep", "600")
    yield owner
    owner.ok("rm", "-f", *owner.ok("ps", "-aq").split())


@pytest.mark.parametrize(("option", "file"), [("network", "net"), ("pid", "pid"), ("ipc", "ipc"), ("uts", "uts")])
def test_an_ordinary_user_s_container_joins_another_by_its_user_namespace(
    users: Engine, option: str, file: str
) -> None:
    both = f"readlink /proc/self/ns/{file}; readlink /proc/self/ns/user; touch /made"
    theirs = users.ok("exec", "giver", "sh", "-c", both)
    assert users.ok("run", "--rm", f"--{option}", "container:giver", "plain", "sh", "-c", both) == theirs
    assert users.ok("run", "--rm", "plain", "sh", "-c", both) != theirs


def test_an_ordinary_user_s_containers_share_memory_with_its_files(users: Engine) -> None:
    words = ("run", "--rm", "--ipc", "container:giver", "plain", "sh", "-c", "echo shared > /dev/shm/x")
    users.ok(*words)
    assert users.ok("exec", "giver", "cat", "/dev/shm/x") == "shared\n"
    assert users("run", "--rm", "--ipc", "container:giver", "--pid", "container:giver", "plain", "true").code == 0


def test_an_ordinary_user_s_container_that_joined_is_used_like_any_other(users: Engine) -> None:
    users.ok("run", "-d", "--name", "joined", "--network", "container:giver", "plain", "sleep", "600")
    net = ("readlink", "/proc/self/ns/net")
    assert users.ok("exec", "joined", *net) == users.ok("exec", "giver", *net)
    users.ok("restart", "-t", "0", "giver")
    users.ok("restart", "-t", "0", "joined")
    assert users.ok("exec", "joined", *net) == users.ok("exec", "giver", *net)
    said = {
        each["Subject"]: each for each in json.loads(users.ok("explain", "--format", "json", "joined"))["Statements"]
    }
    giver = users.inspect("giver")["Id"]
    assert said["user"]["Text"].startswith(f"container {giver[:12]}'s")
    assert said["user"]["Weakened"] == said["network"]["Weakened"] == f"--network container:{giver}"
    users.ok("cp", "/etc/passwd", "joined:/copied")
    assert "root:" in users.ok("exec", "joined", "cat", "/copied")


def test_an_ordinary_user_s_container_joins_those_of_one_user_namespace_only(users: Engine) -> None:
    users.ok("run", "-d", "--name", "stranger", "plain", "sleep", "600")
    result = users("run", "--rm", "--network", "container:giver", "--uts", "container:stranger", "plain", "true")
    assert (result.code, result.err.count("\n")) == (125, 1)
    assert "only one can be joined" in result.err


@pytest.mark.parametrize(("option", "file"), [("network", "net"), ("pid", "pid"), ("ipc", "ipc"), ("uts", "uts")])
def test_a_namespace_is_the_machine_s(owner: Engine, option: str, file: str) -> None:
    assert owner.ok("run", "--rm", f"--{option}", "host", "plain", "readlink", f"/proc/self/ns/{file}") == (
        f"{Path(f'/proc/self/ns/{file}').readlink()}\n"
    )


def test_what_is_found_at_the_start_is_found_again_by_a_restart_policy(engine: Engine) -> None:
    engine.ok("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "memory")
    engine.detached("first", "sleep", "600")
    words = ("--restart", "on-failure:2", "--ipc", "shareable", "-v", "memory:/m", "--network", "container:first")
    engine.detached("again", *words, "sh", "-c", "grep -c -E ' /(m|dev/shm) ' /proc/mounts; exit 3")
    wait_until(lambda: engine.state("again")["Status"] == "exited", "the last end")
    assert engine.inspect("again")["RestartCount"] == 2
    assert engine.ok("logs", "again") == "2\n" * 3
    wait_until(lambda: str(engine.root) not in Path("/proc/self/mountinfo").read_text(), "the end of the mounts")
    engine.ok("rm", "again")
    engine.ok("volume", "rm", "memory")
