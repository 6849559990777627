"""A log that dockerd writes and one that we write of the same output are the same but for their times."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from orlop.engine import log_file, log_local
from orlop.engine.log_file import LogFile
from orlop.engine.log_local import LocalLog
from tests.integration.interop.docker import IMAGE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.interop.docker import Docker

OUTPUT = b"".join(
    [
        b"plain\n\n",
        b'"quoted" and \\ and <html> & more\ttab\r\n',
        bytes(each for each in range(32) if each not in b"\n") + b"\x7f\n",
        "grüße \u2028 \u2029 \U0001f600\n".encode(),
        b"broken \xff\xfe \xe2\x82 end\n",
        b"x" * 40000 + b"\n",
        b"unfinished",
    ]
)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    path = tmp_path / "output"
    path.write_bytes(OUTPUT)
    return path


def run(docker: Docker, output: Path, driver: str) -> Path:
    """Have dockerd log the output; the container's directory."""
    name = docker.start("--log-driver", driver, "-v", f"{output}:/output:ro", IMAGE, "cat", "/output")
    assert docker("wait", name).code == 0
    identity: str = docker.inspect(name)["Id"]
    return docker.home.directory / "data/containers" / identity


def without_time(line: str) -> str:
    head, _, tail = line.rpartition('"time":"')
    assert tail.endswith('Z"}')
    return head


def test_a_json_file_has_the_same_bytes(docker: Docker, output: Path, tmp_path: Path) -> None:
    directory = run(docker, output, "json-file")
    theirs = next(directory.glob("*-json.log")).read_text().splitlines()
    log = LogFile(log_file.open_log(str(tmp_path / "json.log")), lambda: (str(tmp_path / "json.log"), {}, ""))
    log.write("stdout", OUTPUT)
    log.close()
    ours = (tmp_path / "json.log").read_text().splitlines()
    assert [without_time(line) for line in ours] == [without_time(line) for line in theirs]
    assert set(json.loads(ours[0])) == set(json.loads(theirs[0]))


def test_a_local_log_of_docker_s_is_read_and_ours_is_like_it(docker: Docker, output: Path, tmp_path: Path) -> None:
    theirs = records(run(docker, output, "local") / "local-logs/container.log")
    log = LocalLog(str(tmp_path / "logs/container.log"), {})
    log.write("stdout", OUTPUT)
    log.close()
    ours = records(tmp_path / "logs/container.log")
    # Lines that are so long that they have several records have other ones: Docker keeps a megabyte of each in memory.
    assert [text for _, text in ours if len(text) < 100] == [text for _, text in theirs if len(text) < 100]
    assert b"".join(text for _, text in ours) == b"".join(text for _, text in theirs) == OUTPUT
    assert {stream for stream, _ in theirs} == {"stdout"}


def records(path: Path) -> list[tuple[str, bytes]]:
    data = path.read_bytes()
    parsed = [log_local.parse(data[begin + 4 : end - 4]) for begin, end in log_local.records(data)]
    return [(stream, text) for stream, _, text in parsed]
