"""Requests that schemathesis makes from the description of Docker's API, as they are meant to be and as they are not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import engine_api_schema
from tests.integration.api.served import Served
from tests.integration.engine.conftest import rootfs, wait_until
from tests.integration.engine.image_maker import make
from tests.integration.engine.networked import NetworkedEngine

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["rootfs"]

_PROGRAM = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
pytestmark = pytest.mark.skipif(_PROGRAM is None, reason="needs schemathesis, which `make soak` installs where it can")

#: Seconds that it goes on for.
SECONDS = int(240 * float(os.environ.get("ORLOP_SOAK", "1")))
#: Containers and images that requests name; what another machine would have to answer, or is not served, is not the
#: server's mistake.
CONFIGURATION = """
[parameters]
"path.id" = "web"
"path.name" = "plain"

[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 501, 502, 503]
"""
#: Streams that go on for ever, and what an engine that is in no swarm has nothing for.
LEFT_OUT = (
    r"/events|/containers/\{id\}/(attach.*|wait|stats|logs)|/(swarm|nodes|services|tasks|secrets|configs|plugins).*"
)


@pytest.fixture
def listening(tmp_path: Path, rootfs: Path) -> Iterator[Served]:
    """A server that listens on the loopback of a machine without a way out, too."""
    served = Served(tmp_path, NetworkedEngine(tmp_path, rootfs), ("-H", "tcp://127.0.0.1:2375", "--insecure-tcp"))
    try:
        make(served.engine, "plain:latest")
        served.engine.ok("run", "-d", "--name", "web", "--network", "none", "plain", "sleep", "1000")
        yield served
    finally:
        for name in served.engine.names():
            served.engine("rm", "-f", "-v", name)
        served.close()


def test_no_request_that_the_description_leads_to_is_the_server_s_mistake(listening: Served, tmp_path: Path) -> None:
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(CONFIGURATION)
    before = listening.descriptors()
    done = subprocess.run(
        [
            *(
                "nsenter",
                f"--net=/proc/{listening.pid}/ns/net",
                str(_PROGRAM),
                "--config-file",
                str(configuration),
                "run",
            ),
            *("--url", "http://127.0.0.1:2375/v1.47", "--checks", "not_a_server_error", "--phases", "coverage,fuzzing"),
            *("--continue-on-failure", "--suppress-health-check", "all", "--request-timeout", "60"),
            *("--max-time", str(SECONDS), "--exclude-path-regex", f"^({LEFT_OUT})$", "--no-color"),
            str(engine_api_schema.path()),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS + 300,
        check=False,
    )
    assert "Server error" not in done.stdout, done.stdout
    assert "Network Error" not in done.stdout, done.stdout
    assert " generated" in done.stdout, done.stdout + done.stderr
    wait_until(lambda: listening.descriptors() <= before, "a server that holds no more than in the beginning")
