"""Containers find each other, and themselves, by name."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.conftest import wait_until
from tests.integration.engine.networked import NetworkedEngine

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS = "10.99.0."


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, rootfs: Path) -> Iterator[NetworkedEngine]:
    with NetworkedEngine(tmp_path_factory.mktemp("engine"), rootfs) as made:
        made.ok("network", "create", "--subnet", "10.99.0.0/24", "net")
        yield made


@pytest.fixture(autouse=True)
def _nobody_is_left(engine: NetworkedEngine) -> Iterator[None]:
    yield
    left = engine.ok("ps", "-aq").split()
    if left:
        engine.ok("rm", "-f", *left)


def sleeper(engine: NetworkedEngine, name: str, *options: str, network: str = "net") -> str:
    """A container of the machine's own root file system that does nothing; its id."""
    return engine.ok("run", "-d", "--name", name, "--network", network, *options, "host", "sleep", "1000").strip()


def finds(engine: NetworkedEngine, asker: str, name: str, family: str = "ahostsv4") -> list[str]:
    """The addresses that the C library finds by a name in a container."""
    result = engine("exec", asker, "getent", family, name)
    return sorted({line.split()[0] for line in result.out.splitlines()})


def hosts(engine: NetworkedEngine, name: str) -> list[str]:
    """The lines of a container's /etc/hosts that are not every container's."""
    lines = engine.ok("exec", name, "cat", "/etc/hosts").splitlines()
    return [line for line in lines if not line.startswith(("127.0.0.1\t", "::1\t", "f"))]


def resolver(engine: NetworkedEngine) -> int:
    """The pid of the engine's resolver."""
    found = wait_until(lambda: engine.processes("orlop-names"), "a resolver")
    assert len(found) == 1
    return int(found[0])


@pytest.mark.parametrize("network", ["net", "bridge"])
def test_containers_find_each_other_on_every_network(engine: NetworkedEngine, network: str) -> None:
    container_id = sleeper(engine, "db", "--hostname", "storage", network=network)
    sleeper(engine, "web", network=network)
    address = engine.address("db", network)
    for name in ("db", "DB", container_id[:12], "storage", f"db.{network}"):
        assert finds(engine, "web", name) == [address]
    assert finds(engine, "db", "web") == [engine.address("web", network)]
    assert finds(engine, "web", "nobody") == []
    assert engine.ok("exec", "web", "getent", "hosts", address).split() == [address, f"db.{network}"]


def test_a_server_is_reached_by_the_name_of_its_service(engine: NetworkedEngine) -> None:
    configuration = "daemon off; events {} pid /run/nginx.pid; error_log stderr; http { server { return 200 served; } }"
    engine.ok(
        *("run", "-d", "--name", "shop-web-1", "--network", "net", "--network-alias", "web", "host"),
        *("sh", "-c", f'echo "{configuration}" > /tmp/nginx.conf; exec nginx -c /tmp/nginx.conf'),
    )
    fetch = "import urllib.request as r; print(r.urlopen('http://web/', timeout=20).read().decode())"
    retry = f'until python3 -c "{fetch}"; do sleep 0.1; done'
    result = engine("run", "--rm", "--network", "net", "host", "timeout", "50", "sh", "-c", retry)
    assert result.out == "served\n", f"{result.err[-2000:]}{engine('logs', 'shop-web-1')}"


def test_several_containers_with_one_alias_are_all_found(engine: NetworkedEngine) -> None:
    for number in range(3):
        sleeper(engine, f"worker{number}", "--network-alias", "worker")
    expected = sorted(engine.address(f"worker{number}", "net") for number in range(3))
    assert finds(engine, "worker0", "worker") == expected
    first = [engine.ok("exec", "worker0", "dig", "+short", "worker").split()[0] for _ in range(6)]
    assert sorted(first) == sorted(expected * 2)  # each has its turn


def test_who_goes_comes_back_or_changes_is_known_at_once(engine: NetworkedEngine) -> None:
    sleeper(engine, "web")
    for number in (50, 51):
        sleeper(engine, "db", "--ip", f"{ADDRESS}{number}")
        assert finds(engine, "web", "db") == [f"{ADDRESS}{number}"]
        engine.ok("rm", "-f", "db")
        assert finds(engine, "web", "db") == []
    sleeper(engine, "db")
    engine.ok("rename", "db", "base")
    assert finds(engine, "web", "base") == [engine.address("base", "net")]
    assert finds(engine, "web", "db") == []


