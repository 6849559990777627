"""A client that does not read: what it is spared, and what it is told."""

from __future__ import annotations

import _socket
import os

import pytest

from orlop.engine import frames, log_process
from orlop.engine.client_line import Line
from orlop.engine.clients import Clients

Pair = tuple[_socket.socket, _socket.socket]
BLOCK = b"x" * frames.LARGEST


@pytest.fixture
def pair() -> Pair:
    """A monitor's end, and a client's."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    return _socket.socket(fileno=ours.detach()), _socket.socket(fileno=theirs.detach())


def received(client: _socket.socket, line: Line) -> list[bytes]:
    """Everything that a client gets when it reads again."""
    client.setblocking(False)
    found: list[bytes] = []
    while True:
        try:
            frame = client.recv(frames.LARGEST + 1)
        except BlockingIOError:
            if not line.is_behind:
                return found
            line.flush()
            continue
        if not frame:
            return found
        found.append(frame)


def test_who_looks_on_is_told_how_much_was_left_out(pair: Pair) -> None:
    line = Line(pair[0], holds=False, attached=frames.TO_STDOUT)
    for _ in range(100):
        line.output(frames.STDOUT, BLOCK)
    line.output(frames.STDERR, b"not wanted")
    got = received(pair[1], line)
    kinds = [frame[:1] for frame in got]
    assert kinds == [frames.STDOUT] * (len(got) - 1) + [frames.SKIPPED]
    left_out = int.from_bytes(got[-1][1:], "little")
    assert left_out + (len(got) - 1) * len(BLOCK) == 100 * len(BLOCK)
    assert len(got) < 20
    line.close()
    pair[1].close()


def test_who_started_the_container_gets_everything_and_holds_it_back(pair: Pair) -> None:
    clients = Clients(Line(pair[0]))
    sent = 0
    while not clients.is_held:
        clients.output(frames.STDOUT, BLOCK)
        sent += 1
    got = received(pair[1], clients.lines[0])
    assert (len(got), clients.is_held) == (sent, False)
    clients.finish(frames.EXITED + b"\x00")
    pair[1].close()


def test_who_goes_away_is_forgotten(pair: Pair) -> None:
    clients = Clients(Line(pair[0]))
    pair[1].close()
    clients.tell(frames.EXITED, b"\x00")
    assert clients.lines == []


def test_a_log_process_that_was_killed_is_no_reason_to_wait() -> None:
    class Broken:
        def write(self, _stream: str, _data: bytes) -> None:
            os._exit(9)

    blocking = log_process.ProcessLog(lambda: [Broken()], {})
    buffered = log_process.ProcessLog(lambda: [Broken()], {"mode": "non-blocking", "max-buffer-size": "128k"})
    for _ in range(50):
        buffered.write("stdout", BLOCK)
        assert not buffered.is_behind
    blocking.write("stdout", BLOCK)
    while blocking.is_behind:
        blocking.flush()
    for log in (blocking, buffered):
        log.close()
