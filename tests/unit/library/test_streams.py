"""What is said between a program's monitor and a caller, without either of them."""

from __future__ import annotations

import io
import os

import pytest

import orlop
from orlop.engine import frames
from orlop.library.streams import Conversation, Source


def heard(conversation: Conversation, *told: tuple[bytes, bytes]) -> None:
    for frame in told:
        output = conversation.hear(frame)
        if output is not None:
            conversation.keep(output)


def test_output_is_kept_apart_and_in_order() -> None:
    said = Conversation("it")
    heard(said, (frames.STDOUT, b"a"), (frames.STDERR, b"b"), (frames.STARTED, b""), (frames.STDOUT, b"c"))
    assert said.kept() == (b"ac", b"b")
    heard(said, (frames.EXITED, b"\x07"))
    assert said.exit_code == 7


def test_of_each_stream_no_more_than_the_limit_is_kept() -> None:
    said = Conversation("it", 4)
    heard(said, (frames.STDOUT, b"abc"), (frames.STDERR, b"1234"))
    before = said.truncated
    heard(said, (frames.STDOUT, b"def"), (frames.STDOUT, b"ghi"))
    assert (before, said.truncated) == (False, True)
    assert said.kept() == (b"abcd", b"1234")


def test_what_the_container_used_is_told_before_its_end() -> None:
    said = Conversation("it")
    heard(said, (frames.USAGE, b'{"cpu":1500000000,"memory":4096,"oom_kills":1}'))
    assert (said.usage.cpu_seconds, said.usage.peak_memory, said.usage.oom_kills) == (1.5, 4096, 1)
    heard(said, (frames.USAGE, b"{}"))
    assert said.usage.cpu_seconds is None


def test_a_connection_that_ends_without_an_end_is_an_error() -> None:
    with pytest.raises(orlop.OrlopError, match="the monitor of it was killed"):
        Conversation("it").hear(None)


def input_of(source: Source) -> bytes:
    found = b""
    while not source.ended:
        frame = source.frame()
        assert source.frame() == frame  # until it was taken
        assert len(frame) <= frames.LARGEST + 1
        found += frame[1:]
        source.sent(frame)
    return found


@pytest.mark.parametrize("data", [b"", b"x", b"y" * (3 * frames.LARGEST + 1)])
def test_input_arrives_whole(data: bytes) -> None:
    assert input_of(Source(data)) == data
    assert input_of(Source(io.BytesIO(data))) == data
    assert input_of(Source(data.decode())) == data


def test_input_of_a_file_with_a_descriptor_is_waited_for() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"abc")
    os.close(writer)
    with open(reader, "rb", buffering=0) as file:
        source = Source(file)
        assert source.descriptor == reader
        assert input_of(source) == b"abc"
    assert Source(io.BytesIO(b"x")).descriptor == -1


def test_no_input_has_no_end_to_be_told() -> None:
    assert Source(None).ended
