"""The wire format: versions, errors, upgrades, streams, and what hostile or careless clients send."""

from __future__ import annotations

import json
import socket
import struct
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.conftest import wait_until

if TYPE_CHECKING:
    from tests.integration.api.served import Served

UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}


def request(path: str, headers: dict[str, str] | None = None, *, method: str = "POST", body: bytes = b"") -> bytes:
    """A request's bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: docker", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def head_of(client: socket.socket) -> tuple[str, bytes]:
    """An answer's head, and what came after it."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = client.recv(4096)
        assert chunk, data
        data += chunk
    head, _, rest = data.partition(b"\r\n\r\n")
    return head.decode(), rest


def everything(client: socket.socket, data: bytes = b"") -> bytes:
    """What comes until the other end closes."""
    while chunk := client.recv(65536):
        data += chunk
    return data


def frames(data: bytes) -> list[tuple[int, bytes]]:
    """Output taken out of its frames."""
    found = []
    while data:
        stream, size = struct.unpack(">BxxxI", data[:8])
        found.append((stream, data[8 : 8 + size]))
        data = data[8 + size :]
    return found


@pytest.mark.parametrize("path", ["/_ping", "/v1.24/_ping", "/v1.51/_ping"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_asks_whether_somebody_is_there_learns_the_versions(served: Served, method: str, path: str) -> None:
    answer = served(method, path)
    assert (answer.status, answer.body) == (200, b"OK" if method == "GET" else b"")
    assert answer.headers["api-version"] == "1.51"
    assert answer.headers["ostype"] == "linux"
    assert "no-cache" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/v1.99/info", "client version 1.99 is too new. Maximum supported API version is 1.51"),
        ("/v1.23/info", "client version 1.23 is too old. Minimum supported API version is 1.24"),
    ],
)
def test_a_version_that_is_not_served_is_refused(served: Served, path: str, message: str) -> None:
    answer = served("GET", path)
    assert answer.status == 400
    assert answer.message.startswith(message)


def test_what_there_is_not_is_not_found(served: Served) -> None:
    assert (served("GET", "/nosuch").status, served("GET", "/nosuch").message) == (404, "page not found")
    assert served("GET", "/v1.41/containers/nosuch/json").message == "No such container: nosuch"
    assert served("GET", "/images/nosuch:1/json").message == "No such image: nosuch:1"
    assert served("POST", "/containers/create", {"Image": "nosuch"}).message == "No such image: nosuch:latest"
    assert served("GET", "/exec/nosuch/json").status == 404
    assert served("GET", "/volumes/nosuch").status == 404
    assert served("GET", "/networks/nosuch").status == 404


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {"Content-Type": "application/json"}, 400),
        (b"[]", {"Content-Type": "application/json"}, 400),
        (b"", {"Content-Type": "application/json"}, 400),
        (b"{}", {"Content-Type": "text/plain"}, 400),
        (b'{"Image": 1}', {"Content-Type": "application/json"}, 400),
        (b'{"Image": "plain", "Tty": "yes"}', {"Content-Type": "application/json"}, 400),
        (b'{"Image": "plain", "HostConfig": []}', {"Content-Type": "application/json"}, 400),
        (b'{"Image": "plain", "HostConfig": {"Memory": 1e30}}', {"Content-Type": "application/json"}, 400),
        (b'{"Image": "plain", "HostConfig": {"Binds": {"a": "b"}}}', {"Content-Type": "application/json"}, 400),
        (b'"' + b"x" * (9 << 20) + b'"', {"Content-Type": "application/json"}, 413),
        (b'{"a":' * 100000 + b"1" + b"}" * 100000, {"Content-Type": "application/json"}, 400),
    ],
)
def test_a_body_that_is_not_what_it_should_be_is_refused(
    served: Served, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = served("POST", "/containers/create", body, headers)
    assert answer.status == status, answer
    assert answer.message
    assert served.engine.names() == []


WRONG: list[dict[str, object]] = [
    {"Ulimits": [{"Name": 1}]},
    {"Ulimits": [{"Name": "nofile", "Soft": "x"}]},
    {"Ulimits": [{}]},
    {"Devices": [{"PathOnHost": 5}]},
    {"Devices": [{}]},
    {"Mounts": [{}]},
    {"Mounts": [{"Type": "bind", "Source": 7, "Target": "/x"}]},
    {"Mounts": [{"Type": "volume", "Target": "/x", "VolumeOptions": 3}]},
    {"Mounts": [{"Type": "tmpfs", "Target": "/x", "TmpfsOptions": {"SizeBytes": "a"}}]},
    {"DeviceRequests": [{"Count": "x"}]},
    {"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": [5]}]},
    {"DeviceRequests": [{"Capabilities": "gpu"}]},
    {"BlkioWeightDevice": [{"Path": 5}]},
    {"BlkioDeviceReadBps": [{"Path": "/dev/nosuch", "Rate": "a"}]},
    {"RestartPolicy": {"Name": "sometimes"}},
    {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 5}},
    {"LogConfig": {"Type": "nosuch"}},
    {"CpusetCpus": "9999"},
    {"Memory": 1},
    {"ShmSize": -1},
    {"CgroupParent": "../../x"},
    {"Binds": ["x"]},
    {"ConsoleSize": [-1, 5]},
    {"PortBindings": {"80": [{"HostPort": "x"}]}},
    {"PortBindings": {"80": {}}},
    {"StorageOpt": {"size": "1g"}},
]
WRONG_CONFIGURATION: list[dict[str, object]] = [
    {"Healthcheck": {"Test": "x"}},
    {"Healthcheck": {"Test": ["NOPE"]}},
    {"Healthcheck": {"Test": ["CMD", "true"], "Interval": 5}},
    {"ExposedPorts": {"x": {}}},
    {"StopSignal": "NOPE"},
    {"User": "\0"},
    {"WorkingDir": "relative"},
    {"Labels": {"a": 5}},
    {"MacAddress": "zz"},
    {"Env": ["=x"]},
    {"Hostname": "x" * 300},
]


