"""The fixtures of the integration tests, and nothing else: attacks are replayed against the real runtime."""

from __future__ import annotations

from tests.integration.conftest import bundle, runtime

__all__ = ["bundle", "runtime"]
