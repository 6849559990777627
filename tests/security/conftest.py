"""The fixtures of the integration tests, and one more: attacks are replayed against the real runtime."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import bundle, runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["bundle", "open_directory", "runtime"]


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that ordinary users can reach, which they cannot with those of ``tmp_path``."""
    with tempfile.TemporaryDirectory(prefix="orlop-test-") as path:
        Path(path).chmod(0o755)
        yield Path(path)
