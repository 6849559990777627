"""Ports while somebody who publishes them is killed: what is written down, what the kernel forwards and who has which port agree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.fault_points import killing, start_launcher
from tests.integration.engine.networked import NetworkedEngine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHANGES = (
    "engine/port_changes.py:publish:change.write(after)",
    "engine/port_changes.py:publish:change.write(after)+",
    "network/ports/publishing.py:exchange:protection.retract(",
    "network/ports/publishing.py:exchange:protection.publish(",
    "network/ports/publishing.py:exchange:protection.publish(+",
    "engine/port_changes.py:settle:queue, watched",
    "engine/port_changes.py:settle:_ask(+",
    "engine/port_changes.py:__exit__:_unmark(",
)
STARTS = (
    "engine/publishing.py:__init__:self._claims.add(+",
    "network/ports/publishing.py:put:protection.publish(+",
    "engine/publishing.py:put_in_force:queue, watched",
    "engine/starter.py:_start:self._tell_monitor(",
    "engine/starter.py:_start:self._tell_monitor(+",
)
ENDS = (
    "network/ports/publishing.py:close:protection.retract(",
    "network/ports/publishing.py:close:in_force.write(",
    "network/ports/publishing.py:withdraw:protection.end_connections(",
    "network/ports/publishing.py:withdraw:published.forget(",
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, rootfs: Path) -> Iterator[NetworkedEngine]:
    with NetworkedEngine(tmp_path_factory.mktemp("engine"), rootfs) as made:
        yield made


@pytest.fixture(autouse=True)
def no_containers(engine: NetworkedEngine) -> Iterator[None]:
    yield
    names = engine.names()
    if names:
        engine.ok("rm", "-f", *names)


def own(engine: NetworkedEngine) -> list[str]:
    return ["--root", str(engine.root), "--run-root", str(engine.run_root)]


def is_free(engine: NetworkedEngine, port: int) -> bool:
    """Whether a program of the machine could have a port."""
    return engine.machine.ok(sys.executable, "-IS", "-c", f"import socket; socket.socket().bind(('', {port}))")


def forwarded(engine: NetworkedEngine) -> list[int]:
    """The ports that the kernel's rules lead somewhere."""
    found = []
    for line in json.loads(engine.machine.run("nft", "-j", "list", "ruleset"))["nftables"]:
        if line.get("map", {}).get("name") == "anywhere":
            found += [key["concat"][1] for key, _ in line["map"].get("elem", ())]
    return sorted(found)


def agree(engine: NetworkedEngine, name: str) -> list[int]:
    """The host's ports of a container, which everybody says are these."""
    inspected = engine.inspect(name)
    asked = {
        int(each["HostPort"]) for bindings in inspected["HostConfig"]["PortBindings"].values() for each in bindings
    }
    shown = {
        int(each["HostPort"]) for bindings in inspected["NetworkSettings"]["Ports"].values() for each in bindings or ()
    }
    assert asked == shown
    assert forwarded(engine) == sorted(asked)
    for port in (8080, 8081, 8082):
        assert is_free(engine, port) is (port not in asked)
    assert not (engine.run_root / "altering-ports").exists()
    return sorted(asked)


@pytest.mark.parametrize("place", CHANGES)
def test_a_change_that_is_broken_off_was_made_or_was_not(engine: NetworkedEngine, tmp_path: Path, place: str) -> None:
    engine.detached("web", "--network", "bridge", "-p", "8080:80", "-p", "8081:81", "sleep", "1000")
    mark = tmp_path / "mark"
    words = killing(mark, place, *own(engine), "port", "add", "web", "8082:80")
    subprocess.run([*engine.prefix, *words], capture_output=True, check=False, timeout=60)
    assert mark.exists(), "nobody came to this place"
    engine.ok("ps")
    found = agree(engine, "web")
    assert found in ([8080, 8081], [8080, 8081, 8082])
    engine.ok("port", "rm", "web", "8080:80")
    assert agree(engine, "web") == [port for port in found if port != 8080]


@pytest.mark.parametrize("place", STARTS)
def test_a_start_that_is_broken_off_leaves_its_ports_to_the_next(
    engine: NetworkedEngine, tmp_path: Path, place: str
) -> None:
    mark = tmp_path / "mark"
    launcher = start_launcher(engine, mark, place)
    engine(
        "run", "-d", "--name", "web", "--network", "bridge", "-p", "8080:80", "--rootfs", engine.rootfs, "sleep", "1000"
    )
    assert mark.exists(), "nobody came to this place"
    launcher.terminate()
    launcher.wait()
    engine.ok("ps")
    assert is_free(engine, 8080)
    assert forwarded(engine) == []
    assert not os.path.exists(engine.run_root / "networks/.ports")
    engine.detached("next", "--network", "bridge", "-p", "8080:80", "sleep", "1000")
    assert agree(engine, "next") == [8080]


@pytest.mark.parametrize("place", ENDS)
def test_an_end_that_is_broken_off_is_finished(engine: NetworkedEngine, tmp_path: Path, place: str) -> None:
    mark = tmp_path / "mark"
    launcher = start_launcher(engine, mark, place)
    engine.detached("web", "--network", "bridge", "-p", "8080:80", "sleep", "1000")
    engine.ok("stop", "-t", "0", "web")
    assert mark.exists(), "nobody came to this place"
    launcher.terminate()
    launcher.wait()
    engine.ok("ps")
    assert is_free(engine, 8080)
    assert forwarded(engine) == []
    assert not os.path.exists(engine.run_root / "networks/.ports")
