"""``linux.netDevices``: devices of a network namespace made for the test move into the container's.

The runtime is run in a namespace of its own, so that the machine's devices are left alone; ``ip`` is the oracle.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.conftest import Result, unique_name
from tests.integration.runtime.containers import map_ids, namespace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.conftest import Bundle, BundleMaker, Runtime


class Host:
    """A network namespace that plays the host, and the runtime run in it."""

    def __init__(self, runtime: Runtime, name: str) -> None:
        self.runtime = runtime
        self.name = name

    def ip(self, *arguments: str) -> Any:
        """What ``ip -json`` says here."""
        done = subprocess.run(["ip", "-n", self.name, "-d", "-json", *arguments], capture_output=True, check=True)
        return json.loads(done.stdout or b"[]")

    def call(self, *arguments: str) -> Result:
        """Run the runtime here."""
        return run_anything(["nsenter", f"--net=/run/netns/{self.name}", *self.runtime.command(*arguments)])

    def start(self, bundle: Bundle) -> int:
        """Run the bundle detached; returns its init's pid."""
        bundle.write()
        name = unique_name()
        result = self.call("run", "--detach", "--bundle", str(bundle.path), name)
        assert result.status == 0, result
        pid: int = self.runtime.state(name)["pid"]
        return pid

    def refuse(self, bundle: Bundle) -> str:
        """Run a bundle that must fail; returns what it said."""
        bundle.write()
        result = self.call("run", "--bundle", str(bundle.path), unique_name())
        assert result.status == 1, result
        return result.errors


