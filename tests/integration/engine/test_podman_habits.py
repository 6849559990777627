"""What podman's users are used to and Docker has no word for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.image_maker import make

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.engine.conftest import Engine


@pytest.fixture(scope="module")
def plain(shared: Engine) -> Iterator[Engine]:
    make(shared, "plain:latest")
    yield shared
    shared.ok("rmi", "plain")


def test_whether_something_exists_is_the_exit_status(plain: Engine) -> None:
    plain.ok("create", "--name", "there", "plain", "true")
    plain.ok("volume", "create", "vessel")
    for kind, name in (("container", "there"), ("image", "plain"), ("volume", "vessel"), ("network", "host")):
        assert plain(kind, "exists", name).code == 0
        missing = plain(kind, "exists", "nobody")
        assert (missing.code, missing.out, missing.err) == (1, "", "")
    plain.ok("rm", "there")
    plain.ok("volume", "rm", "vessel")


def test_all_means_every_container_to_which_it_can_be_done(plain: Engine) -> None:
    plain.ok("create", "--name", "resting", "plain", "true")
    plain.ok("run", "-d", "--name", "runner", "plain", "sleep", "1000")
    assert plain.ok("pause", "--all") == "runner\n"
    assert plain.ok("unpause", "-a") == "runner\n"
    assert plain.ok("kill", "--all") == "runner\n"
    plain.ok("wait", "runner")
    assert plain.ok("stop", "-a") == ""
    refused = plain("rm", "--all", "runner")
    assert (refused.code, refused.err) == (1, "orlop: with --all no container can be named; see 'orlop rm --help'\n")
    assert sorted(plain.ok("rm", "--all").split()) == ["resting", "runner"]
    assert plain.names() == []
    assert plain("rm").err == "orlop: 'orlop rm' takes at least 1 argument, 0 given; see 'orlop rm --help'\n"


def test_a_container_can_replace_the_one_that_has_its_name(plain: Engine) -> None:
    first = plain.ok("run", "-d", "--name", "web", "plain", "sleep", "1000").strip()
    # Only a name is replaced, not what an abbreviated ID means.
    plain.ok("create", "--replace", "--name", first[:12], "plain", "true")
    assert plain.state("web")["Running"]
    second = plain.ok("run", "-d", "--replace", "--name", "web", "plain", "sleep", "1000").strip()
    assert plain.inspect("web")["Id"] == second
    assert plain("inspect", first).code == 1
    assert "give --name too" in plain("create", "--replace", "plain", "true").err
    plain.ok("rm", "--all", "--force")
