"""Docker's clients for Python, as their users use them."""

from __future__ import annotations

import asyncio
import io
import tarfile
from typing import TYPE_CHECKING, Any

import aiodocker
import docker
import docker.errors
import pytest
from python_on_whales import DockerClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.api.served import Served

LOOP = ["sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done"]


@pytest.fixture
def client(served: Served) -> Iterator[Any]:
    """docker-py."""
    made = docker.DockerClient(base_url=f"unix://{served.path}")
    yield made
    made.close()


def test_docker_py_runs_a_program(client: Any) -> None:
    assert client.ping()
    assert client.containers.run("plain", ["echo", "here"], network_mode="none", remove=True) == b"here\n"
    with pytest.raises(docker.errors.ContainerError) as failed:
        client.containers.run("plain", ["sh", "-c", "echo no >&2; exit 2"], network_mode="none", remove=True)
    assert (failed.value.exit_status, failed.value.stderr) == (2, b"no\n")
    with pytest.raises(docker.errors.APIError):
        client.containers.run("plain", ["nosuch"], network_mode="none")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves the sockets of execs open
def test_docker_py_lives_with_a_container(client: Any) -> None:
    made = client.containers.run("plain", LOOP, name="web", network_mode="none", labels={"a": "b"}, detach=True)
    assert [each.id for each in client.containers.list(filters={"label": "a=b"})] == [made.id]
    assert next(made.logs(stream=True, follow=True)) == b"ready\n"
    assert made.exec_run(["sh", "-c", "echo out; echo err >&2; exit 3"], demux=True) == (3, (b"out\n", b"err\n"))
    assert made.stats(stream=False)["pids_stats"]["current"] >= 1
    assert made.top()["Titles"][0] == "UID"
    made.pause()
    made.reload()
    assert made.status == "paused"
    made.unpause()
    made.stop(timeout=5)
    assert made.wait()["StatusCode"] == 5
    made.remove()
    with pytest.raises(docker.errors.NotFound):
        client.containers.get("web")


def test_docker_py_copies_files(client: Any) -> None:
    made = client.containers.create("plain", ["true"], network_mode="none")
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        entry = tarfile.TarInfo("file")
        entry.size = 5
        archive.addfile(entry, io.BytesIO(b"bytes"))
    assert made.put_archive("/tmp", data.getvalue())
    chunks, about = made.get_archive("/tmp/file")
    assert (about["name"], about["size"]) == ("file", 5)
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        found = archive.extractfile("file")
        assert found is not None
        assert found.read() == b"bytes"
    assert made.diff() == [{"Path": "/tmp", "Kind": 0}, {"Path": "/tmp/file", "Kind": 1}]


def test_docker_py_has_images_volumes_and_networks(client: Any) -> None:
    image = client.images.get("plain")
    assert image.tag("copy", "1")
    assert "copy:1" in client.images.get("copy:1").tags
    saved = b"".join(client.images.get("copy:1").save())
    client.images.remove("copy:1")
    assert client.images.load(saved)[0].id == image.id
    with pytest.raises(docker.errors.ImageNotFound):
        client.images.get("copy:1")
    volume = client.volumes.create("data", labels={"x": "y"})
    assert client.volumes.list(filters={"label": "x=y"}) == [volume]
    volume.remove()
    network = client.networks.create("lan", driver="bridge")
    made = client.containers.create("plain", ["true"], network="lan")
    assert list(made.attrs["NetworkSettings"]["Networks"]) == ["lan"]
    made.remove()
    network.remove()


def test_docker_py_hears_of_events(client: Any) -> None:
    events = client.events(decode=True, filters={"type": "container", "event": "die"})
    client.containers.run("plain", ["sh", "-c", "exit 0"], network_mode="none", remove=True)
    event = next(events)
    events.close()
    assert (event["status"], event["Actor"]["Attributes"]["exitCode"]) == ("die", "0")


def test_aiodocker_runs_and_executes(served: Served) -> None:
    async def life() -> tuple[list[str], bytes]:
        async with aiodocker.Docker(url=f"unix://{served.path}") as engine:
            config: dict[str, Any] = {"Image": "plain", "Cmd": LOOP, "HostConfig": {"NetworkMode": "none"}}
            made = await engine.containers.create_or_replace("web", config)
            await made.start()
            command = await made.exec(["sh", "-c", "read line; echo got $line"], stdin=True)
            async with command.start() as stream:
                await stream.write_in(b"it\n")
                message = await stream.read_out()
            assert message is not None
            await made.stop()
            lines = await made.log(stdout=True)
            await made.delete()
            return lines, message.data

    lines, said = asyncio.run(life())
    assert (lines, said) == (["ready\n"], b"got it\n")


def test_python_on_whales_runs_a_program(served: Served) -> None:
    engine = DockerClient(host=f"unix://{served.path}")
    assert engine.run("plain", ["echo", "here"], networks=["none"], remove=True) == "here"
    made = engine.run("plain", LOOP, networks=["none"], name="web", detach=True)
    assert made.state.running
    engine.remove("web", force=True)
