"""The network of an ordinary user's containers, on a machine of its own with a neighbour."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.conftest import parent, wait_until
from tests.integration.engine.users_machine import ASK, HOST, PEER, SERVER, make_users

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.engine.users_machine import UsersMachine


@pytest.fixture(scope="module")
def users() -> Iterator[UsersMachine]:
    if shutil.which("pasta") is None:
        pytest.skip("needs pasta (Debian's passt)")
    with make_users("network") as made:
        yield made


@pytest.fixture(autouse=True)
def no_containers(users: UsersMachine) -> Iterator[None]:
    yield
    names = users.engine.names()
    if names:
        users.engine.ok("rm", "-f", *names)
    wait_until(lambda: not list((users.engine.run_root).glob("user-networks/*")), "the end of the networks")


def programs(users: UsersMachine) -> list[int]:
    """The pids of the programs that connect containers."""
    return [int(each.read_text()) for each in users.engine.run_root.glob("user-networks/*")]


@pytest.mark.parametrize("mode", ["default", "pasta", "slirp4netns"])
def test_a_container_reaches_other_machines(users: UsersMachine, mode: str) -> None:
    if shutil.which(mode) is None and mode != "default":
        pytest.skip(f"needs {mode}")
    answering = users.peer.start(sys.executable, "-IS", "-u", "-c", SERVER)
    assert answering.stdout
    assert answering.stdout.readline() == b"ready\n"
    options = [] if mode == "default" else ["--network", mode]
    try:
        for kind, port in (("tcp", "80"), ("udp", "53")):
            told = users.engine.ok("run", "--rm", *options, "host", "python3", "-IS", "-c", ASK, kind, PEER, port)
            assert told.strip() == kind
    finally:
        answering.kill()
        answering.wait()
    wait_until(lambda: not programs(users), "the end of the programs")


def test_published_ports_are_reached_and_change_while_it_runs(users: UsersMachine) -> None:
    users.serve("--network", "pasta", "-p", "8080:80", "-p", "5353:53/udp")
    assert users.ask(users.peer, HOST, 8080) == "tcp"
    assert users.ask(users.peer, HOST, 5353, "udp") == "udp"
    for address in ("127.0.0.1", "::1"):
        assert users.ask(users.machine, address, 8080) == "tcp"
    assert users.engine.ok("port", "web", "80") == "0.0.0.0:8080\n[::]:8080\n"
    users.engine.ok("port", "add", "web", "8081:80", f"8082:80,from={HOST}")
    users.engine.ok("port", "rm", "web", "8080:80")
    assert users.ask(users.peer, HOST, 8081) == "tcp"
    assert users.ask(users.peer, HOST, 8080) == "ConnectionRefusedError"
    assert users.ask(users.peer, HOST, 8082) in ("ConnectionResetError", "ConnectionRefusedError")
    assert users.ask(users.machine, HOST, 8082) == "tcp"
    taken = users.engine("run", "--rm", "--network", "pasta", "-p", "8081:80", "host", "true")
    assert "port is already allocated, to container web" in taken.err
    low = users.engine("run", "--rm", "--network", "pasta", "-p", "80:80", "host", "true")
    assert "ip_unprivileged_port_start" in low.err


def test_a_program_that_is_killed_is_replaced_with_the_next_command(users: UsersMachine) -> None:
    users.serve("--network", "pasta", "-p", "8080:80")
    [first] = programs(users)
    os.kill(first, signal.SIGKILL)
    users.engine.ok("ps")
    [second] = programs(users)
    assert second != first
    assert users.ask(users.peer, HOST, 8080) == "tcp"
    assert users.engine.ok("exec", "web", "cat", "/sys/class/net/eth0/operstate").strip() in ("unknown", "up")


def test_a_machine_from_which_nothing_leads_out_connects_containers_too(users: UsersMachine) -> None:
    if shutil.which("slirp4netns") is None:
        pytest.skip("needs slirp4netns")
    users.machine.run("ip", "route", "del", "default")
    try:
        users.serve("--network", "pasta", "-p", "8080:80")
        assert users.ask(users.peer, HOST, 8080) == "tcp"
    finally:
        users.machine.run("ip", "route", "add", "default", "via", PEER)


def test_who_opens_the_proxys_sockets_is_replaced_when_killed(users: UsersMachine) -> None:
    users.serve("--network", "pasta", "-p", "8080:80")
    assert users.ask(users.peer, HOST, 8080) == "tcp"
    proxies = [
        pid for pid in users.engine.processes("orlop-ports") if parent(pid) in users.engine.processes("orlop-ports")
    ]
    for pid in proxies:
        os.kill(pid, signal.SIGKILL)
    assert len(proxies) == 1
    wait_until(lambda: users.ask(users.peer, HOST, 8080) == "tcp", "another one")


def test_nothing_is_left_of_a_container_whose_monitor_was_killed(users: UsersMachine) -> None:
    users.serve("--network", "pasta", "-p", "8080:80")
    [program] = programs(users)
    for pid in users.engine.processes("orlop-monitor"):
        os.kill(pid, signal.SIGKILL)
    users.engine.ok("ps")
    wait_until(lambda: not os.path.exists(f"/proc/{program}"), "the end of the program")
    users.engine.ok("rm", "web")
    users.serve("--network", "pasta", "-p", "8080:80")
    assert users.ask(users.peer, HOST, 8080) == "tcp"


def test_names_are_resolved_by_the_resolvers_of_the_host_or_by_those_that_a_container_reaches(
    users: UsersMachine, tmp_path: Path
) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text("nameserver 127.0.0.53\n")
    over = ("nsenter", users.engine.prefix[1], "mount", "--bind", str(conf), "/etc/resolv.conf")
    server = ("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file=")
    options = ("--bind-interfaces", "--user=root", "--log-facility=-", "--address=/outside.example/192.0.2.9")
    peer = users.peer.start(*server, *options, f"--listen-address={PEER}")
    stub = users.machine.start(*server, *options, "--listen-address=127.0.0.53")  # as systemd-resolved's
    try:
        users.machine.run(*over)
        for said in (("--dns", PEER), ()):
            asked = ("sh", "-c", "getent ahostsv4 outside.example && dig +short +tcp outside.example")
            run = ["run", "--rm", "--network", "pasta", *said, "host", *asked]
            told = wait_until(lambda run=run: users.engine(*run).out, "an answer")  # type: ignore[misc]
            assert told.split()[0] == told.split()[-1] == "192.0.2.9"
        lines = users.engine.ok(
            "run", "--rm", "--network", "pasta", "-h", "box", "host", "cat", "/etc/resolv.conf", "/etc/hosts"
        ).splitlines()
        assert "nameserver 127.0.0.11" in lines
        assert lines[-1] == "127.0.1.1\tbox"
    finally:
        users.machine.run("nsenter", users.engine.prefix[1], "umount", "/etc/resolv.conf")
        for each in (peer, stub):
            each.kill()
            each.wait()
    wait_until(lambda: not users.engine.processes("orlop-names"), "the end of the resolver")