def test_what_no_container_can_be_is_the_clients_mistake(served: Served) -> None:
    bodies: list[dict[str, object]] = [{"HostConfig": {"NetworkMode": "none", **each}} for each in WRONG]
    bodies += [{"HostConfig": {"NetworkMode": "none"}, **each} for each in WRONG_CONFIGURATION]
    for body in bodies:
        answer = served("POST", "/containers/create", {"Image": "plain", "Cmd": ["true"], **body})
        assert answer.status in (400, 501), (body, answer)
        assert answer.message
    assert served.engine.names() == []


@pytest.mark.parametrize(
    "path",
    [
        "/containers/%2e%2e/json",
        "/containers/..%2f..%2fetc/json",
        "/volumes/..%2f..%2fetc",
        "/exec/..%2fx/json",
        "/images/..%2f..%2fetc/json",
        "/networks/..%2fx",
    ],
)
def test_names_lead_nowhere_else(served: Served, path: str) -> None:
    assert served("GET", path).status in (400, 404)


@pytest.mark.parametrize("place", ["file:///etc/passwd", "/etc", "../x"])
def test_no_context_is_taken_from_the_servers_own_files(served: Served, place: str) -> None:
    answer = served("POST", f"/build?remote={place}")
    assert answer.status == 400, answer


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /_ping HTTP/1.1\r\nHost: a\r\nX: " + b"x" * (80 << 10), "431"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "400"),
        (b"GET /_ping HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", "400"),
    ],
)
def test_what_is_not_http_is_refused_and_the_connection_ended(served: Served, sent: bytes, status: str) -> None:
    with served.connect() as client:
        client.sendall(sent)
        try:
            answer = everything(client).decode()
        except ConnectionResetError:
            return  # it was closed before we had sent everything
    assert status in answer.splitlines()[0]
    assert served("GET", "/_ping").status == 200


