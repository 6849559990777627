"""``orlop network``: what the commands say and refuse."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.conftest import Engine
from tests.integration.engine.networked import NetworkedEngine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, rootfs: Path) -> Iterator[NetworkedEngine]:
    with NetworkedEngine(tmp_path_factory.mktemp("engine"), rootfs) as made:
        yield made


def test_every_engine_has_three_networks(engine: NetworkedEngine) -> None:
    lines = engine.ok(
        "network", "ls", "-f", "type=builtin", "--format", "{{.Name}} {{.Driver}} {{.Scope}}"
    ).splitlines()

    assert lines == ["bridge bridge local", "host host local", "none null local"]
    for name in ("bridge", "host", "none"):
        refused = engine("network", "rm", name)
        assert refused.code == 1
        assert f"{name} is a pre-defined network and cannot be removed" in refused.err


def test_a_network_is_as_it_was_asked_for(engine: NetworkedEngine) -> None:
    made = engine.ok(
        *("network", "create", "--subnet", "10.9.0.0/24", "--ip-range", "10.9.0.128/25", "--gateway", "10.9.0.254"),
        *("--aux-address", "router=10.9.0.129", "--ipv6", "--subnet", "fd00:9::/64", "--internal", "--attachable"),
        *("--label", "tier=web", "-o", "com.docker.network.driver.mtu=1400", "asked"),
    ).strip()

    network = engine.network("asked")

    assert network["Id"] == made
    assert network["IPAM"]["Config"] == [
        {
            "Subnet": "10.9.0.0/24",
            "IPRange": "10.9.0.128/25",
            "Gateway": "10.9.0.254",
            "AuxiliaryAddresses": {"router": "10.9.0.129"},
        },
        {"Subnet": "fd00:9::/64", "Gateway": "fd00:9::1"},
    ]
    assert (network["Internal"], network["Attachable"], network["EnableIPv6"]) == (True, True, True)
    assert network["Labels"] == {"tier": "web"}
    assert network["Options"] == {"com.docker.network.driver.mtu": "1400"}
    assert engine.network(made[:7]) == network
    assert engine.ok("network", "rm", made[:12]) == f"{made[:12]}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--subnet", "10.9.1.5/24"), "invalid subnet 10.9.1.5/24: it should be 10.9.1.0/24"),
        (("--subnet", "10.9.1.0"), "invalid CIDR address: 10.9.1.0"),
        (("--subnet", "10.9.1.0/24", "--gateway", "10.8.0.1"), "no matching subnet for gateway 10.8.0.1"),
        (("--subnet", "10.9.1.0/24", "--ip-range", "10.9.0.0/16"), "no matching subnet for range 10.9.0.0/16"),
        (("--subnet", "10.9.1.0/24", "--aux-address", "a=10.8.0.1"), "no matching subnet for aux-address 10.8.0.1"),
        (("--subnet", "10.9.0.0/16", "--subnet", "10.9.1.0/24"), "multiple overlapping subnet configuration"),
        (("--subnet", "fd00::/64"), "say --ipv6"),
        (("-d", "nothing"), 'plugin "nothing" not found'),
        (("-d", "host"), 'only one instance of "host" network is allowed'),
        (("-d", "macvlan"), "say -o parent=DEVICE"),
        (("-d", "macvlan", "-o", "parent=nothing"), "the machine has no device nothing"),
        (("-d", "macvlan", "-o", "parent=lo", "-o", "macvlan_mode=x"), "invalid macvlan_mode: x"),
        (("-o", "com.docker.network.bridge.name=much-too-long-for-it"), "invalid bridge name"),
        (("-o", "com.docker.network.bridge.name=br%d"), "invalid bridge name"),
        (("-o", "com.docker.network.bridge.enable_icc=maybe"), "enable_icc: maybe: true or false"),
        (("-o", "com.docker.network.bridge.gateway_mode_ipv4=odd"), "gateway_mode_ipv4: odd: it is one of nat"),
        (("-o", "com.docker.network.driver.mtu=some"), "invalid com.docker.network.driver.mtu: some"),
        (("--ipv4=false",), "IPv4 or IPv6 must be enabled"),
        (("--ipam-driver", "dhcp"), 'plugin "dhcp" not found'),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(engine: NetworkedEngine, words: tuple[str, ...], message: str) -> None:
    refused = engine("network", "create", *words, "refused")

    assert refused.code == 1
    assert message in refused.err
    assert refused.err.count("\n") == 1
    assert engine("network", "inspect", "refused").code == 1


@pytest.mark.parametrize("name", ["", "a b", "-a", "../a", "bridge", "x" * 129])
def test_a_wrong_name_is_refused(engine: NetworkedEngine, name: str) -> None:
    refused = engine("network", "create", "--", name)

    assert refused.code == 1
    assert "invalid network name" in refused.err or "not permitted" in refused.err


def test_a_kernel_without_ipvlan_is_named_as_the_reason(engine: NetworkedEngine) -> None:
    engine.machine.run("ip", "link", "add", "wire", "type", "veth", "peer", "name", "wire-end")
    try:
        refused = engine("network", "create", "-d", "ipvlan", "-o", "parent=wire", "shared")
        if refused.code == 0:
            assert engine.ok("network", "rm", "shared")
            pytest.skip("this kernel has ipvlan")
        assert "this machine's kernel has no ipvlan devices" in refused.err
    finally:
        engine.machine.run("ip", "link", "del", "wire")


def test_a_subnet_overlaps_nothing_of_the_machines_nor_of_other_networks(engine: NetworkedEngine) -> None:
    engine.machine.run("ip", "link", "add", "wire", "type", "veth", "peer", "name", "wire-end")
    engine.machine.run("ip", "addr", "add", "10.221.0.1/16", "dev", "wire")
    engine.machine.run("ip", "link", "set", "wire", "up")
    engine.machine.run("ip", "route", "add", "10.222.0.0/16", "via", "10.221.0.2")
    engine.machine.run("ip", "route", "add", "10.211.0.0/16", "via", "10.221.0.2")
    try:
        for subnet, message in (
            ("10.221.3.0/24", "device wire has 10.221.0.0/16"),
            ("10.0.0.0/8", "overlaps"),
            ("10.222.0.0/16", "device wire has 10.222.0.0/16"),
        ):
            refused = engine("network", "create", "--subnet", subnet, "refused")
            assert message in refused.err, refused
        engine.ok("network", "create", "--subnet", "10.222.7.0/24", "nearer")  # than what lies behind the gateway
        assert "network nearer has" in engine("network", "create", "--subnet", "10.222.7.128/25", "refused").err
        names = [f"many-{number}" for number in range(6)]
        for name in names:
            engine.ok("network", "create", name)
        subnets = [engine.network(name)["IPAM"]["Config"][0]["Subnet"] for name in names]
        assert len(set(subnets)) == len(names)
        assert not any(subnet.startswith(("10.211.", "10.221.")) for subnet in subnets)
        engine.ok("network", "rm", *names, "nearer")
    finally:
        engine.machine.run("ip", "link", "del", "wire")


def test_two_engines_do_not_choose_the_same_subnet(engine: NetworkedEngine, tmp_path: Path, rootfs: Path) -> None:
    with NetworkedEngine(tmp_path, rootfs) as other:
        ours, theirs = (each.network("bridge")["IPAM"]["Config"][0]["Subnet"] for each in (engine, other))
        assert ours != theirs
        other.ok("network", "create", "--subnet", ours, "elsewhere")  # it is on another machine, after all
        neighbour = Engine(tmp_path / "neighbour", rootfs, engine.prefix)
        refused = neighbour("network", "create", "--subnet", ours, "refused")
        assert (
            f"overlaps with other one on this address space: network {engine.network('bridge')['Id'][:12]}"
            in refused.err
        )
        names = {each.network("bridge")["Options"]["com.docker.network.bridge.name"] for each in (engine, other)}
        assert len(names) == 2


def test_of_many_who_want_one_name_one_gets_it(engine: NetworkedEngine) -> None:
    attempts = [engine.popen("network", "create", "wanted", stdout=-1, stderr=-1) for _ in range(8)]
    ends = [(each.communicate()[1], each.returncode) for each in attempts]

    assert sorted(code for _, code in ends) == [0, *[1] * 7]
    assert all(b"network with name wanted already exists" in said for said, code in ends if code)
    engine.ok("network", "rm", "wanted")


def test_what_a_killed_command_left_is_neither_seen_nor_in_the_way(engine: NetworkedEngine) -> None:
    networks = engine.root / "networks"
    engine.ok("network", "create", "first")
    left = networks / f".new-{'0' * 64}"
    left.mkdir()
    (left / "network.json").write_text('{"Na')
    (networks / "names" / "claimed").symlink_to(f"../{'0' * 64}")

    assert engine("network", "inspect", "claimed").code == 1
    engine.ok("network", "create", "claimed")

    assert not left.exists()
    engine.ok("network", "rm", "claimed", "first")


def test_lists_are_filtered_and_formatted(engine: NetworkedEngine) -> None:
    engine.ok("network", "create", "--label", "a=1", "one")
    engine.ok("network", "create", "--label", "a=2", "two")

    def names(*filters: str) -> list[str]:
        words = [word for each in filters for word in ("-f", each)]
        return engine.ok("network", "ls", *words, "--format", "{{.Name}}").split()

    assert names("label=a") == ["one", "two"]
    assert names("label=a=2") == ["two"]
    assert names("name=on", "type=custom") == ["one"]
    assert names("driver=null") == ["none"]
    assert names("dangling=true") == ["one", "two"]
    assert names(f"id={engine.network('two')['Id'][:9]}") == ["two"]
    assert engine("network", "ls", "-f", "wrong=1").code == 1
    assert engine.ok("network", "ls", "-q", "--no-trunc", "-f", "name=two").strip() == engine.network("two")["Id"]
    assert json.loads(engine.ok("network", "ls", "--format", "json", "-f", "name=^one$"))["Labels"] == "a=1"
    assert engine.ok("network", "inspect", "-f", "{{.Name}} {{(index .IPAM.Config 0).Gateway}}", "one").startswith(
        "one 1"
    )
    assert engine.ok("network", "prune", "-f", "--filter", "label=a=1") == "Deleted Networks:\none\n\n"
    assert engine.ok("network", "prune", "-f") == "Deleted Networks:\ntwo\n\n"


def test_a_network_that_is_not_there_is_said_so(engine: NetworkedEngine) -> None:
    gone = engine("network", "rm", "nothing")
    assert (gone.code, gone.err) == (1, "Error: network nothing not found\n")
    assert engine("network", "rm", "-f", "nothing").code == 0
    assert "network nothing not found" in engine("network", "connect", "nothing", "any").err
    assert "network nothing not found" in engine.run("--network", "nothing", "true").err


def test_configuration_only_networks_lend_what_they_have(engine: NetworkedEngine) -> None:
    engine.ok(
        "network",
        "create",
        "--config-only",
        "--subnet",
        "10.77.0.0/24",
        "-o",
        "com.docker.network.driver.mtu=1300",
        "plan",
    )
    engine.ok("network", "create", "--config-from", "plan", "real")

    network = engine.network("real")

    assert network["IPAM"]["Config"][0]["Subnet"] == "10.77.0.0/24"
    assert network["Options"] == {"com.docker.network.driver.mtu": "1300"}
    assert engine.run("--network", "plan", "true").code == 125
    engine.ok("network", "rm", "real", "plan")


def test_making_and_removing_is_told_by_events(engine: NetworkedEngine) -> None:
    made = engine.ok("network", "create", "told").strip()
    engine.ok("network", "rm", "told")

    lines = engine.ok(
        "events",
        "--since",
        "1h",
        "--until",
        "0s",
        "--filter",
        f"network={made}",
        "--format",
        "{{.Action}} {{.Actor.ID}}",
    ).splitlines()

    assert lines == [f"create {made}", f"destroy {made}"]
