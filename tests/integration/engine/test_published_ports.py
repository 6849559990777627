"""Ports of containers, from everywhere that they are to be reached from."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.conftest import Engine, comm, parent, wait_until
from tests.integration.engine.networked import NetworkedEngine
from tests.machine import LONG, Machine, cable

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST4 = "198.51.100.1"
HOST6 = "2001:db8:1::1"
PEER4 = "198.51.100.2"
PEER6 = "2001:db8:1::2"

#: A client: says something at an address and port, and prints the answer, or the error's name.
CLIENT = """
import socket, sys
kind, address, port = sys.argv[1:]
client = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET,
                       socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
client.settimeout(5)
try:
    client.connect((address, int(port)))
    client.send(b"hello")
    print(client.recv(1000).decode())
except OSError as error:
    print(type(error).__name__)
"""


class Lan:
    """The engine's machine, and a neighbour of it."""

    def __init__(self, engine: NetworkedEngine) -> None:
        self.engine = engine
        self.peer = Machine()
        cable(engine.machine, "lan0", f"{HOST4}/24", self.peer, "eth0", f"{PEER4}/24")
        engine.machine.run("ip", "addr", "add", f"{HOST6}/64", "dev", "lan0", "nodad")
        self.peer.run("ip", "addr", "add", f"{PEER6}/64", "dev", "eth0", "nodad")

    def ask(self, machine: Machine, address: str, port: int, kind: str = "tcp") -> str:
        """What a program on a machine gets for an answer."""
        return machine.run(sys.executable, "-IS", "-c", CLIENT, kind, address, str(port)).strip()

    def from_host(self, address: str, port: int, kind: str = "tcp") -> str:
        return self.ask(self.engine.machine, address, port, kind)

    def from_peer(self, address: str, port: int, kind: str = "tcp") -> str:
        return self.ask(self.peer, address, port, kind)


@pytest.fixture(scope="module")
def lan(tmp_path_factory: pytest.TempPathFactory, rootfs: Path) -> Iterator[Lan]:
    with NetworkedEngine(tmp_path_factory.mktemp("engine"), rootfs) as engine:
        made = Lan(engine)
        try:
            yield made
        finally:
            made.peer.end()
            engine.machine.run("ip", "link", "del", "lan0", check=False)


@pytest.fixture
def engine(lan: Lan) -> Iterator[NetworkedEngine]:
    yield lan.engine
    names = lan.engine.names()
    if names:
        lan.engine.ok("rm", "-f", *names)


#: A server at TCP port 80 and UDP port 53, which tells everybody which address they have.
SERVER = """
import select, socket
tcp = socket.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True, backlog=100)
udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
udp.bind(("::", 53))
print("ready", flush=True)
while True:
    ready, _, _ = select.select([tcp, udp], [], [])
    if tcp in ready:
        client, peer = tcp.accept()
        client.recv(1000)
        client.sendall(peer[0].removeprefix("::ffff:").encode())
        client.close()
    if udp in ready:
        data, peer = udp.recvfrom(1000)
        udp.sendto(peer[0].removeprefix("::ffff:").encode(), peer)
"""
REFUSED = "ConnectionRefusedError"


def serve(engine: NetworkedEngine, name: str, *options: str) -> None:
    """Start a container with a server."""
    if "--network" not in options:
        options = ("--network", "bridge", *options)
    engine.ok("run", "-d", "--name", name, *options, "host", "python3", "-IS", "-c", SERVER)
    wait_until(lambda: "ready" in engine.ok("logs", name), "a server")


def ports(engine: NetworkedEngine, name: str) -> dict[str, list[str] | None]:
    """``NetworkSettings.Ports``, each binding as one text."""
    found = engine.inspect(name)["NetworkSettings"]["Ports"]
    return {
        port: bindings and [f"{each['HostIp']} {each['HostPort']}" for each in bindings]
        for port, bindings in found.items()
    }


def proxies(engine: NetworkedEngine) -> list[int]:
    """The processes that serve what the kernel cannot forward."""
    lock = engine.run_root / "ports.lock"
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if comm(int(pid)) == "orlop-ports" and str(lock) in (
                os.readlink(f"/proc/{pid}/fd/{each}") for each in os.listdir(f"/proc/{pid}/fd")
            ):
                found.append(int(pid))
        except OSError:
            continue
    return found


