"""Mounts, devices and variables that come to and go from containers, of root's and of an ordinary user's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import REPOSITORY
from tests.integration.engine.conftest import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.engine.conftest import Engine


@pytest.fixture
def box(owner: Engine) -> Iterator[Engine]:
    """An engine with a running container ``box``, and a directory to share with it."""
    source(owner).mkdir(exist_ok=True)
    (source(owner) / "file").write_text("shared\n")
    for path in (source(owner), source(owner) / "file"):
        os.chown(path, owner.root.stat().st_uid, owner.root.stat().st_gid)
    owner.ok("run", "-d", "--name", "box", "plain", "sleep", "1000")
    yield owner
    owner.ok("rm", "-f", "-v", *owner.ok("ps", "-aq").split())
    for name in owner.ok("volume", "ls", "-q").split():
        owner.ok("volume", "rm", name)


def source(engine: Engine) -> Path:
    return engine.root.parent / "source"


def inside(engine: Engine, script: str) -> str:
    return engine.ok("exec", "box", "sh", "-c", script)


def mounted(engine: Engine) -> set[str]:
    """Where something is mounted that the user asked for."""
    return {line.split()[1] for line in inside(engine, "cat /proc/mounts").splitlines() if "/mnt" in line.split()[1]}


def test_a_directory_comes_to_a_running_container_and_stays_when_it_is_restarted(box: Engine) -> None:
    place = source(box)
    assert box.ok("update", "--mount-add", f"type=bind,source={place},target=/mnt/new/place", "box") == "box\n"
    assert inside(box, "cat /mnt/new/place/file") == "shared\n"
    inside(box, "echo from inside > /mnt/new/place/answer")
    assert (place / "answer").read_text() == "from inside\n"
    point = box.inspect("box")["Mounts"][0]
    assert (point["Type"], point["Source"], point["Destination"]) == ("bind", str(place), "/mnt/new/place")
    box.ok("restart", "-t", "0", "box")
    assert inside(box, "cat /mnt/new/place/file") == "shared\n"


def test_what_is_read_only_cannot_be_written_to(box: Engine) -> None:
    box.ok("update", "--volume-add", f"{source(box)}:/mnt/a:ro", "--volume-add", f"{source(box)}/file:/mnt/b:ro", "box")
    assert inside(box, "cat /mnt/a/file /mnt/b") == "shared\nshared\n"
    for path in ("/mnt/a/file", "/mnt/b"):
        assert "Read-only file system" in box("exec", "box", "sh", "-c", f"echo x > {path}").err


def test_volumes_begin_as_what_the_image_has_and_tmpfs_is_empty(box: Engine) -> None:
    box.ok("update", "--volume-add", "things:/data", "--mount-add", "type=tmpfs,target=/mnt/t,tmpfs-size=1m", "box")
    assert inside(box, "ls /data; ls /mnt/t") == "gone\nkept\n"
    assert "size=1024k" in inside(box, "grep /mnt/t /proc/mounts")
    assert "volume is in use" in box("volume", "rm", "things").err
    box.ok("update", "--mount-rm", "/data", "--mount-rm", "/mnt/t", "box")
    assert inside(box, "ls /data") == "gone\nkept\n"  # the image's own
    assert mounted(box) == set()
    assert box.inspect("box")["Mounts"] == []
    box.ok("volume", "rm", "things")


def test_what_was_mounted_from_the_start_can_go(box: Engine) -> None:
    box.ok("run", "-d", "--name", "other", "-v", f"{source(box)}:/mnt/x", "--tmpfs", "/mnt/t", "plain", "sleep", "1000")
    box.ok("update", "--mount-rm", "/mnt/x", "--mount-rm", "/mnt/t/", "other")
    assert "/mnt" not in box.ok("exec", "other", "cat", "/proc/mounts")
    assert box.inspect("other")["HostConfig"]["Binds"] == []
    box.ok("restart", "-t", "0", "other")
    assert "/mnt" not in box.ok("exec", "other", "cat", "/proc/mounts")


def test_something_else_comes_into_its_place(box: Engine) -> None:
    box.ok("update", "--mount-add", "type=tmpfs,target=/mnt/a", "box")
    box.ok("update", "--mount-rm", "/mnt/a", "--volume-add", f"{source(box)}:/mnt/a", "box")
    assert inside(box, "cat /mnt/a/file") == "shared\n"


def test_nothing_is_half_made_if_something_fails(box: Engine) -> None:
    inside(box, "echo there > /tmp/file")
    before = box.inspect("box")
    # The second cannot be mounted: its target is a file.
    refused = box("update", "--mount-add", "type=tmpfs,target=/mnt/a", "--mount-add", f"type=bind,source={source(box)},"
                  "target=/tmp/file", "--env-add", "A=b", "box")  # fmt: skip
    assert refused.code == 1
    assert refused.err.count("\n") == 1, refused
    assert "on /tmp/file" in refused.err
    assert mounted(box) == set()
    box.ok("update", "--volume-add", f"{source(box)}:/mnt/a", "box")
    refused = box(
        "update", "--mount-rm", "/mnt/a", "--mount-add", f"type=bind,source={source(box)},target=/tmp/file", "box"
    )
    assert refused.code == 1
    assert inside(box, "cat /mnt/a/file") == "shared\n"  # it is back
    box.ok("update", "--mount-rm", "/mnt/a", "box")
    after = box.inspect("box")
    assert (after["Mounts"], after["Config"], after["HostConfig"]) == (
        before["Mounts"], before["Config"], before["HostConfig"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--mount-rm", "/mnt/never"), "container box has no mount at /mnt/never"),
        (("--mount-rm", "/proc"), "container box has no mount at /proc"),
        (("--mount-rm", "mnt"), "must be an absolute path"),
        (("--mount-add", "type=bind,source=/never,target=/mnt/x"), "bind source path does not exist: /never"),
        (("--mount-add", "type=tmpfs,target=/proc"), "something is mounted at /proc already"),
        (("--mount-add", "type=tmpfs,target=/etc"), "a mount at /etc would hide the one at /etc/"),
        (("--mount-add", "type=tmpfs,target=/proc/sys"), "nothing can be mounted inside /proc there"),
        (("--mount-add", "type=image,source=plain,target=/mnt/x"), "only in a container that is being made"),
        (("--device-add", "/dev/never"), "error gathering device information"),
        (("--device-rm", "/dev/null"), "container box has no device /dev/null"),
        (("--env-add", "=x"), "invalid environment variable"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(box: Engine, arguments: tuple[str, ...], reason: str) -> None:
    refused = box("update", *arguments, "box")
    assert refused.code == 1
    assert refused.err.count("\n") == 1, refused
    assert reason in refused.err
    assert box("update", *arguments, "--memory", "100m", "box").code != 0


def test_a_stopped_container_gets_it_with_its_next_start(box: Engine) -> None:
    box.ok("create", "--name", "other", "plain", "sh", "-c", "cat /mnt/a/file; echo $WORD")
    box.ok("update", "--volume-add", f"{source(box)}:/mnt/a", "--env-add", "WORD=said", "other")
    assert box.ok("start", "-a", "other") == "shared\nsaid\n"
    box.ok("update", "--mount-rm", "/mnt/a", "--env-rm", "WORD", "other")
    result = box("start", "-a", "other")
    assert (result.out, "can't open" in result.err) == ("\n", True)


def test_variables_are_there_for_later_execs_and_starts(box: Engine) -> None:
    box.ok("update", "--env-add", "ONE=1", "--env-add", "TWO=a=b", "box")
    assert inside(box, "echo $ONE $TWO") == "1 a=b\n"
    assert {"ONE=1", "TWO=a=b"} <= set(box.inspect("box")["Config"]["Env"])
    box.ok("update", "--env-rm", "ONE", "--env-add", "TWO=2", "box")
    assert inside(box, "echo $ONE $TWO") == "2\n"


def test_a_device_can_be_used_while_it_is_there(box: Engine) -> None:
    assert box("exec", "box", "dd", "if=/dev/fuse", "count=0").code != 0
    box.ok("update", "--device-add", "/dev/fuse:/dev/mine", "box")
    opened = "test -c /dev/mine && exec 3</dev/mine && echo opened"
    if box.prefix:  # its mode counts for an ordinary user
        assert inside(box, "ls -l /dev/mine").startswith("c")
    else:
        assert inside(box, opened) == "opened\n"
    box.ok("restart", "-t", "0", "box")
    assert inside(box, "ls /dev/mine") == "/dev/mine\n"
    box.ok("update", "--device-rm", "/dev/mine", "box")
    assert box("exec", "box", "sh", "-c", opened).code != 0
    assert "Operation not permitted" in box("exec", "box", "sh", "-c", "mknod /m c 10 229; exec 3</m").err or box.prefix
    assert box.inspect("box")["HostConfig"]["Devices"] == []


_KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from orlop.engine import alteration, container
from orlop.engine.location import Location
target = container.find(Location(sys.argv[2], sys.argv[3], rootless=False), "box")
real, count = container.write, 0
def killed(*arguments):
    global count
    count += 1
    if count > int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)
    real(*arguments)
container.write = killed
wanted = alteration.Alteration()
wanted.mounts = [{"Type": "tmpfs", "Target": "/mnt/a"}]
alteration.alter(target, wanted)
"""