def run_anything(command: list[str]) -> Result:
    """Run a command to its end as `Runtime.call` does its own."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, check=False, timeout=60)
        out.seek(0)
        err.seek(0)
        return Result(command, done.returncode, out.read().decode(), err.read().decode())


def inside(pid: int, *arguments: str) -> Any:
    """What ``ip -json`` says in the network namespace of a process."""
    command = ["nsenter", "-t", str(pid), "-n", "ip", "-d", "-json", *arguments]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout or b"[]")


@pytest.fixture
def host(runtime: Runtime) -> Iterator[Host]:
    name = unique_name()
    subprocess.run(["ip", "netns", "add", name], check=True)
    made = Host(runtime, name)
    try:
        made.ip("link", "add", "dev0", "type", "veth", "peer", "name", "peer0")
        made.ip("link", "set", "peer0", "up")
        yield made
    finally:
        runtime.delete_all()
        subprocess.run(["ip", "netns", "delete", name], check=True)


def with_device(bundle: Bundle, device: str = "dev0", **settings: str) -> Bundle:
    bundle.linux["netDevices"] = {device: settings}
    return bundle


def test_a_device_moves_in_and_is_switched_on(host: Host, bundle: BundleMaker) -> None:
    pid = host.start(with_device(bundle("sleep", "100")))
    [device] = inside(pid, "link", "show", "dev0")
    assert "UP" in device["flags"]
    assert [each["ifname"] for each in host.ip("link", "show", "type", "veth")] == ["peer0"]


def test_a_device_is_renamed(host: Host, bundle: BundleMaker) -> None:
    pid = host.start(with_device(bundle("sleep", "100"), name="container_eth0"))
    assert [each["ifname"] for each in inside(pid, "link")] == ["lo", "container_eth0"]


def test_a_device_that_was_up_moves_too(host: Host, bundle: BundleMaker) -> None:
    host.ip("link", "set", "dev0", "up")
    pid = host.start(with_device(bundle("sleep", "100"), name="eth0"))
    assert "UP" in inside(pid, "link", "show", "eth0")[0]["flags"]


def test_hardware_address_and_mtu_are_kept(host: Host, bundle: BundleMaker) -> None:
    host.ip("link", "set", "dev0", "mtu", "1234", "address", "02:00:00:12:34:56", "alias", "an alias")
    pid = host.start(with_device(bundle("sleep", "100"), name="eth0"))
    [device] = inside(pid, "link", "show", "eth0")
    assert (device["mtu"], device["address"], device["ifalias"]) == (1234, "02:00:00:12:34:56", "an alias")


def test_lasting_addresses_are_kept(host: Host, bundle: BundleMaker) -> None:
    host.ip("link", "set", "dev0", "up")
    host.ip("address", "add", "10.9.8.7/24", "broadcast", "10.9.8.255", "label", "dev0:one", "dev", "dev0")
    host.ip("address", "add", "10.9.8.8/24", "dev", "dev0")
    host.ip("address", "add", "192.0.2.1", "peer", "192.0.2.2/32", "noprefixroute", "dev", "dev0")
    host.ip("address", "add", "2001:db8::7/64", "nodad", "dev", "dev0")
    pid = host.start(with_device(bundle("sleep", "100"), name="eth0"))
    [device] = inside(pid, "address", "show", "eth0")
    found = {each["local"]: each for each in device["addr_info"] if each["scope"] == "global"}
    assert set(found) == {"10.9.8.7", "10.9.8.8", "192.0.2.1", "2001:db8::7"}
    assert (found["10.9.8.7"]["label"], found["10.9.8.7"]["broadcast"]) == ("eth0:one", "10.9.8.255")
    assert found["10.9.8.8"]["label"] == "eth0"
    assert (found["192.0.2.1"]["address"], found["192.0.2.1"]["noprefixroute"]) == ("192.0.2.2", True)
    assert found["2001:db8::7"]["prefixlen"] == 64


def test_other_addresses_are_left_behind(host: Host, bundle: BundleMaker) -> None:
    host.ip("link", "set", "dev0", "up")
    host.ip("address", "add", "10.9.8.7/24", "valid_lft", "1000", "preferred_lft", "1000", "dev", "dev0")
    host.ip("address", "add", "10.9.9.7/24", "scope", "link", "dev", "dev0")
    host.ip("address", "add", "2001:db8::9/64", "valid_lft", "1000", "preferred_lft", "1000", "dev", "dev0")
    pid = host.start(with_device(bundle("sleep", "100")))
    [device] = inside(pid, "address", "show", "dev0")
    kept = [each["local"] for each in device["addr_info"] if not each["local"].startswith("fe80:")]
    assert kept == []


def test_the_device_carries_packets(host: Host, bundle: BundleMaker) -> None:
    host.ip("address", "add", "10.9.8.1/24", "dev", "peer0")
    host.ip("address", "add", "10.9.8.2/24", "dev", "dev0")
    pid = host.start(with_device(bundle("sleep", "100"), name="eth0"))
    ping = ["nsenter", "-t", str(pid), "-n", "/bin/busybox", "ping", "-c", "1", "-W", "5", "10.9.8.1"]
    assert subprocess.run(ping, check=False, capture_output=True).returncode == 0


def test_several_devices_of_several_kinds_move(host: Host, bundle: BundleMaker) -> None:
    host.ip("link", "add", "dev1", "type", "veth", "peer", "name", "peer1")
    host.ip("link", "add", "macvlan0", "link", "peer0", "type", "macvlan", "mode", "bridge")
    made = with_device(bundle("sleep", "100"))
    made.linux["netDevices"] = {"dev0": {"name": "dev1"}, "dev1": {"name": "eth1"}, "macvlan0": {}}
    pid = host.start(made)
    assert {each["ifname"] for each in inside(pid, "link")} == {"lo", "dev1", "eth1", "macvlan0"}
    assert all("UP" in each["flags"] for each in inside(pid, "link"))


def test_a_template_gets_a_free_number(host: Host, bundle: BundleMaker) -> None:
    host.ip("link", "add", "eth0", "type", "veth", "peer", "name", "peer1")
    made = with_device(bundle("sleep", "100"))
    made.linux["netDevices"] = {"eth0": {}, "dev0": {"name": "eth%d"}}
    pid = host.start(made)
    assert {each["ifname"] for each in inside(pid, "link")} == {"lo", "eth0", "eth1"}


def test_devices_move_into_a_joined_namespace(host: Host, runtime: Runtime, bundle: BundleMaker) -> None:
    holder = bundle("sleep", "1000")
    holder.write()
    joined = runtime.state(runtime.start(holder))["pid"]
    made = with_device(bundle("sleep", "100"), name="eth0")
    namespace(made, "network", f"/proc/{joined}/ns/net")
    host.start(made)
    assert [each["ifname"] for each in inside(joined, "link")] == ["lo", "eth0"]


def test_devices_move_into_a_user_namespaces_network(host: Host, bundle: BundleMaker) -> None:
    made = with_device(bundle("sleep", "100"), name="eth0")
    map_ids(made)
    pid = host.start(made)
    assert "UP" in inside(pid, "link", "show", "eth0")[0]["flags"]


def test_devices_are_there_before_their_parameters_are_set(host: Host, bundle: BundleMaker) -> None:
    made = with_device(bundle("sleep", "100"), name="eth0")
    made.linux["sysctl"] = {"net.ipv4.conf.eth0.forwarding": "1"}
    pid = host.start(made)
    command = ["nsenter", "-t", str(pid), "-n", "cat", "/proc/sys/net/ipv4/conf/eth0/forwarding"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"1\n"


@pytest.mark.parametrize("parameter", ["net/ipv4/conf/eth0.1/forwarding", "net.ipv4.conf.eth0/1.forwarding"])
def test_a_device_with_a_dot_in_its_name_has_parameters_too(host: Host, bundle: BundleMaker, parameter: str) -> None:
    made = with_device(bundle("sleep", "100"), name="eth0.1")
    made.linux["sysctl"] = {parameter: "1"}
    pid = host.start(made)
    command = ["nsenter", "-t", str(pid), "-n", "cat", "/proc/sys/net/ipv4/conf/eth0.1/forwarding"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"1\n"


def test_delete_does_not_take_a_device_out_of_a_joined_namespace(
    host: Host, runtime: Runtime, bundle: BundleMaker
) -> None:
    holder = bundle("sleep", "1000")
    holder.write()
    joined = runtime.state(runtime.start(holder))["pid"]
    made = with_device(bundle("true"), name="eth0")
    namespace(made, "network", f"/proc/{joined}/ns/net")
    made.write()
    result = host.call("run", "--bundle", str(made.path), unique_name())
    assert result.status == 0, result
    assert [each["ifname"] for each in inside(joined, "link")] == ["lo", "eth0"]


def test_a_virtual_device_ends_with_the_namespace(host: Host, runtime: Runtime, bundle: BundleMaker) -> None:
    host.start(with_device(bundle("sleep", "100")))
    runtime.delete_all()
    deadline = time.monotonic() + 10
    while host.ip("link", "show", "type", "veth"):  # the kernel destroys it in its own time
        assert time.monotonic() < deadline


def test_a_missing_device_is_named_and_nothing_is_moved(host: Host, bundle: BundleMaker) -> None:
    made = with_device(bundle("true"))
    made.linux["netDevices"] = {"dev0": {}, "nosuch0": {}}
    assert "the host has no network device nosuch0" in host.refuse(made)
    assert host.ip("link", "show", "dev0")


def test_a_taken_name_is_refused_and_nothing_is_moved(host: Host, runtime: Runtime, bundle: BundleMaker) -> None:
    made = with_device(bundle("true"), name="lo")
    assert "move network device dev0 to the container as lo: a device with this name is there" in host.refuse(made)
    assert host.ip("link", "show", "dev0")


def test_a_device_that_cannot_move_is_named(host: Host, bundle: BundleMaker) -> None:
    errors = host.refuse(with_device(bundle("true"), "lo", name="lo2"))
    assert "move network device lo to the container as lo2: RTM_NEWLINK: " in errors


def test_the_runtimes_own_network_cannot_be_the_target(host: Host, bundle: BundleMaker) -> None:
    made = with_device(bundle("true"))
    namespace(made, "network", "/proc/self/ns/net")
    assert "linux.netDevices: /proc/self/ns/net is the runtime's own network namespace" in host.refuse(made)
