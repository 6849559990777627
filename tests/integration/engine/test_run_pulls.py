"""`run` of an image that is not here: it comes from its registry, if the user lets it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.image_maker import make
from tests.integration.images.servers import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.engine.conftest import Engine


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a registry."""
    server = Server(tmp_path_factory.mktemp("registry"))
    yield server.authority
    server.stop()


def push(owner: Engine, name: str, said: str) -> None:
    """Put an image into the registry that says something, and forget it here."""
    make(owner, "pushed:latest", config={"Cmd": ["echo", said], "Env": ["PATH=/bin"]})
    owner.ok("tag", "pushed", name)
    owner.ok("push", "-q", name)
    owner.ok("rmi", name, "pushed")


def test_a_missing_image_is_pulled_and_run(owner: Engine, registry: str) -> None:
    name = f"{registry}/it:1"
    push(owner, name, "hello")
    result = owner("run", "--rm", name)
    assert (result.code, result.out) == (0, "hello\n")
    assert result.err.startswith(f"Unable to find image '{name}' locally\n")
    assert "Downloaded newer image" in result.err
    again = owner("run", "--rm", name)
    assert (again.out, again.err) == ("hello\n", "")


def test_in_the_background_only_the_id_is_printed_and_quietly_no_word_of_a_pull(owner: Engine, registry: str) -> None:
    name = f"{registry}/background"
    push(owner, name, "there")
    result = owner("run", "-d", "-q", "--name", "behind", name)
    assert (len(result.out), result.err) == (65, "")
    assert owner.ok("logs", "-f", "behind") == "there\n"
    owner.ok("rm", "-f", "behind")


def test_the_newest_image_is_had_by_always_pulling(owner: Engine, registry: str) -> None:
    name = f"{registry}/moving"
    push(owner, name, "old")
    owner.ok("pull", "-q", name)
    push_other = make(owner, "other:latest", config={"Cmd": ["echo", "new"], "Env": ["PATH=/bin"]})
    owner.ok("tag", name, "kept")
    owner.ok("tag", push_other, name)
    owner.ok("push", "-q", name)
    owner.ok("tag", "kept", name)
    assert owner("run", "--rm", name).out == "old\n"
    assert owner("run", "--rm", "--pull", "always", "-q", name).out == "new\n"


def test_an_image_that_the_registry_lacks_is_an_error_and_leaves_nothing(owner: Engine, registry: str) -> None:
    result = owner("run", "--rm", "--name", "none", f"{registry}/nowhere", "true")
    assert result.code == 125
    assert "nowhere" in result.err.splitlines()[-1]
    assert owner.containers() == []
    never = owner("run", "--rm", "--pull", "never", f"{registry}/nowhere", "true")
    assert (never.code, never.err.count("\n")) == (125, 1)
    assert owner("run", "--rm", "--pull", "sometimes", "plain", "true").code == 125
