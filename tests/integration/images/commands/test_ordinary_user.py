"""The same as an ordinary user, whose images are unpacked in a user namespace."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.conftest import wait_until
from tests.integration.engine.image_maker import GROUP, PASSWD, base, directory, file
from tests.integration.engine.ordinary_user import make_engine
from tests.integration.images.commands.archives import docker_archive, small
from tests.integration.images.commands.power import settled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.engine.conftest import Engine
    from tests.integration.images.commands.conftest import ImageEngine


@pytest.fixture(scope="module")
def user(rootfs: Path) -> Iterator[Engine]:
    """An ordinary user's engine."""
    with make_engine("images", ranges=True) as made:
        yield made


def leftovers(engine: Engine) -> list[str]:
    """Everything that a store has which is of use to no image."""
    found: list[str] = []
    for place in ("images/blobs/sha256", "images/trash", "snapshots/overlay", "locks"):
        path = engine.root / place
        found += [f"{place}/{each}" for each in (os.listdir(path) if path.exists() else []) if not each.startswith(".")]
    return found


def test_an_ordinary_user_pulls_runs_commits_saves_loads_and_removes(
    user: Engine, engine: ImageEngine, place: str
) -> None:
    name = f"{place}:1"
    web = [directory("srv", uid=1000, gid=1001), file("srv/file", "web's", uid=1000, gid=1001, mode=0o600)]
    engine.load(docker_archive(name, [base(PASSWD, GROUP), small("text")], {"Env": ["PATH=/bin"], "Cmd": ["sh"]}))
    engine.ok("import", "-", f"{place}:owned", given=base(PASSWD, GROUP, *web))
    engine.ok("push", "-a", place)
    assert "Downloaded newer image" in user.ok("pull", name)
    user.ok("pull", "-q", f"{place}:owned")
    assert sorted(user.ok("images", "--format", "{{.Tag}}").split()) == ["1", "owned"]
    assert user.ok("image", "inspect", "-f", "{{.Id}}", name).strip() == engine.image(name)["Id"]
    assert user.ok("run", "--rm", name, "cat", "/a/file") == "text"
    assert user.ok("run", "--rm", f"{place}:owned", "stat", "-c", "%u:%g %a", "/srv/file") == "1000:1001 600\n"
    assert user.ok("run", "--rm", "-u", "web", f"{place}:owned", "cat", "/srv/file") == "web's"

    user.ok("run", "--name", "changed", name, "sh", "-c", "echo new > /new; rm /a/file")
    user.ok("commit", "changed", "made:1")
    user.ok("rm", "changed")
    assert user.ok("run", "--rm", "made:1", "sh", "-c", "cat /new; ls /a") == "new\n"
    path = str(user.root.parent / "saved.tar")
    user.ok("save", "-o", path, "made:1", f"{place}:owned")
    user.ok("tag", "made:1", f"{place}:made")
    user.ok("push", f"{place}:made")
    images = user.ok("images", "-q").split()
    assert user.ok("system", "check").endswith("no problems\n")
    wait_until(lambda: not user.snapshots(), "the end of clearing away")
    user.ok("rmi", "-f", *images)
    assert leftovers(user) == []

    assert sorted(user.ok("load", "-i", path).splitlines()) == [
        "Loaded image: " + each for each in (f"{place}:owned", "made:1")
    ]
    assert user.ok("run", "--rm", "made:1", "cat", "/new") == "new\n"
    assert user.ok("run", "--rm", f"{place}:owned", "stat", "-c", "%u", "/srv/file") == "1000\n"
    wait_until(lambda: not user.snapshots(), "the end of clearing away")
    user.ok("system", "prune", "-af")
    assert leftovers(user) == []
    engine.ok("pull", "-q", f"{place}:made")
    assert engine.ok("run", "--rm", f"{place}:made", "cat", "/new") == "new\n"


def test_root_and_the_user_have_images_of_their_own(user: Engine, engine: ImageEngine) -> None:
    user.ok("load", given=docker_archive("mine:1"))
    engine.load(docker_archive("other:1"))
    assert user.ok("images", "--format", "{{.Repository}}") == "mine\n"
    assert engine.images() == ["other:1"]
    assert user.ok("system", "df", "--format", "{{.Type}} {{.TotalCount}}").splitlines()[0] == "Images 1"
    assert "Untagged: mine:1" in user.ok("rmi", "mine:1")
    assert leftovers(user) == []


def test_a_user_s_image_that_was_lost_with_the_power_is_unpacked_again(user: Engine) -> None:
    user.ok("load", given=docker_archive("lost:1", [base(PASSWD, GROUP), small("text")], {"Env": ["PATH=/bin"]}))
    user.ok("create", "--name", "made", "lost:1", "cat", "/a/file")
    settled(user)
    for record in (user.root / "snapshots/overlay").glob("sha256:*/record.json"):
        said = json.loads(record.read_bytes())
        assert said.pop("confirmed"), "it was written to the disk by a process of the user's"
        record.write_text(json.dumps({**said, "boot": "another"}))
        for path in record.parent.glob("fs/a/file"):
            path.write_bytes(b"")
    assert user.ok("run", "--rm", "lost:1", "cat", "/a/file") == "text"
    assert user.ok("start", "-a", "made") == "text"
    user.ok("rm", "made")
    wait_until(lambda: not user.snapshots(), "the end of clearing away")
    user.ok("rmi", "lost:1")
    assert leftovers(user) == []
