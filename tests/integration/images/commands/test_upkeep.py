"""``orlop system df`` and ``system check``: what is there, what it takes, and whether it is whole."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from tests.integration.engine.image_maker import GROUP, PASSWD, base
from tests.integration.images.commands.archives import digest, docker_archive, docker_files, image_id, small, tar

if TYPE_CHECKING:
    from tests.integration.images.commands.conftest import ImageEngine


def usage(engine: ImageEngine) -> dict[str, dict[str, Any]]:
    """What ``system df`` tells, by kind."""
    lines = engine.ok("system", "df", "--format", "json").splitlines()
    return {each["Type"]: each for each in map(json.loads, lines)}


def test_what_images_containers_and_volumes_take_is_shown(engine: ImageEngine) -> None:
    assert [line.split()[-1] for line in engine.ok("system", "df").splitlines()] == ["RECLAIMABLE", *["0B"] * 4]
    execution = {"Volumes": {"/data": {}}, "Env": ["PATH=/bin"]}
    engine.load(docker_archive("used:1", [base(PASSWD, GROUP), small("1")], execution))
    engine.load(docker_archive("idle:1", [small("x" * 1_000_000)]))
    command = "head -c 500000 /dev/zero > /big; head -c 300000 /dev/zero > /data/file; sleep 1000"
    engine.ok("run", "-d", "--name", "user", "used:1", "sh", "-c", f"{command}")
    engine.ok("exec", "user", "sh", "-c", "while ! test -s /data/file; do true; done")
    found = usage(engine)
    assert (found["Images"]["TotalCount"], found["Images"]["Active"]) == ("2", "1")
    assert found["Images"]["Size"].endswith("MB")
    reclaimable, share = found["Images"]["Reclaimable"].split()
    assert reclaimable.endswith("MB")
    assert share.endswith("%)")
    assert (found["Containers"]["TotalCount"], found["Containers"]["Active"]) == ("1", "1")
    assert found["Containers"]["Size"].endswith("kB")
    assert found["Containers"]["Reclaimable"].startswith("0B")
    assert (found["Local Volumes"]["TotalCount"], found["Local Volumes"]["Active"]) == ("1", "1")
    text = engine.ok("system", "df", "-v")
    for title in (
        "Images space usage:",
        "Containers space usage:",
        "Local Volumes space usage:",
        "Build cache usage: 0B",
    ):
        assert title in text
    of_containers = text.partition("Containers space usage:\n\n")[2].splitlines()
    assert " ".join(of_containers[0].split()) == "CONTAINER ID IMAGE COMMAND LOCAL VOLUMES SIZE CREATED STATUS NAMES"
    assert " 1 " in of_containers[1]
    assert " Up " in of_containers[1]
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line}
    assert (rows["used"][1], rows["used"][-1]) == ("1", "1")
    assert (rows["idle"][1], rows["idle"][-1]) == ("1", "0")
    everything = json.loads(engine.ok("system", "df", "-v", "--format", "json"))
    assert sorted(each["Repository"] for each in everything["Images"]) == ["idle", "used"]
    assert [(each["Names"], each["Image"]) for each in everything["Containers"]] == [("user", "used:1")]
    assert [each["Links"] for each in everything["Volumes"]] == ["1"]
    template = "{{range .Images}}{{.Repository}} {{end}}"
    assert sorted(engine.ok("system", "df", "-v", "--format", template).split()) == ["idle", "used"]
    assert engine.ok("system", "df", "--format", "{{.Type}}: {{.TotalCount}}").splitlines()[0] == "Images: 2"


def test_shared_layers_are_counted_once(engine: ImageEngine) -> None:
    engine.load(docker_archive("one:1", [small("x" * 1_000_000)]))
    alone = usage(engine)["Images"]["Size"]
    engine.load(docker_archive("two:1", [small("x" * 1_000_000), small("y")]))
    both = usage(engine)["Images"]["Size"]
    assert float(both.removesuffix("MB")) < float(alone.removesuffix("MB")) * 1.2
    rows = [line.split() for line in engine.ok("system", "df", "-v").splitlines() if line.startswith(("one", "two"))]
    assert all(row[-3].endswith("MB") for row in rows)  # the column of what is shared


def damage(engine: ImageEngine, blob: str) -> None:
    """Change a byte of a blob."""
    path = engine.root / "images/blobs/sha256" / blob[7:]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_damaged_blob_is_found_removed_and_loaded_again(engine: ImageEngine) -> None:
    archive = docker_archive("app:1", [small("x" * 10_000)])
    engine.load(archive)
    engine.is_sound()
    blob = digest(small("x" * 10_000))
    damage(engine, blob)
    result = engine("system", "check")
    assert result.code == 1
    assert result.out.splitlines()[0] == (
        f"blob {blob} is damaged, and image app:1 needs it: 'orlop system check --repair' has it removed; "
        "pull or load it again"
    )
    assert result.out.endswith("1 problem\n")
    result = engine("system", "check", "--repair")
    assert f"blob {blob} is damaged, and image app:1 needs it: removed; pull or load it again" in result.out
    result = engine("system", "check", "-q")
    assert result.code == 1
    assert "is missing, and image app:1 needs it" in result.out
    engine.load(archive)
    engine.is_sound()
    assert engine.ok("system", "check", "-q") == ""


def test_an_image_whose_configuration_is_damaged_can_be_listed_and_removed(engine: ImageEngine) -> None:
    files = docker_files("app:1", [small("1"), small("2")])
    engine.load(tar(files))
    (engine.root / "images/blobs/sha256" / image_id(files)[7:]).write_text("{")
    assert engine.images() == ["app:1"]
    assert usage(engine)["Images"]["TotalCount"] == "1"
    assert "the configuration" in engine.fails("image", "inspect", "app:1")
    assert "the configuration" in engine.fails("run", "--rm", "app:1", code=125)
    engine.ok("rmi", "app:1")
    engine.ok("image", "prune", "-f")
    assert engine.leftovers() == []


def test_a_missing_snapshot_is_unpacked_again(engine: ImageEngine) -> None:
    engine.load(docker_archive("app:1", [base(PASSWD, GROUP), small("text")]))
    (upper,) = [name for name in engine.trees() if name != digest(base(PASSWD, GROUP))]
    shutil.rmtree(engine.root / "snapshots/overlay" / upper)
    result = engine("system", "check")
    assert result.code == 1
    assert f"snapshot {upper} is missing, and image app:1 needs it" in result.out
    result = engine("system", "check", "--repair")
    assert f"snapshot {upper} was missing: unpacked again" in result.out
    engine.is_sound()
    assert engine.ok("run", "--rm", "app:1", "cat", "/a/file") == "text"


def test_a_damaged_index_is_set_aside_and_nothing_is_taken_before(engine: ImageEngine) -> None:
    archive = docker_archive("app:1", [base(PASSWD, GROUP)])
    engine.load(archive)
    engine.ok("run", "--name", "user", "app:1", "true")
    blobs = engine.blobs()
    (engine.root / "images/index.json").write_text('{"manifests": [')
    said = "is damaged"
    for command in (
        ("images",),
        ("rmi", "app:1"),
        ("image", "prune", "-f"),
        ("tag", "app:1", "app:2"),
        ("system", "df"),
    ):
        assert said in engine(*command).err
    assert said in engine("load", given=archive).err
    assert "index.json is damaged: 'orlop system check --repair' has it moved aside" in engine("system", "check").out
    assert engine.blobs() == blobs
    result = engine("system", "check", "--repair")
    assert result.code == 0, result
    assert "the images have no names" in result.out
    assert engine.images() == []
    assert engine.ok("inspect", "--format", "{{.State.Status}}", "user") == "exited\n"
    engine.load(archive)
    engine.is_sound()
    assert engine.ok("run", "--rm", "app:1", "echo", "again") == "again\n"


def test_everything_is_verified_and_counted(engine: ImageEngine) -> None:
    assert engine.ok("system", "check") == "0 blobs verified (0B): no problems\n"
    engine.load(docker_archive("app:1", [small("1"), small("2")]))
    assert engine.ok("system", "check").startswith("4 blobs verified (")