def test_a_connection_serves_one_request_after_the_other(served: Served) -> None:
    with served.connect() as client:
        for _ in range(3):
            client.sendall(b"GET /_ping HTTP/1.1\r\nHost: a\r\n\r\n")
            head, rest = head_of(client)
            while len(rest) < 2:
                rest += client.recv(10)
            assert (head.splitlines()[0], rest) == ("HTTP/1.1 200 OK", b"OK")
        client.sendall(b"GET /_ping HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
        data = b""
        while data.count(b"\r\n\r\nOK") < 2:
            data += client.recv(4096)


def test_what_was_done_already_is_not_done_again(served: Served) -> None:
    name = served.made(Cmd=["sleep", "1000"])
    assert served("POST", f"/containers/{name}/stop").status == 304
    assert served("POST", f"/containers/{name}/start").status == 204
    again = served("POST", f"/containers/{name}/start")
    assert (again.status, again.body) == (304, b"")
    assert served("POST", f"/containers/{name}/stop?t=0").status == 204
    assert served("POST", f"/containers/{name[:12]}/stop").status == 304
    assert served("POST", f"/containers/{name}/kill").status == 409
    assert served("DELETE", f"/containers/{name}").status == 204
    assert served("DELETE", f"/containers/{name}").status == 404


@pytest.mark.parametrize("condition", ["next-exit", "removed"])
def test_who_waits_gets_the_head_of_the_answer_before_the_start(served: Served, condition: str) -> None:
    name = served.made(Cmd=["sh", "-c", "exit 6"], HostConfig={"AutoRemove": condition == "removed"})
    with served.connect() as client:
        client.sendall(request(f"/containers/{name}/wait?condition={condition}"))
        head, rest = head_of(client)
        assert head.startswith("HTTP/1.1 200")
        assert rest == b""
        assert served("POST", f"/containers/{name}/start").status == 204
        while b"}" not in rest:
            rest += client.recv(4096)
    assert json.loads(rest[rest.index(b"{") : rest.rindex(b"}") + 1])["StatusCode"] == 6
    if condition == "removed":
        assert served.engine.names() == []


def test_what_cannot_be_waited_for_is_refused_at_once(served: Served) -> None:
    assert served("POST", "/containers/nosuch/wait").status == 404
    name = served.made()
    assert served("POST", f"/containers/{name}/wait?condition=nosuch").status == 400
    assert served("POST", f"/containers/{name}/wait").json()["StatusCode"] == 0


@pytest.mark.parametrize("upgrades", [True, False])
def test_who_attaches_before_the_start_misses_nothing(served: Served, upgrades: bool) -> None:
    name = served.made(
        Cmd=["sh", "-c", "echo out; echo err >&2; cat"], OpenStdin=True, StdinOnce=True, AttachStdin=True
    )
    with served.connect() as client:
        path = f"/v1.47/containers/{name}/attach?stream=1&stdin=1&stdout=1&stderr=1"
        client.sendall(request(path, UPGRADE if upgrades else None) + b"early ")
        head, rest = head_of(client)
        assert head.startswith("HTTP/1.1 101 UPGRADED" if upgrades else "HTTP/1.1 200 OK")
        kind = "multiplexed" if upgrades else "raw"
        assert f"application/vnd.docker.{kind}-stream" in head
        assert served("POST", f"/containers/{name}/start").status == 204
        client.sendall(b"late")
        client.shutdown(socket.SHUT_WR)
        found = frames(everything(client, rest))
    assert b"".join(data for stream, data in found if stream == 1) == b"out\nearly late"
    assert b"".join(data for stream, data in found if stream == 2) == b"err\n"


def test_who_attaches_before_a_start_by_somebody_else_is_connected(served: Served) -> None:
    name = served.made(Cmd=["sh", "-c", "read line; echo got $line"], OpenStdin=True, StdinOnce=True)
    with served.connect() as client:
        client.sendall(request(f"/containers/{name}/attach?stream=1&stdin=1&stdout=1", UPGRADE) + b"word\n")
        head_of(client)
        served.engine.ok("start", name)
        assert frames(everything(client))[-1] == (1, b"got word\n")


def test_a_start_that_fails_ends_who_attached(served: Served) -> None:
    name = served.made(Cmd=["nosuch"])
    with served.connect() as client:
        client.sendall(request(f"/containers/{name}/attach?stream=1&stdout=1", UPGRADE))
        head_of(client)
        failed = served("POST", f"/containers/{name}/start")
        assert failed.status == 400
        assert "executable file not found" in failed.message
        assert everything(client) == b""


def test_a_command_in_a_container_has_frames_or_a_terminal(served: Served) -> None:
    name = served.made(Cmd=["sleep", "1000"])
    served("POST", f"/containers/{name}/start")
    for terminal in (False, True):
        wanted = {"Cmd": ["sh", "-c", "echo out; exit 9"], "AttachStdout": True, "AttachStderr": True, "Tty": terminal}
        made = served("POST", f"/containers/{name}/exec", wanted).json()["Id"]
        with served.connect() as client:
            body = json.dumps({"Tty": terminal}).encode()
            client.sendall(request(f"/exec/{made}/start", {"Content-Type": "application/json", **UPGRADE}, body=body))
            _, rest = head_of(client)
            data = everything(client, rest)
        assert data == (b"out\r\n" if terminal else b"\x01\0\0\0\0\0\0\x04out\n")
        path = f"/exec/{made}/json"
        wait_until(lambda path=path: not served("GET", path).json()["Running"])  # type: ignore[misc]
        assert served("GET", f"/exec/{made}/json").json()["ExitCode"] == 9
        again = served("POST", f"/exec/{made}/start", {"Detach": True})
        assert again.status == 409


def test_logs_have_a_frame_for_each_line_with_its_time(served: Served) -> None:
    name = served.made(Cmd=["sh", "-c", "echo one; echo two >&2"])
    served("POST", f"/containers/{name}/start")
    served("POST", f"/containers/{name}/wait")
    assert served("GET", f"/containers/{name}/logs").message.startswith("Bad parameters")
    both = served("GET", f"/v1.47/containers/{name}/logs?stdout=1&stderr=1")
    assert both.headers["content-type"] == "application/vnd.docker.multiplexed-stream"
    assert sorted(frames(both.body)) == [(1, b"one\n"), (2, b"two\n")]
    [(_, line)] = frames(served("GET", f"/containers/{name}/logs?stdout=true&timestamps=1&tail=-1").body)
    assert line.endswith(b"Z one\n")
    assert served("GET", f"/containers/{name}/logs?stdout=1&since=4102444800").body == b""


def test_clients_that_go_leave_nothing_open(served: Served) -> None:
    name = served.made(Cmd=["sleep", "1000"], OpenStdin=True)
    served("POST", f"/containers/{name}/start")
    served("GET", "/events?since=1&until=2")  # after which it watches what it watches
    before = served.descriptors()
    streams = [
        f"/containers/{name}/logs?stdout=1&follow=1",
        "/events",
        f"/containers/{name}/stats",
        f"/containers/{name}/wait",
        f"/containers/{name}/attach?stream=1&stdout=1&stdin=1",
    ]
    for _ in range(5):
        clients = []
        for path in streams:
            client = served.connect()
            method = "POST" if path.endswith(("/wait", "stdin=1")) else "GET"
            client.sendall(request(path, method=method))
            head_of(client)
            clients.append(client)
        for client in clients:
            client.close()
    half = served.connect()
    half.sendall(b"POST /containers/create HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
    half.close()
    wait_until(lambda: served.descriptors() <= before, "no more descriptors than before")


def test_many_streams_that_wait_cost_nobody_anything(served: Served) -> None:
    clients = []
    try:
        for _ in range(200):
            client = served.connect()
            client.sendall(request("/events?until=4102444800", method="GET"))
            clients.append(client)
        assert served("POST", "/volumes/create", {"Name": "seen"}).status == 201
        for client in clients:
            data = b""
            while b'"seen"' not in data:
                data += client.recv(4096)
    finally:
        for client in clients:
            client.close()
        served("DELETE", "/volumes/seen")


def test_files_have_their_description_in_a_header(served: Served) -> None:
    import base64

    name = served.made()
    answer = served("HEAD", f"/containers/{name}/archive?path=/data")
    told = json.loads(base64.b64decode(answer.headers["x-docker-container-path-stat"]))
    assert (told["name"], told["mode"] >> 31) == ("data", 1)
    assert served("GET", f"/containers/{name}/archive?path=/nosuch").status == 404
    assert served("PUT", f"/containers/{name}/archive?path=/nosuch", b"").status == 404
    assert served("PUT", f"/containers/{name}/archive?path=/data", b"no archive" * 100).status == 400


@pytest.mark.parametrize("path", ["/swarm", "/services", "/nodes/x", "/tasks", "/secrets", "/configs/create"])
def test_an_engine_that_is_in_no_swarm_says_so(served: Served, path: str) -> None:
    answer = served("GET" if not path.endswith("create") else "POST", path)
    assert answer.status == 503
    assert "not a swarm manager" in answer.message


def test_other_builders_are_told_what_to_set(served: Served) -> None:
    answer = served("POST", "/session")
    assert answer.status == 501
    assert "DOCKER_BUILDKIT=0" in answer.message


def test_who_has_killed_a_container_finds_it_ended(served: Served) -> None:
    for is_paused in (False, True):
        name = served.made(Cmd=["sh", "-c", "while :; do sleep 0.05; done"])
        assert served("POST", f"/containers/{name}/start").status == 204
        if is_paused:
            assert served("POST", f"/containers/{name}/pause").status == 204
        assert served("POST", f"/containers/{name}/kill").status == 204
        assert served("GET", f"/containers/{name}/json").json()["State"]["ExitCode"] == 137
        assert served("POST", f"/containers/{name}/kill").status == 409
        assert served("DELETE", f"/containers/{name}").status == 204


def test_only_an_image_that_is_not_here_is_not_found_when_a_container_is_made(served: Served) -> None:
    """Clients pull the image then, and try again."""
    for host in (
        {"NetworkMode": "nosuch"},
        {"Links": ["nosuch:x"]},
        {"VolumesFrom": ["nosuch"]},
        {"PidMode": "container:nosuch"},
    ):
        assert served("POST", "/containers/create", {"Image": "plain", "HostConfig": host}).status == 400
    assert served("POST", "/containers/create", {"Image": "nosuch"}).message == "No such image: nosuch:latest"