def test_a_running_container_finds_who_is_on_the_networks_that_it_comes_to(engine: NetworkedEngine) -> None:
    engine.ok("network", "create", "--subnet", "10.98.0.0/24", "second")
    sleeper(engine, "web", "--hostname", "me")
    sleeper(engine, "db", network="second")
    assert finds(engine, "web", "db") == []
    own = f"{engine.address('web', 'net')}\tme"
    assert hosts(engine, "web") == [own]
    engine.ok("network", "connect", "--alias", "front", "second", "web")
    assert finds(engine, "web", "db") == [engine.address("db", "second")]
    assert finds(engine, "db", "front") == [engine.address("web", "second")]
    assert hosts(engine, "web") == [own, f"{engine.address('web', 'second')}\tme"]
    engine.ok("exec", "web", "sh", "-c", "echo 192.0.2.1 mine >> /etc/hosts")
    engine.ok("network", "disconnect", "second", "web")
    assert finds(engine, "web", "db") == []
    assert finds(engine, "db", "front") == []
    assert hosts(engine, "web") == [own, "192.0.2.1 mine"]
    engine.ok("rm", "-f", "db", "web")
    engine.ok("network", "rm", "second")


def test_the_resolver_is_replaced_when_it_is_killed_and_outlives_the_launcher(engine: NetworkedEngine) -> None:
    sleeper(engine, "db")
    sleeper(engine, "web")
    expected = [engine.address("db", "net")]
    assert finds(engine, "web", "db") == expected
    first = resolver(engine)
    os.kill(engine.launcher(), signal.SIGKILL)
    assert finds(engine, "web", "db") == expected
    assert resolver(engine) == first
    os.kill(first, signal.SIGKILL)
    assert finds(engine, "web", "db") == expected
    assert resolver(engine) != first
    engine.ok("rm", "-f", "db", "web")
    wait_until(lambda: not engine.processes("orlop-names"), "the end of the resolver")


def test_the_resolver_comes_with_a_container_that_stays_and_not_with_one_that_does_not(engine: NetworkedEngine) -> None:
    wait_until(lambda: not engine.processes("orlop-names"), "the end of the resolver")
    assert engine.run("--network", "net", "true").code == 0
    assert engine.processes("orlop-names") == []
    sleeper(engine, "web")
    resolver(engine)


def test_the_files_say_what_the_user_said(engine: NetworkedEngine) -> None:
    gateway = engine.network("net")["IPAM"]["Config"][0]["Gateway"]
    told = engine.run(
        *("--network", "net", "--ip", f"{ADDRESS}77", "-h", "box", "--domainname", "example.org"),
        *("--dns-search", "a.example", "--dns-search", "b.example", "--dns-option", "timeout:3", "--dns", "192.0.2.53"),
        *("--add-host", "other:10.0.0.9", "--add-host", "machine:host-gateway"),
        *("cat", "/etc/resolv.conf", "/etc/hosts", "/etc/hostname"),
    ).out
    lines = [line for line in told.splitlines() if line[0] != "#"]
    assert lines[:3] == ["nameserver 127.0.0.11", "search a.example b.example", "options timeout:3 ndots:0"]
    assert lines[-4:] == [
        "10.0.0.9\tother",
        f"{gateway}\tmachine",
        f"{ADDRESS}77\tbox.example.org box",
        "box",
    ]


def test_a_host_name_with_dots_is_there_without_them_too(engine: NetworkedEngine) -> None:
    told = engine.run("--network", "net", "--ip", f"{ADDRESS}78", "-h", "box.example.org", "cat", "/etc/hosts").out
    assert told.endswith(f"{ADDRESS}78\tbox.example.org box\n")


