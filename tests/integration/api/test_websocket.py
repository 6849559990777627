"""Attach by WebSocket, with a client of other people's making, and with what no client should send."""

from __future__ import annotations

import hashlib
import socket
from typing import TYPE_CHECKING, Any

import pytest
import websocket

from tests.integration.api.test_protocol import everything, head_of
from tests.integration.engine.conftest import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.api.served import Served

HANDSHAKE = (
    b"GET /containers/%s/attach/ws?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
ALL = "stream=1&stdin=1&stdout=1&stderr=1"


@pytest.fixture
def clients(served: Served) -> Iterator[Any]:
    """Opens WebSockets to containers."""
    opened: list[Any] = []

    def attach(name: str, query: str = ALL, version: str = "/v1.51") -> Any:
        opened.append(
            websocket.create_connection(
                f"ws://docker{version}/containers/{name}/attach/ws?{query}", socket=served.connect(), timeout=20
            )
        )
        return opened[-1]

    yield attach
    for each in opened:
        each.shutdown()  # which closes the socket


def running(served: Served, script: str, **fields: Any) -> str:
    name = served.made(Cmd=["sh", "-c", script], OpenStdin=True, **fields)
    assert served("POST", f"/containers/{name}/start").status == 204
    return name


def said(client: Any, until: bytes = b"") -> bytes:
    """What a client hears, up to a text or the end."""
    heard = b""
    while not until or until not in heard:
        frame = client.recv_frame()
        if frame.opcode == websocket.ABNF.OPCODE_CLOSE:
            assert frame.data[:2] == (1000).to_bytes(2, "big")
            return heard
        if frame.opcode != websocket.ABNF.OPCODE_PONG:
            assert frame.opcode == websocket.ABNF.OPCODE_BINARY
            heard += frame.data
    return heard


def test_what_is_typed_goes_in_and_what_is_said_comes_out_until_the_end(served: Served, clients: Any) -> None:
    name = served.made(Cmd=["sh", "-c", "echo err >&2; read a; read b; echo $a $b"], OpenStdin=True)
    client = clients(name)
    assert served("POST", f"/containers/{name}/start").status == 204
    client.send("text\n")
    client.ping("still there?")
    client.send_binary(b"bytes\n")
    heard = said(client)
    assert sorted(heard.splitlines()) == [b"err", b"text bytes"]


def test_a_large_message_and_one_in_many_pieces_arrive_whole(served: Served, clients: Any) -> None:
    name = running(served, "head -c 3000000 | md5sum")
    client = clients(name)
    client.send_binary(b"x" * 2_000_000)
    for start in range(10):
        frame = websocket.ABNF.create_frame(
            b"x" * 100_000, websocket.ABNF.OPCODE_CONT if start else websocket.ABNF.OPCODE_BINARY, int(start == 9)
        )
        client.send_frame(frame)
        client.ping("between")
    assert said(client).split()[0] == hashlib.md5(b"x" * 3_000_000).hexdigest().encode()


def test_the_keys_to_leave_by_leave_a_terminal_and_let_the_container_go_on(served: Served, clients: Any) -> None:
    name = running(served, "echo ready; while read line; do echo got $line; done", Tty=True)
    wait_until(lambda: b"ready" in served("GET", f"/containers/{name}/logs?stdout=1").body, "its first words")
    client = clients(name, f"{ALL}&logs=1&detachKeys=ctrl-x,q")
    said(client, b"ready")
    client.send(b"one\n")
    said(client, b"got one")
    client.send("\x18q")
    said(client)
    assert served("GET", f"/containers/{name}/json").json()["State"]["Running"]


def test_a_client_chooses_its_streams_since_a_version(served: Served, clients: Any) -> None:
    script = "read a; echo out; echo err >&2"
    name = running(served, script)
    only_err = clients(name, "stream=1&stderr=1")
    everything_there_is = clients(name, "stream=1", "/v1.41")
    everything_there_is.send("go\n")
    assert said(only_err) == b"err\n"
    assert sorted(said(everything_there_is).split()) == [b"err", b"out"]


def test_a_client_that_stops_to_send_hears_the_rest(served: Served, clients: Any) -> None:
    name = running(served, "cat; echo end", StdinOnce=True)
    client = clients(name)
    client.send("last words\n")
    client.sock.shutdown(socket.SHUT_WR)
    assert said(client) == b"last words\nend\n"


def test_a_client_that_closes_is_answered_at_once_and_the_container_goes_on(served: Served, clients: Any) -> None:
    name = running(served, "while read line; do :; done; sleep 1000")
    client = clients(name)
    client.send_close()
    assert said(client) == b""
    assert client.sock.recv(1) == b""
    assert served("GET", f"/containers/{name}/json").json()["State"]["Running"]


def test_a_request_that_only_looks_opens_no_websocket(served: Served) -> None:
    """Who permits all of HEAD permits no typing by it."""
    name = running(served, "sleep 1000")
    with served.connect() as client:
        client.sendall(HANDSHAKE.replace(b"GET", b"HEAD") % name.encode())
        assert head_of(client)[0].startswith("HTTP/1.1 426")


@pytest.mark.parametrize(
    ("header", "value"), [("Sec-WebSocket-Version", "8"), ("Upgrade", "tcp"), ("Sec-WebSocket-Key", "")]
)
def test_what_opens_no_websocket_is_refused(served: Served, header: str, value: str) -> None:
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        header: value,
    }
    name = served.made(Cmd=["true"])
    answer = served("GET", f"/containers/{name}/attach/ws?stream=1", headers=headers)
    assert (answer.status, bool(answer.message)) == (426, True)
    assert served("GET", "/containers/nosuch/attach/ws", headers=headers).status == 404


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\x81\x02hi", 1002),  # without a mask
        (b"\xc1\x80\0\0\0\0", 1002),  # an extension that was not agreed on
        (b"\x81\x82\0\0\0\0\xff\xff", 1007),  # no UTF-8
        (b"\x89\xfe\xff\xff\0\0\0\0", 1002),  # a ping as long as a message
        (b"\x80\x80\0\0\0\0", 1002),  # the rest of nothing
    ],
)
def test_who_does_not_speak_websocket_is_told_so_and_goes(served: Served, sent: bytes, code: int) -> None:
    name = running(served, "sleep 1000")
    with served.connect() as client:
        client.sendall(HANDSHAKE % name.encode())
        _, rest = head_of(client)
        client.sendall(sent)
        heard = everything(client, rest)
    assert heard[:1] == b"\x88"
    assert int.from_bytes(heard[2:4], "big") == code


def test_clients_that_vanish_leave_nothing(served: Served, clients: Any) -> None:
    name = running(served, "sleep 1000")
    served("GET", "/events?since=1&until=2")
    before = served.descriptors()
    for number in range(20):
        client = served.connect()
        client.sendall(HANDSHAKE % name.encode() + (b"\x82\xff" + b"\0" * number))
        if number % 2:
            head_of(client)
        client.close()
    wait_until(lambda: served.descriptors() <= before, "no more descriptors than before")
