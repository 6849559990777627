"""Networks of an ordinary user's between containers, on a machine of its own with a neighbour."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.conftest import wait_until
from tests.integration.engine.image_maker import make
from tests.integration.engine.users_machine import ASK, HOST, PEER, make_users

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.engine.users_machine import UsersMachine

#: Answers by TCP with the client's address.
ECHO = """
import socket
server = socket.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True)
print("ready", flush=True)
while True:
    client, address = server.accept()
    client.recv(1)
    client.sendall(address[0].removeprefix("::ffff:").encode())
    client.close()
"""


#: Answers every question by UDP with one address, and writes down who asked.
NAMES = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", 53))
print("ready", flush=True)
while True:
    asked, client = server.recvfrom(600)
    print(client[0], flush=True)
    end = 12 + asked[12:].index(0) + 5
    answer = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\5\\0\\4\\xc0\\0\\2\\x09"
    server.sendto(asked[:2] + b"\\x81\\x80\\0\\1\\0\\1\\0\\0\\0\\0" + asked[12:end] + answer, client)
"""


@pytest.fixture(scope="module")
def users() -> Iterator[UsersMachine]:
    if shutil.which("pasta") is None:
        pytest.skip("needs pasta (Debian's passt)")
    with make_users("networks") as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_left(users: UsersMachine) -> Iterator[None]:
    """After each test there is no process, no namespace and no file of its networks."""
    yield
    engine = users.engine
    programs = [int(each.read_text().split()[0]) for each in home(users).glob("[hp]*")]
    names = engine.names()
    if names:
        engine.ok("rm", "-f", *names)
    engine.ok("network", "prune", "-f")
    wait_until(lambda: not home(users).exists(), "the end of the networks' home")
    assert [each for each in programs if _is_alive(each)] == []
    notes = (".firewall", ".firewall-seen")  # what the host said when the rules were looked at
    assert [each.name for each in (engine.run_root / "networks").iterdir() if each.name not in notes] == []


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def home(users: UsersMachine) -> Path:
    return users.engine.run_root / "networks/.home"


def serve(users: UsersMachine, name: str, *options: str, program: str = ECHO) -> None:
    users.engine.ok("run", "-d", "--name", name, *options, "host", "python3", "-IS", "-c", program)
    wait_until(lambda: "ready" in users.engine.ok("logs", name), f"a server: {users.engine.state(name)}")


def ask(users: UsersMachine, container: str, address: str, port: int = 80) -> str:
    asked = users.engine.ok("exec", container, "python3", "-IS", "-c", ASK, "tcp", address, str(port))
    return asked.strip()


def address(users: UsersMachine, container: str, network: str) -> str:
    return str(users.engine.inspect(container)["NetworkSettings"]["Networks"][network]["IPAddress"])


def test_containers_find_and_reach_each_other_and_the_outside_by_their_networks_only(users: UsersMachine) -> None:
    engine = users.engine
    for name, *options in (["front"], ["back", "--internal", "--ipv6", "--subnet", "10.77.0.0/24"]):
        engine.ok("network", "create", *options, name)
    serve(users, "db", "--network", "back", "--ip", "10.77.0.9", "--network-alias", "store")
    serve(users, "app", "--network", "front")
    engine.ok("network", "connect", "--alias", "www", "back", "app")
    mine = address(users, "app", "back")
    for name in ("db", "store", "10.77.0.9"):
        assert ask(users, "app", name) == mine
    assert ask(users, "db", "www") == "10.77.0.9"
    listed = json.loads(engine.ok("network", "inspect", "back"))[0]["Containers"].values()
    assert {each["Name"] for each in listed} == {"db", "app"}
    [v6] = [each["IPv6Address"].partition("/")[0] for each in listed if each["Name"] == "db"]
    assert ":" in ask(users, "app", v6)
    outside = users.peer.start(sys.executable, "-IS", "-u", "-c", ECHO)
    try:
        assert outside.stdout
        assert outside.stdout.readline() == b"ready\n"
        assert ask(users, "app", PEER) == HOST
        assert ask(users, "db", PEER) == "OSError"  # nothing leads out of it
    finally:
        outside.kill()
        outside.wait()
    engine.ok("network", "disconnect", "back", "app")
    assert engine.ok("exec", "app", "ip", "-o", "-4", "address", "show").count("eth") == 2  # the device and its label
    refused = engine("network", "rm", "back")
    assert "has active endpoints" in refused.err


def test_published_ports_lead_to_containers_on_networks_and_change_while_they_run(users: UsersMachine) -> None:
    engine = users.engine
    engine.ok("network", "create", "front")
    serve(users, "web", "--network", "front", "-p", "8080:80")
    assert users.ask(users.peer, HOST, 8080) == PEER  # which it sees by itself, and not the proxy
    assert users.ask(users.machine, HOST, 8080) == HOST
    for where in ("127.0.0.1", "::1"):
        assert users.ask(users.machine, where, 8080) == address(users, "web", "front").rpartition(".")[0] + ".1"
    engine.ok("run", "-d", "--name", "other", "--network", "front", "host", "sleep", "1000")
    assert ask(users, "other", HOST, 8080).startswith("10.")  # by the host's address
    engine.ok("port", "add", "web", "8081:80")
    engine.ok("port", "rm", "web", "8080:80")
    assert users.ask(users.peer, HOST, 8081) == PEER
    assert users.ask(users.peer, HOST, 8080) == "ConnectionRefusedError"
    taken = engine("run", "--rm", "--network", "front", "-p", "8081:80", "host", "true")
    assert "port is already allocated, to container web" in taken.err
    engine.ok("network", "create", "next")
    engine.ok("network", "connect", "next", "web")
    engine.ok("network", "disconnect", "front", "web")
    gateway = engine.inspect("web")["NetworkSettings"]["Networks"]["next"]["Gateway"]
    assert users.ask(users.machine, "127.0.0.1", 8081) == gateway


