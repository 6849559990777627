"""Images and volumes from Python, with a real registry on the other side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import orlop
from tests.integration.images.servers import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a registry that takes everything from everybody."""
    server = Server(tmp_path_factory.mktemp("registry"))
    yield server.authority
    server.stop()


def test_an_image_goes_to_a_registry_and_comes_back_when_it_is_run(engine: orlop.Engine, registry: str) -> None:
    name = f"{registry}/library/sent:1"
    engine.images.tag("plain", name)
    told: list[str] = []
    pushed = engine.images.push(name, progress=lambda _layer, action, _current, _total: told.append(action))
    assert pushed.digests[0].startswith(f"{registry}/library/sent@sha256:")
    assert "Pushed" in told
    engine.images.remove(name)
    with pytest.raises(orlop.ImageNotFound):
        engine.images.get(name)
    assert engine.containers.run(name, ["echo", "pulled"]).stdout == b"pulled\n"
    image = engine.images.get(name)
    assert image in engine.images.list()
    assert name in image.tags
    assert engine.images.pull(name) == image
    engine.images.remove(name)


def test_what_a_registry_does_not_have_is_not_found(engine: orlop.Engine, registry: str) -> None:
    name = f"{registry}/no/such:1"
    with pytest.raises(orlop.ImageNotFound, match="no/such:1") as caught:
        engine.containers.run(name, ["true"])
    assert caught.value.image == name


def test_a_registry_that_does_not_answer_is_its_error(engine: orlop.Engine) -> None:
    with pytest.raises(orlop.RegistryError):
        engine.images.pull("127.0.0.1:9/nobody:1")


def test_an_archive_holds_images(engine: orlop.Engine, tmp_path: Path) -> None:
    engine.images.tag("plain", "saved:1")
    engine.images.save("saved:1", tmp_path / "saved.tar")
    engine.images.remove("saved:1")
    (image,) = engine.images.load(tmp_path / "saved.tar")
    assert "saved:1" in image.tags
    assert image.inspect()["Id"] == image.id
    engine.images.remove("saved:1")


def test_an_image_in_use_stays(engine: orlop.Engine) -> None:
    with engine.containers.run("plain", ["sleep", "60"], detach=True), pytest.raises(orlop.Conflict):
        engine.images.remove(engine.images.get("plain").id)


def test_volumes_keep_what_containers_write(engine: orlop.Engine) -> None:
    volume = engine.volumes.create("kept", labels={"a": "b"})
    assert engine.volumes.get("kept") == volume
    assert engine.volumes.list() == [volume]
    mounts = [orlop.VolumeMount("kept", "/v")]
    engine.containers.run("plain", ["sh", "-c", "echo written > /v/file"], mounts=mounts, check=True)
    assert engine.containers.run("plain", ["cat", "/v/file"], volumes=["kept:/v:ro"]).stdout == b"written\n"
    assert engine.volumes.prune()[0] == []
    engine.volumes.remove("kept")
    with pytest.raises(orlop.NotFound):
        engine.volumes.get("kept")
