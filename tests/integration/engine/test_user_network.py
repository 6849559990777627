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


#: Tells what comes to the machine's own 127.0.0.1.
LOOPBACK = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 9999))
print("ready", flush=True)
while (heard := server.recv(100)) != b"end":
    print("heard", heard, flush=True)
"""
#: Sends packets for 127.0.0.1 out of the container: by a socket that is bound to the device, and as frames of its own making,
#: also ones that say that they are something else, or take the short way to the device.
ATTACK = """
import socket, struct, sys, time
peer, device = sys.argv[1], b"eth0"
plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
plain.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
def attempt(send, *arguments):
    try:
        send(*arguments)
    except OSError:
        pass
def words(path):
    with open(path) as file:
        return [line.split() for line in file]
for target in ("127.0.0.1", "0.0.0.0"):
    attempt(plain.sendto, b"bound", (target, 9999))
[gateway] = [socket.inet_ntoa(bytes.fromhex(each[2])[::-1]) for each in words("/proc/net/route") if each[1] == "00000000"]
plain.sendto(b"who", (gateway, 9))
mac = ""
while not mac.strip("0:"):
    mac = next((each[3] for each in words("/proc/net/arp") if each[0] == gateway), "")
    time.sleep(0.01)
own = words("/sys/class/net/eth0/address")[0][0]
addresses = bytes.fromhex((mac + own).replace(":", ""))
def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)
plain.connect((peer, 9))
source = socket.inet_aton(plain.getsockname()[0])
for target in ("127.0.0.1", "127.1.1.1", "0.0.0.0"):
    udp = struct.pack("!HHHH", 40000, 9999, 13, 0) + b"frame"
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 33, 1, 0, 64, 17, 0, source, socket.inet_aton(target))
    frame = addresses + bytes((8, 0)) + head[:10] + checksum(head) + head[12:] + udp
    for kind in (0x800, 0x806, 0x88CC):
        for bypass in (0, 1):
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            raw.setsockopt(263, 20, bypass)  # SOL_PACKET, PACKET_QDISC_BYPASS
            attempt(raw.sendto, frame, ("eth0", kind))
client = socket.create_connection((peer, 80), 20)  # so that the program has seen what came before
client.sendall(b"?")
print(client.recv(100).decode())
"""


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


@pytest.mark.parametrize("mode", ["pasta", "slirp4netns"])
def test_nothing_that_a_container_sends_comes_to_the_machines_loopback(users: UsersMachine, mode: str) -> None:
    if shutil.which(mode) is None:
        pytest.skip(f"needs {mode}")
    listening = users.machine.start(sys.executable, "-IS", "-u", "-c", LOOPBACK)
    answering = users.peer.start(sys.executable, "-IS", "-u", "-c", SERVER)
    assert listening.stdout
    assert answering.stdout
    assert listening.stdout.readline() == answering.stdout.readline() == b"ready\n"
    try:
        attacked = users.engine.ok("run", "--rm", "--network", mode, "host", "python3", "-IS", "-c", ATTACK, PEER)
        assert attacked == "tcp\n"
        end = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'end', ('127.0.0.1', 9999))"
        users.machine.run(sys.executable, "-IS", "-W", "ignore", "-c", end)
        assert listening.stdout.read() == b""
    finally:
        for each in (listening, answering):
            each.kill()
            each.wait()


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
