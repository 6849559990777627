"""The same lines given to docker, which asks Debian's dockerd, and to orlop: what scripts see is the same.

What can only differ is replaced before the two are compared: ids, moments, sizes, and the names of the programs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.engine.conftest import Engine
from tests.integration.interop.docker import IMAGE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.interop.docker import Docker

_STARTED = (
    "run", "-d", "--name", "same", "--network=none", "-e", "A=1", "-l", "x.y=z", "-v", "same-volume:/kept",
    "--tmpfs", "/t", "--cap-add", "net_admin", "--memory", "64m", "--restart", "on-failure:2", "--expose", "90", "--ulimit",
    "nofile=77:88", "--pids-limit", "50", "--stop-timeout", "0", "--health-cmd", "true", "--health-interval", "1h", IMAGE, "sleep",
    "1000",
)  # fmt: skip

LINES = [
    "ps",
    "ps --format json",
    "ps -aq --no-trunc --filter label=x.y=z",
    "ps --format 'table {{.ID}}\t{{.Names}}\t{{.Label \"x.y\"}}\t{{.LocalVolumes}}\t{{.Mounts}}'",
    "ps --format '{{.Image}} {{.Command}} {{.CreatedAt}} {{.RunningFor}} {{.State}} {{.Networks}} {{.Ports}}|'",
    "ps --filter name=nobody",
    "inspect same -f '{{.HostConfig.RestartPolicy}}{{.HostConfig.LogConfig}}{{.Config.ExposedPorts}}{{.Config.Volumes}}'",
    "inspect same -f '{{json .Config.Labels}}{{.Config.Env}}{{.Path}}{{.Args}}{{.HostConfig.Binds}}{{.HostConfig.CapAdd}}'",
    "inspect same -f '{{range .Mounts}}{{.Type}} {{.Destination}} {{.RW}};{{end}}{{index .Config.Labels \"x.y\"}}'",
    "inspect same -f '{{.State.Status}}{{.State.Running}}{{.State.ExitCode}}{{.RestartCount}}{{.Name}}{{.NetworkSettings.Ports}}'",
    "container inspect same -f '{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.PidsLimit}} {{.HostConfig.CpuCount}}'",
    "volume ls --filter name=same -q",
    "volume inspect same-volume -f '{{.Name}} {{.Driver}} {{.Labels}} {{.Options}} {{.Scope}} {{.Status}}'",
    "image inspect NAME -f '{{.RepoTags}} {{.RootFS.Type}} {{.Os}} {{.Architecture}} {{.Config.Env}}'",
    "history NAME --format '{{.ID}} {{.CreatedSince}} {{.CreatedBy}}'",
    "images NAME --format '{{.Repository}}:{{.Tag}} {{.ID}} {{.Digest}}'",
    "exec same sh -c 'echo $A; exit 3'",
    "exec -w /t -e B=2 same sh -c 'pwd; echo $B'",
    "top same -o pid,comm",
    "port same",
    "logs same",
    "cp same:/etc/nobody -",
    "update --restart=no same",
    "rename same same",
    "rename same other",
    "rename other same",
    "stop nobody",
    "rm same",
    "inspect nobody",
    "image inspect nobody",
    "volume rm same-volume",
    "ps --nobody",
    "ps --filter nobody=1",
    "kill -s NOTHING same",
    "run --rm --restart always NAME true",
    "run -it NAME true",
    "run --name same NAME true",
    "stop same",
    "wait same",
    "exec same true",
    "events --since 1m --until 0s --filter container=same --filter event=rename --format '{{.Type}} {{.Action}} {{.Actor.Attributes.oldName}}'",
    "rm -v same nobody",
    "volume rm same-volume",
]  # fmt: skip

#: Fields that only this older dockerd has, or that newer ones have besides.
_OLDER = {"KernelMemory", "KernelMemoryTCP"}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory, root_filesystem: Path, archive: Path) -> Iterator[Engine]:
    engine = Engine(tmp_path_factory.mktemp("engine"), root_filesystem)
    engine.ok("import", str(archive), IMAGE)
    engine.ok(*_STARTED)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def theirs(docker: Docker) -> Docker:
    assert docker(*_STARTED).code == 0
    return docker


def test_every_field_of_a_container_is_there_and_of_the_same_type(ours: Engine, theirs: Docker) -> None:
    assert list(_missing(theirs.inspect("same"), ours.inspect("same"))) == []


def _missing(wanted: Any, found: Any, path: str = "") -> Iterator[str]:
    if not isinstance(wanted, dict):
        if type(wanted) is not type(found) and None not in (wanted, found):
            yield f"{path}: {wanted!r} and {found!r}"
        return
    if not isinstance(found, dict):
        yield f"{path}: {wanted!r} and {found!r}"
        return
    for key in wanted.keys() - _OLDER:
        place = f"{path}.{key}"
        if key in found:
            yield from _missing(wanted[key], found[key], place)
        elif wanted[key] is not None and not path.startswith(".GraphDriver"):
            yield place


@pytest.mark.parametrize("line", LINES)
def test_the_same_line_has_the_same_status_and_output(ours: Engine, theirs: Docker, line: str) -> None:
    words = [_unquoted(word) for word in re.findall(r"(?:'[^']*'|[^' ])+", line.replace("NAME", IMAGE))]
    wanted = theirs(*words)
    found = ours(*words)
    assert (found.code, _normal(found.out)) == (wanted.code, _normal(wanted.out)), (wanted.err, found.err)
    assert bool(found.err) is bool(wanted.err), (wanted.err, found.err)


def _unquoted(word: str) -> str:
    return word.replace("'", "")


def _normal(text: str) -> str:
    for pattern, stands in (
        (r"\b[0-9a-f]{64}\b", "ID"),
        (r"\b[0-9a-f]{12}\b", "SHORT"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} \w+", "MOMENT"),
        (r"(About a minute|Less than a second|\d+ seconds?)( ago)?", "AGO"),
        (r"^\d+( +sleep)$", r"PID\1"),
        (r'"Size":"[^"]*"', "SIZE"),
        (r" {2,}", "  "),
    ):
        text = re.sub(pattern, stands, text, flags=re.MULTILINE)
    return text.replace("orlop", "docker")
