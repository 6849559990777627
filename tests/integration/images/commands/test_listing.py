"""``orlop images``, ``history`` and ``image inspect``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.images.commands.archives import (
    CREATED,
    config,
    digest,
    docker_archive,
    docker_files,
    image_id,
    small,
    tar,
)

if TYPE_CHECKING:
    from tests.integration.images.commands.conftest import ImageEngine

OLD = docker_files("old/app:1", [small("old")], {"Labels": {"stage": "test"}}, created="2001-02-03T04:05:06Z")
APP = docker_files("app:1", [small("app")], {"Labels": {"stage": "live"}})
LOST = docker_files("app:2", [small("lost")])
LAST = docker_files("app:2", [small("last")], created="2024-05-01T00:00:00+02:00")


@pytest.fixture(scope="module")
def listed(shelf: ImageEngine) -> ImageEngine:
    """An engine with four images, one of them without a name."""
    for files in (OLD, APP, LOST, LAST):
        shelf.load(tar(files))
    shelf.ok("tag", "app:1", "localhost:5000/team/app:1")
    return shelf


def ids(*images: dict[str, bytes]) -> list[str]:
    return [image_id(each)[7:19] for each in images]


def rows(engine: ImageEngine, *arguments: str) -> list[list[str]]:
    """The table without its last two columns, in words."""
    return [line.split()[:3] for line in engine.ok("images", *arguments).splitlines()]


def test_all_images_are_listed_with_the_newest_first(listed: ImageEngine) -> None:
    last, app, lost, old = ids(LAST, APP, LOST, OLD)
    title, *found = rows(listed)
    assert title == ["REPOSITORY", "TAG", "IMAGE"]
    assert found[0] == ["app", "2", last]
    assert sorted(found[1:-1]) == [["<none>", "<none>", lost], ["app", "1", app], ["localhost:5000/team/app", "1", app]]
    assert found[-1] == ["old/app", "1", old]
    assert listed.ok("images", "-a") == listed.ok("image", "ls") == listed.ok("image", "list")


def test_quiet_shows_each_id_once(listed: ImageEngine) -> None:
    assert sorted(listed.ok("images", "-q").split()) == sorted(ids(LAST, APP, LOST, OLD))
    assert listed.ok("images", "-q", "--no-trunc", "app:1") == f"{image_id(APP)}\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["app"], ["app:1", "app:2"]),
        (["app:1"], ["app:1"]),
        (["nothing"], []),
        (["*/app"], ["old/app:1"]),
        (["docker.io/library/app"], ["app:1", "app:2"]),
        (["old/app", "-f", "reference=app:1"], ["app:1", "old/app:1"]),
        (["localhost:5000/team/app"], ["localhost:5000/team/app:1"]),
        (["-f", "dangling=true"], ["<none>:<none>"]),
        (["-f", "dangling=false", "app"], ["app:1", "app:2"]),
        (["-f", "label=stage"], ["app:1", "localhost:5000/team/app:1", "old/app:1"]),
        (["-f", "label=stage=test"], ["old/app:1"]),
        (["-f", "before=app:1"], ["old/app:1"]),
        (["-f", "since=app:1"], ["app:2"]),
        (["-f", "until=2010-01-01T00:00:00Z"], ["old/app:1"]),
        (["-f", "reference=*/app"], ["old/app:1"]),
        (["-f", "reference=app:*"], ["app:1", "app:2"]),
        (["-f", "reference=localhost:5000/*/app:[0-9]"], ["localhost:5000/team/app:1"]),
        (["-f", "label=stage", "-f", "before=app:2"], ["app:1", "localhost:5000/team/app:1", "old/app:1"]),
    ],
)
def test_images_are_chosen_by_name_and_by_filters(
    listed: ImageEngine, arguments: list[str], expected: list[str]
) -> None:
    assert listed.images(*arguments) == expected


def test_a_filter_that_cannot_be_right_is_refused(listed: ImageEngine) -> None:
    assert "color" in listed.fails("images", "-f", "color=red")
    assert "maybe" in listed.fails("images", "-f", "dangling=maybe")
    assert listed.fails("images", "-f", "before=nothing") == "No such image: nothing"
    assert "[" in listed.fails("images", "-f", "reference=[")
    assert "UPPER" in listed.fails("images", "UPPER")


def test_the_format_may_be_a_template_a_table_of_one_or_json(listed: ImageEngine) -> None:
    short = ids(OLD)[0]
    assert listed.ok("images", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}", "old/app") == f"{short} old/app:1\n"
    table = listed.ok("images", "--format", "table {{.Tag}}\t{{.ID}}", "old/app").split()
    assert table == ["TAG", "IMAGE", "ID", "1", short]
    line = json.loads(listed.ok("images", "--format", "json", "old/app"))
    assert (line["Repository"], line["Tag"], line["ID"], line["Digest"]) == ("old/app", "1", short, "<none>")
    assert line["CreatedAt"].startswith("2001-02-03")
    assert line["CreatedSince"].endswith(" years ago")
    assert listed.ok("images", "--no-trunc", "--format", "{{.ID}}", "old/app").strip() == image_id(OLD)
    assert "Nonsense" in listed.fails("images", "--format", "{{.Nonsense}}")


def test_digests_have_a_column_if_they_are_wanted(listed: ImageEngine) -> None:
    assert listed.ok("images", "--digests", "old/app").splitlines()[0].split()[:4] == [
        "REPOSITORY",
        "TAG",
        "DIGEST",
        "IMAGE",
    ]


HISTORY: list[dict[str, Any]] = [
    {"created": CREATED, "created_by": "ADD file:0123 in /"},
    {"created": CREATED, "created_by": "CMD [\"sh\"]", "empty_layer": True},
    {"created": "2024-03-01T00:00:00Z", "created_by": "RUN " + "x" * 60, "comment": "made by\thand"},
]  # fmt: skip


def test_history_shows_the_steps_with_the_sizes_of_their_layers(shelf: ImageEngine) -> None:
    files = docker_files("history:1", [small("one"), small("x" * 100_000)], history=HISTORY)
    shelf.load(tar(files))
    title, last, command, first = shelf.ok("history", "history:1").splitlines()
    assert title.split() == ["IMAGE", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]
    assert last.startswith(image_id(files)[7:19])
    assert "RUN xxx" in last
    assert "…" in last
    assert "made by" in last
    assert first.startswith("<missing>")
    assert command.split()[-1] == "0B"
    found = [
        json.loads(line) for line in shelf.ok("history", "--no-trunc", "--format", "json", "history:1").split("\n")[:-1]
    ]
    assert [each["CreatedBy"] for each in found] == [step["created_by"] for step in reversed(HISTORY)]
    assert found[0]["ID"] == image_id(files)
    sizes = [int(size) for size in shelf.ok("history", "-H=false", "--format", "{{.Size}}", "history:1").split()]
    assert sizes[0] >= 100_000
    assert sizes[1] == 0
    assert 0 < sizes[2] < 100_000
    assert shelf.ok("history", "-q", "history:1").split() == [image_id(files)[7:19], "<missing>", "<missing>"]
    assert shelf.fails("history", "nothing") == "No such image: nothing"


def test_an_image_without_history_has_none(shelf: ImageEngine) -> None:
    shelf.load(docker_archive("silent:1", [small("silent")], history=None))
    assert shelf.ok("history", "silent:1").count("\n") <= 2


EXECUTION: dict[str, Any] = {
    "User": "web",
    "Env": ["PATH=/bin", "A=b"],
    "Cmd": ["x"],
    "Entrypoint": ["/bin/echo", "y"],
    "WorkingDir": "/srv",
    "Labels": {"k": "v"},
    "ExposedPorts": {"80/tcp": {}},
    "Volumes": {"/data": {}},
    "StopSignal": "SIGINT",
    "Healthcheck": {"Test": ["CMD", "true"], "Interval": 30000000000},
    "Shell": ["/bin/sh", "-c"],
}


def test_inspect_shows_all_of_the_configuration(shelf: ImageEngine) -> None:
    layers = [small("1"), small("2")]
    files = docker_files("full:1", layers, EXECUTION, author="somebody", variant="v7", architecture="arm")
    shelf.load(tar(files))
    shelf.ok("tag", "full:1", "more:2")
    found = shelf.image("full:1")
    assert found["Id"] == image_id(files)
    assert found["RepoTags"] == ["full:1", "more:2"]
    assert found["RepoDigests"] == []
    assert (found["Os"], found["Architecture"], found["Variant"]) == ("linux", "arm", "v7")
    assert (found["Created"], found["Author"]) == (CREATED, "somebody")
    assert found["RootFS"] == {"Type": "layers", "Layers": [digest(each) for each in layers]}
    assert {key: found["Config"][key] for key in EXECUTION} == EXECUTION
    assert found["Size"] > 0
    assert shelf.ok("image", "inspect", "-f", '{{.Config.User}} {{index .Config.Labels "k"}}', "full:1") == "web v\n"
    assert json.loads(shelf.ok("inspect", "--type", "image", "full:1"))[0] == found
    assert json.loads(shelf.ok("inspect", image_id(files)[7:17]))[0] == found


def test_inspect_tells_containers_from_images_and_complains_of_neither(shelf: ImageEngine) -> None:
    shelf.load(docker_archive("app:3"))
    result = shelf("image", "inspect", "app:3", "nothing")
    assert result.code == 1
    assert [each["RepoTags"] for each in json.loads(result.out)] == [["app:3"]]
    assert result.err == "Error: No such image: nothing\n"
    result = shelf("inspect", "--type", "container", "app:3")
    assert (result.code, json.loads(result.out)) == (1, [])
    result = shelf("inspect", "nothing")
    assert (result.code, result.out, result.err) == (1, "[]\n", "Error: No such object: nothing\n")


def test_a_broken_configuration_is_refused_when_it_is_loaded(engine: ImageEngine) -> None:
    files = docker_files("app:1")
    name = next(each for each in files if each.endswith(".json") and each != "manifest.json")
    files[name] = config([small()], {"Env": "not a list"})
    assert "Env of" in engine.fails("load", given=tar(files))
    assert engine.leftovers() == []


def test_an_image_for_another_platform_than_the_one_asked_for_is_refused(listed: ImageEngine) -> None:
    name = "app:1"
    image = listed.image(name)
    here = f"{image['Os']}/{image['Architecture']}"
    for words in (["history"], ["image", "inspect"], ["save"], ["push"], ["rmi"]):
        refused = listed.fails(*words, "--platform", "linux/riscv64", name)
        assert refused == (
            f"image with reference {name} was found but does not provide the specified platform (linux/riscv64): "
            f"it is for {here}"
        )
    assert listed("history", "-q", "--platform", here, name).code == 0
