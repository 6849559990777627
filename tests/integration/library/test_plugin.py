"""The fixtures for pytest, in a pytest of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    import orlop
    from tests.integration.engine.conftest import Engine as CommandLine


def run_tests(text: str, command: CommandLine, directory: Path) -> str:
    """Run a file of tests; what pytest prints."""
    (directory / "test_it.py").write_text(textwrap.dedent(text))
    own = ["--orlop-root", str(command.root), "--orlop-run-root", str(command.run_root)]
    words = [sys.executable, "-m", "pytest", "-q", "-p", "orlop.pytest_plugin", "-p", "no:cacheprovider", *own]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [*words, "test_it.py"], cwd=directory, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout + done.stderr


def test_containers_are_gone_after_the_test_that_made_them(
    engine: orlop.Engine, command: CommandLine, tmp_path: Path
) -> None:
    said = run_tests(
        """
        def test_one(orlop_container):
            first = orlop_container("plain", ["sh", "-c", "sleep 0.1; echo set to go; sleep 1000"], ready="to go")
            second = orlop_container("plain", ["sleep", "1000"], labels={"a": "b"})
            assert (first.status, second.status) == ("running", "running")
            assert second.exec(["echo", "x"]).stdout == b"x\\n"
            raise ZeroDivisionError

        def test_two(orlop_engine):
            assert orlop_engine.containers.list(all=True) == []
        """,
        command,
        tmp_path,
    )
    assert "1 failed, 1 passed" in said
    assert "ZeroDivisionError" in said


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo the reason; exit 1", "ended; its last words: b'the reason"),
        ("sleep 1000", "was not ready in 0.5 seconds"),
    ],
)
def test_a_container_that_does_not_become_ready_fails_the_test(
    engine: orlop.Engine, command: CommandLine, tmp_path: Path, script: str, why: str
) -> None:
    said = run_tests(
        f"""
        def test_it(orlop_container):
            orlop_container("plain", ["sh", "-c", {script!r}], ready="hello", timeout=0.5)
        """,
        command,
        tmp_path,
    )
    assert why in said
    assert "1 failed" in said
