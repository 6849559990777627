"""The fixtures of the integration tests, and one more: attacks are replayed against the real runtime."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import REPOSITORY, bundle, runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["bundle", "open_checkout", "open_directory", "runtime"]


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that ordinary users can reach, which they cannot with those of ``tmp_path``."""
    with tempfile.TemporaryDirectory(prefix="orlop-test-") as path:
        Path(path).chmod(0o755)
        yield Path(path)


@pytest.fixture
def open_checkout() -> None:
    """The code under test, which ordinary users cannot reach where it was cloned into root's home."""
    closed = [str(path) for path in (REPOSITORY, *REPOSITORY.parents) if not path.stat().st_mode & 0o001]
    if closed:
        pytest.skip(f"an ordinary user cannot enter {closed[-1]}, which holds the code")
