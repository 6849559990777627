"""Networks, with somebody killed at named points: the next command finds everything in order."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.conftest import wait_until
from tests.integration.engine.fault_points import killing, start_launcher
from tests.integration.engine.networked import NetworkedEngine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: In whoever starts a container, or looks after it: what is done one after the other from the start to the end.
STARTING = (
    "network/drivers/bridge.py:up:bridge.create(+",
    "network/protection.py:enclose:os.close+",
    "network/activation.py:_bring_up:_write(+",
    "network/addresses.py:_try:os.symlink+",
    "network/endpoint.py:write:os.rename+",
    "network/drivers/bridge.py:attach:network_device.change",
    "network/connecting.py:make:inside.configure",
    "network/connecting.py:leave:addresses.release",
    "engine/ending.py:finish:networking.linger",
    "network/activation.py:take_down:os.unlink+",
    "network/drivers/bridge.py:down:network_device.delete",
    "network/activation.py:_remove:os.rename+",
)
#: In a command: what is there before, its words, and where.
COMMANDS = (
    ("network create web", "network/creation.py:create:claims.take+"),
    ("network create web", "network/store.py:publish:os.symlink+"),
    ("network create web", "network/store.py:publish:os.rename+"),
    ("network rm there", "network/creation.py:withdraw:claims.give_back+"),
    ("network rm there", "network/store.py:withdraw:os.rename+"),
    ("network connect there lives", "network/endpoint.py:write:os.rename+"),
    ("network connect there lives", "network/connecting.py:make:inside.configure"),
    ("network connect there lives", "engine/network_membership.py:write:container.write"),
    ("network disconnect bridge lives", "network/endpoint.py:remove:os.unlink+"),
    ("network disconnect bridge lives", "engine/network_membership.py:disconnect:change.write"),
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, rootfs: Path) -> Iterator[NetworkedEngine]:
    with NetworkedEngine(tmp_path_factory.mktemp("engine"), rootfs) as made:
        yield made


def settles(engine: NetworkedEngine) -> bool:
    """A command that repairs; whether nothing is on the machine, and no address is taken."""
    engine.ok("ps", "-a")
    return engine.is_clean()


@pytest.mark.parametrize("place", STARTING)
def test_a_container_leaves_nothing_on_the_machine_when_who_looks_after_it_is_killed_at(
    engine: NetworkedEngine, tmp_path: Path, place: str
) -> None:
    wait_until(lambda: settles(engine), "a clean machine")
    mark = tmp_path / "mark"
    launcher = start_launcher(engine, mark, place)

    engine("run", "--name", "web", "--rootfs", engine.rootfs, "true")
    wait_until(mark.exists, "a death")
    launcher.terminate()
    launcher.wait()

    engine.ok("rm", "-f", "web")
    wait_until(lambda: settles(engine), "a clean machine")
    assert engine.run("true").code == 0
    engine.launcher()  # which that has left behind is there


@pytest.mark.parametrize(("words", "place"), COMMANDS)
def test_a_network_is_there_or_not_when_who_changes_it_is_killed_at(
    engine: NetworkedEngine, tmp_path: Path, words: str, place: str
) -> None:
    engine.ok("network", "create", "there")
    engine.detached("lives", "sleep", "1000")
    own = ["--root", str(engine.root), "--run-root", str(engine.run_root), *words.split()]
    subprocess.run([*engine.prefix, *killing(tmp_path / "mark", place, *own)], capture_output=True, check=False)
    assert (tmp_path / "mark").exists()

    # Whatever was begun is done or can be done anew, and the container is where it is said to be.
    for command in (words, "network connect there lives", "network connect bridge lives"):
        engine(*command.split())
    names = set(engine.inspect("lives")["NetworkSettings"]["Networks"])
    assert {"there"} <= names or words == "network rm there"
    for name in names:
        assert engine.reaches("lives", engine.network(name)["IPAM"]["Config"][0]["Gateway"])
    engine.ok("rm", "-f", "lives")
    engine("network", "rm", "-f", "there", "web")
    assert engine.ok("network", "ls", "-q", "-f", "type=custom") == ""
    assert [each.name for each in (engine.root / "networks/names").iterdir()].count("web") == 0
