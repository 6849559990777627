"""``orlop save`` and ``orlop load``, in all forms, with skopeo and podman on the other side."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import shutil
import subprocess
import tarfile
import tempfile
from typing import TYPE_CHECKING, Any

import pytest

from orlop import third_party
from orlop.images import platform
from tests.integration.engine.image_maker import GROUP, PASSWD, base, file, layer
from tests.integration.images.commands.archives import (
    config,
    digest,
    docker_archive,
    docker_files,
    image_id,
    oci_files,
    small,
    tar,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.images.commands.conftest import ImageEngine

LAYERS = [small("1"), small("2")]
GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"


def zstd(data: bytes) -> bytes:
    compressed: bytes = third_party.load("backports.zstd", "tests").compress(data)
    return compressed


def members(archive: bytes) -> dict[str, bytes]:
    """An archive's files."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        for info in opened:
            file = opened.extractfile(info)
            if file is not None:
                found[info.name] = file.read()
    return found


def saved(engine: ImageEngine, *arguments: str) -> bytes:
    """What ``orlop save`` writes to its standard output."""
    done = subprocess.run(engine.command("save", *arguments), capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_saved_image_is_docker_s_and_oci_s_at_once(engine: ImageEngine) -> None:
    files = docker_files("app:1", LAYERS)
    engine.load(tar(files))
    found = members(saved(engine, "app:1"))
    assert json.loads(found["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads(found["manifest.json"])
    assert entry["RepoTags"] == ["app:1"]
    assert digest(found[entry["Config"]]) == image_id(files)
    assert [found[path] for path in entry["Layers"]] == LAYERS
    (entry,) = json.loads(found["index.json"])["manifests"]
    assert entry["annotations"] == {
        "io.containerd.image.name": "docker.io/library/app:1",
        "org.opencontainers.image.ref.name": "1",
    }
    for path, data in found.items():
        if path.startswith("blobs/"):
            assert digest(data) == f"sha256:{path.rpartition('/')[2]}"


def test_the_same_images_give_the_same_bytes(engine: ImageEngine, other: ImageEngine) -> None:
    archive = docker_archive("app:1", LAYERS)
    engine.load(archive)
    other.load(docker_archive("more:1"))
    other.load(archive)
    for form in ("docker-archive", "oci-archive"):
        assert saved(engine, "--format", form, "app:1") == saved(other, "--format", form, "app:1")


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive", "oci-dir"])
def test_each_form_is_loaded_again_with_names_and_ids(
    engine: ImageEngine, other: ImageEngine, tmp_path: Path, form: str
) -> None:
    one, two = docker_files("one:1", LAYERS), docker_files("registry.example:5000/two:2", [small("1")])
    engine.load(tar(one))
    engine.load(tar(two))
    path = str(tmp_path / "saved")
    assert engine.ok("save", "--format", form, "-o", path, "one:1", "registry.example:5000/two:2") == ""
    out = other.ok("load", "-i", path)
    assert sorted(out.splitlines()) == ["Loaded image: one:1", "Loaded image: registry.example:5000/two:2"]
    assert other.image("one:1")["Id"] == image_id(one)
    assert other.image("registry.example:5000/two:2")["Id"] == image_id(two)
    other.is_sound()


def test_a_repository_is_saved_with_all_its_tags_and_an_id_without_any(engine: ImageEngine, other: ImageEngine) -> None:
    files = docker_files("app:1", LAYERS)
    engine.load(tar(files))
    engine.ok("tag", "app:1", "app:2")
    engine.ok("tag", "app:1", "other:1")
    engine.load(docker_archive("app:3"))
    engine.load(docker_archive("latest-only"))
    assert sorted(other.load(saved(engine, "app")).splitlines()) == [f"Loaded image: app:{tag}" for tag in "123"]
    assert other.images() == ["app:1", "app:2", "app:3"]
    other.ok("rmi", "app:1", "app:2", "app:3")
    assert other.load(saved(engine, image_id(files)[7:19])) == f"Loaded image ID: {image_id(files)}"
    assert other.images() == ["<none>:<none>"]
    assert engine.fails("save", "nothing") == "No such image: nothing"
    assert engine.fails("save", "app:1", "app:9") == "No such image: app:9"


def test_a_file_appears_when_it_is_complete(engine: ImageEngine, tmp_path: Path) -> None:
    engine.load(docker_archive("app:1"))
    (tmp_path / "kept").write_text("old")
    assert engine.fails("save", "-o", str(tmp_path / "kept"), "app:1", "nothing") == "No such image: nothing"
    assert (tmp_path / "kept").read_text() == "old"
    engine.ok("save", "-o", str(tmp_path / "kept"), "app:1")
    assert (tmp_path / "kept").read_bytes() == saved(engine, "app:1")
    engine.ok("save", "-o", "/dev/null", "app:1")
    assert "No such file" in engine.fails("save", "-o", str(tmp_path / "no/where"), "app:1")
    assert "oci-dir needs --output" in engine.fails("save", "--format", "oci-dir", "app:1")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("")
    assert "is not empty" in engine.fails("save", "--format", "oci-dir", "-o", str(tmp_path / "full"), "app:1")
    assert "is not a directory" in engine.fails("save", "--format", "oci-dir", "-o", str(tmp_path / "kept"), "app:1")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            engine.command("save", "app:1"), stdout=full, stderr=subprocess.PIPE, timeout=60, check=False
        )
    assert (done.returncode, done.stderr) == (1, b"orlop: No space left on device\n")


def test_nobody_gets_an_archive_on_the_terminal(engine: ImageEngine) -> None:
    engine.load(docker_archive("app:1"))
    master, slave = os.openpty()
    try:
        done = subprocess.run(
            engine.command("save", "app:1"), stdout=slave, stderr=subprocess.PIPE, timeout=60, check=False
        )
        assert done.returncode == 1
        assert b"refusing to save to a terminal" in done.stderr
        done = subprocess.run(engine.command("load"), stdin=slave, stderr=subprocess.PIPE, timeout=60, check=False)
        assert b"use -i or redirect an archive" in done.stderr
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize("compress", [gzip.compress, zstd, lzma.compress, bz2.compress])
def test_a_compressed_archive_is_loaded_from_a_file_and_a_pipe(
    engine: ImageEngine, tmp_path: Path, compress: Any
) -> None:
    files = docker_files("app:1", LAYERS)
    (tmp_path / "archive").write_bytes(compress(tar(files)))
    assert engine.ok("load", "-i", str(tmp_path / "archive")) == "Loaded image: app:1\n"
    assert engine.image("app:1")["Id"] == image_id(files)
    engine.ok("rmi", "app:1")
    assert engine.leftovers() == []
    with subprocess.Popen(["cat", tmp_path / "archive"], stdout=subprocess.PIPE) as source:
        done = subprocess.run(engine.command("load", "-q"), stdin=source.stdout, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"Loaded image: app:1\n")


@pytest.mark.parametrize(("compress", "kind"), [(lambda data: gzip.compress(data, mtime=0), GZIP), (zstd, ZSTD)])
def test_compressed_layers_stay_as_they_are(engine: ImageEngine, other: ImageEngine, compress: Any, kind: str) -> None:
    stored = [compress(each) for each in LAYERS]
    files = oci_files("app:1", LAYERS, stored=stored, media_type=kind)
    engine.load(tar(files))
    assert {digest(each) for each in stored} < engine.blobs()
    archive = saved(engine, "app:1")
    assert other.load(archive) == "Loaded image: app:1"
    assert other.blobs() == engine.blobs()
    assert other.image("app:1")["Id"] == image_id(files)


def test_layers_of_docker_s_older_archives_may_be_compressed_or_links(engine: ImageEngine) -> None:
    layers = [small("1"), small("2")]
    files = docker_files("app:1", layers)
    first, second = (name for name in files if name.endswith("layer.tar"))
    files[first] = gzip.compress(files[first])
    del files[second]
    files["elsewhere/layer.tar"] = layers[1]
    archive = tar(files, {second: "../elsewhere/layer.tar"})
    assert engine.load(archive) == "Loaded image: app:1"
    assert engine.image("app:1")["Id"] == image_id(files)
    engine.is_sound()


def test_an_image_may_have_the_same_layer_twice_or_an_empty_one_or_none(
    engine: ImageEngine, other: ImageEngine
) -> None:
    same = base(PASSWD, GROUP)
    engine.load(docker_archive("twice:1", [same, bytes(10240), same, bytes(10240)]))
    engine.load(
        tar(
            {
                "c.json": config(),
                "manifest.json": json.dumps([{"Config": "c.json", "RepoTags": ["none:1"], "Layers": []}]).encode(),
            }
        )
    )
    assert len(engine.blobs()) == 2 + 2 + 2
    assert engine.ok("run", "--rm", "twice:1", "cat", "/etc/group").startswith("root")
    other.load(saved(engine, "twice:1", "none:1"))
    assert other.image("twice:1")["RootFS"] == engine.image("twice:1")["RootFS"]
    assert other.image("none:1")["RootFS"]["Layers"] == []
    assert other.image("none:1")["Size"] == 0
    for each in (engine, other):
        each.is_sound()
        each.ok("rmi", "twice:1", "none:1")
        assert each.leftovers() == []


def test_loading_again_changes_nothing(engine: ImageEngine) -> None:
    archive = docker_archive("app:1", LAYERS)
    engine.load(archive)
    blobs = engine.blobs()
    assert engine.load(archive) == "Loaded image: app:1"
    assert (engine.blobs(), len(engine.trees()), engine.images()) == (blobs, 2, ["app:1"])


def test_what_an_archive_has_beside_its_images_is_not_kept(engine: ImageEngine) -> None:
    files = docker_files("app:1", LAYERS)
    files["VERSION"] = b"1.0"
    files["repositories"] = b"{}"
    files["large"] = os.urandom(200_000)
    engine.load(tar(files))
    assert len(engine.blobs()) == 4


def test_of_an_archive_with_several_platforms_one_is_loaded(engine: ImageEngine) -> None:
    files: dict[str, bytes] = {}
    entries = []
    for architecture in (platform.host().architecture, "s390x"):
        made = oci_files("x", [small(architecture)], architecture=architecture)
        (entry,) = json.loads(made["index.json"])["manifests"]
        entries.append({**entry, "platform": {"os": "linux", "architecture": architecture}})
        files.update(made)
    inner = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    files[f"blobs/sha256/{digest(inner)[7:]}"] = inner
    descriptor = {
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "digest": digest(inner),
        "size": len(inner),
        "annotations": {"io.containerd.image.name": "docker.io/library/app:1"},
    }
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [descriptor]}).encode()
    assert engine.load(tar(files)) == "Loaded image: app:1"
    assert engine.image("app:1")["Architecture"] == platform.host().architecture
    assert len(engine.blobs()) == 3
    engine.ok("load", "--platform", "linux/s390x", given=tar(files))
    assert engine.image("app:1")["Architecture"] == "s390x"
    assert "linux/arm64" in engine.fails("load", "--platform", "linux/arm64", given=tar(files)) or (
        platform.host().architecture == "arm64"
    )