def test_a_port_is_reached_from_outside_and_its_server_sees_who_asks(lan: Lan, engine: NetworkedEngine) -> None:
    serve(engine, "web", "-p", "8080:80", "-p", "5353:53/udp")
    assert lan.from_peer(HOST4, 8080) == PEER4
    assert lan.from_peer(HOST4, 5353, "udp") == PEER4
    assert proxies(engine) == []
    engine.ok("rm", "-f", "web")
    assert lan.from_peer(HOST4, 8080) == REFUSED


NGINX = """
daemon off;
user root;
pid /tmp/nginx.pid;
error_log stderr;
events {}
http {
    access_log /dev/stdout;
    client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
    server { listen 80; location / { return 200 "$remote_addr\\n"; } }
}
"""


def test_nginx_sees_who_asks(lan: Lan, engine: NetworkedEngine, tmp_path: Path) -> None:
    if shutil.which("nginx") is None:
        pytest.skip("needs nginx (Debian's nginx-light)")
    (tmp_path / "nginx.conf").write_text(NGINX)
    engine.ok(
        "run",
        "-d",
        "--name",
        "web",
        "-p",
        "8080:80",
        "-v",
        f"{tmp_path}:/srv:ro",
        "host",
        "nginx",
        "-c",
        "/srv/nginx.conf",
    )
    wait_until(lambda: lan.peer.ok("nc", "-z", HOST4, "8080"), "nginx")
    answer = lan.peer.run(sys.executable, "-IS", "-c", FETCH, f"http://{HOST4}:8080/")
    assert answer.strip() == PEER4
    wait_until(lambda: f"{PEER4} - - [" in engine.ok("logs", "web"), "a line in the log")


#: Fetches a page.
FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=20).read().decode())"

#: SCTP by raw sockets, since not every kernel has its own: a chunk INIT, and the answer INIT ACK (RFC 9260).
SCTP = """
import socket, struct, sys

def checksum(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    return crc ^ 0xFFFFFFFF

def packet(source, target, tag, kind):
    chunk = struct.pack("!BBHIIHHI", kind, 0, 20, 7, 65536, 1, 1, 1)
    plain = struct.pack("!HHII", source, target, tag, 0) + chunk
    return plain[:8] + struct.pack("<I", checksum(plain)) + plain[12:]

raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 132)
raw.settimeout(20)
if sys.argv[1] == "server":
    print("ready", flush=True)
while True:
    if sys.argv[1] == "client":
        raw.sendto(packet(1234, 9000, 0, 1), (sys.argv[2], 0))
        raw.settimeout(1)
    try:
        data, peer = raw.recvfrom(2000)
    except TimeoutError:
        continue
    source, target, tag = struct.unpack("!HHI", data[20:28])
    assert checksum(data[20:28] + bytes(4) + data[32:]) == struct.unpack("<I", data[28:32])[0]
    if sys.argv[1] == "client":
        print(peer[0], source, target, data[32])
        break
    raw.sendto(packet(target, source, 7, 2), peer)
"""


def test_packets_of_sctp_come_through(lan: Lan, engine: NetworkedEngine) -> None:
    engine.ok(
        "run", "-d", "--name", "sctp", "--network", "bridge", "-p", "9000:900/sctp", "host", "python3", "-IS", "-c", SCTP, "server"
    )  # fmt: skip
    wait_until(lambda: "ready" in engine.ok("logs", "sctp"), "a server")
    answer = lan.peer.run(sys.executable, "-IS", "-c", SCTP, "client", HOST4)
    assert answer.split() == [HOST4, "9000", "1234", "2"]
    taken = engine.run("--network", "bridge", "-p", "9000:901/sctp", "true")
    assert "port is already allocated, to container sctp" in taken.err


def test_a_port_is_the_next_containers_at_once_and_stays_so(lan: Lan, engine: NetworkedEngine) -> None:
    for _ in range(6):
        assert engine.run("--network", "bridge", "-p", "8080:80", "true").code == 0
    serve(engine, "web", "-p", "8080:80")
    # Whoever clears away after the one before must not take what is this one's.
    engine.ok("ps")
    wait_until(lambda: len(os.listdir(engine.run_root / "monitors")) == 1, "an end of clearing away")
    assert lan.from_peer(HOST4, 8080) == PEER4


