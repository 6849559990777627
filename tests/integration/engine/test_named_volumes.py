"""Volumes that have names: made, filled, shared, listed, pruned, and kept while somebody has them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.engine.conftest import wait_until
from tests.integration.engine.image_maker import base, directory, entry, file, make

if TYPE_CHECKING:
    from tests.integration.engine.conftest import Engine


def inspect(engine: Engine, name: str) -> dict[str, Any]:
    """What `orlop volume inspect` tells of one volume."""
    found: list[dict[str, Any]] = json.loads(engine.ok("volume", "inspect", name))
    return found[0]


@pytest.fixture(scope="module")
def engines(owner: Engine) -> Engine:
    """Root's engine and an ordinary user's, with an image that has something to copy."""
    content = base(directory("data", mode=0o1750), file("data/a", "from the image"), entry("data/b", uid=7, gid=8))
    make(owner, "data:latest", [content])
    return owner


def test_a_volume_outlives_containers_and_is_shared_by_them(engines: Engine) -> None:
    engines.ok("run", "--rm", "-v", "kept:/d", "plain", "sh", "-c", "echo 1 > /d/x")
    assert engines.ok("run", "--rm", "-v", "kept:/elsewhere:ro", "plain", "cat", "/elsewhere/x") == "1\n"
    assert engines.ok("volume", "ls", "-q") == "kept\n"
    engines.ok("volume", "rm", "kept")


def test_an_empty_volume_begins_as_what_the_image_has_there(engines: Engine) -> None:
    script = "stat -c %a:%u /data; stat -c %u:%g /data/b; cat /data/a; echo changed > /data/a"
    expected = "1750:0\n7:8\nfrom the image"
    assert engines.ok("run", "--rm", "-v", "filled:/data", "data", "sh", "-c", script) == expected
    # The second time it is not empty.
    assert engines.ok("run", "--rm", "-v", "filled:/data", "data", "cat", "/data/a") == "changed\n"
    assert engines.ok("run", "--rm", "-v", "empty:/data:nocopy", "data", "ls", "/data") == ""
    mount = "type=volume,src=empty-too,dst=/data,volume-nocopy"
    assert engines.ok("run", "--rm", "--mount", mount, "data", "ls", "/data") == ""
    engines.ok("volume", "rm", "filled", "empty", "empty-too")


def test_a_volume_that_somebody_looks_at_is_filled_where_it_is(engines: Engine) -> None:
    engines.ok("run", "-d", "--name", "looker", "-v", "seen:/d", "plain", "sleep", "60")
    engines.ok("run", "--rm", "-v", "seen:/data", "data", "true")
    assert engines.ok("exec", "looker", "cat", "/d/a") == "from the image"
    engines.ok("rm", "-f", "looker")
    engines.ok("volume", "rm", "seen")


def test_a_part_of_a_volume_can_be_mounted_and_no_link_leads_out_of_it(engines: Engine) -> None:
    engines.ok(
        "run", "--rm", "-v", "parts:/d", "plain", "sh", "-c", "mkdir /d/sub; echo sub > /d/sub/x; ln -s /etc /d/out"
    )
    mount = "type=volume,src=parts,dst=/p,volume-subpath="
    assert engines.ok("run", "--rm", "--mount", f"{mount}sub", "plain", "cat", "/p/x") == "sub\n"
    for subpath in ("out", "missing"):
        result = engines("run", "--rm", "--mount", f"{mount}{subpath}", "plain", "ls", "/p")
        assert result.code == 125
        assert result.err.count("\n") == 1
    wait_until(lambda: not engines.snapshots(), "the end of clearing away")
    engines.ok("volume", "rm", "parts")


def test_a_volume_that_a_container_has_cannot_be_removed(engines: Engine) -> None:
    made = engines.ok("create", "-v", "used:/d", "plain", "true").strip()
    result = engines("volume", "rm", "used")
    assert (result.code, result.err) == (1, f"Error: remove used: volume is in use - [{made}]\n")
    engines.ok("rm", "-v", made)
    assert engines.ok("volume", "ls", "-q") == "used\n"  # a name keeps it
    engines.ok("volume", "rm", "used")
    assert engines("volume", "rm", "used").err == "Error: get used: no such volume\n"
    assert engines("volume", "rm", "-f", "used").code == 0


def test_volumes_are_made_and_described_in_docker_s_words(shared: Engine) -> None:
    assert shared.ok("volume", "create", "--label", "a=1", "--label", "b", "told") == "told\n"
    told = inspect(shared, "told")
    assert told["Labels"] == {"a": "1", "b": ""}
    assert (told["Driver"], told["Scope"], told["Options"]) == ("local", "local", None)
    assert told["Mountpoint"] == f"{shared.root}/volumes/told/_data"
    assert shared.ok("volume", "create", "told") == "told\n"  # it is there already
    assert json.loads(shared.ok("inspect", "told"))[0] == told
    anonymous = shared.ok("volume", "create").strip()
    assert len(anonymous) == 64
    assert inspect(shared, anonymous)["Labels"] == {"com.docker.volume.anonymous": ""}
    assert shared.ok("volume", "ls", "--filter", "label=a") == "DRIVER    VOLUME NAME\nlocal     told\n"
    assert shared.ok("volume", "ls", "--filter", "name=tol", "--format", '{{.Name}} {{.Label "a"}}') == "told 1\n"
    assert shared("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "told").code == 1
    assert "invalid characters" in shared("volume", "create", "no/name").err
    assert "nothing-like-it" in shared("volume", "create", "-d", "nothing-like-it", "x1").err
    assert "colour" in shared("volume", "create", "-o", "colour=red", "x1").err
    shared.ok("volume", "rm", "told", anonymous)


def test_pruning_takes_what_no_container_has_and_names_only_if_asked(shared: Engine) -> None:
    for name in ("one", "two"):
        shared.ok("volume", "create", "--label", f"which={name}", name)
    anonymous = shared.ok("volume", "create").strip()
    holder = shared.ok("create", "-v", "held:/d", "--rootfs", "ROOTFS", "true").strip()
    assert shared.ok("volume", "ls", "-q", "-f", "dangling=false") == "held\n"
    assert anonymous in shared.ok("volume", "prune", "-f")
    assert shared.ok("volume", "ls", "-q").split() == ["held", "one", "two"]
    assert "one" in shared.ok("volume", "prune", "-f", "--all", "--filter", "label=which=one")
    assert shared.ok("volume", "prune", "-fa").splitlines()[:2] == ["Deleted Volumes:", "two"]
    shared.ok("rm", holder)
    shared.ok("volume", "prune", "-fa")
    assert shared.volumes() == []


def test_a_volume_with_a_file_system_of_its_own_is_mounted_while_it_is_used(shared: Engine) -> None:
    shared.ok("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m,uid=1000", "memory")
    shared.ok(
        "run", "-d", "--name", "writer", "-v", "memory:/d", "--rootfs", "ROOTFS", "sh", "-c", "echo x>/d/x; sleep 60"
    )
    wait_until(lambda: shared("exec", "writer", "cat", "/d/x").out == "x\n", "the file")
    text = shared.run("-v", "memory:/d", "sh", "-c", "stat -c %u /d; cat /d/x; grep /d /proc/mounts").out
    assert text.startswith("1000\nx\n")
    assert "size=1024k" in text
    shared.ok("rm", "-f", "writer")

    def is_gone() -> bool:
        return "volumes/memory" not in Path("/proc/self/mountinfo").read_text()

    wait_until(is_gone, "the end of the mount")
    assert shared.run("-v", "memory:/d", "ls", "/d").out == ""
    wait_until(is_gone, "the end of the mount")
    shared.ok("volume", "rm", "memory")


def test_a_volume_can_be_a_directory_elsewhere(shared: Engine, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("there\n")
    options = f"type=volume,src=elsewhere,dst=/d,volume-opt=type=none,volume-opt=o=bind,volume-opt=device={tmp_path}"
    assert shared.run("--mount", options, "cat", "/d/x").out == "there\n"
    assert inspect(shared, "elsewhere")["Options"] == {"type": "none", "o": "bind", "device": str(tmp_path)}
    wait_until(lambda: "volumes/elsewhere" not in Path("/proc/self/mountinfo").read_text(), "the end of the mount")
    shared.ok("volume", "rm", "elsewhere")
    assert (tmp_path / "x").exists()


def test_a_volume_whose_file_system_cannot_be_mounted_says_why(shared: Engine) -> None:
    shared.ok("volume", "create", "-o", "type=ext4", "-o", "device=/dev/no-such-disk", "broken")
    result = shared.run("-v", "broken:/d", "true")
    assert result.code == 125
    assert "failed to mount local volume" in result.err
    assert result.err.count("\n") == 1
    wait_until(lambda: not shared.containers(), "the end of clearing away")
    shared.ok("volume", "rm", "broken")


def test_a_mount_of_a_container_whose_monitor_was_killed_is_taken_down_by_the_next_command(engine: Engine) -> None:
    engine.ok("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "memory")
    made = engine.detached("victim", "-v", "memory:/d", "sleep", "60")
    os.kill(engine.monitor(made), signal.SIGKILL)
    engine.ok("ps")
    wait_until(lambda: "volumes/memory" not in Path("/proc/self/mountinfo").read_text(), "the end of the mount")
    engine.ok("rm", "victim")


def test_a_volume_is_made_once_however_many_want_it_at_once(engine: Engine) -> None:
    engine.run("true")
    engine.launcher()
    words = engine.command("run", "--rm", "--rootfs", "ROOTFS", "-v", "common:/d", "sh", "-c", "echo x >> /d/all")
    many = [subprocess.Popen(words) for _ in range(6)]
    assert [each.wait(60) for each in many] == [0] * 6
    assert engine.run("-v", "common:/d", "cat", "/d/all").out == "x\n" * 6
    wait_until(lambda: not engine.containers(), "the end of clearing away")
    assert engine.volumes() == ["common"]


def test_what_a_killed_command_left_of_a_volume_is_cleared_away(engine: Engine) -> None:
    engine.ok("volume", "create", "whole")
    for entry_left in (".new-0123", ".gone-0123"):
        (engine.root / "volumes" / entry_left / "_data").mkdir(parents=True)
    assert engine.ok("volume", "ls", "-q") == "whole\n"
    engine.ok("ps")
    assert engine.volumes() == ["whole"]
