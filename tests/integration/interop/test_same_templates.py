"""Docker's own client evaluates the templates that orlop's are tested with; it needs no daemon for that."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.unit.cli.template_examples import EXAMPLES

SEPARATOR = "¦"  # no space, which templates may trim


def test_docker_s_client_prints_the_same() -> None:
    if shutil.which("docker") is None:
        pytest.skip("needs Docker's client")
    joined = SEPARATOR.join(format_ for format_, _ in EXAMPLES)
    done = subprocess.run(
        ["docker", "--host", "unix:///nonexistent", "version", "--format", joined],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "range can't iterate over 3" in done.stderr:
        pytest.skip("this client was made with a Go older than 1.24")
    printed = done.stdout.removesuffix("\n").split(SEPARATOR)
    assert list(zip((format_ for format_, _ in EXAMPLES), printed, strict=True)) == EXAMPLES