@pytest.mark.parametrize("killed", ["holder", "program"])
def test_a_process_of_the_networks_that_is_killed_is_replaced_with_the_next_command(
    users: UsersMachine, killed: str
) -> None:
    engine = users.engine
    engine.ok("network", "create", "front")
    engine.ok("network", "create", "--ipv6", "second")
    serve(users, "web", "--network", "front", "-p", "8080:80")
    engine.ok("network", "connect", "second", "web")
    os.kill(int((home(users) / killed).read_text().split()[0]), signal.SIGKILL)
    if killed == "program":
        engine.ok("ps")
    for network in ("front", "second"):  # the start of another container is such a command, too
        asked = ("--network", network, "host", "python3", "-IS", "-c", ASK, "tcp", "web", "80")
        assert engine.ok("run", "--rm", *asked).startswith(("10.", "fd"))
    assert users.ask(users.peer, HOST, 8080) == PEER
    assert engine.ok("exec", "web", "ip", "route", "show", "default").count("default") == 1
    engine.ok("network", "create", "third")
    engine.ok("network", "connect", "third", "web")  # whose namespaces are below the same user namespace as before


def test_containers_that_start_at_the_same_time_share_one_home(users: UsersMachine) -> None:
    engine = users.engine
    engine.ok("network", "create", "front")
    names = [f"one{number}" for number in range(4)]
    started = [
        engine.popen("run", "-d", "--name", name, "--network", "front", "host", "sleep", "1000") for name in names
    ]
    assert [each.wait() for each in started] == [0] * 4
    assert len(engine.processes("orlop-network")) == 1
    assert len({address(users, name, "front") for name in names}) == 4
    there = [engine.ok("exec", name, "readlink", "/proc/self/ns/user") for name in names[:2]]
    assert len(set(there)) == 2  # each has a user namespace of its own


def test_root_of_a_containers_user_namespace_has_no_rights_where_the_networks_are(users: UsersMachine) -> None:
    engine = users.engine
    engine.ok("network", "create", "front")
    engine.ok("run", "-d", "--name", "bad", "--network", "front", "host", "sleep", "1000")
    inside = ("nsenter", f"--user=/proc/{engine.state('bad')['Pid']}/ns/user", "--preserve-credentials")
    holder = (home(users) / "holder").read_text().split()[0]
    for kind in ("user", "net"):
        tried = subprocess.run(
            [*engine.prefix, *inside, "nsenter", f"--{kind}=/proc/{holder}/ns/{kind}", "true"],
            capture_output=True,
            check=False,
        )
        assert tried.returncode == 1
        assert b"Permission denied" in tried.stderr or b"not permitted" in tried.stderr


def test_a_start_that_fails_leaves_nothing(users: UsersMachine) -> None:
    users.engine.ok("network", "create", "front")
    assert users.engine("run", "--rm", "--network", "front", "host", "/no/such/program").code == 127


def test_what_needs_roots_devices_or_is_a_network_of_its_own_is_refused(users: UsersMachine) -> None:
    engine = users.engine
    refused = engine("network", "create", "-d", "macvlan", "-o", "parent=lan0", "lan")
    assert "needs root" in refused.err
    engine.ok("network", "create", "front")
    engine.ok("run", "-d", "--name", "alone", "--network", "pasta", "host", "sleep", "1000")
    refused = engine("network", "connect", "front", "alone")
    assert "has a network of its own by pasta" in refused.err


def test_the_steps_of_a_build_reach_the_outside(users: UsersMachine) -> None:
    make(users.engine, "plain:latest")
    outside = users.peer.start(sys.executable, "-IS", "-u", "-c", ECHO)
    try:
        assert outside.stdout
        assert outside.stdout.readline() == b"ready\n"
        step = f"FROM plain\nRUN (printf x; sleep 0.5) | nc {PEER} 80 >/f && grep -qx {HOST} /f && grep -q 127.0.0.11 /etc/resolv.conf\n"
        users.engine.ok("build", "-", given=step.encode())
    finally:
        outside.kill()
        outside.wait()
    refused = users.engine("build", "--network", "front", "-", given=b"FROM plain\nRUN true\n")
    assert refused.code != 0
    wait_until(lambda: not (users.engine.run_root / "user-networks").exists(), "the end of the program")


def test_a_containers_own_resolvers_are_asked_from_its_networks(users: UsersMachine) -> None:
    engine = users.engine
    engine.ok("network", "create", "--internal", "inner")
    engine.ok("network", "create", "front")
    serve(users, "names", "--network", "front", program=NAMES)
    asked = ("host", "getent", "ahostsv4", "outside.example")
    there = address(users, "names", "front")
    assert "192.0.2.9" in engine.ok("run", "--rm", "--network", "front", "--dns", there, *asked)
    who = engine.ok("logs", "names").split()[1]
    assert who.rpartition(".")[0] == there.rpartition(".")[0]  # a container on the network, and not the machine
    assert engine("run", "--rm", "--network", "inner", "--dns", there, *asked).code == 2  # no names of the outside
