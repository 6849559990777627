"""What containers are told of their networks."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

import dns.message
import dns.rcode
import dns.reversename
import pytest

from orlop.engine.location import Location
from orlop.network import protection
from orlop.network.firewall.firewall import Firewall
from orlop.network.names import watch
from tests.integration.engine.conftest import wait_until
from tests.integration.network.names import processes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.network.names.conftest import Box, Networks, Server


def test_a_container_is_found_by_name_short_id_and_alias(networks: Networks, box: Callable[..., Box]) -> None:
    asker = box()
    net = networks.make("net")
    networks.connect(net, asker.id, "asker", "10.1.0.2/24")
    networks.connect(net, "b" * 64, "Db", "10.1.0.3/24", "fd00::3/64", names=["service"], aliases=["database"])
    for name in ("db", "DB", "b" * 12, "service", "database", "db.net", "database.NET"):
        assert asker.texts(name) == ["10.1.0.3"]
        assert asker.texts(name, "AAAA") == ["fd00::3"]


def test_real_programs_ask_by_udp_and_tcp(networks: Networks, box: Callable[..., Box]) -> None:
    asker = box()
    net = networks.make("net")
    networks.connect(net, asker.id, "asker", "10.1.0.2/24")
    networks.connect(net, "b" * 64, "db", "10.1.0.3/24")
    assert asker.texts("db") == ["10.1.0.3"]
    for options in ((), ("+tcp",), ("+noedns",), ("+bufsize=512",)):
        told = asker.run("dig", "@127.0.0.11", *options, "db")
        assert "status: NOERROR" in told
        assert "\tA\t10.1.0.3\n" in told
        assert "127.0.0.11#53" in told
        assert "WARNING" not in told


def test_what_is_on_another_network_is_not_found(networks: Networks, box: Callable[..., Box], host_file: Path) -> None:
    asker, other = box(), box()
    mine, theirs = networks.make("mine", internal=True), networks.make("theirs", internal=True)
    networks.connect(mine, asker.id, "asker", "10.1.0.2/24")
    networks.connect(theirs, other.id, "other", "10.2.0.2/24")
    networks.connect(theirs, "b" * 64, "db", "10.2.0.3/24")
    for name in ("db", "b" * 12, "db.theirs"):
        assert asker.ask(name).rcode() == dns.rcode.NXDOMAIN
    assert asker.ask("3.0.2.10.in-addr.arpa", "PTR").rcode() == dns.rcode.NXDOMAIN
    assert other.texts("db") == ["10.2.0.3"]
    assert other.texts("3.0.2.10.in-addr.arpa", "PTR") == ["db.theirs."]


def test_an_address_has_a_name_too(networks: Networks, box: Callable[..., Box]) -> None:
    asker = box()
    net = networks.make("net")
    networks.connect(net, asker.id, "asker", "10.1.0.2/24", "fd00::2/64")
    networks.connect(net, "b" * 64, "db", "10.1.0.3/24", "fd00::3/64")
    for address in ("10.1.0.3", "fd00::3"):
        assert asker.texts(dns.reversename.from_address(address).to_text(), "PTR") == ["db.net."]


def test_a_name_without_a_record_of_the_kind_is_there_all_the_same(
    networks: Networks, box: Callable[..., Box], host_file: Path
) -> None:
    asker = box()
    net = networks.make("net", internal=True)
    networks.connect(net, asker.id, "asker", "10.1.0.2/24")
    networks.connect(net, "b" * 64, "db", "10.1.0.3/24")
    for kind in ("AAAA", "MX", "TXT", "SRV", "HTTPS"):
        answer = asker.ask("db", kind)
        assert (answer.rcode(), answer.answer) == (dns.rcode.NOERROR, [])
    assert asker.texts("db", "ANY") == ["10.1.0.3"]
    assert asker.ask("nobody").rcode() == dns.rcode.NXDOMAIN


def test_several_holders_of_a_name_take_turns(networks: Networks, box: Callable[..., Box]) -> None:
    asker = box()
    net = networks.make("net")
    networks.connect(net, asker.id, "asker", "10.1.0.2/24")
    for number in range(3, 6):
        networks.connect(net, str(number) * 64, f"web{number}", f"10.1.0.{number}/24", aliases=["web"])
    answers = [asker.texts("web") for _ in range(6)]
    assert all(sorted(each) == ["10.1.0.3", "10.1.0.4", "10.1.0.5"] for each in answers)
    assert sorted(each[0] for each in answers) == ["10.1.0.3"] * 2 + ["10.1.0.4"] * 2 + ["10.1.0.5"] * 2


def test_the_network_with_the_default_route_is_looked_through_first(
    networks: Networks, box: Callable[..., Box]
) -> None:
    asker = box()
    low, high = networks.make("a-low"), networks.make("z-high")
    networks.connect(low, asker.id, "asker", "10.1.0.2/24")
    networks.connect(high, asker.id, "asker", "10.2.0.2/24", gateway_priority=1)
    networks.connect(low, "b" * 64, "db", "10.1.0.3/24")
    networks.connect(high, "b" * 64, "db", "10.2.0.3/24")
    assert asker.texts("db") == ["10.2.0.3"]
    assert asker.texts("db.a-low") == ["10.1.0.3"]


def test_links_are_names_of_the_one_who_has_them(networks: Networks, box: Callable[..., Box], host_file: Path) -> None:
    asker, other = box(), box()
    net = networks.make("net", internal=True)
    networks.connect(net, asker.id, "asker", "10.1.0.2/24", links=["db:storage", "b" * 64 + ":byid"])
    networks.connect(net, other.id, "other", "10.1.0.4/24")
    networks.connect(net, "b" * 64, "db", "10.1.0.3/24")
    assert asker.texts("storage") == asker.texts("byid") == ["10.1.0.3"]
    assert other.ask("storage").rcode() == dns.rcode.NXDOMAIN


def test_whoever_comes_goes_or_changes_is_known_with_the_next_question(
    networks: Networks, box: Callable[..., Box], host_file: Path
) -> None:
    asker = box()
    net = networks.make("net", internal=True)
    networks.connect(net, asker.id, "asker", "10.1.0.2/24")
    assert asker.ask("db").rcode() == dns.rcode.NXDOMAIN
    for number in range(3, 23):
        networks.connect(net, "b" * 64, "db", f"10.1.0.{number}/24", aliases=[f"alias{number}"])
        assert asker.texts("db") == [f"10.1.0.{number}"]
        assert asker.ask(f"alias{number - 1}").rcode() == dns.rcode.NXDOMAIN
    networks.disconnect(net, "b" * 64)
    assert asker.ask("db").rcode() == dns.rcode.NXDOMAIN
    second = networks.make("second")
    networks.connect(second, asker.id, "asker", "10.2.0.2/24")
    networks.connect(second, "c" * 64, "db", "10.2.0.3/24")
    assert asker.texts("db") == ["10.2.0.3"]
    networks.disconnect(second, asker.id)
    assert asker.ask("db").rcode() == dns.rcode.NXDOMAIN


def test_where_the_kernel_tells_of_no_changes_they_are_looked_for(
    networks: Networks, box: Callable[..., Box], host_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise OSError(errno.EMFILE, "inotify_init1: too many open files")

    monkeypatch.setattr(watch, "NameWatch", refuse)
    asker = box()
    net = networks.make("net", internal=True)
    networks.connect(net, asker.id, "asker", "10.1.0.2/24")
    assert asker.ask("db").rcode() == dns.rcode.NXDOMAIN
    networks.connect(net, "b" * 64, "db", "10.1.0.3/24")
    wait_until(lambda: asker.texts("db") == ["10.1.0.3"])
    networks.disconnect(net, "b" * 64)
    wait_until(lambda: asker.ask("db").rcode() == dns.rcode.NXDOMAIN)


def test_a_network_that_was_taken_away_and_came_back_is_known(
    networks: Networks, box: Callable[..., Box], host_file: Path
) -> None:
    asker = box()
    mine, net = networks.make("mine", internal=True), networks.make("net", internal=True)
    networks.connect(mine, asker.id, "asker", "10.1.0.2/24")
    assert asker.ask("db").rcode() == dns.rcode.NXDOMAIN
    for _ in range(3):
        networks.connect(net, asker.id, "asker", "10.2.0.2/24")
        networks.connect(net, "b" * 64, "db", "10.2.0.3/24")
        assert asker.texts("db") == ["10.2.0.3"]
        for container in (asker.id, "b" * 64):
            networks.disconnect(net, container)
        os.rmdir(networks.place.endpoints(net))
        os.rmdir(networks.place.running(net))
        assert asker.ask("db").rcode() == dns.rcode.NXDOMAIN
        os.makedirs(networks.place.endpoints(net))


def test_another_program_in_the_container_may_have_the_port_of_every_address(
    networks: Networks, box: Callable[..., Box], tmp_path: Path
) -> None:
    asker = box()
    net = networks.make("net")
    networks.connect(net, asker.id, "asker", "10.1.0.2/24")
    networks.connect(net, "b" * 64, "db", "10.1.0.3/24")
    command = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--port=53"]
    own = subprocess.Popen(
        ["nsenter", f"--net=/proc/{asker.process.pid}/ns/net", *command, "--address=/own/1.2.3.4", "--pid-file="],
        stderr=subprocess.PIPE,
    )
    try:
        query = dns.message.make_query("own", "A")
        with asker.connect(to=("127.0.0.1", 53)) as asking:
            asking.settimeout(0.05)
            while True:  # until it listens
                try:
                    asking.send(query.to_wire())
                    answer = asking.recv(512)
                    break
                except (ConnectionRefusedError, TimeoutError):
                    assert own.poll() is None
        assert "1.2.3.4" in dns.message.from_wire(answer).answer[0].to_text()
        assert asker.texts("db") == ["10.1.0.3"]
        assert asker.run("dig", "@127.0.0.11", "+short", "+tcp", "db") == "10.1.0.3\n"
        assert asker.run("dig", "@127.0.0.1", "+short", "+tcp", "own") == "1.2.3.4\n"
    finally:
        own.kill()
        own.communicate()


def test_an_engine_in_the_container_has_tables_of_its_own(networks: Networks, box: Callable[..., Box]) -> None:
    asker = box()
    networks.connect(networks.make("net"), asker.id, "asker", "10.1.0.2/24")
    table = protection.table(Location("/var/lib/orlop", "/run/orlop", rootless=False).networks)
    firewall = Firewall(table, namespace=asker.namespace)
    try:
        firewall.rebuild([], [])
        firewall.clear()
    finally:
        firewall.close()
    assert asker.texts("asker") == ["10.1.0.2"]


def test_nobody_outside_is_answered_whatever_the_container_routes(networks: Networks, box: Callable[..., Box]) -> None:
    asker, outsider = box(), box()
    net = networks.make("net")
    networks.connect(net, asker.id, "asker", "10.1.0.2/24")
    networks.connect(net, "b" * 64, "db", "10.1.0.3/24")
    pids = [each.process.pid for each in (asker, outsider)]
    asker.run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", str(pids[1]))
    for each, device, address in ((asker, "v0", "10.1.0.2/24"), (outsider, "v1", "10.1.0.9/24")):
        each.run("ip", "address", "add", address, "dev", device)
        each.run("ip", "link", "set", device, "up")
        each.run("sysctl", "-q", "-w", "net.ipv4.conf.all.route_localnet=1")
    outsider.run("ip", "route", "replace", "127.0.0.11", "via", "10.1.0.2", "dev", "v1", "src", "10.1.0.9")
    outsider.run("ip", "route", "del", "local", "127.0.0.0/8", "dev", "lo", "table", "local")
    assert asker.texts("db") == ["10.1.0.3"]
    ports = []
    for end in asker.ends:
        with socket.socket(fileno=os.dup(end)) as served:
            ports.append(served.getsockname()[1])
    query = dns.message.make_query("db", "A")
    for port in (53, ports[0]):
        with outsider.connect(to=("127.0.0.11", port)) as asking:
            asking.send(query.to_wire())
            asking.settimeout(0.3)
            with pytest.raises((TimeoutError, ConnectionRefusedError)):
                asking.recv(512)
    seen = asker.run("ip", "-s", "link", "show", "v0")  # the questions did come to the container
    assert int(seen.splitlines()[3].split()[1]) >= 2


def test_a_killed_resolver_is_replaced_with_the_next_question(networks: Networks, box: Callable[..., Box]) -> None:
    askers = [box() for _ in range(3)]
    net = networks.make("net")
    for number, each in enumerate(askers):
        networks.connect(net, each.id, f"asker{number}", f"10.1.0.{number + 2}/24")
    for _ in range(3):
        for each in askers:
            assert each.texts("asker0") == ["10.1.0.2"]
        os.kill(processes.resolver_of(networks.location.run_root), signal.SIGKILL)


def test_the_resolver_goes_with_its_last_container(networks: Networks, box: Callable[..., Box]) -> None:
    askers = [box(), box()]
    net = networks.make("net")
    for number, each in enumerate(askers):
        networks.connect(net, each.id, f"asker{number}", f"10.1.0.{number + 2}/24")
        assert each.texts("asker0") == ["10.1.0.2"]
    process = os.pidfd_open(processes.resolver_of(networks.location.run_root))
    askers[0].let_go()
    assert askers[1].texts("asker0") == ["10.1.0.2"]
    askers[1].let_go()
    try:
        assert _ends(process)
    finally:
        os.close(process)
    assert not os.path.exists(f"{networks.location.run_root}/names.sock")
    later = box()
    networks.connect(net, later.id, "later", "10.1.0.9/24")
    assert later.texts("asker0") == ["10.1.0.2"]  # it comes back when it is needed


def test_a_container_whose_namespace_is_held_by_the_resolver_alone_is_let_go(
    networks: Networks, box: Callable[..., Box], server: Callable[[], Server]
) -> None:
    outside = server()
    asker, other = box(servers=[outside.address]), box()
    net = networks.make("net")
    networks.connect(net, asker.id, "asker", "10.1.0.2/24")
    networks.connect(net, other.id, "other", "10.1.0.3/24")
    assert asker.texts("other") == other.texts("other") == ["10.1.0.3"]
    resolver = processes.resolver_of(networks.location.run_root)
    namespace = os.stat(f"/proc/{asker.process.pid}/ns/net").st_ino
    assert namespace in _namespaces_held(resolver)
    asker.let_go()
    wait_until(lambda: namespace not in _namespaces_held(resolver), "the namespace to be let go")
    assert other.texts("asker") == ["10.1.0.2"]


def _namespaces_held(pid: int) -> set[int]:
    found = set()
    for each in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            if os.readlink(f"/proc/{pid}/fd/{each}").startswith("net:"):
                found.add(os.stat(f"/proc/{pid}/fd/{each}").st_ino)
    return found


def _ends(process: int) -> bool:
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(30_000))
