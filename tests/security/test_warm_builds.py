"""Builds that the warm builder carries out: its door is as closed to others as the launcher's, and it takes nothing from a caller by."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.integration.build.test_warm import DOOR, warm
from tests.integration.engine.conftest import rootfs
from tests.integration.engine.warm_engine import NEEDS_CLIENT
from tests.security.test_warm_commands import NOBODY, ask, own_request, request

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.build.test_warm import WarmBuilds

__all__ = ["rootfs", "warm"]

pytestmark = NEEDS_CLIENT


def test_a_request_like_the_client_s_is_served(warm: WarmBuilds) -> None:
    """So that those below are refused for what they change."""
    assert ask(warm, own_request(warm, "build", "--help"), door=DOOR)[:1] == b"b"


def test_whoever_shows_another_process_or_too_little_is_not_served(warm: WarmBuilds) -> None:
    builder = warm.process()
    asked = own_request(warm, "build", "--help")
    assert ask(warm, asked, process=f"/proc/{os.getppid()}", door=DOOR) == b""
    assert ask(warm, asked, count=4, door=DOOR) == b""
    for data in (bytes(8), b"\xff" * 8, request([], ["A=1"]), b"x" * 100_000):
        assert ask(warm, data, door=DOOR) == b""
    assert warm.build(warm.context("FROM base\n")).code == 0
    assert warm.process() == builder


def test_another_user_is_not_served(warm: WarmBuilds) -> None:
    """Who gets as far as the socket because somebody hands it on."""
    script = (
        "import os, socket, sys\n"
        "door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
        "os.chdir(sys.argv[1])\n"
        f"os.setgroups([]); os.setegid({NOBODY}); os.seteuid(0)\n"
        "os.chmod(sys.argv[2], 0o777); os.chmod('.', 0o755)\n"
        f"os.seteuid({NOBODY})\n"
        "try:\n"
        "    door.connect(sys.argv[2])\n"
        "    print('connected', door.recv(5))\n"
        "except OSError as error:\n"
        "    print('refused', type(error).__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(warm.run_root), DOOR], capture_output=True, text=True, timeout=60, check=True
    )
    warm.run_root.chmod(0o700)
    assert done.stdout in {"connected b''\n", "refused ConnectionResetError\n"}, done


def test_limits_cannot_be_raised_by_who_asks(warm: WarmBuilds, tmp_path: Path) -> None:
    """A build has the limits of its caller, be they lower than the builder's, and no build that follows keeps them."""
    (tmp_path / "Dockerfile").write_text("FROM base\nCOPY large /large\n")
    (tmp_path / "large").write_bytes(bytes(1 << 20))
    warm.prefix = ("prlimit", "--fsize=65536", "--")
    try:
        assert warm.build(tmp_path, "--no-cache").code != 0
    finally:
        warm.prefix = ()
    assert warm.build(tmp_path, "--no-cache").code == 0
