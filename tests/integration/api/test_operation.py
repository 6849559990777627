"""What an operator has: who may do what, who did it, what it came to in numbers, and a reload that nobody notices."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import ssl
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.api.permitting import Permitting, yes
from tests.integration.api.served import Served, ask
from tests.integration.api.test_protocol import UPGRADE, head_of, request
from tests.integration.engine.conftest import Engine, wait_until
from tests.integration.engine.image_maker import make
from tests.integration.images.servers import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "s3cret"


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Permitting]:
    made = Permitting(str(tmp_path_factory.mktemp("plugin") / "authz.sock"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, rootfs: Path, plugin: Permitting) -> Iterator[Served]:
    """A server with a plugin, and an audit log of everything."""
    directory = tmp_path_factory.mktemp("served")
    words = ["--authorization-plugin", plugin.path, "--audit-log", str(directory / "audit"), "--audit-reads"]
    made = Served(directory, Engine(directory, rootfs), words)
    try:
        make(made.engine, "plain:latest")
        yield made
    finally:
        plugin.reset()
        made.close()


@pytest.fixture(autouse=True)
def permitted(plugin: Permitting) -> Iterator[None]:
    plugin.reset()
    yield
    plugin.reset()


def audited(served: Served) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(served.path).parent / "audit").read_text().splitlines()]


def is_there(path: str) -> bool:
    """Whether somebody listens at a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        return client.connect_ex(path) == 0


