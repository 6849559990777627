"""Containers on networks: from the start to the end, whatever is killed on the way."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.conftest import Engine, parent, wait_until
from tests.integration.engine.networked import NetworkedEngine
from tests.machine import Machine, cable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, rootfs: Path) -> Iterator[NetworkedEngine]:
    with NetworkedEngine(tmp_path_factory.mktemp("engine"), rootfs) as made:
        yield made


def taken(engine: NetworkedEngine) -> list[str]:
    """The addresses of all networks that containers have."""
    return sorted(each.name for each in (engine.run_root / "networks").glob("[0-9a-f]*/addresses/*"))


def test_containers_of_one_network_reach_each_other_and_the_machine(engine: NetworkedEngine) -> None:
    engine.detached("one", "--network", "bridge", "sleep", "1000")
    engine.detached("two", "--network", "bridge", "sleep", "1000")

    gateway = engine.network("bridge")["IPAM"]["Config"][0]["Gateway"]

    assert engine.address("one") != engine.address("two")
    assert engine.reaches("one", engine.address("two"))
    assert engine.reaches("two", gateway)
    assert engine.machine.ok("busybox", "ping", "-c", "1", "-W", "1", engine.address("one"))
    settings = engine.inspect("one")["NetworkSettings"]
    assert settings["Networks"]["bridge"]["Gateway"] == settings["Gateway"] == gateway
    assert settings["Networks"]["bridge"]["NetworkID"] == engine.network("bridge")["Id"]
    assert engine.ok("exec", "one", "cat", "/sys/class/net/eth0/address").strip() == settings["MacAddress"]
    assert {each["Name"] for each in engine.network("bridge")["Containers"].values()} == {"one", "two"}
    engine.ok("rm", "-f", "one", "two")


def test_a_container_that_names_no_network_is_on_the_default_one_and_reaches_the_world(engine: NetworkedEngine) -> None:
    with Machine() as world:
        cable(engine.machine, "uplink", "192.0.2.1/24", world, "wire", "192.0.2.2/24")
        try:
            assert engine.run("busybox", "ping", "-c", "1", "-W", "5", "192.0.2.2").code == 0
            assert "eth0" not in engine.run("--network", "none", "ip", "link").out
            engine.ok("network", "create", "--internal", "kept")
            assert engine.run("--network", "kept", "busybox", "ping", "-c", "1", "-W", "1", "192.0.2.2").code == 1
            engine.ok("network", "rm", "kept")
            engine.detached("named", "-e", "A=1", "sleep", "1000")
            assert engine.inspect("named")["HostConfig"]["NetworkMode"] == "bridge"
            rules = engine.machine.rules()
            engine.machine.run("nft", "flush", "ruleset")
            assert engine.run("busybox", "ping", "-c", "1", "-W", "5", "192.0.2.2").code == 0
            assert engine.machine.rules().count("\n") == rules.count("\n")
            engine.ok("rm", "-f", "named")
        finally:
            engine.machine.run("ip", "link", "del", "uplink")


def test_who_is_not_root_may_listen_at_low_ports_and_ping(engine: NetworkedEngine) -> None:
    script = "cat /proc/sys/net/ipv4/ping_group_range; timeout 1 nc -l -p 80 || test $? = 143"

    done = engine.run("--user", "1000", "--cap-drop", "ALL", "busybox", "sh", "-c", script)

    assert done.code == 0, done
    assert done.out.split() == ["0", "2147483647"]
    chosen = ("--sysctl", "net.ipv4.ip_unprivileged_port_start=1024")
    assert engine.run("--user", "1000", "--cap-drop", "ALL", *chosen, "busybox", "sh", "-c", script).code == 1


def test_networks_of_ipv6_carry_it_with_ipv4_or_without(engine: NetworkedEngine) -> None:
    engine.ok("network", "create", "--ipv6", "--subnet", "10.56.0.0/24", "--subnet", "fd00:56::/64", "both")
    engine.ok("network", "create", "--ipv4=false", "--ipv6", "--subnet", "fd00:57::/64", "six")
    for network, prefix in (("both", "fd00:56"), ("six", "fd00:57")):
        engine.detached("one", "--network", network, "sleep", "1000")
        engine.detached("two", "--network", network, "sleep", "1000")
        settings = engine.inspect("two")["NetworkSettings"]["Networks"][network]
        assert settings["GlobalIPv6Address"].startswith(prefix)
        assert settings["GlobalIPv6PrefixLen"] == 64
        assert bool(settings["IPAddress"]) == (network == "both")
        assert engine.reaches("one", settings["GlobalIPv6Address"])
        assert engine.reaches("one", settings["IPv6Gateway"])
        assert f"default via {settings['IPv6Gateway']}" in engine.ok("exec", "one", "ip", "-6", "route")
        engine.ok("rm", "-f", "one", "two")
    engine.ok("network", "rm", "both", "six")


def test_a_network_comes_with_its_first_container_and_goes_with_its_last(engine: NetworkedEngine) -> None:
    wait_until(engine.is_clean, "a clean machine")
    engine.ok("network", "create", "short")

    assert engine.devices() == []
    engine.run("--network", "short", "true")
    wait_until(engine.is_clean, "a clean machine")

    engine.detached("stays", "--network", "short", "sleep", "1000")
    assert sorted(each[:3] for each in engine.devices() if each[:3] in ("or-", "ov-")) == ["or-", "ov-"]
    assert "has active endpoints" in engine("network", "rm", "short").err
    engine.ok("rm", "-f", "stays")
    engine.ok("network", "rm", "short")
    assert not any(each.startswith("or-") for each in engine.devices())


def test_a_user_chooses_addresses(engine: NetworkedEngine) -> None:
    engine.ok("network", "create", "--subnet", "10.50.0.0/24", "--ipv6", "--subnet", "fd00:50::/64", "chosen")
    engine.detached(
        *("fixed", "--network", "chosen", "--ip", "10.50.0.77", "--ip6", "fd00:50::77"),
        *("--mac-address", "02:00:00:00:00:77", "--link-local-ip", "169.254.7.7", "sleep", "1000"),
    )

    shown = engine.ok("exec", "fixed", "ip", "addr", "show", "eth0")

    for text in ("10.50.0.77/24", "fd00:50::77/64", "02:00:00:00:00:77", "169.254.7.7/16"):
        assert text in shown
    refused = engine.run("--network", "chosen", "--ip", "10.50.0.77", "true")
    assert (refused.code, "address 10.50.0.77 is already in use" in refused.err) == (125, True)
    assert "no configured subnet contains" in engine.run("--network", "chosen", "--ip", "10.51.0.1", "true").err
    assert "it is the gateway's" in engine.run("--network", "chosen", "--ip", "10.50.0.1", "true").err
    for name in ("lo", "eth%d", "a/b", "a b", "x" * 16, ""):
        option = f"name=chosen,driver-opt=com.docker.network.endpoint.ifname={name}"
        assert "invalid interface name" in engine.run("--network", option, "true").err
    assert "user defined networks only" in engine.run("--network", "bridge", "--ip", "10.50.0.9", "true").err
    engine.ok("restart", "-t", "0", "fixed")
    assert engine.address("fixed", "chosen") == "10.50.0.77"
    engine.ok("rm", "-f", "fixed")
    engine.ok("network", "rm", "chosen")


def test_a_network_that_is_full_says_so_and_gives_an_address_back(engine: NetworkedEngine) -> None:
    kept = ("--aux-address", "one=10.51.0.6", "--aux-address", "other=10.51.0.5")
    engine.ok("network", "create", "--subnet", "10.51.0.0/29", *kept, "small")  # three are left beside the gateway
    names = [f"in-{number}" for number in range(3)]
    for name in names:
        engine.detached(name, "--network", "small", "sleep", "1000")

    refused = engine.run("--network", "small", "true")
    engine.ok("rm", "-f", names[2])

    assert "no available IPv4 addresses on network small" in refused.err
    assert engine.run("--network", "small", "true").code == 0
    assert len({engine.address(name, "small") for name in names[:2]}) == 2
    engine.ok("rm", "-f", *names[:2])
    engine.ok("network", "rm", "small")


def test_a_freed_address_is_not_the_next_to_be_given_out(engine: NetworkedEngine) -> None:
    engine.detached("keeper", "--network", "bridge", "sleep", "1000")
    show = ("--network", "bridge", "sh", "-c", "ip -4 addr show eth0 | grep inet")

    found = [engine.run(*show).out.split()[1] for _ in range(4)]

    assert len(set(found)) == 4
    engine.ok("rm", "-f", "keeper")


def test_many_join_at_once_and_each_has_an_address_of_its_own(engine: NetworkedEngine) -> None:
    names = [f"many-{number}" for number in range(8)]
    starts = [
        engine.popen(
            "run", "-d", "--name", name, "--network", "bridge", "--rootfs", engine.rootfs, "sleep", "1000", stdout=-1
        )
        for name in names
    ]
    for each in starts:
        each.communicate()

    assert [each.returncode for each in starts] == [0] * len(names)
    assert len({engine.address(name) for name in names}) == len(names)
    assert len(taken(engine)) == len(names)
    engine.ok("rm", "-f", *names)


def test_of_several_networks_the_one_with_the_highest_priority_leads_out(engine: NetworkedEngine) -> None:
    engine.ok("network", "create", "first")
    engine.ok("network", "create", "second")
    engine.ok("network", "create", "--internal", "closed")

    def gateway(*words: str) -> str:
        out = engine.run(*words, "ip", "route").out
        return next((line.split()[2] for line in out.splitlines() if line.startswith("default")), "")

    gateways = {name: engine.network(name)["IPAM"]["Config"][0]["Gateway"] for name in ("first", "second")}
    assert gateway("--network", "second", "--network", "first") == gateways["first"]
    assert gateway("--network", "name=second,gw-priority=5", "--network", "first") == gateways["second"]
    assert gateway("--network", "closed", "--network", "second") == gateways["second"]
    assert gateway("--network", "closed") == ""
    named = engine.run("--network", "name=first,driver-opt=com.docker.network.endpoint.ifname=lan", "ip", "link").out
    assert " lan@" in named
    engine.ok("network", "rm", "first", "second", "closed")


def test_a_running_container_changes_its_networks(engine: NetworkedEngine) -> None:
    engine.ok("network", "create", "left")
    engine.ok("network", "create", "--subnet", "10.52.0.0/24", "right")
    engine.detached("mover", "--network", "left", "sleep", "1000")
    engine.detached("peer", "--network", "right", "sleep", "1000")
    address = engine.address("peer", "right")

    assert not engine.reaches("mover", address)
    engine.ok("network", "connect", "--ip", "10.52.0.9", "--alias", "other", "right", "mover")
    assert engine.reaches("mover", address)
    assert engine.address("mover", "right") == "10.52.0.9"
    assert engine.inspect("mover")["NetworkSettings"]["Networks"]["right"]["Aliases"] == ["other"]
    again = engine("network", "connect", "right", "mover")
    assert "endpoint with name mover already exists in network right" in again.err
    engine.ok("network", "disconnect", "left", "mover")
    assert "default via 10.52.0.1" in engine.ok("exec", "mover", "ip", "route")
    assert list(engine.inspect("mover")["NetworkSettings"]["Networks"]) == ["right"]
    assert engine.ok("ps", "-q", "-f", "network=left") == ""
    assert "is not connected to network left" in engine("network", "disconnect", "left", "mover").err

    engine.ok("restart", "-t", "0", "mover")
    assert engine.address("mover", "right") == "10.52.0.9"
    engine.ok("stop", "-t", "0", "mover")
    engine.ok("network", "connect", "left", "mover")
    engine.ok("start", "mover")
    assert engine.reaches("mover", address)
    assert set(engine.inspect("mover")["NetworkSettings"]["Networks"]) == {"left", "right"}
    engine.ok("rm", "-f", "mover", "peer")
    engine.ok("network", "rm", "left", "right")


def test_a_container_without_a_network_gets_one_when_none_is_taken_away(engine: NetworkedEngine) -> None:
    engine.detached("lonely", "--network", "none", "sleep", "1000")
    engine.detached("hosted", "--network", "host", "sleep", "1000")

    assert "private (none) mode" in engine("network", "connect", "bridge", "lonely").err
    assert "host network" in engine("network", "connect", "bridge", "hosted").err
    assert "host network" in engine("network", "disconnect", "host", "hosted").err
    engine.ok("network", "disconnect", "none", "lonely")
    engine.ok("network", "connect", "bridge", "lonely")
    assert engine.reaches("lonely", engine.network("bridge")["IPAM"]["Config"][0]["Gateway"])
    engine.ok("restart", "-t", "0", "lonely")
    assert engine.address("lonely")
    engine.ok("rm", "-f", "lonely", "hosted")


def test_a_container_joins_the_network_of_another(engine: NetworkedEngine) -> None:
    engine.detached("donor", "--network", "bridge", "sleep", "1000")

    shown = engine.run("--network", "container:donor", "ip", "addr", "show", "eth0").out

    assert engine.address("donor") in shown
    assert engine.inspect("donor")["State"]["Running"]
    engine.ok("rm", "-f", "donor")


def test_another_runtime_connects_its_containers_too(engine: NetworkedEngine) -> None:
    done = engine.run("--runtime", "runc", "--network", "bridge", "ip", "route")

    assert done.code == 0, done
    assert "default via" in done.out


def test_where_inter_container_traffic_is_off_only_links_lead_to_exposed_ports(engine: NetworkedEngine) -> None:
    engine.ok("network", "create", "-o", "com.docker.network.bridge.enable_icc=false", "apart")
    engine.detached("linked", "--network", "apart", "--link", "one:server", "sleep", "1000")
    serve = ("busybox", "nc", "-ll", "-p", "80", "-e", "busybox", "echo", "web")
    engine.detached("one", "--network", "apart", "--expose", "80", *serve)
    engine.detached("other", "--network", "apart", "sleep", "1000")

    def asked(container: str) -> str:
        there = engine.address("one", "apart")
        return engine("exec", container, "busybox", "timeout", "1", "busybox", "nc", there, "80").out.strip()

    assert asked("other") == ""
    assert engine.reaches("other", engine.network("apart")["IPAM"]["Config"][0]["Gateway"])
    wait_until(lambda: asked("linked") == "web", "an answer")
    engine.machine.run("nft", "flush", "ruleset")
    engine.ok("network", "reload")
    assert asked("linked") == "web"
    before = engine.address("one", "apart")
    engine.ok("restart", "-t", "0", "one")
    assert engine.address("one", "apart") != before
    wait_until(lambda: asked("linked") == "web", "an answer from where it is now")
    engine.ok("rm", "-f", "one", "linked", "other")
    engine.ok("network", "rm", "apart")


def test_what_somebody_has_removed_is_put_back_by_reload(engine: NetworkedEngine) -> None:
    engine.detached("one", "sleep", "1000")
    engine.detached("two", "sleep", "1000")
    address = engine.address("two")
    rules = engine.machine.rules()
    bridge = engine.network("bridge")["Options"]["com.docker.network.bridge.name"]

    engine.machine.run("nft", "flush", "ruleset")
    engine.machine.run("ip", "link", "del", bridge)
    assert not engine.reaches("one", address)
    engine.ok("network", "reload")

    assert engine.reaches("one", address)
    assert engine.reaches("one", engine.network("bridge")["IPAM"]["Config"][0]["Gateway"])
    assert engine.machine.rules().count("\n") == rules.count("\n")
    engine.ok("rm", "-f", "one", "two")


def test_it_is_said_when_the_hosts_own_rules_are_in_the_way(engine: NetworkedEngine) -> None:
    with Machine() as world:
        cable(engine.machine, "uplink", "192.0.2.1/24", world, "wire", "192.0.2.2/24")
        engine.machine.run(
            "nft", "-f", "-", text="table ip mine { chain c { type filter hook forward priority 0; policy drop; }; }"
        )
        try:
            engine.detached("behind", "sleep", "1000")
            assert not engine.reaches("behind", "192.0.2.2")
            bridge = engine.network("bridge")["Options"]["com.docker.network.bridge.name"]
            for words in (("network", "inspect", "bridge"), ("network", "reload")):
                said = engine(*words).err
                assert "the host's own rules drop" in said
                assert f"iifname {bridge} accept" in said
            assert engine("network", "reload").err == ""
        finally:
            engine.machine.run("nft", "delete", "table", "ip", "mine")
            engine("rm", "-f", "behind")
            engine.machine.run("ip", "link", "del", "uplink")


def test_on_an_isolated_network_the_machine_has_no_address(engine: NetworkedEngine) -> None:
    mode = ("-o", "com.docker.network.bridge.gateway_mode_ipv4=isolated")
    engine.ok("network", "create", "--internal", *mode, "alone")
    engine.detached("one", "--network", "alone", "sleep", "1000")
    engine.detached("two", "--network", "alone", "sleep", "1000")

    assert engine.reaches("one", engine.address("two", "alone"))
    assert not engine.reaches("one", engine.network("alone")["IPAM"]["Config"][0]["Gateway"])
    engine.ok("rm", "-f", "one", "two")
    engine.ok("network", "rm", "alone")


def test_a_bridge_that_a_user_made_stays(engine: NetworkedEngine) -> None:
    engine.machine.run("ip", "link", "add", "mine", "type", "bridge")
    engine.ok("network", "create", "-o", "com.docker.network.bridge.name=mine", "on-mine")
    engine.ok(
        "network",
        "create",
        "-o",
        "com.docker.network.bridge.name=made",
        "-o",
        "com.docker.network.driver.mtu=1300",
        "on-made",
    )

    assert engine.run("--network", "on-mine", "true").code == 0
    assert engine.run("--network", "on-made", "cat", "/sys/class/net/eth0/mtu").out == "1300\n"
    wait_until(lambda: engine.devices() == ["mine"], "the end of what is not the user's")
    assert engine.run("--network", "on-mine", "true").code == 0
    engine.ok("network", "rm", "on-mine", "on-made")

    assert engine.devices() == ["mine"]
    engine.machine.run("ip", "link", "del", "mine")


def test_macvlan_puts_containers_on_the_machines_own_network(engine: NetworkedEngine) -> None:
    engine.machine.run("ip", "link", "add", "wire", "type", "veth", "peer", "name", "wire-end")
    for name in ("wire", "wire-end"):
        engine.machine.run("ip", "link", "set", name, "up")
    engine.machine.run("ip", "addr", "add", "10.53.0.250/24", "dev", "wire-end")
    engine.ok("network", "create", "-d", "macvlan", "-o", "parent=wire", "--subnet", "10.53.0.0/24", "near")
    engine.detached("one", "--network", "near", "sleep", "1000")
    engine.detached("two", "--network", "near", "sleep", "1000")

    assert engine.reaches("one", engine.address("two", "near"))
    assert engine.reaches("one", "10.53.0.250")
    engine.ok("network", "disconnect", "near", "two")
    assert not engine.reaches("two", "10.53.0.250")
    engine.ok("rm", "-f", "one", "two")
    engine.ok("network", "rm", "near")
    engine.machine.run("ip", "link", "del", "wire")


@pytest.mark.parametrize("who", ["init", "monitor", "launcher", "all"])
def test_whatever_is_killed_gives_everything_back(engine: NetworkedEngine, who: str) -> None:
    wait_until(engine.is_clean, "a clean machine")
    container = engine.detached("victim", "--network", "bridge", "sleep", "1000")
    init = engine.state("victim")["Pid"]
    victims = {
        "init": [init],
        "monitor": [engine.monitor(container)],
        "launcher": [engine.launcher()],
        "all": [engine.launcher(), engine.monitor(container), init],
    }[who]

    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    engine.ok("ps")  # which repairs
    if who == "launcher":
        assert engine.reaches("victim", engine.network("bridge")["IPAM"]["Config"][0]["Gateway"])
    engine.ok("rm", "-f", "victim")

    wait_until(engine.is_clean, "a clean machine")
    assert taken(engine) == []


def test_after_a_reboot_containers_come_back_on_their_networks(engine: NetworkedEngine) -> None:
    engine.ok("network", "create", "--subnet", "10.55.0.0/24", "lasting")
    engine.detached("back", "--restart", "always", "--network", "lasting", "--ip", "10.55.0.7", "sleep", "1000")
    init = engine.state("back")["Pid"]
    for pid in (*engine.processes(), init):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not engine.processes(), "the end of all processes")
    shutil.rmtree(engine.run_root / "networks")
    for name in engine.devices():
        if name.startswith(("or", "ov")):
            engine.machine.run("ip", "link", "del", name, check=False)
    engine.machine.run("nft", "flush", "ruleset")

    wait_until(lambda: engine("ps", "-q", "-f", "status=running").out, "the container")

    assert engine.address("back", "lasting") == "10.55.0.7"
    assert engine.reaches("back", "10.55.0.1")
    engine.ok("rm", "-f", "back")
    engine.ok("network", "rm", "lasting")


def test_what_goes_over_a_network_is_counted(engine: NetworkedEngine) -> None:
    engine.detached("counted", "sleep", "1000")
    assert engine.reaches("counted", engine.network("bridge")["IPAM"]["Config"][0]["Gateway"])

    received, sent = engine.ok("stats", "--no-stream", "--format", "{{.NetIO}}", "counted").strip().split(" / ")

    assert received != "0B"
    assert sent != "0B"
    engine.ok("rm", "-f", "counted")


def test_a_container_that_restarts_by_its_policy_is_connected_anew(engine: NetworkedEngine) -> None:
    engine.detached("again", "--restart", "always", "sleep", "1000")
    before = engine.state("again")["Pid"]
    os.kill(before, signal.SIGKILL)

    def came_back() -> bool:
        state = engine.state("again")
        return bool(state["Status"] == "running" and state["Pid"] not in {0, before})

    wait_until(came_back, "another life")
    assert engine.reaches("again", engine.network("bridge")["IPAM"]["Config"][0]["Gateway"])
    assert taken(engine) == [engine.address("again")]
    engine.ok("rm", "-f", "again")


def test_who_is_killed_while_the_network_lingers_leaves_it_to_the_next_command(engine: NetworkedEngine) -> None:
    container = engine.detached("last", "--network", "bridge", "sleep", "1000")
    monitor = engine.monitor(container)
    os.kill(engine.state("last")["Pid"], signal.SIGKILL)
    wait_until(lambda: not taken(engine), "the end of the container")
    with contextlib.suppress(ProcessLookupError):  # on a busy machine that moment may be over
        os.kill(monitor, signal.SIGKILL)
    wait_until(lambda: parent(monitor) == 0, "the end of the monitor")

    engine.ok("rm", "-f", "last")
    wait_until(lambda: engine.ok("ps", "-q") == "" and engine.is_clean(), "a clean machine")


def test_a_container_that_cannot_start_leaves_nothing(engine: NetworkedEngine) -> None:
    assert engine.run("--network", "bridge", "nothing-there").code == 127
    wait_until(lambda: engine.ok("ps", "-q") == "" and engine.is_clean(), "a clean machine")
    engine.ok("network", "create", "goes")
    engine.ok("create", "--name", "late", "--network", "goes", "--rootfs", engine.rootfs, "true")
    engine.ok("network", "rm", "goes")

    refused = engine("start", "late")

    assert "network goes not found" in refused.err
    engine.ok("rm", "late")
    assert taken(engine) == []


def test_addresses_of_a_container_that_is_gone_are_taken_over(engine: NetworkedEngine) -> None:
    engine.ok("network", "create", "--subnet", "10.54.0.0/24", "haunted")
    engine.detached("alive", "--network", "haunted", "sleep", "1000")
    directory = engine.run_root / "networks" / engine.network("haunted")["Id"]
    (directory / "addresses" / "10.54.0.99").symlink_to("f" * 64)
    (directory / "endpoints" / ("f" * 64)).write_text("{}")

    assert engine.run("--network", "haunted", "--ip", "10.54.0.99", "true").code == 0
    assert engine.ok("ps", "-q")
    assert not (directory / "endpoints" / ("f" * 64)).exists()
    assert list(engine.network("haunted")["Containers"]) == [engine.inspect("alive")["Id"]]
    engine.ok("rm", "-f", "alive")
    engine.ok("network", "rm", "haunted")


def test_connecting_is_told_by_events(engine: NetworkedEngine) -> None:
    engine.ok("network", "create", "told")
    container = engine.detached("teller", "--network", "told", "sleep", "1000")
    engine.ok("network", "disconnect", "told", "teller")
    engine.ok("network", "connect", "told", "teller")
    engine.ok("rm", "-f", "teller")
    engine.ok("network", "rm", "told")

    lines = engine.ok(
        *("events", "--since", "1h", "--until", "0s", "--filter", "type=network", "--filter", "network=told"),
        *("--format", '{{.Action}} {{index .Actor.Attributes "container"}}'),
    ).splitlines()

    one = [f"connect {container}", f"disconnect {container}"]
    assert [line.replace("<no value>", "").rstrip() for line in lines] == ["create", *one, *one, "destroy"]


def test_a_network_is_not_removed_from_under_who_is_just_joining_it(engine: NetworkedEngine) -> None:
    for _ in range(3):
        engine.ok("network", "create", "contended")
        joining = [
            engine.popen(
                "run", "--rm", "--network", "contended", "--rootfs", engine.rootfs, "true", stdout=-1, stderr=-1
            )
            for _ in range(4)
        ]
        while engine("network", "rm", "contended").code != 0:
            pass
        said = [each.communicate()[1].decode() for each in joining]
        assert all(
            each.returncode == 0 or "network contended not found" in text
            for each, text in zip(joining, said, strict=True)
        )
    wait_until(lambda: engine.ok("ps", "-q") == "" and engine.is_clean(), "a clean machine")


def test_the_default_network_makes_way_for_a_route_that_the_machine_got_since(engine: NetworkedEngine) -> None:
    assert engine.run("true").code == 0
    before = engine.network("bridge")["IPAM"]["Config"][0]
    wait_until(engine.is_clean, "the end of the network")
    with Machine() as world:
        cable(engine.machine, "uplink", before["Gateway"] + "/20", world, "wire", "")
        try:
            engine.detached("away", "sleep", "1000")
            after = engine.network("bridge")["IPAM"]["Config"][0]
            assert after["Subnet"] != before["Subnet"]
            assert engine.address("away").rpartition(".")[0] == after["Gateway"].rpartition(".")[0]
            assert engine.reaches("away", after["Gateway"])
        finally:
            engine.ok("rm", "-f", "away")
            engine.machine.run("ip", "link", "del", "uplink")
    assert engine.run("true").code == 0
    assert engine.network("bridge")["IPAM"]["Config"][0] == after  # where it is in nobody's way it stays


def test_an_engine_on_a_copy_of_the_state_has_a_default_network_of_its_own(
    engine: NetworkedEngine, tmp_path: Path, rootfs: Path
) -> None:
    engine.detached("mine", "sleep", "1000")
    other = Engine(tmp_path, rootfs, engine.prefix)
    shutil.copytree(engine.root / "networks", other.root / "networks", symlinks=True)
    other.detached("theirs", "sleep", "1000")
    mine, theirs = engine.network("bridge"), json.loads(other.ok("network", "inspect", "bridge"))[0]
    key = "com.docker.network.bridge.name"
    assert mine["Options"][key] != theirs["Options"][key]
    assert mine["IPAM"]["Config"] != theirs["IPAM"]["Config"]
    assert {mine["Options"][key], theirs["Options"][key]} <= set(engine.devices())
    other.close()
    wait_until(lambda: theirs["Options"][key] not in engine.devices(), "the end of the other's bridge")
    assert engine.reaches("mine", mine["IPAM"]["Config"][0]["Gateway"])
    engine.ok("rm", "-f", "mine")
