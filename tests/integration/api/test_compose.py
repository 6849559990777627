"""Debian's docker-compose, on networks, names and volumes."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.api.served import Served

PROJECT = """\
version: "3"
services:
  web:
    image: plain
    command: sh -c "trap 'exit 0' TERM; echo hello; while :; do sleep 0.05; done"
    depends_on: [db]
    environment: [A=b]
    volumes: [data:/mine]
  db:
    image: plain
    command: sh -c "trap 'exit 0' TERM; while :; do sleep 0.05; done"
    networks: {default: {aliases: [store]}}
volumes: {data: {}}
"""


def test_a_project_comes_up_finds_itself_by_name_and_goes_down(served: Served, tmp_path: Path) -> None:
    (tmp_path / "docker-compose.yml").write_text(PROJECT)

    def compose(*words: str) -> str:
        command = ["docker-compose", "--ansi", "never", "-p", "project", *words]
        done = subprocess.run(
            command, cwd=tmp_path, env=served.environment(), capture_output=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    compose("up", "-d")
    assert compose("ps", "--services", "--filter", "status=running").split() == ["db", "web"]
    address = served.ok(
        "inspect", "-f", "{{.NetworkSettings.Networks.project_default.IPAddress}}", "project_db_1"
    ).strip()
    for name in ("store", "db", "project_db_1"):
        assert address in compose("exec", "-T", "web", "busybox", "nslookup", "-type=a", name)
    assert compose("exec", "-T", "web", "sh", "-c", "echo $A").strip() == "b"
    assert "hello" in compose("logs", "web")
    compose("down", "-v")
    assert served.ok("ps", "-aq") == served.ok("volume", "ls", "-q") == ""
    assert "project_default" not in served.ok("network", "ls")
