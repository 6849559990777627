"""``orlop tag`` and ``orlop rmi``: what is only a name, what is an image, and what a container still needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.engine.image_maker import GROUP, PASSWD, base
from tests.integration.images.commands.archives import docker_archive, docker_files, image_id, small, tar

if TYPE_CHECKING:
    from tests.integration.images.commands.conftest import ImageEngine


def test_a_tag_is_a_further_name_of_the_same_image(engine: ImageEngine) -> None:
    engine.load(docker_archive("app:1"))
    engine.ok("tag", "app:1", "other/app")
    engine.ok("tag", engine.image("app:1")["Id"][7:17], "localhost:5000/app:2")
    assert engine.images() == ["app:1", "localhost:5000/app:2", "other/app:latest"]
    assert engine.image("app:1")["RepoTags"] == ["app:1", "other/app:latest", "localhost:5000/app:2"]
    engine.ok("tag", "app:1", "app:1")
    assert len(engine.images()) == 3


def test_a_wrong_tag_says_what_is_wrong(engine: ImageEngine) -> None:
    engine.load(docker_archive("app:1"))
    assert engine.fails("tag", "nothing", "app:2") == "No such image: nothing"
    assert "app:" in engine.fails("tag", "app:1", "app:")
    assert "UPPER" in engine.fails("tag", "app:1", "UPPER")
    digest = "sha256:" + "0" * 64
    assert "refusing to create a tag with a digest reference" in engine.fails("tag", "app:1", f"app@{digest}")
    assert engine.images() == ["app:1"]


def test_removing_one_of_several_names_leaves_the_image(engine: ImageEngine) -> None:
    engine.load(docker_archive("app:1"))
    engine.ok("tag", "app:1", "app:2")
    assert engine.ok("rmi", "app:1") == "Untagged: app:1\n"
    assert engine.images() == ["app:2"]
    engine.is_sound()


def test_removing_the_last_name_removes_everything(engine: ImageEngine) -> None:
    files = docker_files("app:1", [small("1"), small("2")])
    engine.load(tar(files))
    lines = engine.ok("rmi", "app:1").splitlines()
    assert lines[:2] == ["Untagged: app:1", f"Deleted: {image_id(files)}"]
    assert len(lines) == 4
    assert engine.leftovers() == []


def test_layers_that_another_image_has_stay(engine: ImageEngine) -> None:
    engine.load(docker_archive("one:1", [small("shared"), small("one")]))
    engine.load(docker_archive("two:1", [small("shared"), small("two")]))
    assert len(engine.trees()) == 3
    assert len(engine.ok("rmi", "one:1").splitlines()) == 3
    assert len(engine.trees()) == 2
    engine.is_sound()
    engine.ok("rmi", "two:1")
    assert engine.leftovers() == []


def test_removing_by_id_takes_the_only_name_too(engine: ImageEngine) -> None:
    files = docker_files("app:1")
    engine.load(tar(files))
    lines = engine.ok("rmi", image_id(files)[7:19]).splitlines()
    assert lines[:2] == ["Untagged: app:1", f"Deleted: {image_id(files)}"]
    assert engine.leftovers() == []


def test_removing_by_id_what_has_several_names_takes_force(engine: ImageEngine) -> None:
    files = docker_files("app:1")
    engine.load(tar(files))
    engine.ok("tag", "app:1", "app:2")
    short = image_id(files)[7:19]
    assert engine.fails("rmi", short) == (
        f"cannot remove image {short}: it is referenced by several names (app:1, app:2); "
        "remove it by its names or use --force"
    )
    assert engine.images() == ["app:1", "app:2"]
    lines = engine.ok("rmi", "-f", short).splitlines()
    assert lines[:3] == ["Untagged: app:1", "Untagged: app:2", f"Deleted: {image_id(files)}"]
    assert engine.leftovers() == []


def test_each_image_is_removed_or_complained_of_in_its_turn(engine: ImageEngine) -> None:
    engine.load(docker_archive("app:1"))
    result = engine("rmi", "nothing", "app:1", "BAD")
    assert result.code == 1
    assert result.out.startswith("Untagged: app:1\nDeleted: ")
    assert result.err.splitlines()[0] == "Error: No such image: nothing"
    assert "BAD" in result.err.splitlines()[1]
    result = engine("rmi", "-f", "nothing")
    assert (result.code, result.err) == (0, "Error: No such image: nothing\n")


def test_no_prune_leaves_blobs_and_snapshots_until_something_is_pruned(engine: ImageEngine) -> None:
    engine.load(docker_archive("app:1"))
    blobs = engine.blobs()
    assert len(engine.ok("rmi", "--no-prune", "app:1").splitlines()) == 2
    assert engine.images() == []
    assert engine.blobs() == blobs
    assert len(engine.trees()) == 1
    engine.ok("image", "prune", "-f")
    assert engine.leftovers() == []


def test_a_stopped_container_keeps_its_image_unless_force_is_used(engine: ImageEngine) -> None:
    files = docker_files("app:1", [base(PASSWD, GROUP)])
    engine.load(tar(files))
    engine.ok("run", "--name", "user", "app:1", "true")
    short = image_id(files)[7:19]
    assert engine.fails("rmi", "app:1") == (
        "cannot remove the name app:1, the image's last: the stopped container user uses it; "
        "remove that first or use --force"
    )
    assert engine.fails("rmi", short) == (
        f"cannot remove image {short}: the stopped container user uses it; remove that first or use --force"
    )
    assert engine.ok("rmi", "-f", "app:1") == f"Untagged: app:1\nDeleted: {image_id(files)}\n"
    assert engine.images() == []
    assert len(engine.trees()) == 2  # the container's files stay
    engine.ok("export", "-o", str(engine.home / "files.tar"), "user")
    engine.is_sound()
    engine.ok("rm", "user")
    engine.ok("image", "prune", "-f")
    assert engine.leftovers() == []


def test_a_running_container_keeps_its_image_whatever_is_said(engine: ImageEngine) -> None:
    files = docker_files("app:1", [base(PASSWD, GROUP)])
    engine.load(tar(files))
    engine.ok("tag", "app:1", "app:2")
    engine.ok("run", "-d", "--name", "user", "app:1", "sleep", "1000")
    short = image_id(files)[7:19]
    assert engine.ok("rmi", "app:1") == "Untagged: app:1\n"
    refused = f"cannot remove image {short}: the running container user uses it; stop and remove that first"
    assert engine.fails("rmi", short) == refused
    assert engine.fails("rmi", "-f", short) == refused
    assert "the running container user uses it; remove that first or use --force" in engine.fails("rmi", "app:2")
    assert engine.ok("rmi", "-f", "app:2") == "Untagged: app:2\n"
    assert engine.images() == ["<none>:<none>"]
    assert engine.ok("exec", "user", "cat", "/etc/passwd").startswith("root:")
    engine.is_sound()


def test_pruning_images_takes_what_no_container_uses(engine: ImageEngine) -> None:
    engine.load(docker_archive("used:1", [base(PASSWD, GROUP)]))
    engine.load(docker_archive("moved:1", [small("old")]))
    engine.load(docker_archive("moved:1", [small("new")]))
    engine.ok("run", "--name", "user", "used:1", "true")
    assert engine.images() == ["<none>:<none>", "moved:1", "used:1"]
    out = engine.ok("image", "prune", given=b"n\n")
    assert out.startswith("WARNING! This will remove all dangling images.\n")
    assert len(engine.images()) == 3
    out = engine.ok("image", "prune", given=b"y\n")
    assert "\ndeleted: sha256:" in out
    assert "Total reclaimed space: " in out
    assert engine.images() == ["moved:1", "used:1"]
    out = engine.ok("image", "prune", "-a", "-f")
    assert out.startswith("Deleted Images:\nuntagged: moved:1\ndeleted: sha256:")
    assert engine.images() == ["used:1"]
    engine.is_sound()


def test_pruning_can_be_limited_by_labels_and_age(engine: ImageEngine) -> None:
    for name, labels in (("a", {"keep": "yes"}), ("b", {"keep": "no"}), ("c", {})):
        engine.load(docker_archive(f"{name}:1", [small(name)], {"Labels": labels}))
    engine.ok("image", "prune", "-af", "--filter", "until=2024-01-01T00:00:00Z")
    assert len(engine.images()) == 3
    engine.ok("image", "prune", "-af", "--filter", "label=keep=no")
    assert engine.images() == ["a:1", "c:1"]
    engine.ok("image", "prune", "-af", "--filter", "label!=keep")
    assert engine.images() == ["a:1"]
    engine.ok("image", "prune", "-af", "--filter", "until=24h")
    assert engine.images() == []
    assert "color" in engine.fails("image", "prune", "-f", "--filter", "color=red")


def test_pruning_the_system_takes_stopped_containers_then_images(engine: ImageEngine) -> None:
    engine.load(docker_archive("app:1", [base(PASSWD, GROUP)], {"Volumes": {"/data": {}}, "Env": ["PATH=/bin"]}))
    engine.load(docker_archive("idle:1"))
    engine.ok("run", "-d", "--name", "running", "app:1", "sleep", "1000")
    stopped = engine.ok("run", "-d", "--name", "stopped", "app:1", "true").strip()
    engine.ok("stop", "stopped")
    out = engine.ok("system", "prune", given=b"y\n")
    assert "  - all stopped containers\n" in out
    assert f"Deleted Containers:\n{stopped}\n" in out
    assert engine.names() == ["running"]
    assert engine.images() == ["app:1", "idle:1"]
    out = engine.ok("system", "prune", "-a", "-f", "--volumes")
    assert "untagged: idle:1" in out
    assert engine.images() == ["app:1"]
    assert engine.ok("exec", "running", "ls", "/data") == ""
    engine.ok("rm", "-f", "running")
    engine.ok("system", "prune", "-a", "-f", "--volumes")
    assert engine.leftovers() == []


def test_a_container_whose_image_s_name_means_another_one_now_is_listed_with_the_id(engine: ImageEngine) -> None:
    def listed(*words: str) -> list[str]:
        return sorted(engine.ok("ps", "-a", "--format", "{{.Names}} {{.Image}}", *words).splitlines())

    engine.load(docker_archive("app:latest", [base(PASSWD, GROUP)]))
    old = engine.image("app")["Id"]
    for name, image in (("by-name", "app"), ("by-id", old[7:15]), ("whole", "docker.io/library/app:latest")):
        engine.ok("create", "--name", name, image, "true")
    named = ["by-id " + old[7:15], "by-name app", "whole docker.io/library/app:latest"]
    assert listed() == named
    engine.load(docker_archive("app:latest", [base(PASSWD, GROUP), small("new")]))
    assert listed() == ["by-id " + old[7:15], "by-name " + old[7:19], "whole " + old[7:19]]
    assert f"by-name {old}" in listed("--no-trunc")
    engine.ok("tag", old, "app")
    assert listed() == named
    engine.ok("rm", "--all")