def test_of_many_who_want_a_port_at_once_one_gets_it(lan: Lan, engine: NetworkedEngine) -> None:
    started = [
        engine.popen(
            "run", "-d", "--name", f"one{number}", "--network", "bridge", "-p", "8080:80", "--rootfs", engine.rootfs, "sleep", "1000",
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        for number in range(8)
    ]  # fmt: skip
    errors = [each.communicate(timeout=LONG)[1].decode() for each in started]
    assert sorted(each.returncode for each in started) == [0, *[125] * 7]
    assert all("port is already allocated" in each for each in errors if each)
    assert len(engine.ok("ps", "-q").split()) == 1


def test_any_ports_of_many_containers_at_once_are_different(lan: Lan, engine: NetworkedEngine) -> None:
    started = [
        engine.popen(
            "run", "-d", "--name", f"any{number}", "--network", "bridge", "-p", "80-89", "--rootfs", engine.rootfs, "sleep", "1000",
            stdout=subprocess.DEVNULL,
        )
        for number in range(6)
    ]  # fmt: skip
    assert [each.wait(timeout=LONG) for each in started] == [0] * 6
    found = [
        binding
        for number in range(6)
        for bindings in ports(engine, f"any{number}").values()
        for binding in bindings or ()
    ]
    assert len(found) == len(set(found)) == 6 * 10 * 2


def test_the_machine_itself_reaches_a_port_by_each_of_its_addresses(lan: Lan, engine: NetworkedEngine) -> None:
    serve(engine, "web", "-p", "8080:80", "-p", "5353:53/udp")
    for address in ("127.0.0.1", "127.1.2.3", HOST4, "::1", HOST6):
        assert "." in lan.from_host(address, 8080), address
        assert "." in lan.from_host(address, 5353, "udp"), address


def test_by_ipv6_a_container_is_reached_that_has_no_such_address(lan: Lan, engine: NetworkedEngine) -> None:
    serve(engine, "web", "-p", "8080:80", "-p", "5353:53/udp")
    assert "." in lan.from_peer(HOST6, 8080)
    assert "." in lan.from_peer(HOST6, 5353, "udp")
    [proxy] = proxies(engine)
    serve(engine, "other", "-p", "8081:80")
    assert "." in lan.from_peer(HOST6, 8081)
    assert proxies(engine) == [proxy]
    engine.ok("rm", "-f", "web")
    assert "." in lan.from_peer(HOST6, 8081)
    engine.ok("rm", "-f", "other")
    wait_until(lambda: not proxies(engine), "the end of the proxy")


def test_a_proxy_that_is_killed_is_replaced_at_once(lan: Lan, engine: NetworkedEngine) -> None:
    serve(engine, "web", "-p", "8080:80")
    for _ in range(3):
        assert "." in lan.from_host("::1", 8080)
        [proxy] = proxies(engine)
        os.kill(proxy, signal.SIGKILL)
    assert "." in lan.from_host("::1", 8080)


def test_a_container_with_ipv6_is_reached_by_it_without_a_proxy(lan: Lan, engine: NetworkedEngine) -> None:
    engine.ok("network", "create", "--ipv6", "--subnet", "fd00:7::/64", "six")
    serve(engine, "web", "--network", "six", "-p", "8080:80", "-p", "5353:53/udp")
    assert lan.from_peer(HOST6, 8080) == PEER6
    assert lan.from_peer(HOST6, 5353, "udp") == PEER6
    assert lan.from_peer(HOST4, 8080) == PEER4
    assert proxies(engine) == []
    assert ":" in lan.from_host(HOST6, 8080)
    assert ":" in lan.from_host("::1", 8080)
    assert ":" in lan.from_host("::1", 5353, "udp")
    engine.ok("rm", "-f", "web")
    engine.ok("network", "rm", "six")


def test_containers_reach_ports_by_the_address_of_the_machine(lan: Lan, engine: NetworkedEngine) -> None:
    engine.ok("network", "create", "elsewhere")
    serve(engine, "web", "-p", "8080:80", "-p", "5353:53/udp")
    serve(engine, "neighbour")
    serve(engine, "stranger", "--network", "elsewhere")
    for asks in ("web", "neighbour", "stranger"):
        for port, kind in ((8080, "tcp"), (5353, "udp")):
            answer = engine.ok("exec", asks, "python3", "-IS", "-c", CLIENT, kind, HOST4, str(port)).strip()
            assert "." in answer, (asks, kind, answer)
    engine.ok("rm", "-f", "stranger")
    engine.ok("network", "rm", "elsewhere")


def test_a_port_can_be_for_some_hosts_or_one_interface_only(lan: Lan, engine: NetworkedEngine) -> None:
    serve(
        engine, "web", "-p", f"8080:80,from={PEER4}", "-p", "8081:80,from=10.0.0.0/8", "-p", "8082:80,on=lan0",
        "-p", "8083:80,on=lo", "-p", f"8084:80,from={PEER6},on=lan0",
    )  # fmt: skip
    assert lan.from_peer(HOST4, 8080) == PEER4
    assert lan.from_host(HOST4, 8080) == REFUSED
    assert lan.from_peer(HOST4, 8081) == REFUSED
    assert lan.from_peer(HOST4, 8082) == PEER4
    assert lan.from_host("127.0.0.1", 8082) == REFUSED
    assert lan.from_peer(HOST4, 8083) == REFUSED
    assert "." in lan.from_host("127.0.0.1", 8083)
    assert "." in lan.from_peer(HOST6, 8084)
    assert lan.from_host(HOST6, 8084) != "."
    assert ports(engine, "web")["80/tcp"] == [
        "0.0.0.0 8080", "0.0.0.0 8081", "0.0.0.0 8082", ":: 8082", "0.0.0.0 8083", ":: 8083", ":: 8084",
    ]  # fmt: skip
    bindings = engine.inspect("web")["HostConfig"]["PortBindings"]["80/tcp"]
    assert bindings[0] == {"HostIp": "", "HostPort": "8080", "From": [f"{PEER4}/32"]}
    assert bindings[2] == {"HostIp": "", "HostPort": "8082", "On": "lan0"}


def test_what_the_machine_lets_nobody_in_for_is_closed_for_containers_too(lan: Lan, engine: NetworkedEngine) -> None:
    serve(engine, "web", "-p", "8080:80", "-p", "8081:80")
    lan.engine.machine.run(
        "nft", "add table inet own; add chain inet own in { type filter hook input priority 0; };"
        "add rule inet own in iifname lan0 tcp dport 8080 reject with tcp reset",
    )  # fmt: skip
    try:
        for address in (HOST4, HOST6):
            assert lan.from_peer(address, 8080) == REFUSED
            assert "." in lan.from_host(address, 8080)
        assert lan.from_peer(HOST4, 8081) == PEER4
    finally:
        lan.engine.machine.run("nft", "delete table inet own")
    assert lan.from_peer(HOST4, 8080) == PEER4


def test_a_network_says_at_which_address_ports_are_that_name_none(lan: Lan, engine: NetworkedEngine) -> None:
    engine.ok("network", "create", "-o", "com.docker.network.bridge.host_binding_ipv4=127.0.0.1", "private")
    serve(engine, "web", "--network", "private", "-p", "8080:80", "-p", f"{HOST4}:8081:80")
    assert ports(engine, "web")["80/tcp"] == ["127.0.0.1 8080", f"{HOST4} 8081"]
    assert lan.from_peer(HOST4, 8080) == REFUSED
    assert lan.from_peer(HOST4, 8081) == PEER4
    engine.ok("port", "add", "web", "8082:80")
    assert lan.from_peer(HOST4, 8082) == REFUSED
    assert "." in lan.from_host("127.0.0.1", 8082)
    engine.ok("rm", "-f", "web")
    engine.ok("network", "rm", "private")


def test_ports_come_back_when_somebody_has_removed_all_rules(lan: Lan, engine: NetworkedEngine) -> None:
    serve(engine, "web", "-p", "8080:80")
    engine.machine.run("nft", "flush", "ruleset")
    engine.ok("network", "reload")
    assert lan.from_peer(HOST4, 8080) == PEER4


def test_a_conflict_is_told_before_anything_is_made_and_names_who_has_the_port(
    lan: Lan, engine: NetworkedEngine, tmp_path: Path
) -> None:
    web = engine.detached("web", "--network", "bridge", "-p", "8080:80", "sleep", "1000")
    result = engine.run("--name", "late", "--network", "bridge", "-p", "8080:80", "true")
    assert result.code == 125
    assert f"port is already allocated, to container web ({web[:12]})" in result.err
    assert engine.names() == ["web"]

    second = Engine(tmp_path, Path(engine.rootfs), engine.prefix)
    try:
        result = second.run("--network", "bridge", "-p", "127.0.0.1:8080:80", "true")
        assert f"to container web ({web[:12]}) of the engine in {engine.root}" in result.err
    finally:
        second.close()

    listener = engine.machine.start("nc", "-l", "-p", "9090")
    wait_until(lambda: ":2382 " in engine.machine.run("cat", "/proc/net/tcp", "/proc/net/tcp6"), "a listener")
    result = engine.run("--network", "bridge", "-p", "9090:80", "true")
    assert "port is already allocated, to nc" in result.err
    assert f"(process {listener.pid})" in result.err

    result = engine.run("--network", "bridge", "-p", "9091:80", "-p", "9091:81", "true")
    assert "to the same container's 80/tcp" in result.err


def test_a_program_of_the_machine_cannot_have_the_port_of_a_container(lan: Lan, engine: NetworkedEngine) -> None:
    engine.detached("web", "--network", "bridge", "-p", "8080:80", "sleep", "1000")
    bind = "import socket; socket.create_server(('127.0.0.1', 8080))"
    assert not lan.engine.machine.ok(sys.executable, "-IS", "-c", bind)
    engine.ok("stop", "-t", "0", "web")
    assert lan.engine.machine.ok(sys.executable, "-IS", "-c", bind)


def test_ports_are_added_and_removed_while_a_container_runs_and_stay_so(lan: Lan, engine: NetworkedEngine) -> None:
    serve(engine, "web", "-p", "8080:80")
    begun = str(time.time())
    assert engine.ok("port", "add", "web", "8081:80", "5353:53/udp") == (
        "53/udp -> 0.0.0.0:5353\n53/udp -> [::]:5353\n80/tcp -> 0.0.0.0:8081\n80/tcp -> [::]:8081\n"
    )
    assert lan.from_peer(HOST4, 8081) == PEER4
    assert lan.from_peer(HOST4, 5353, "udp") == PEER4
    assert "." in lan.from_peer(HOST6, 8081)
    assert "already" in engine("port", "add", "web", "8081:80").err
    assert "to the same container's 80/tcp" in engine("port", "add", "web", "8080:81").err

    engine.ok("port", "rm", "web", "8080:80")
    told = engine.ok("events", "--since", begun, "--until", "0s", "--format", "{{.Action}} {{.Actor.Attributes.ports}}")
    assert "publish 5353:53/udp,8081:80/tcp\n" in told
    assert "unpublish 8080:80/tcp\n" in told
    assert lan.from_peer(HOST4, 8080) == REFUSED
    assert lan.from_host("::1", 8080) == REFUSED
    assert lan.from_peer(HOST4, 8081) == PEER4
    assert "does not publish 8080:80" in engine("port", "rm", "web", "8080:80").err

    engine.ok("restart", "-t", "0", "web")
    wait_until(lambda: lan.from_peer(HOST4, 8081) == PEER4, "the server")
    assert ports(engine, "web") == {
        "53/udp": ["0.0.0.0 5353", ":: 5353"], "80/tcp": ["0.0.0.0 8081", ":: 8081"],
    }  # fmt: skip

    engine.ok("stop", "-t", "0", "web")
    assert ports(engine, "web") == {}
    engine.ok("port", "add", "web", "8085:80")
    engine.ok("port", "rm", "web", "53/udp")
    engine.ok("start", "web")
    wait_until(lambda: lan.from_peer(HOST4, 8085) == PEER4, "the server")
    assert ports(engine, "web") == {"53/udp": None, "80/tcp": ["0.0.0.0 8081", ":: 8081", "0.0.0.0 8085", ":: 8085"]}


def test_a_port_that_is_added_to_a_container_without_any_is_served_too(lan: Lan, engine: NetworkedEngine) -> None:
    serve(engine, "web")
    engine.ok("port", "add", "web", "8080:80")
    assert lan.from_peer(HOST4, 8080) == PEER4
    assert "." in lan.from_peer(HOST6, 8080)
    engine.ok("port", "add", "web", "8081:80")
    assert "." in lan.from_peer(HOST6, 8081)
    engine.ok("port", "rm", "web", "80")
    assert lan.from_peer(HOST6, 8081) == REFUSED


def test_ports_follow_a_container_to_other_networks(lan: Lan, engine: NetworkedEngine) -> None:
    engine.ok("network", "create", "elsewhere")
    serve(engine, "web", "-p", "8080:80")
    engine.ok("network", "connect", "elsewhere", "web")
    assert lan.from_peer(HOST4, 8080) == PEER4
    engine.ok("network", "disconnect", "bridge", "web")
    assert lan.from_peer(HOST4, 8080) == PEER4
    assert "." in lan.from_peer(HOST6, 8080)
    engine.ok("network", "disconnect", "elsewhere", "web")
    assert lan.from_peer(HOST4, 8080) == REFUSED
    engine.ok("network", "connect", "bridge", "web")
    assert lan.from_peer(HOST4, 8080) == PEER4
    engine.ok("rm", "-f", "web")
    engine.ok("network", "rm", "elsewhere")


def test_what_was_broken_off_while_ports_were_changed_the_next_command_finishes(
    lan: Lan, engine: NetworkedEngine
) -> None:
    serve(engine, "web", "-p", "8080:80")
    container = engine.root / "containers" / engine.inspect("web")["Id"]
    record = json.loads((container / "container.json").read_text())
    record["HostConfig"]["PortBindings"] = {"80/tcp": [{"HostIp": "", "HostPort": "8081"}]}
    (container / "container.json").write_text(json.dumps(record))
    mark = engine.run_root / "altering-ports" / container.name
    mark.parent.mkdir(exist_ok=True)
    mark.touch()
    engine.ok("ps")
    assert not mark.exists()
    assert lan.from_peer(HOST4, 8081) == PEER4
    assert lan.from_peer(HOST4, 8080) == REFUSED
    assert ports(engine, "web") == {"80/tcp": ["0.0.0.0 8081", ":: 8081"]}


def test_every_exposed_port_is_published_if_that_is_wanted(lan: Lan, engine: NetworkedEngine) -> None:
    serve(engine, "web", "-P", "--expose", "80", "--expose", "53/udp", "-p", "8080:81")
    found = ports(engine, "web")
    assert sorted(found) == ["53/udp", "80/tcp", "81/tcp"]
    assert found["81/tcp"] == ["0.0.0.0 8080", ":: 8080"]
    number = int((found["80/tcp"] or [""])[0].split()[1])
    assert lan.from_peer(HOST4, number) == PEER4
    inspected = engine.inspect("web")
    assert inspected["HostConfig"]["PublishAllPorts"] is True
    assert sorted(inspected["Config"]["ExposedPorts"]) == ["53/udp", "80/tcp", "81/tcp"]
    first, last = map(int, engine.machine.run("cat", "/proc/sys/net/ipv4/ip_local_port_range").split())
    assert first <= number <= last


def test_lists_show_ports_as_docker_does(lan: Lan, engine: NetworkedEngine) -> None:
    engine.detached(
        "web",
        "--network",
        "bridge",
        "-p",
        "9000-9002:9000-9002",
        "-p",
        "127.0.0.1:53:53/udp",
        "--expose",
        "443",
        "sleep",
        "1000",
    )
    shown = "127.0.0.1:53->53/udp, 443/tcp, 0.0.0.0:9000-9002->9000-9002/tcp, [::]:9000-9002->9000-9002/tcp"
    assert engine.ok("ps", "--format", "{{.Ports}}").strip() == shown
    assert engine.ok("port", "web", "9001") == "0.0.0.0:9001\n[::]:9001\n"
    assert engine.ok("port", "web").startswith("53/udp -> 127.0.0.1:53\n9000/tcp -> 0.0.0.0:9000\n")
    assert "no public port '443' published for web" in engine("port", "web", "443").err
    assert engine.ok("ps", "-q", "--filter", "publish=53/udp")
    assert not engine.ok("ps", "-q", "--filter", "publish=53/tcp")
    assert engine.ok("ps", "-q", "--filter", "expose=440-450")
    engine.ok("stop", "-t", "0", "web")
    assert engine.ok("ps", "-a", "--format", "{{.Ports}}").strip() == ""


def test_containers_may_be_called_like_what_is_done_with_ports(lan: Lan, engine: NetworkedEngine) -> None:
    engine.detached("add", "--network", "bridge", "-p", "8080:80", "sleep", "1000")
    assert engine.ok("port", "add").startswith("80/tcp -> 0.0.0.0:8080")
    assert engine.ok("port", "add", "80").startswith("0.0.0.0:8080")
    engine.ok("port", "add", "add", "8081:80")
    assert "at most 2 arguments" in engine("port", "list", "add", "80").err


def test_what_can_be_typed_after_port_is_completed(lan: Lan, engine: NetworkedEngine) -> None:
    engine.detached("web", "--network", "bridge", "-p", "8080:80", "-p", "127.0.0.1:5353:53/udp", "sleep", "1000")

    def words(*typed: str) -> list[str]:
        return [line.split("\t")[0] for line in engine.ok("__complete", "port", *typed).splitlines()[:-1]]

    assert words("") == ["web", "add", "rm"]
    assert words("web", "") == ["53/udp", "80/tcp"]
    assert words("rm", "web", "") == ["5353:53/udp", "8080:80/tcp"]
    assert words("add", "w") == ["web"]
    assert "add CONTAINER SPEC..." in engine.ok("port", "--help")


def test_ports_are_free_again_when_the_monitor_was_killed(lan: Lan, engine: NetworkedEngine) -> None:
    serve(engine, "web", "-p", "8080:80")
    assert "." in lan.from_host("::1", 8080)
    os.kill(parent(engine.state("web")["Pid"]), signal.SIGKILL)
    engine.ok("ps")
    serve(engine, "next", "-p", "8080:80")
    assert lan.from_peer(HOST4, 8080) == PEER4
    assert "." in lan.from_host("::1", 8080)


def test_a_container_that_is_started_again_by_its_policy_has_its_ports(lan: Lan, engine: NetworkedEngine) -> None:
    serve(engine, "web", "--restart", "always", "-p", "8080:80")
    first = engine.state("web")["Pid"]
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: engine.state("web")["Pid"] not in (0, first), "the next life")
    wait_until(lambda: lan.from_peer(HOST4, 8080) == PEER4, "the server")
    assert "." in lan.from_host("::1", 8080)


