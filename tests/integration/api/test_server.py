"""A server that one leaves running: its sockets, its end, and its death."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from tests.integration.api.conftest import machine_of
from tests.integration.api.test_protocol import everything, head_of, request
from tests.integration.engine.conftest import wait_until
from tests.integration.images.servers import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.api.served import Served


def serves(path: str) -> bool:
    """Whether somebody answers at a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(path)
        except OSError:
            return False
        client.sendall(b"GET /_ping HTTP/1.1\r\nHost: a\r\n\r\n")
        return client.recv(100).startswith(b"HTTP/1.1 200")


def test_containers_outlive_their_server_and_so_do_their_logs(served: Served) -> None:
    name = served.made(Cmd=["sh", "-c", "i=0; while :; do echo $i; i=$((i+1)); sleep 0.02; done"])
    assert served("POST", f"/containers/{name}/start").status == 204
    pid = served("GET", f"/containers/{name}/json").json()["State"]["Pid"]
    follow = request(f"/containers/{name}/logs?stdout=1&follow=1", method="GET")
    with served.connect() as client:
        client.sendall(follow)
        head_of(client)
        served.stop()
        everything(client)  # which ends with the server
    assert not os.path.exists(served.path)
    assert os.path.exists(f"/proc/{pid}")
    served.start()
    assert served("GET", f"/containers/{name}/json").json()["State"]["Pid"] == pid
    before = served("GET", f"/containers/{name}/logs?stdout=1").body.count(b"\n")
    with served.connect() as client:
        client.sendall(follow)
        _, data = head_of(client)
        while len(lines := [int(line) for line in re.findall(rb"\x01\x00{6}.(\d+)\n", data, re.DOTALL)]) < before + 3:
            data += client.recv(4096)
    assert lines == list(range(len(lines)))


@pytest.mark.parametrize("path", ["/events", "/containers/{}/logs?stdout=1&follow=1", "/containers/{}/stats"])
def test_a_server_that_ends_amid_streams_says_nothing_of_it(served: Served, path: str) -> None:
    name = served.made(Cmd=["sleep", "1000"])
    assert served("POST", f"/containers/{name}/start").status == 204
    with served.connect() as client:
        client.sendall(request(path.format(name), method="GET"))
        head_of(client)
        served.stop()
    served.start()


def test_a_server_that_was_killed_is_replaced(served: Served) -> None:
    name = served.made(Cmd=["sleep", "1000"])
    served("POST", f"/containers/{name}/start")
    served.process.kill()
    served.process.communicate()
    assert os.path.exists(served.path)
    served.start()
    assert served("GET", f"/containers/{name}/json").json()["State"]["Running"]


def test_two_servers_do_not_share_a_socket(served: Served) -> None:
    done = served.engine("serve", "-H", f"unix://{served.path}")
    assert done.code == 1
    assert "another server listens there" in done.err
    assert served("GET", "/_ping").status == 200


@pytest.mark.parametrize("place", ["tcp://127.0.0.1:2375", "tcp://127.0.0.1:x", "unix://relative", "fd://", "nonsense"])
def test_where_it_cannot_listen_is_said(served: Served, place: str) -> None:
    done = served.engine("serve", "-H", place)
    assert done.code == 1
    assert place in done.err


