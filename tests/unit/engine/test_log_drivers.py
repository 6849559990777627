from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from orlop.engine import log_drivers, log_local
from orlop.engine.log_journal import Journal
from orlop.engine.log_syslog import Syslog

if TYPE_CHECKING:
    from pathlib import Path


def test_a_local_log_has_docker_s_format(tmp_path: Path) -> None:
    log = log_local.LocalLog(str(tmp_path / "logs/container.log"), {})
    log.write("stderr", b"said\n")
    log.close()
    data = (tmp_path / "logs/container.log").read_bytes()
    length = int.from_bytes(data[:4], "big")
    assert length == len(data) - 8
    assert data[-4:] == data[:4]
    message = data[4:-4]
    assert message.startswith(b"\x0a\x06stderr\x10")  # source, then the time
    assert message.endswith(b"\x1a\x04said")


def test_a_part_of_a_line_says_so(tmp_path: Path) -> None:
    log = log_local.LocalLog(str(tmp_path / "logs/container.log"), {})
    log.write("stdout", b"x" * 20000 + b"\nrest")
    log.close()
    data = (tmp_path / "logs/container.log").read_bytes()
    found = [log_local.parse(data[begin + 4 : end - 4]) for begin, end in log_local.records(data)]
    assert [text for _, _, text in found] == [b"x" * 16384, b"x" * (20000 - 16384) + b"\n", b"rest"]
    assert all(moment > 1_700_000_000_000_000_000 for _, moment, _ in found)


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff" + bytes(8), b"\x10\xff"])
def test_what_is_no_local_log_is_told_from_one(data: bytes) -> None:
    with pytest.raises(ValueError, match="local log"):
        list(log_local.records(data)) or log_local.parse(data)


@pytest.mark.parametrize(
    ("tag", "text"), [("{{.ID}}", "abc"), ("a{{ .Name }}b{{.ID}}", "awebbabc"), ("plain", "plain"), ("", "")]
)
def test_a_tag_s_fields_are_filled_in(tag: str, text: str) -> None:
    assert log_drivers.expand(tag, {"ID": "abc", "Name": "web"}) == text


@pytest.mark.parametrize("tag", ["{{.Other}}", "{{.ID", "{{index .ID}}"])
def test_a_tag_with_anything_else_is_refused(tag: str) -> None:
    with pytest.raises(ValueError, match="can only have the fields"):
        log_drivers.expand(tag, {"ID": "abc"})


def test_the_journal_gets_fields_and_lines_with_any_bytes(tmp_path: Path) -> None:
    daemon = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    daemon.bind(str(tmp_path / "journal"))
    about = {"ID": "abc", "FullID": "abcdef", "Name": "web", "ImageName": "image:1"}
    log = Journal(str(tmp_path / "journal"), "tagged", about, {"my.label": "two\nlines"})
    log.write("stderr", b"said \xff\nunfinished")
    log.close()
    first, second = daemon.recv(8192), daemon.recv(8192)
    daemon.close()
    for field in (
        b"CONTAINER_ID_FULL=abcdef\n",
        b"CONTAINER_NAME=web\n",
        b"SYSLOG_IDENTIFIER=tagged\n",
        b"PRIORITY=3\n",
    ):
        assert field in first
    assert b"MY_LABEL\n\x09\0\0\0\0\0\0\0two\nlines\n" in first
    assert first.endswith(b"MESSAGE=said \xff\n")
    assert b"CONTAINER_PARTIAL_MESSAGE=true\n" in second


def test_a_daemon_that_comes_back_is_reached_again(tmp_path: Path) -> None:
    where = str(tmp_path / "log")
    first = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    first.bind(where)
    log = Syslog({"syslog-address": f"unixgram://{where}", "syslog-format": "rfc5424"}, "web", {})
    log.write("stdout", b"one\n")
    assert first.recv(4096).startswith(b"<30>1 ")
    first.close()
    (tmp_path / "log").unlink()
    second = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    second.bind(where)
    log.write("stdout", b"two\n")
    log.close()
    assert second.recv(4096).endswith(b" - two")
    second.close()