@pytest.mark.parametrize("after", [0, 1, 2])
def test_it_is_done_or_undone_whoever_is_killed(box: Engine, after: int) -> None:
    if box.prefix:
        pytest.skip("what is killed is a process of root's")
    told = [str(REPOSITORY / "src"), str(box.root), str(box.run_root), str(after)]
    done = subprocess.run([sys.executable, "-c", _KILLED, *told], check=False)
    assert done.returncode == -signal.SIGKILL
    wait_until(lambda: mounted(box) == set(), "the end of a mount that nobody kept")
    box.ok("restart", "-t", "0", "box")
    was_recorded = after == 2  # the configuration is written, then the record, then the first takes its place
    assert mounted(box) == ({"/mnt/a"} if was_recorded else set())
    assert len(box.inspect("box")["Mounts"]) == was_recorded
    box.ok("update", "--mount-add", "type=tmpfs,target=/mnt/b", "box")
    assert "/mnt/b" in mounted(box)


@pytest.mark.parametrize("who", ["its monitor", "the next command"])
def test_what_was_recorded_is_there_when_the_container_is_started_again_by(box: Engine, who: str) -> None:
    if box.prefix:
        pytest.skip("what is killed is a process of root's")
    box.ok("update", "--restart", "always", "box")
    told = [str(REPOSITORY / "src"), str(box.root), str(box.run_root), "2"]
    done = subprocess.run([sys.executable, "-c", _KILLED, *told], check=False)
    assert done.returncode == -signal.SIGKILL
    before = box.state("box")
    os.kill(before["Pid"] if who == "its monitor" else box.monitor(box.inspect("box")["Id"]), signal.SIGKILL)
    wait_until(lambda: box.state("box")["Running"] and box.state("box")["Pid"] not in (0, before["Pid"]))
    assert mounted(box) == {"/mnt/a"}
    assert [each["Destination"] for each in box.inspect("box")["Mounts"]] == ["/mnt/a"]
