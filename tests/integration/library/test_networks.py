"""Networks from Python, on a machine of their own: a program there asks, and tells what it found."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.conftest import REPOSITORY
from tests.integration.engine.networked import NetworkedEngine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def networked(tmp_path_factory: pytest.TempPathFactory, rootfs: Path) -> Iterator[NetworkedEngine]:
    with NetworkedEngine(tmp_path_factory.mktemp("engine"), rootfs) as made:
        yield made


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left() -> None:
    """What the engine of these tests leaves is looked at when it is closed."""


def told(engine: NetworkedEngine, program: str) -> Any:
    """What a program, which has an engine ``engine`` and a directory ``ROOTFS``, assigns to ``answer``."""
    text = f"""
import asyncio, json, sys, orlop, orlop.aio
root, run_root, ROOTFS = sys.argv[1:]
engine = orlop.Engine(root, run_root)
{program}
engine.close()
print(json.dumps(answer))
"""
    words = [*engine.prefix, "env", f"PYTHONPATH={REPOSITORY / 'src'}", sys.executable, "-c", text]
    words += [str(engine.root), str(engine.run_root), engine.rootfs]
    done = subprocess.run(words, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_networks_are_made_looked_at_and_removed(networked: NetworkedEngine) -> None:
    answer = told(
        networked,
        """
made = engine.networks.create("back", subnets=["10.60.0.0/24"], gateways=["10.60.0.9"], labels={"a": "1"})
names = [each.name for each in engine.networks.list()]
engine.networks.create("idle")
pruned = list(engine.networks.prune())
try:
    engine.networks.remove("bridge")
except orlop.InvalidArgument as error:
    refused = str(error)
answer = [made.subnets, made.gateways, made.labels, names, pruned, refused]
""",
    )

    assert answer[:3] == [["10.60.0.0/24"], {"10.60.0.0/24": "10.60.0.9"}, {"a": "1"}]
    assert answer[3] == ["back", "bridge", "host", "none"]
    assert sorted(answer[4]) == ["back", "idle"]
    assert "pre-defined" in answer[5]


def test_a_container_is_on_the_networks_that_it_was_given_and_changes_them(networked: NetworkedEngine) -> None:
    answer = told(
        networked,
        """
for name, subnet in (("left", "10.61.0.0/24"), ("right", "10.62.0.0/24")):
    engine.networks.create(name, subnets=[subnet])
wanted = {"left": {"ip": "10.61.0.5", "aliases": ["one"], "gateway_priority": 1}, "right": None}
container = engine.containers.run(None, ["sleep", "1000"], rootfs=ROOTFS, network=wanted, name="both", detach=True)
routes = container.exec(["ip", "route"]).stdout.decode()
members = [(each.name, each.ipv4) for each in engine.networks.get("left").members]
engine.networks.disconnect("left", "both")
engine.networks.connect("bridge", "both")
after = container.exec(["ip", "-o", "-4", "addr"]).stdout.decode()
container.remove(force=True)
for name in ("left", "right"):
    engine.networks.remove(name)
answer = [routes, members, after]
""",
    )

    routes, members, after = answer
    assert "default via 10.61.0.1" in routes
    assert members == [["both", "10.61.0.5/24"]]
    assert "10.61.0.5" not in after
    assert after.count("eth") >= 2


def test_an_event_loop_has_networks_too(networked: NetworkedEngine) -> None:
    answer = told(
        networked,
        """
async def ask():
    async with orlop.aio.Engine(root, run_root) as other:
        made = await other.networks.create("looped", internal=True)
        found = await other.networks.get(made.id)
        await other.networks.remove("looped")
        return [found.name, found.internal]
answer = asyncio.run(ask())
""",
    )

    assert answer == ["looped", True]