def test_a_file_in_the_way_is_left_alone(served: Served, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    done = served.engine("serve", "-H", f"unix://{tmp_path}/file")
    assert done.code == 1
    assert (tmp_path / "file").read_text() == "mine"


def test_only_root_and_the_group_may_connect(served: Served, tmp_path: Path) -> None:
    assert stat.S_IMODE(os.stat(served.path).st_mode) in (0o600, 0o660)
    assert "no group nosuchgroup" in served.engine("serve", "--group", "nosuchgroup").err
    path = tmp_path / "grouped.sock"
    other = served.engine.popen("serve", "-H", f"unix://{path}", "--group", "daemon")
    try:
        wait_until(lambda: serves(str(path)), "the other server")
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert path.stat().st_gid == 1
    finally:
        other.send_signal(signal.SIGTERM)
        assert other.wait(timeout=20) == 0


def test_whoever_started_it_is_told_that_it_serves(served: Served, tmp_path: Path) -> None:
    place = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(place)
        listener.settimeout(20)
        environment = {**os.environ, "NOTIFY_SOCKET": place}
        other = served.engine.popen("serve", "-H", f"unix://{tmp_path}/other.sock", env=environment)
        assert listener.recv(100) == b"READY=1"
        other.send_signal(signal.SIGHUP)
        assert listener.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert listener.recv(100) == b"READY=1"
        other.send_signal(signal.SIGTERM)
        assert listener.recv(100) == b"STOPPING=1"
        assert other.wait(timeout=20) == 0


def test_over_tcp_only_clients_with_a_certificate_are_served(served: Served, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    files = {
        each: str(tmp_path / "authority" / each) for each in ("server.crt", "server.key", "client.crt", "client.key")
    }
    words = ["--tlscert", files["server.crt"], "--tlskey", files["server.key"]]
    words += ["--tlscacert", str(authority.certificate)]
    other = served.engine.popen("serve", "-H", "tcp://127.0.0.1:2376", *words, stderr=subprocess.PIPE)
    inside = ["nsenter", f"--net=/proc/{machine_of(served)}/ns/net", "curl", "-sS", "--cacert"]
    inside += [str(authority.certificate), "--max-time", "20"]
    place = "https://localhost:2376/_ping"
    try:
        with_one = [*inside, "--cert", files["client.crt"], "--key", files["client.key"], place]
        wait_until(lambda: subprocess.run(with_one, capture_output=True, check=False).stdout == b"OK", "an answer")
        assert subprocess.run([*inside, place], capture_output=True, check=False).returncode != 0
    finally:
        other.send_signal(signal.SIGTERM)
        assert other.communicate(timeout=20)[1] == b""
    done = served.engine("serve", "-H", "tcp://127.0.0.1:2375")
    assert "whoever reaches it would be root" in done.err


def test_plain_tcp_has_to_be_asked_for_by_its_name_and_is_not_for_web_pages_of_others(served: Served) -> None:
    other = served.engine.popen("serve", "-H", "tcp://127.0.0.1:2375", "--insecure-tcp")
    ask = ["nsenter", f"--net=/proc/{machine_of(served)}/ns/net", "curl", "-sS", "http://127.0.0.1:2375/_ping"]
    try:
        wait_until(lambda: subprocess.run(ask, capture_output=True, check=False).stdout == b"OK", "an answer")
        for origin, host, is_served in (
            ("http://127.0.0.1:2375", "127.0.0.1:2375", True),
            ("http://[::1]:2375", "[::1]:2375", True),
            ("https://evil.example", "127.0.0.1:2375", False),
            ("http://127.0.0.1:80", "127.0.0.1:2375", False),
            ("null", "127.0.0.1:2375", False),
            ("http://evil.example:2375", "evil.example:2375", False),  # a name that was made to mean this machine
        ):
            page = ["-H", f"Origin: {origin}", "-H", f"Host: {host}"]
            answer = subprocess.run([*ask, *page], capture_output=True, check=True).stdout
            assert (answer == b"OK") is is_served, (origin, answer)
            assert is_served or b"may not use this server" in answer
    finally:
        other.send_signal(signal.SIGTERM)
        assert other.wait(timeout=20) == 0


def test_a_socket_that_it_was_started_with_is_served(served: Served, tmp_path: Path) -> None:
    path = str(tmp_path / "passed.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen()

        def be_systemd() -> None:
            os.dup2(listener.fileno(), 3)
            os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
            command = served.engine.command("serve", "-H", "fd://")
            os.execvp(command[0], command)

        pid = os.fork()
        if pid == 0:
            be_systemd()
    wait_until(lambda: serves(path), "the server")
    os.kill(pid, signal.SIGTERM)
    assert os.waitpid(pid, 0)[1] == 0
    assert os.path.exists(path)


def test_a_unit_for_systemd_is_printed(served: Served) -> None:
    text = served.engine.ok("serve", "--print-unit")
    assert "serve -H fd://" in text
    assert "ListenStream=/var/run/docker.sock" in text


def test_containers_that_are_to_come_back_do_when_a_server_begins(served: Served) -> None:
    name = served.made(
        Cmd=["sh", "-c", "while :; do sleep 0.05; done"], HostConfig={"RestartPolicy": {"Name": "always"}}
    )
    assert served("POST", f"/containers/{name}/start").status == 204
    served.stop()
    pid = served.engine.state(name)["Pid"]
    os.kill(served.engine.monitor(name), signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    served.start()
    wait_until(lambda: served("GET", f"/containers/{name}/json").json()["State"]["Pid"] not in (0, pid), "a new life")
    served.engine.ok("rm", "-f", name)


def test_many_clients_start_containers_at_once(served: Served) -> None:
    failures: list[object] = []

    def life(number: int) -> None:
        try:
            name = served.made(Cmd=["sh", "-c", f"exit {number}"])
            assert served("POST", f"/containers/{name}/start").status == 204
            assert served("POST", f"/containers/{name}/wait").json()["StatusCode"] == number
            assert served("DELETE", f"/containers/{name}").status == 204
        except BaseException as error:  # noqa: BLE001 - told by the test
            failures.append(error)

    threads = [threading.Thread(target=life, args=(number,)) for number in range(20)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert failures == []
    assert served.engine.names() == []


def workers(served: Served) -> list[int]:
    """The processes that do short works for the server."""
    with open(f"/proc/{served.pid}/task/{served.pid}/children", encoding="ascii") as file:
        return [int(each) for each in file.read().split()]


def test_who_does_short_works_stays_for_more_and_is_replaced_when_it_was_killed(served: Served) -> None:
    first, second, third = (served.made() for _ in range(3))
    assert served("DELETE", f"/containers/{first}").status == 204
    waiting = workers(served)
    assert waiting
    assert served("DELETE", f"/containers/{second}").status == 204
    assert workers(served) == waiting
    for each in waiting:
        os.kill(each, signal.SIGKILL)
    assert served("DELETE", f"/containers/{third}").status == 204
    assert set(workers(served)).isdisjoint(waiting)
    assert served("DELETE", f"/containers/{third}").status == 404


def test_who_waits_for_a_client_that_goes_is_ended_and_one_that_was_killed_is_an_error(served: Served) -> None:
    name = served.made(Cmd=["sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"])
    assert served("POST", f"/containers/{name}/start").status == 204
    stop = request(f"/containers/{name}/stop?t=600", {"Connection": "close"})

    def waits(pid: int) -> bool:
        """Whether somebody waits for the end of a process."""
        try:
            return "anon_inode:[pidfd]" in [os.readlink(each.path) for each in os.scandir(f"/proc/{pid}/fd")]
        except FileNotFoundError:
            return False  # it has just closed something

    def waiting() -> list[int]:
        return [pid for pid in workers(served) if waits(pid)]

    with served.connect() as client:
        client.sendall(stop)
        wait_until(waiting, "somebody who waits")
    wait_until(lambda: not waiting(), "the end of who waited")
    with served.connect() as client:
        client.sendall(stop)
        wait_until(waiting, "somebody who waits")
        os.kill(waiting()[0], signal.SIGKILL)
        assert b"was killed" in everything(client)
    assert served("DELETE", f"/containers/{name}?force=1").status == 204