def test_thousands_of_ports_of_one_container_are_published(lan: Lan, engine: NetworkedEngine) -> None:
    serve(engine, "web", "-p", "20000-21999:20000-21999", "-p", "30000:80")
    assert lan.from_peer(HOST4, 30000) == PEER4
    assert len(ports(engine, "web")) == 2001
    engine.ok("port", "add", "web", "30001:80")
    assert "." in lan.from_host("::1", 30001)


def test_networks_without_ports_of_their_own_say_so(lan: Lan, engine: NetworkedEngine) -> None:
    result = engine.run("--network", "host", "-p", "8080:80", "true")
    assert result.code == 0
    assert "Published ports are discarded when using host network mode" in result.err
    engine.detached("alone", "--network", "none", "-p", "8080:80", "sleep", "1000")
    assert ports(engine, "alone") == {}
    assert "no network of its own" in engine("port", "add", "alone", "8081:80").err
    for options in (("-p", "80:80"), ("-P",), ("--expose", "80")):
        assert "conflicting options: port " in engine.run("--network", "container:alone", *options, "true").err


def test_addresses_that_the_machine_does_not_have_are_told(lan: Lan, engine: NetworkedEngine) -> None:
    result = engine.run("--network", "bridge", "-p", "192.0.2.99:8080:80", "true")
    assert result.code == 125
    assert "this machine has no such address" in result.err
    assert "no such interface" in engine.run("--network", "bridge", "-p", "8080:80,on=nowhere", "true").err