def test_a_file_system_s_archive_is_told_from_an_image_s(engine: ImageEngine, tmp_path: Path) -> None:
    said = engine.fails("load", given=base())
    assert said == (
        "the archive on standard input is no archive of images: it has neither index.json nor manifest.json; "
        "'orlop import' makes an image of a file system's archive"
    )
    assert engine.fails("load", given=b"") == "the archive on standard input is empty: it is no archive of images"
    assert f"{tmp_path}/nothing" in engine.fails("load", "-i", f"{tmp_path}/nothing")
    assert "is no archive of images" in engine.fails("load", "-i", str(tmp_path))
    assert engine.leftovers() == []


def test_what_skopeo_copies_is_loaded_and_what_is_saved_skopeo_copies(
    engine: ImageEngine, other: ImageEngine, tmp_path: Path
) -> None:
    if shutil.which("skopeo") is None:
        pytest.skip("needs skopeo to compare with")

    def copy(source: str, target: str) -> None:
        done = subprocess.run(["skopeo", "copy", "-q", source, target], capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr

    files = docker_files("app:1", LAYERS)
    engine.load(tar(files))
    engine.ok("save", "-o", f"{tmp_path}/docker.tar", "app:1")
    engine.ok("save", "--format", "oci-archive", "-o", f"{tmp_path}/oci.tar", "app:1")
    engine.ok("save", "--format", "oci-dir", "-o", f"{tmp_path}/oci", "app:1")
    copy(f"docker-archive:{tmp_path}/docker.tar", f"docker-archive:{tmp_path}/docker2.tar:made/docker:1")
    copy(f"oci-archive:{tmp_path}/oci.tar", f"oci-archive:{tmp_path}/oci2.tar:made/oci:1")
    copy(f"oci:{tmp_path}/oci", f"oci:{tmp_path}/oci2:made/dir:1")
    for name in ("docker2.tar", "oci2.tar", "oci2"):
        other.ok("load", "-i", f"{tmp_path}/{name}")
    assert other.images() == ["made/dir:1", "made/docker:1", "made/oci:1"]
    assert {other.image(name)["RootFS"]["Layers"][1] for name in other.images()} == {digest(LAYERS[1])}
    # The store itself is a layout that others read.
    copy(f"oci:{other.root}/images:docker.io/made/oci:1", f"dir:{tmp_path}/dir")
    assert "skopeo copy … dir:" in other.fails("load", "-i", f"{tmp_path}/dir")
    other.is_sound()


def test_what_podman_saves_is_loaded_and_what_is_saved_podman_loads(
    engine: ImageEngine, other: ImageEngine, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if shutil.which("podman") is None:
        pytest.skip("needs podman to compare with")
    home = tempfile.mkdtemp(prefix="orlop-podman-")  # podman wants a short path
    directories = [f"--root={home}/root", f"--runroot={home}/run", f"--tmpdir={home}/tmp"]

    def podman(*arguments: str) -> str:
        command = ["podman", *directories, "--storage-driver=vfs", "--events-backend=none", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=engine.variables)
        assert done.returncode == 0, done.stderr
        return done.stdout

    request.addfinalizer(lambda: shutil.rmtree(home))
    files = docker_files("app:1", [*LAYERS, LAYERS[0]])
    engine.load(tar(files))
    engine.ok("save", "-o", f"{tmp_path}/ours.tar", "app:1")
    engine.ok("save", "--format", "oci-archive", "-o", f"{tmp_path}/ours-oci.tar", "app:1")
    assert "app:1" in podman("load", "-q", "-i", f"{tmp_path}/ours.tar")
    assert podman("images", "-q", "--no-trunc").strip() == image_id(files)
    podman("load", "-q", "-i", f"{tmp_path}/ours-oci.tar")
    for form in ("docker-archive", "oci-archive", "oci-dir"):
        podman("save", "-q", "--format", form, "-o", f"{tmp_path}/{form}", "docker.io/library/app:1")
        other.ok("load", "-i", f"{tmp_path}/{form}")
    assert other.images() == ["app:1"]
    assert other.image("app:1")["RootFS"]["Layers"] == [digest(each) for each in [*LAYERS, LAYERS[0]]]
    other.is_sound()


@pytest.mark.parametrize(
    ("said", "what"),
    [("max_entries = 3", "more than 3 entries"), ('max_size = "4k"', "more than the 4096 bytes that max_size allows")],
)
def test_how_much_a_layer_may_be_is_for_the_user_to_say(engine: ImageEngine, said: str, what: str) -> None:
    archive = docker_archive("app:1", [layer(*(file(str(number), "text") for number in range(6)))])
    directory = engine.home / ".config/orlop"
    directory.mkdir(parents=True)
    (directory / "config.toml").write_text(f"[layers]\n{said}\n")
    assert what in engine.fails("load", given=archive)
    assert engine.leftovers() == []
    (directory / "config.toml").unlink()
    assert engine.load(archive) == "Loaded image: app:1"
