"""Containers for tests: the fixtures ``orlop_engine`` and ``orlop_container``.

pytest finds this module by the entry point of the package, in every run on a machine where orlop is installed. So
nothing else of orlop is imported before a test asks for a fixture.
"""

from __future__ import annotations

import time

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from orlop.library.container import Container
    from orlop.library.engine import Engine

#: Seconds that a container may take until it is ready.
_PATIENCE = 60.0


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options to keep tests apart from the user's own containers and images."""
    group = parser.getgroup("orlop")
    group.addoption("--orlop-root", metavar="DIR", help="orlop's state directory for tests (default: the user's own)")
    group.addoption("--orlop-run-root", metavar="DIR", help="orlop's directory for sockets and locks")


@pytest.fixture(scope="session")
def orlop_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """The engine that the tests use: an `orlop.Engine`."""
    import orlop

    config = request.config
    with orlop.Engine(config.getoption("--orlop-root"), config.getoption("--orlop-run-root")) as engine:
        yield engine


class ContainerFactory:
    """Starts containers for one test, and removes them when it is over."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._made: list[Container] = []

    def __call__(
        self,
        image: str | None = None,
        command: str | Sequence[str] | None = None,
        *,
        ready: str | None = None,
        timeout: float = _PATIENCE,
        **options: Any,
    ) -> Container:
        """Start a container; the arguments are those of `orlop.Engine().containers.run`.

        With ``ready`` it is only returned when its log has this text.

        Raises:
            pytest.fail.Exception: it ended before that, or ``timeout`` seconds passed.
        """
        made = self.engine.containers.run(image, command, detach=True, leash=True, **options)
        self._made.append(made)
        if ready is not None:
            _wait_ready(made, ready.encode(), timeout)
        return made

    def close(self) -> None:
        """Remove all of them, the last one first."""
        while self._made:
            self._made.pop().__exit__(None, None, None)


@pytest.fixture
def orlop_container(orlop_engine: Engine) -> Iterator[ContainerFactory]:
    """A factory of containers that live as long as the test."""
    factory = ContainerFactory(orlop_engine)
    try:
        yield factory
    finally:
        factory.close()


def _wait_ready(container: Container, text: bytes, timeout: float) -> None:
    end = time.monotonic() + timeout
    seen = b""
    for entry in container.log_entries(follow=True, stopped=lambda: time.monotonic() > end):
        seen = (seen + entry.data)[-65536:]
        if text in seen:
            return
    what = "ended" if time.monotonic() <= end else f"was not ready in {timeout:g} seconds"
    pytest.fail(f"container {container.short_id} of {container.image} {what}; its last words: {seen[-2000:]!r}")
