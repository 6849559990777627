"""What holds for every test: the machine is as it was."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# How long anything takes is the machine's business, and that of whoever else uses it.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

#: Containers of tests that name no network have none, so that the machine's own devices and rules stay as they are.
os.environ["ORLOP_NETWORK"] = "none"

#: Directories and files of the host that a container or a test could change by mistake, or by an attack that works.
_OF_THE_HOST = (
    "/",
    "/dev",
    "/dev/null",
    "/dev/ptmx",
    "/etc",
    "/etc/passwd",
    "/proc",
    "/run",
    "/sys",
    "/tmp",
    "/usr",
    "/var",
)


#: Seconds after which nobody is about to enter a control group that has no process.
_ABANDONED = 600


def pytest_sessionstart(session: pytest.Session) -> None:
    """Remove the control groups that an earlier run left because it was killed; the kernel keeps those with processes."""
    if hasattr(session.config, "workerinput") or os.geteuid() != 0:
        return
    top = Path("/sys/fs/cgroup")
    for hierarchy in (top, *top.glob("*/")):
        for group in (*hierarchy.glob("orlop-test-*/"), *hierarchy.glob("orlop/*/")):
            _remove_if_abandoned(group)


def _remove_if_abandoned(group: Path) -> None:
    try:
        for below in group.glob("*/"):
            _remove_if_abandoned(below)
        if time.time() - group.stat().st_mtime > _ABANDONED:
            group.rmdir()
    except OSError:
        return  # in use, or gone meanwhile


def _owners_and_modes() -> dict[str, tuple[int, int, int]]:
    found = {path: os.stat(path) for path in _OF_THE_HOST}
    return {path: (status.st_mode, status.st_uid, status.st_gid) for path, status in found.items()}


@pytest.fixture(scope="module", autouse=True)
def host_as_it_was() -> Iterator[None]:
    """Fail a module during which the owner or the mode of something of the host's changed."""
    before = _owners_and_modes()
    yield
    assert _owners_and_modes() == before
