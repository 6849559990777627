"""Published ports from Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orlop.errors import InvalidArgument
from orlop.library import ports, translation
from tests.integration.engine.networked import NetworkedEngine
from tests.integration.library.test_networks import told

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


def test_ports_are_said_in_pythons_words() -> None:
    assert ports.texts({80: 8080, "53/udp": ("127.0.0.1", 5353), 81: None, "82": "127.0.0.1:8082"}) == [
        "8080:80", "127.0.0.1:5353:53/udp", "81", "127.0.0.1:8082:82",
    ]  # fmt: skip
    assert ports.texts({80: [8080, 8081, ("::1", None)]}) == ["8080:80", "8081:80", "[::1]::80"]
    assert ports.texts(["8080:80", "1000-1002"]) == ["8080:80", "1000-1002"]
    with pytest.raises(InvalidArgument, match="must be a mapping or a list"):
        ports.texts("8080:80")
    wanted = translation.settings(
        "image", None, None, {"ports": {80: 8080}, "expose": [80, "53/udp"], "publish_all": True}
    )
    assert wanted.port_bindings == {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}
    assert sorted(wanted.exposed_ports) == ["53/udp", "80/tcp"]
    assert wanted.publish_all


def test_ports_are_published_looked_at_and_changed(networked: NetworkedEngine) -> None:
    answer = told(
        networked,
        """
def shown(ports):
    return {port: [[each.address, each.number] for each in places] for port, places in ports.items()}

web = engine.containers.run(
    rootfs=ROOTFS, command=["sleep", "1000"], detach=True, network="bridge", ports={80: ("127.0.0.1", 8080)}, expose=[443],
)
first = shown(web.ports)
more = shown(web.publish({"53/udp": 5353}))
web.unpublish([80])

async def change():
    async with orlop.aio.Engine(root, run_root) as there:
        found = await there.containers.get(web.id)
        await found.publish(["127.0.0.1:8081:81"])
        await found.unpublish(["5353:53/udp"])
        return shown(found.ports)

last = asyncio.run(change())
try:
    web.publish(["8081:90"])
except orlop.Conflict as error:
    refused = str(error)
answer = [first, more, last, refused]
web.remove(force=True)
""",
    )
    first, more, last, refused = answer
    assert first == {"80/tcp": [["127.0.0.1", 8080]], "443/tcp": []}
    assert more == {"53/udp": [["0.0.0.0", 5353], ["::", 5353]]}
    assert last == {"53/udp": [], "80/tcp": [], "81/tcp": [["127.0.0.1", 8081]], "443/tcp": []}
    assert "port is already allocated, to the same container's 81/tcp" in refused
