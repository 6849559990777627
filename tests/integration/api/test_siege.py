"""A server under clients that do what clients should not."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

import pytest

from tests.integration.api.siege import Siege
from tests.integration.api.test_protocol import UPGRADE, head_of, request
from tests.integration.api.test_registry import context
from tests.integration.engine.conftest import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.api.served import Served


def test_clients_that_do_anything_at_all_cost_nothing_that_lasts(served: Served) -> None:
    siege = Siege(served)
    siege.run(1.0)
    assert siege.deeds > 10
    served.stop()  # which says nothing, though there were clients all along
    served.start()


@pytest.mark.parametrize(
    "script",
    ["cat", "while :; do echo said; sleep 0.01; done & cat; kill $!"],
    ids=["that waits for input", "that talks all the time"],
)
def test_a_command_whose_client_vanishes_has_read_all_of_its_input(served: Served, script: str) -> None:
    name = served.made(Cmd=["sleep", "1000"])
    assert served("POST", f"/containers/{name}/start").status == 204
    headers = {"Content-Type": "application/json", **UPGRADE}
    wanted = {"Cmd": ["sh", "-c", script], "AttachStdin": True, "AttachStdout": True}
    made = [served("POST", f"/containers/{name}/exec", wanted).json()["Id"] for _ in range(4)]
    for number, each in enumerate(made):
        with served.connect() as client:
            client.sendall(request(f"/exec/{each}/start", headers, body=b"{}"))
            if number % 2:
                head_of(client)
    for each in made:
        wait_until(lambda each=each: served("GET", f"/exec/{each}/json").json()["ExitCode"] is not None)  # type: ignore[misc]
    wait_until(lambda: os.listdir(served.engine.run_root / "control") == [name], "no monitor of a command")


def test_who_sends_files_for_ever_holds_up_nobody_but_who_starts_that_container(served: Served) -> None:
    name = served.made(Cmd=["sleep", "1000"])
    archive = context(big="x" * 100_000)
    with served.connect() as slow, served.connect() as starter:
        head = f"PUT /containers/{name}/archive?path=/ HTTP/1.1\r\nHost: a\r\nContent-Length: {len(archive)}\r\n\r\n"
        slow.sendall(head.encode() + archive[:5000])
        wait_until(lambda: is_locked(served.engine.root / "containers" / name), "its lock")
        starter.sendall(request(f"/containers/{name}/start"))
        assert served("GET", "/_ping").status == 200
        assert served("GET", f"/containers/{name}/json").json()["State"]["Status"] == "created"
        slow.sendall(archive[5000:])
        assert head_of(slow)[0].startswith("HTTP/1.1 200")
        assert head_of(starter)[0].startswith("HTTP/1.1 204")


def is_locked(directory: Path) -> bool:
    """Whether somebody has a container's lock."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
