"""What `ps`, `inspect` and `version` show, filtered and in formats of the user's."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.engine.conftest import Engine


@pytest.fixture(scope="module")
def three(shared: Engine) -> Iterator[Engine]:
    """An engine with the containers one (ended with 3), two (running) and three (ended with 0), made in that order."""
    shared("run", "--name", "one", "-l", "kind=test", "-l", "a.b=x-y", "--rootfs", "ROOTFS", "sh", "-c", "exit 3")
    shared.detached("two", "-l", "kind=other", "-v", "/tmp:/host", "sleep", "1000")
    shared("run", "--name", "three", "-l", "kind=test", "--network", "none", "--rootfs", "ROOTFS", "echo", 'say "hi"')
    yield shared
    shared.ok("rm", "-f", "one", "two", "three")


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ([], ["two"]),
        (["-a"], ["three", "two", "one"]),
        (["-l"], ["three"]),
        (["-n", "2"], ["three", "two"]),
        (["-f", "status=exited"], ["three", "one"]),
        (["-f", "status=exited", "-f", "status=running"], ["three", "two", "one"]),
        (["-a", "-f", "exited=3"], ["one"]),
        (["-a", "-f", "label=kind=test"], ["three", "one"]),
        (["-a", "-f", "label=kind=test", "-f", "label=a.b"], ["one"]),
        (["-a", "--filter", "name=^t"], ["three", "two"]),
        (["-a", "--filter", "name=^/two$"], ["two"]),
        (["-a", "--filter=before=two"], ["one"]),
        (["-a", "--filter=since=one"], ["three", "two"]),
        (["-a", "-f", "volume=/host"], ["two"]),
        (["-a", "-f", "volume=/tmp"], ["two"]),
        (["-a", "-f", "name=one", "-f", "label=kind=other"], []),
    ],
)
def test_ps_lists_the_containers_that_pass_the_filters(three: Engine, options: list[str], names: list[str]) -> None:
    assert three.ok("ps", "--format", "{{.Names}}", *options).split() == names


def test_ps_takes_ids_and_images_as_filters(three: Engine) -> None:
    (container_id,) = three.ok("ps", "-q").split()
    assert three.ok("ps", "-aq", "--filter", f"id={container_id[:6]}").split() == [container_id]
    assert len(three.ok("ps", "-aq", "--filter", f"ancestor={three.rootfs}").split()) == 3


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["-f", "colour=red"], "invalid filter 'colour': must be one of ancestor, before, exited"),
        (["-f", "status=odd"], "invalid filter 'status=odd': must be one of created"),
        (["-f", "before=nobody"], "No such container: nobody"),
        (["--format", "{{.Nmaes}}"], "column 3: there is no field .Nmaes; did you mean .Names"),
        (["--format", "{{.Names"], 'column 1: "{{" without "}}"'),
    ],
)
def test_ps_refuses_what_it_does_not_understand(three: Engine, arguments: list[str], complaint: str) -> None:
    result = three("ps", *arguments)
    assert result.code != 0
    assert result.out == ""
    assert complaint in result.err


def test_ps_prints_tables_and_objects_of_the_user_s_choice(three: Engine) -> None:
    table = three.ok("ps", "-a", "--format", r'table {{.Names}}\t{{.State}}\t{{.Label "a.b"}}').splitlines()
    assert table == [
        "NAMES     STATE     b",
        "three     exited    ",
        "two       running   ",
        "one       exited    x-y",
    ]
    rows = [json.loads(line) for line in three.ok("ps", "-a", "--format=json").splitlines()]
    assert [row["Labels"] for row in rows] == ["kind=test", "kind=other", "a.b=x-y,kind=test"]
    assert rows[0]["Command"] == r'''"echo 'say \"hi\"'"'''
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} \w+", rows[0]["CreatedAt"])
    assert rows[1]["Mounts"] == "/tmp"
    assert three.ok("ps", "--format", "raw").splitlines()[2] == 'command: "sleep 1000"'


def test_ps_shows_a_table_as_docker_does(three: Engine) -> None:
    header, row = three.ok("ps").splitlines()
    assert [header.index(title) for title in ("CONTAINER ID", "IMAGE", "COMMAND")] == [0, 15, row.index('"sleep')]
    assert row.endswith("   two")
    assert header.index("NAMES") == row.index("two")


def test_inspect_formats_each_container(three: Engine) -> None:
    template = "{{.Name}} {{range .Mounts}}{{.Destination}}{{else}}none{{end}} {{index .Config.Labels `kind`}}"
    assert three.ok("inspect", "-f", template, "one", "two").splitlines() == ["/one none test", "/two /host other"]
    assert three.ok("inspect", "-f", "{{if .State.Health}}checked{{else}}unchecked{{end}}", "one") == "unchecked\n"
    assert three.ok("inspect", "-f", "{{.Config.Entrypoint}} {{.Config.Volumes}}", "one") == "[] map[]\n"
    assert 'without "}}"' in three("inspect", "-f", "{{.Id", "nobody").err
    refused = three("inspect", "-f", "{{.State.Statsu}}", "one")
    assert refused.code != 0
    assert "did you mean .Status" in refused.err


def test_inspect_as_json_is_one_list_on_one_line(three: Engine) -> None:
    (line,) = three.ok("inspect", "--format", "json", "one", "two").splitlines()
    assert [each["Name"] for each in json.loads(line)] == ["/one", "/two"]


def test_version_takes_a_template(three: Engine) -> None:
    assert three.ok("version", "--format", '{{.Os | upper | printf "%-6s|"}}') == "LINUX |\n"
    assert set(json.loads(three.ok("version", "--format", "json"))) == {"Client", "Server"}
    assert three.ok("version", "--format", "{{.Client.Os}} {{.Server.Os}}") == "linux linux\n"
    versions = three.ok("version", "--format", "{{.Server.Version}} {{.Client.Version}} {{.Client.APIVersion}}").split()
    assert versions[0] == versions[1]
    assert f" API version:       {versions[2]}\n" in three.ok("version")
