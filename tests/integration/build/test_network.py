"""Steps on networks, on a machine of their own."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.integration.engine.conftest import rootfs, wait_until
from tests.integration.engine.networked import NetworkedEngine

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["rootfs"]


def test_a_step_is_on_the_network_that_containers_are_on_and_gone_from_it_afterwards(
    tmp_path: Path, rootfs: Path
) -> None:
    with NetworkedEngine(tmp_path, rootfs) as engine:
        archive = subprocess.run(["tar", "-C", str(rootfs), "-c", "."], capture_output=True, check=True).stdout
        engine.ok("import", "-", "base", given=archive)
        engine.ok("network", "create", "own")
        engine.ok(
            "run", "-d", "--name", "db", "--network", "own", "base", "nc", "-l", "-p", "80", "-e", "echo", "served"
        )
        text = (
            "FROM base\nRUN busybox ip route >/route && busybox ping -c 1 -W 5 $(sed -n 's/default via \\([0-9.]*\\) .*/\\1/p' /route)\n"
            'RUN --network=none test "$(ls /sys/class/net)" = lo\n'
        )
        result = engine("build", "-", given=text.encode())
        assert result.code == 0, result
        assert "default via" in engine.ok("run", "--rm", "--network", "none", result.out.strip(), "cat", "/route")
        served = engine("build", "--progress", "plain", "--network", "own", "-", given=b"FROM base\nRUN nc db 80\n")
        assert " served\n" in served.err, served
        refused = engine("build", "--network", "missing", "-", given=b"FROM base\nRUN true\n")
        assert "network missing not found" in refused.err
        wait_until(engine.is_clean, "a machine without networks")  # before the processes that see to it are ended