def test_a_changed_resolv_conf_stays_and_hosts_are_made_anew(engine: NetworkedEngine) -> None:
    engine.ok("run", "-d", "--name", "web", "--network", "net", "host", "sleep", "1000")
    engine.ok("exec", "web", "sh", "-c", "echo nameserver 192.0.2.1 > /etc/resolv.conf; echo 192.0.2.2 x >> /etc/hosts")
    engine.ok("restart", "-t", "0", "web")
    assert engine.ok("exec", "web", "cat", "/etc/resolv.conf") == "nameserver 192.0.2.1\n"
    assert hosts(engine, "web") == [f"{engine.address('web', 'net')}\t{engine.inspect('web')['Config']['Hostname']}"]


def test_a_container_s_own_server_is_asked_where_the_container_is(engine: NetworkedEngine) -> None:
    server = ("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root")
    engine.ok(
        *("run", "-d", "--name", "dns", "--network", "net", "--ip", f"{ADDRESS}53", "host"),
        *(*server, "--address=/outside.example/192.0.2.9"),  # on port 53 of every address, where ours is too
    )
    sleeper(engine, "web", "--dns", f"{ADDRESS}53")
    wait_until(lambda: finds(engine, "web", "outside.example") == ["192.0.2.9"], "an answer of the server's")
    assert finds(engine, "web", "dns") == [f"{ADDRESS}53"]
    assert finds(engine, "dns", "web") == [engine.address("web", "net")]
    sleeper(engine, "plain")
    assert finds(engine, "plain", "outside.example") == []


def test_an_internal_network_knows_no_names_outside(engine: NetworkedEngine) -> None:
    engine.ok("network", "create", "--internal", "--subnet", "10.97.0.0/24", "inside")
    sleeper(engine, "web", "--dns", "127.0.0.1", network="inside")
    sleeper(engine, "db", network="inside")
    assert finds(engine, "web", "db") == [engine.address("db", "inside")]
    assert "status: NXDOMAIN" in engine.ok("exec", "web", "dig", "example.org")
    engine.ok("rm", "-f", "web", "db")
    engine.ok("network", "rm", "inside")


def test_links_on_the_default_network_are_variables_and_lines(engine: NetworkedEngine) -> None:
    options = ("--expose", "5432", "--expose", "53/udp", "-e", "USER=postgres")
    container_id = sleeper(engine, "db", *options, network="bridge")
    sleeper(engine, "web", "--link", "db:the-base", "--link", container_id, network="bridge")
    address = engine.address("db", "bridge")
    told = engine.ok("exec", "web", "cat", "/proc/1/environ").split("\0")
    for line in (
        f"THE_BASE_PORT=tcp://{address}:5432",
        f"THE_BASE_PORT_5432_TCP=tcp://{address}:5432",
        f"THE_BASE_PORT_5432_TCP_ADDR={address}",
        "THE_BASE_PORT_5432_TCP_PORT=5432",
        "THE_BASE_PORT_5432_TCP_PROTO=tcp",
        f"THE_BASE_PORT_53_UDP=udp://{address}:53",
        "THE_BASE_NAME=/web/the-base",
        "THE_BASE_ENV_USER=postgres",
    ):
        assert line in told
    assert not any(line.startswith("THE_BASE_ENV_PATH") for line in told)
    assert finds(engine, "web", "the-base") == [address]
    assert f"{address}\tthe-base {container_id[:12]} db" in hosts(engine, "web")
    assert f"{address}\t{container_id} {container_id[:12]} db" in hosts(engine, "web")
    assert "/db:/web/the-base" in engine.inspect("web")["HostConfig"]["Links"]


def test_a_link_follows_a_container_that_starts_anew_with_another_address(engine: NetworkedEngine) -> None:
    container_id = sleeper(engine, "db", network="bridge")
    sleeper(engine, "web", "--link", "db:base", network="bridge")
    before = engine.address("db", "bridge")
    engine.ok("stop", "-t", "0", "db")
    sleeper(engine, "other", network="bridge")
    engine.ok("start", "db")
    after = engine.address("db", "bridge")
    assert after != before
    lines = hosts(engine, "web")
    assert f"{after}\tbase {container_id[:12]} db" in lines
    assert not any(line.startswith(before) for line in lines)
    assert finds(engine, "web", "base") == [after]
    engine.ok("stop", "-t", "0", "web", "db")
    assert "no such link" in engine("rm", "--link", "/web/other").err
    refused = engine("start", "web")
    assert "cannot link to a non running container: /db AS /web/base" in refused.err
    assert engine("run", "--link", "nobody", "host", "true").code == 125
    assert engine.ok("rm", "--link", "/web/base") == "/web/base\n"
    engine.ok("start", "web")
    assert hosts(engine, "web") == [f"{engine.address('web', 'bridge')}\t{engine.inspect('web')['Config']['Hostname']}"]