def numbers(served: Served) -> dict[tuple[str, ...], float]:
    """All samples, by name and values of labels, as a parser of Prometheus's own understands them."""
    answer = served("GET", "/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = list(text_string_to_metric_families(answer.body.decode()))
    assert all(family.documentation and family.type != "unknown" for family in families)
    samples = [each for family in families for each in family.samples]
    found = {(each.name, *(each.labels[key] for key in sorted(each.labels))): each.value for each in samples}
    assert len(found) == len(samples)
    return found


def test_a_plugin_sees_the_request_and_the_answer_as_docker_shows_them(served: Served, plugin: Permitting) -> None:
    body = {"Image": "plain", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"}}
    answer = served(
        "POST",
        "/v1.45/containers/%63reate?name=seen",
        body,
        {"X-Registry-Auth": SECRET, "Authorization": SECRET, "X-Own": "shown"},
    )
    assert answer.status == 201
    (first, question), (second, also_answer) = plugin.asked
    assert (first, second) == ("AuthZReq", "AuthZRes")
    assert question["RequestMethod"] == "POST"
    assert question["RequestUri"] == "/v1.45/containers/create?name=seen"
    assert json.loads(base64.b64decode(question["RequestBody"])) == body
    assert question["RequestHeaders"]["X-Own"] == "shown"
    assert SECRET not in json.dumps(plugin.asked)
    assert also_answer["ResponseStatusCode"] == 201
    assert base64.b64decode(also_answer["ResponseBody"]) == answer.body


def test_what_a_plugin_does_not_permit_is_not_done(served: Served, plugin: Permitting) -> None:
    plugin.decide = lambda _, question: {"Allow": question["RequestMethod"] == "GET", "Msg": "only looking"}
    for method, path in (("POST", "/containers/create?name=no"), ("DELETE", "/images/plain"), ("HEAD", "/_ping")):
        answer = served(method, path, {"Image": "plain"} if method == "POST" else None)
        assert answer.status == 403
        if method != "HEAD":
            assert answer.message == f"authorization denied by plugin {plugin.path}: only looking"
    assert served("GET", "/containers/json?all=1").json() == []
    assert served("GET", "/images/plain/json").status == 200
    assert audited(served)[-5]["status"] == 403


@pytest.mark.parametrize("path", ["/images/plain/json", "/containers/nosuch/json", "/events", "/images/plain/get"])
def test_an_answer_that_a_plugin_does_not_permit_is_not_given(served: Served, plugin: Permitting, path: str) -> None:
    before = served.descriptors()
    plugin.decide = lambda phase, _: {"Allow": phase == "AuthZReq", "Msg": "not for you"}
    assert served("GET", path).status == 403
    assert [phase for phase, _ in plugin.asked] == ["AuthZReq", "AuthZRes"]
    wait_until(lambda: served.descriptors() <= before + 2, "no stream left open")  # events are watched from now on


@pytest.mark.parametrize(
    "answer", [b"no json", b"", {}, {"Allow": "true"}, {"Allow": True, "Err": "broken"}, [True], {"Allow": None}]
)
def test_a_plugin_that_does_not_say_yes_says_no(served: Served, plugin: Permitting, answer: Any) -> None:
    plugin.decide = lambda _phase, _question: answer
    assert served("GET", "/_ping").status in (403, 500)


def test_a_plugin_that_is_gone_permits_nothing_until_it_is_back(
    served: Served, plugin: Permitting, tmp_path: Path
) -> None:
    place, path = tmp_path / "plugin.sock", tmp_path / "docker.sock"
    words = ["--authorization-plugin", plugin.path, "--authorization-plugin", str(place)]
    other = served.engine.popen("serve", "-H", f"unix://{path}", *words, stderr=subprocess.PIPE)
    try:
        wait_until(lambda: is_there(str(path)), "the server")
        refused = ask(str(path), "GET", "/_ping")
        assert refused.status == 500
        assert refused.message == f"plugin {place} failed with error: AuthZPlugin.AuthZReq: No such file or directory"
        late = Permitting(str(place))
        assert ask(str(path), "GET", "/_ping").status == 200
        late.close()
        assert ask(str(path), "GET", "/_ping").status == 500
    finally:
        other.send_signal(signal.SIGTERM)
        assert other.communicate(timeout=20)[1] == b""


def test_a_body_that_is_too_large_to_be_shown_is_not_taken(served: Served, plugin: Permitting) -> None:
    body = {"Image": "plain", "Labels": {"a": "x" * (1 << 20)}}
    assert served("POST", "/containers/create", body).status == 413
    assert plugin.asked == []
    # What is not read for what it says is not shown, and may be as large as it likes.
    name = served.made()
    plugin.reset()
    assert served("PUT", f"/containers/{name}/archive?path=/", b"x" * (2 << 20)).status == 400
    assert "RequestBody" not in plugin.asked[0][1]
    assert served("POST", "/auth", {"username": "me", "password": SECRET, "serveraddress": "127.0.0.1:1"}).status >= 400
    assert SECRET not in json.dumps(plugin.asked)


@pytest.mark.parametrize("query", ["x#&force=1", "x;&force=1", "%zz&force=1", "f%6frce=1", "force=1;", "force=1%00"])
def test_no_way_of_writing_a_query_hides_what_it_asks_for(served: Served, plugin: Permitting, query: str) -> None:
    """Libraries differ in what they make of fragments, semicolons and broken escapes, so that none is left to them."""
    served("DELETE", f"/containers/nosuch?{query}")
    shown = plugin.asked[0][1]["RequestUri"]
    assert shown.startswith("/containers/nosuch?")
    assert re.search("[?&]force=1", shown)
    assert "#" not in shown
    assert ";" not in shown
    assert "%zz" not in shown


@pytest.mark.parametrize(
    "body",
    [
        b'{"Image": "plain", "HostConfig": {"Privileged": true, "privileged": false}}',
        b'{"Image": "plain", "HostConfig": {"Privileged": true}, "hostconfig": {}}',
        b'{"Image": "plain", "HostConfig": {"Mounts": [{"ReadOnly": true}], "Mounts": [{"Type": "bind"}]}}',
        '{"Image": "plain", "HostConfig": {}, "Ho\u017ftConfig": {}}'.encode(),
    ],
)
def test_a_body_that_a_plugin_could_understand_differently_is_not_taken(
    served: Served, plugin: Permitting, body: bytes
) -> None:
    """To programs in Go the later one counts, whatever its letters."""
    answer = served("POST", "/containers/create", body, {"Content-Type": "application/json; charset=utf-8"})
    assert answer.status == 400, answer
    assert plugin.asked == []
    assert served("POST", "/containers/create", b"no", {"Content-Type": "APPLICATION/json; a=b"}).status == 400
    assert plugin.asked[0][1]["RequestHeaders"]["Content-Type"] == "application/json"


def test_who_attaches_needs_permission_too(served: Served, plugin: Permitting) -> None:
    name = served.made(Cmd=["sleep", "1000"], OpenStdin=True)
    assert served("POST", f"/containers/{name}/start").status == 204
    plugin.decide = lambda phase, _: {"Allow": phase == "AuthZReq"}
    with served.connect() as client:
        client.sendall(request(f"/containers/{name}/attach?stream=1&stdout=1", UPGRADE))
        assert head_of(client)[0].startswith("HTTP/1.1 403")
    plugin.decide = yes
    with served.connect() as client:
        client.sendall(request(f"/containers/{name}/attach?stream=1&stdout=1", UPGRADE))
        assert head_of(client)[0].startswith("HTTP/1.1 101")
    assert plugin.asked[-1][1]["ResponseStatusCode"] == 101


def test_who_did_what_is_written_down_without_secrets(served: Served) -> None:
    before = len(audited(served))
    served("POST", f"/v1.45/containers/create?name=a&x={SECRET}", {"Image": SECRET}, {"X-Registry-Auth": SECRET})
    served("POST", f"/build?buildargs=%7B%22a%22%3A%22{SECRET}%22%7D&remote=http://me:{SECRET}@127.0.0.1:1/x&t=n")
    served("GET", "/nosuch%0a%22")
    created, built, nothing = audited(served)[before:]
    assert (created["method"], created["path"], created["query"]) == ("POST", "/v1.45/containers/create", {"name": "a"})
    assert (created["status"], created["uid"], created["gid"], created["pid"]) == (404, 0, 0, os.getpid())
    assert created["time"].endswith("Z")
    assert created["duration"] >= 0
    assert built["query"] == {"t": "n"}
    assert (nothing["path"], nothing["status"]) == ("/nosuch%0a%22", 404)
    assert SECRET not in json.dumps([created, built, nothing])
    assert os.stat(Path(served.path).parent / "audit").st_mode & 0o777 == 0o600


def test_nothing_that_a_client_says_is_told_to_a_terminal(served: Served) -> None:
    served("POST", "/containers/nosuch/start?name=%C2%9B2J%E2%80%AE%1B%5B2J%0A%ED%A0%80%7F")
    line = (Path(served.path).parent / "audit").read_bytes().splitlines()[-1]
    assert all(0x20 <= byte < 0x7F for byte in line), line
    assert audited(served)[-1]["query"]["name"].startswith("\x9b2J\u202e\x1b[2J\n")


def test_a_client_that_does_not_wait_is_written_down(served: Served) -> None:
    name = served.made(Cmd=["sleep", "1000"])
    assert served("POST", f"/containers/{name}/start").status == 204
    with served.connect() as client:
        client.sendall(request(f"/containers/{name}/stop?t=1000"))
        wait_until(lambda: served.engine.state(name)["Status"] == "running")
    wait_until(lambda: audited(served)[-1]["path"].endswith("/stop"), "a line for it")
    assert audited(served)[-1]["status"] is None


def test_a_log_that_was_renamed_is_left_on_a_hangup(served: Served, plugin: Permitting) -> None:
    directory = Path(served.path).parent
    activations = plugin.activations
    with served.connect() as client:
        client.sendall(request("/events?until=4102444800", method="GET"))
        head_of(client)
        (directory / "audit").rename(directory / "audit.1")
        served.process.send_signal(signal.SIGHUP)
        wait_until((directory / "audit").exists, "a new log")
        served("GET", "/_ping")
        assert [each["path"] for each in audited(served)] == ["/_ping"]
        assert plugin.activations == activations + 1
        served("POST", "/volumes/create", {"Name": "seen"})
        assert b"seen" in client.recv(65536)  # who is served notices nothing
    served("DELETE", "/volumes/seen")


def test_numbers_are_told_as_prometheus_reads_them(served: Served) -> None:
    name = served.made(Cmd=["sleep", "1000"])
    served.made()
    assert served("POST", f"/containers/{name}/start").status == 204
    before = numbers(served)
    assert before["orlop_containers", "running"] == 1
    assert before["orlop_containers", "created"] == 1
    assert before["orlop_containers", "dead"] == 0
    served("GET", f"/containers/{name}/json")
    served("GET", "/containers/nosuch/json")
    served("GET", f"/nosuch/{name}")
    served("POST", "/build?networkmode=none", b"no archive")
    served("POST", "/images/create?fromImage=127.0.0.1:1/x&tag=1")
    after = numbers(served)
    inspected = ("orlop_http_requests_total",)

    def more(*key: str) -> float:
        return after.get(key, 0) - before.get(key, 0)

    assert more(*inspected, "200", "/containers/{id}/json", "GET") == 1
    assert more(*inspected, "404", "/containers/{id}/json", "GET") == 1
    assert more(*inspected, "404", "none", "other") == 1
    assert more("orlop_http_request_duration_seconds_count", "/containers/{id}/json", "GET") == 2
    assert more("orlop_http_request_duration_seconds_bucket", "/containers/{id}/json", "+Inf", "GET") == 2
    assert more("orlop_builds_total", "failed") == 1
    assert more("orlop_pulls_total", "failed") == 1
    assert not any(name in part for key in after for part in key)
    assert after[("process_resident_memory_bytes",)] > 10 << 20
    assert 5 < after[("process_open_fds",)] < after[("process_max_fds",)]
    assert after[("orlop_connections",)] == 1


def test_certificates_say_who_it_is_and_are_read_again_on_a_hangup(
    served: Served, plugin: Permitting, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    Authority(tmp_path / "first")
    Authority(tmp_path / "second")
    place = tmp_path / "current"
    place.symlink_to("first")
    certificates = [f"--tlscert={place}/server.crt", f"--tlskey={place}/server.key"]
    certificates += ["--authorization-plugin", plugin.path, "--audit-log", str(tmp_path / "audit"), "--audit-reads"]
    other = served.engine.popen(
        "serve", "-H", f"tcp://127.0.0.1:{port}", *certificates, f"--tlscacert={place}/ca.crt", stderr=subprocess.PIPE
    )

    def known_to(authority: str) -> bool:
        given = tmp_path / authority
        words = [
            "--cacert",
            str(given / "ca.crt"),
            "--cert",
            str(given / "client.crt"),
            "--key",
            str(given / "client.key"),
        ]
        ask = ["curl", "-sS", "--max-time", "20", *words, f"https://localhost:{port}/_ping"]
        return subprocess.run(ask, capture_output=True, check=False).stdout == b"OK"

    try:
        wait_until(lambda: known_to("first"), "an answer")
        question = plugin.asked[-1][1]
        assert (question["User"], question["UserAuthNMethod"]) == ("client", "TLS")
        shown = base64.b64decode(question["RequestPeerCertificates"][0]).decode()
        assert ssl.PEM_cert_to_DER_cert(shown) == ssl.PEM_cert_to_DER_cert(
            (tmp_path / "first" / "client.crt").read_text()
        )
        line = json.loads((tmp_path / "audit").read_text().splitlines()[-1])
        assert (line["certificate"], line["address"].rpartition(":")[0]) == ("client", "127.0.0.1")
        assert not known_to("second")
        place.unlink()
        place.symlink_to("second")
        other.send_signal(signal.SIGHUP)
        wait_until(lambda: known_to("second"), "an answer with the new certificate")
        assert not known_to("first")
        place.unlink()
        other.send_signal(signal.SIGHUP)
        assert other.stderr is not None
        assert b"cannot reload: cannot use the certificate" in other.stderr.readline()
        assert known_to("second")
    finally:
        other.send_signal(signal.SIGTERM)
        assert other.communicate(timeout=20)[1] == b""
