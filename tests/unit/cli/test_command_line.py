"""What the command line makes of words before it does anything."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from orlop import cli

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("inspct x", "'inspct' is not an orlop command (did you mean 'orlop inspect'?); see 'orlop --help'"),
        ("zzz", "'zzz' is not an orlop command; see 'orlop --help'"),
        (
            "image lss",
            "'lss' is not a command of 'orlop image' (did you mean 'orlop image ls'?); see 'orlop image --help'",
        ),
        ("swarm init", "there is no 'orlop swarm': orlop is no orchestrator and has no swarm"),
        ("context use elsewhere", 'context "elsewhere": not found: there is only "default", which is this machine'),
        ("--context elsewhere ps", 'context "elsewhere" not found: there is only "default", which is this machine'),
        (
            "-H ssh://user@far ps",
            "orlop works on this machine and connects to no daemon at ssh://user@far: leave --host out",
        ),
    ],
)
def test_what_is_not_there_is_said_in_one_line(line: str, complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(line.split()) == 1
    assert capsys.readouterr().err == f"orlop: {complaint}\n"


def test_options_before_the_command_that_scripts_give_docker_are_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", "/nowhere")
    options = ["--config", str(tmp_path), "-c", "default", "-D", "-l", "error", "-H", "unix:///var/run/docker.sock"]
    assert cli.main([*options, "context", "show"]) == 0
    assert os.environ["DOCKER_CONFIG"] == str(tmp_path)
    assert cli.main(["--log-level", "loud", "context", "show"]) == 125
    assert capsys.readouterr().out == "default\n"


def test_there_is_one_context_and_it_says_where_clients_find_the_engine(capsys: pytest.CaptureFixture[str]) -> None:
    engine = ["--run-root", "/run/of-test", "context"]
    assert cli.main([*engine, "ls"]) == 0
    name, current, *_ = capsys.readouterr().out.splitlines()[1].split()
    assert (name, current) == ("default", "*")
    assert cli.main([*engine, "ls", "--format", "{{.Name}} {{.Current}} {{.DockerEndpoint}}"]) == 0
    assert cli.main([*engine, "inspect", "-f", "{{.Endpoints.docker.Host}}"]) == 0
    place = "unix:///run/of-test/docker.sock"
    assert capsys.readouterr().out == f"default true {place}\n{place}\n"
    assert cli.main([*engine, "use", "default"]) == 0
    assert cli.main([*engine, "inspect"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out.removeprefix("default\n"))[0]["Name"] == "default"
    assert captured.err == 'Current context is now "default"\n'
