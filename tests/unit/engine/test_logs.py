from __future__ import annotations

import json
from pathlib import Path

import pytest

from orlop.engine import log_drivers, log_file, log_reader
from orlop.engine.container import Container
from orlop.engine.location import Location
from orlop.engine.log_file import LogFile
from orlop.errors import InvalidArgument


@pytest.fixture
def target(tmp_path: Path) -> Container:
    """A container with a directory and no log yet."""
    location = Location(str(tmp_path), str(tmp_path / "run"), rootless=False)
    made = Container(location, "a" * 64)
    Path(made.directory).mkdir(parents=True)
    return made


def open_for(target: Container, options: dict[str, str]) -> LogFile:
    return LogFile(log_file.open_log(target.log), lambda: (target.log, options, ""))


def texts(target: Container, tail: int | None = None) -> list[str]:
    return [entry.text for entry in log_reader.read(target, tail=tail)]


def test_each_line_is_one_record_in_docker_s_format(target: Container) -> None:
    log = open_for(target, {})
    log.write("stdout", b"one\ntwo\n")
    log.write("stderr", b'a "quote" and \xff\n')
    log.close()
    records = [json.loads(line) for line in Path(target.log).read_text().splitlines()]
    assert [(each["stream"], each["log"]) for each in records] == [
        ("stdout", "one\n"), ("stdout", "two\n"), ("stderr", 'a "quote" and \N{REPLACEMENT CHARACTER}\n'),
    ]  # fmt: skip
    assert all(set(each) == {"log", "stream", "time"} and each["time"].endswith("Z") for each in records)


def test_a_line_that_comes_in_pieces_is_one_record(target: Container) -> None:
    log = open_for(target, {})
    log.write("stdout", b"on")
    log.write("stderr", b"other\n")
    log.write("stdout", b"e\nlast")
    log.close()
    assert texts(target) == ["other\n", "one\n", "last"]


def test_a_long_line_is_split_and_only_its_end_has_the_newline(target: Container) -> None:
    log = open_for(target, {})
    log.write("stdout", b"x" * (2 * log_file.LONGEST + 10) + b"\nshort\n")
    log.close()
    assert [len(text) for text in texts(target)] == [log_file.LONGEST, log_file.LONGEST, 11, 6]
    assert "".join(texts(target)) == "x" * (2 * log_file.LONGEST + 10) + "\nshort\n"


def test_a_log_is_rotated_and_the_oldest_file_goes(target: Container) -> None:
    log = open_for(target, {"max-size": "1k", "max-file": "2"})
    for number in range(100):
        log.write("stdout", f"line {number}\n".encode())
    log.close()
    assert sorted(path.name for path in Path(target.directory).iterdir()) == ["json.log", "json.log.1"]
    assert all(path.stat().st_size <= 1024 for path in Path(target.directory).iterdir())
    kept = texts(target)
    assert kept[-1] == "line 99\n"
    assert kept == [f"line {number}\n" for number in range(100 - len(kept), 100)]


@pytest.mark.parametrize("tail", [0, 1, 3, 60, 99, 1000])
def test_the_last_lines_are_found_across_rotated_files(target: Container, tail: int) -> None:
    log = open_for(target, {"max-size": "4k", "max-file": "9"})
    for number in range(100):
        log.write("stdout", f"line {number}\n".encode())
    log.close()
    assert texts(target, tail) == [f"line {number}\n" for number in range(max(0, 100 - tail), 100)]


@pytest.mark.parametrize("options", [{"max-size": "x"}, {"max-file": "0"}, {"bogus": "1"}])
def test_wrong_log_options_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(InvalidArgument, match="must be|unknown"):
        log_drivers.check("json-file", options)


def test_following_a_container_that_has_ended_returns(target: Container) -> None:
    log = open_for(target, {})
    log.write("stdout", b"one\n")
    log.close()
    assert [entry.text for entry in log_reader.read(target, follow=True)] == ["one\n"]


@pytest.mark.parametrize(
    "line",
    [
        b"plain", b"", b'a "quoted" \\ word', b"tab\tand return\r", b"<html> & more", b"\x1b[31mred\x1b[0m", b"\x00\x7f",
        "gr\u00fc\u00dfe \u2028 \u2014 \U0001f600".encode(), b"half \xe2", b"\\n is no newline",
    ],
)  # fmt: skip
def test_any_text_is_a_json_string_that_is_escaped_as_go_does(target: Container, line: bytes) -> None:
    log = open_for(target, {})
    log.write("stdout", line + b"\nnext\n")
    log.close()
    written = Path(target.log).read_text()
    records = [json.loads(each) for each in written.split("\n")[:-1]]
    assert [each["log"] for each in records] == [line.decode("utf-8", "replace") + "\n", "next\n"]
    assert not {"<", ">", "&", "\u2028"} & set(written)
