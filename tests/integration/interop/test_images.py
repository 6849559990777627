"""Images that orlop made, in docker and podman, and theirs in orlop: by a registry and by archives."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.engine.conftest import rootfs
from tests.integration.engine.image_maker import GROUP, PASSWD, base, file, layer
from tests.integration.images.commands.archives import docker_archive, small
from tests.integration.images.commands.conftest import engine
from tests.integration.images.conftest import plain_server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.images.commands.conftest import ImageEngine
    from tests.integration.images.servers import Server
    from tests.integration.interop.docker import Docker
    from tests.integration.interop.podman import Podman

__all__ = ["engine", "plain_server", "rootfs"]

UPPER = layer(file("a/.wh.file"), file("a/other", "upper"))
EXECUTION = {
    "Cmd": ["sh", "-c", "ls /a; cat /a/other; echo; echo $WHO"],
    "Env": ["PATH=/bin", "WHO=me"],
    "Labels": {"k": "v"},
}
SAID = "other\nupper\nme\n"
#: What both show of an image. Docker's own further fields are of no use to anybody else.
SHARED = ("Id", "RepoTags", "RepoDigests", "Comment", "Created", "Author", "Architecture", "Os", "RootFS")


def ok(result: Any) -> str:
    assert result.code == 0, result
    out: str = result.out
    return out


def test_an_image_that_was_pushed_runs_in_docker_and_is_described_alike(
    engine: ImageEngine, docker: Docker, plain_server: Server
) -> None:
    name = f"{plain_server.authority}/ours:1"
    engine.load(docker_archive(name, [base(PASSWD, GROUP), small(), UPPER], EXECUTION))
    engine.ok("push", name)
    ok(docker("pull", "-q", name))
    assert ok(docker.run(name)) == SAID
    theirs, ours = docker.inspect(name), engine.image(name)
    assert {key: ours[key] for key in SHARED} == {key: theirs[key] for key in SHARED}
    meaningful = {key: value for key, value in theirs["Config"].items() if value}
    assert {key: ours["Config"][key] for key in meaningful} == meaningful
    titles = [line.split() for line in (ok(docker("images")), engine.ok("images"))]
    assert titles[0][:6] == titles[1][:6]


def test_an_image_with_attestations_runs_in_docker_and_podman(
    engine: ImageEngine, docker: Docker, podman: Podman, plain_server: Server, tmp_path: Path
) -> None:
    name = f"{plain_server.authority}/attested:1"
    engine.load(docker_archive("below:1", [base(PASSWD, GROUP), small(), UPPER], EXECUTION))
    (tmp_path / "Dockerfile").write_text("FROM below:1\nENV WHO=me\n")
    engine.ok("build", "-q", "--push", "--sbom=true", "--provenance=mode=max", f"-t{name}", str(tmp_path))
    ok(docker("pull", "-q", name))
    assert ok(docker.run(name)) == SAID
    ok(podman("pull", "-q", "--tls-verify=false", name))
    assert ok(podman.run(name)) == SAID
    archive = f"{podman.home.directory}/attested.tar"
    engine.ok("save", "--format", "oci-archive", "-o", archive, name)
    ok(podman("rmi", name))
    ok(podman("load", "-i", archive))
    assert ok(podman.run(name)) == SAID
    ok(podman("rmi", name))
    ok(docker("rmi", name))
    engine.ok("save", "-o", archive, name)
    ok(docker("load", "-i", archive))
    assert ok(docker.run(name)) == SAID
    ok(docker("rmi", name))


def test_an_archive_goes_to_docker_and_back(engine: ImageEngine, docker: Docker, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    engine.load(docker_archive("ours:1", [base(PASSWD, GROUP), small(), UPPER, small("again"), UPPER], EXECUTION))
    engine.ok("tag", "ours:1", "ours:2")
    engine.ok("save", "-o", f"{tmp_path}/ours.tar", "ours")
    assert sorted(ok(docker("load", "-i", f"{tmp_path}/ours.tar")).splitlines()) == [
        "Loaded image: ours:1",
        "Loaded image: ours:2",
    ]
    assert docker.inspect("ours:1")["Id"] == engine.image("ours:1")["Id"]
    assert ok(docker.run("ours:2")) == SAID
    container = ok(docker("create", "--network=none", "ours:1", "true")).strip()
    ok(docker("commit", "-c", "ENV WHO=docker", container, "theirs:1"))
    ok(docker("rm", container))
    ok(docker("save", "-o", f"{tmp_path}/theirs.tar", "theirs:1", "ours:2"))
    out = engine.ok("load", "-i", f"{tmp_path}/theirs.tar")
    assert sorted(out.splitlines()) == ["Loaded image: ours:2", "Loaded image: theirs:1"]
    assert engine.image("theirs:1")["Id"] == docker.inspect("theirs:1")["Id"]
    assert engine.image("theirs:1")["RootFS"] == docker.inspect("theirs:1")["RootFS"]
    assert engine.ok("run", "--rm", "theirs:1", "sh", "-c", "echo $WHO; ls /a") == "docker\nother\n"
    engine.is_sound()


@pytest.mark.parametrize("command", [("history", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Comment}}", "told:1")])
def test_history_is_told_as_docker_tells_it(engine: ImageEngine, docker: Docker, tmp_path: Path, command: Any) -> None:
    tmp_path.chmod(0o755)
    steps = [
        {"created": "2024-01-01T00:00:00Z", "created_by": "ADD x /"},
        {"created": "2024-01-01T00:00:00Z", "created_by": "CMD a", "empty_layer": True, "comment": "words"},
    ]
    archive = docker_archive("told:1", [base()], history=steps)
    (tmp_path / "told.tar").write_bytes(archive)
    ok(docker("load", "-i", f"{tmp_path}/told.tar"))
    engine.load(archive)
    assert engine.ok(*command) == ok(docker(*command))


def test_removals_are_refused_and_told_as_docker_does(engine: ImageEngine, docker: Docker, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    archive = docker_archive("gone:1", [base(PASSWD, GROUP), small("to be removed")])
    (tmp_path / "gone.tar").write_bytes(archive)
    ok(docker("load", "-i", f"{tmp_path}/gone.tar"))
    engine.load(archive)
    image_id = engine.image("gone:1")["Id"]
    for both in (engine, docker):
        assert both("tag", "gone:1", "gone:2").code == 0
        assert both("tag", "gone:1", "elsewhere:1").code == 0
    codes = []
    for both in (engine, docker):
        found = [both("rmi", image_id[7:19]), both("rmi", "elsewhere:1"), both("rmi", "gone:2"), both("rmi", "gone:1")]
        codes.append([(each.code, each.out.splitlines()[:2]) for each in found])
        assert both("rmi", "gone:1").code == 1
    assert codes[0] == codes[1]
    assert codes[0][-1] == (0, ["Untagged: gone:1", f"Deleted: {image_id}"])


def test_an_image_that_was_pushed_runs_in_podman_and_theirs_in_orlop(
    engine: ImageEngine, podman: Podman, plain_server: Server
) -> None:
    name = f"{plain_server.authority}/ours:1"
    engine.load(docker_archive(name, [base(PASSWD, GROUP), small(), UPPER], EXECUTION))
    engine.ok("push", name)
    ok(podman("pull", "-q", "--tls-verify=false", name))
    assert ok(podman.run(name)) == SAID
    assert ok(podman("image", "inspect", "-f", "{{.Digest}}", name)).strip() in engine.image(name)["RepoDigests"][0]
    theirs = f"{plain_server.authority}/theirs:1"
    ok(podman("tag", name, theirs))
    ok(podman("push", "-q", "--tls-verify=false", theirs))
    engine.ok("pull", "-q", theirs)
    assert engine.ok("run", "--rm", theirs) == SAID
    described = json.loads(ok(podman("image", "inspect", theirs)))[0]
    assert engine.image(theirs)["RootFS"]["Layers"] == described["RootFS"]["Layers"]
