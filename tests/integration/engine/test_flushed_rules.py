"""Rules that somebody removes while containers run come back by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.engine.conftest import wait_until
from tests.integration.engine.networked import NetworkedEngine
from tests.machine import Machine, cable

if TYPE_CHECKING:
    from pathlib import Path

SERVER = (
    "import socket; a = socket.create_server(('', 80)); print('ready', flush=True)\nwhile 1: a.accept()[0].send(b'web')"
)


def test_whatever_flushes_the_rule_set_ports_are_published_again_at_once(tmp_path: Path, rootfs: Path) -> None:
    with NetworkedEngine(tmp_path, rootfs) as engine, Machine() as neighbour:
        host = engine.machine
        cable(host, "lan0", "192.0.2.1/24", neighbour, "eth0", "192.0.2.2/24")
        options = ("--network", "bridge", "--name", "web", "-p", "8080:80", "-p", "127.0.0.1:8081:80")
        engine.ok("run", "-d", *options, "host", "python3", "-IS", "-c", SERVER)
        wait_until(lambda: "ready" in engine.ok("logs", "web"), "a server")
        assert neighbour.ask("192.0.2.1", 8080) == "web"
        # Who notices is the process that resolves names, which a container's first second brings.
        wait_until((engine.run_root / "names.sock").exists, "a resolver")
        engine("exec", "web", "getent", "hosts", "web")
        rules = ("nft", "--stateless", "--terse", "list", "ruleset")
        whole = host.run(*rules).count("\n")
        for damage in (
            ("flush", "ruleset"),
            ("delete", "table", "inet", host.rules().split("table inet ")[1].split()[0]),
            ("flush", "ruleset"),
        ):
            host.run("nft", *damage)
            wait_until(lambda: host.run(*rules).count("\n") == whole, "all rules")
            assert host.ask("127.0.0.1", 8081) == "web"
            assert neighbour.ask("192.0.2.1", 8080) == "web"
            assert not neighbour.reaches("192.0.2.1", 8081)
        engine.ok("rm", "-f", "web")
        host.run("ip", "link", "delete", "lan0")