def test_links_on_a_user_s_network_are_names_for_one_container(engine: NetworkedEngine) -> None:
    sleeper(engine, "db")
    sleeper(engine, "web", "--link", "db:base")
    sleeper(engine, "other")
    assert finds(engine, "web", "base") == [engine.address("db", "net")]
    assert finds(engine, "other", "base") == []
    assert "BASE_NAME" not in engine.ok("exec", "web", "cat", "/proc/1/environ")


def test_a_container_that_comes_to_its_first_network_while_it_runs_asks_there(engine: NetworkedEngine) -> None:
    sleeper(engine, "db")
    sleeper(engine, "web", network="none")
    engine.ok("network", "disconnect", "none", "web")
    engine.ok("network", "connect", "net", "web")
    assert finds(engine, "web", "db") == [engine.address("db", "net")]
    for _ in range(2):
        engine.ok("network", "disconnect", "net", "web")
        engine.ok("network", "connect", "net", "web")
    assert finds(engine, "web", "db") == [engine.address("db", "net")]
    engine.ok("restart", "-t", "0", "web")
    assert finds(engine, "web", "db") == [engine.address("db", "net")]


def test_who_shares_a_container_s_network_asks_as_that_one(engine: NetworkedEngine) -> None:
    sleeper(engine, "db")
    sleeper(engine, "web")
    sleeper(engine, "side", network="container:web")
    assert finds(engine, "side", "db") == [engine.address("db", "net")]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--network", "none", "--link", "db"), "conflicting options: links and the network mode none"),
        (("--network", "host", "--link", "db"), "conflicting options: links and the network mode host"),
        (("--link", "nobody"), "could not get container for nobody"),
        (("--link", ":db"), "empty string specified for links"),
        (("--link", "a:b:c"), "bad format for links: a:b:c"),
        (("--network", "net", "--dns", "x"), "invalid --dns: x is not an ip address"),
        (("--network", "none", "--add-host", "h:host-gateway"), "unable to derive the IP value for host-gateway"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(
    engine: NetworkedEngine, options: tuple[str, ...], complaint: str
) -> None:
    refused = engine("create", *options, "--rootfs", "ROOTFS", "true")
    assert refused.code != 0
    assert complaint in refused.err
    assert engine.names() == []


def test_with_the_host_s_network_the_files_are_the_host_s_at_each_start(engine: NetworkedEngine) -> None:
    files = ("/etc/resolv.conf", "/etc/hosts")
    sleeper(engine, "web", "--add-host", "machine:host-gateway", network="host")
    expected = "".join(Path(each).read_text() for each in files) + "127.0.0.1\tmachine\n"
    assert engine.ok("exec", "web", "cat", *files) == expected
    engine.ok("exec", "web", "sh", "-c", "echo 192.0.2.1 x | tee /etc/hosts > /etc/resolv.conf")
    engine.ok("restart", "-t", "0", "web")
    assert engine.ok("exec", "web", "cat", *files) == expected


def test_an_engine_in_a_container_asks_the_one_outside(engine: NetworkedEngine) -> None:
    sleeper(engine, "outer")
    inside = f"env -u ORLOP_NETWORK {engine.program}"
    script = (
        f"{inside} run -d --name inner host sleep 100 && {inside} run --rm host getent ahostsv4 inner outer"
        f" && {inside} rm -f inner && getent ahostsv4 outer"
    )
    places = ("--tmpfs", "/var/lib/orlop", "--tmpfs", "/run")
    told = engine.ok("run", "--rm", "--privileged", *places, "--network", "net", "host", "sh", "-c", script)
    found = [line.split()[0] for line in told.splitlines() if "STREAM" in line]
    outer = engine.address("outer", "net")
    assert found[1:] == [outer, outer]
    assert found[0] not in (outer, "")
