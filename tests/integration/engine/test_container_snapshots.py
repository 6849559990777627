"""Snapshots of containers' files: saved, gone back to, forked; of root's and of an ordinary user's containers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from orlop.engine import monitor_lock, removal
from orlop.engine.location import Location
from tests.integration.conftest import REPOSITORY
from tests.integration.engine.conftest import PATIENCE, Engine, wait_until
from tests.integration.engine.image_maker import make
from tests.integration.storage.conftest import btrfs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["btrfs"]

SLEEP = ("sleep", "1000")


@pytest.fixture
def place(owner: Engine) -> Iterator[Engine]:
    """An engine without containers, before and after."""
    yield owner
    ids = owner.ok("ps", "-aq").split()
    if ids:
        owner.ok("rm", "-f", "-v", *ids)
    image = json.loads(owner.ok("image", "inspect", "plain"))[0]["RootFS"]["Layers"]  # its one layer's chain ID
    assert set(os.listdir(owner.root / "snapshots/overlay")) - {".empty"} == set(image)
    assert not (owner.root / "rebasing").exists() or os.listdir(owner.root / "rebasing") == []


def write(engine: Engine, name: str, text: str) -> None:
    engine.ok("exec", name, "sh", "-c", f"echo {text} > /data/file")


def read(engine: Engine, name: str) -> str:
    return engine.ok("exec", name, "cat", "/data/file").strip()


def test_a_running_container_is_saved_and_goes_back(place: Engine) -> None:
    place.ok("run", "-d", "--name", "box", "plain", *SLEEP)
    write(place, "box", "first")
    place.ok("exec", "box", "rm", "/data/gone")
    assert place.ok("snapshot", "box", "before") == "before\n"
    assert place.state("box")["Status"] == "running"
    write(place, "box", "second")
    place.ok("exec", "box", "rm", "/data/kept")
    before = place.state("box")["Pid"]
    assert place.ok("restore", "-t", "0", "box", "before") == "box\n"
    assert read(place, "box") == "first"
    assert place.ok("exec", "box", "ls", "/data").split() == ["file", "kept"]
    assert place.state("box")["Pid"] != before
    # It can be gone back to more than once.
    write(place, "box", "third")
    place.ok("restore", "-t", "0", "box", "before")
    assert read(place, "box") == "first"


def test_a_stopped_container_is_saved_by_a_rename_and_differs_from_its_image_as_before(place: Engine) -> None:
    place.ok("run", "--name", "box", "plain", "sh", "-c", "echo first > /data/file; rm /data/gone")
    changed = place.ok("diff", "box")
    own = place.root / "snapshots/overlay" / place.inspect("box")["Id"] / "fs"
    about = os.stat(own / "data/file")
    place.ok("snapshot", "create", "box")
    saved = place.inspect("box")["Snapshots"]
    assert [each["Name"] for each in saved] == ["1"]
    assert os.stat(place.root / "snapshots/overlay" / saved[0]["Layer"] / "fs/data/file").st_ino == about.st_ino
    assert os.listdir(own) == []
    assert place.ok("diff", "box") == changed
    place.ok("commit", "box", "made:latest")
    assert place.ok("run", "--rm", "made", "sh", "-c", "cat /data/file; ls /data") == "first\nfile\nkept\n"
    place.ok("rmi", "made")
    place.ok("system", "check")


def test_an_image_that_is_removed_while_its_last_container_is_cleared_away_leaves_nothing(place: Engine) -> None:
    location, identity = _made(place)
    monitor = monitor_lock.take(location, identity)  # as a monitor that clears away after --rm, and is slow
    assert monitor is not None
    removal.vanish(location, identity, "last", {})
    removing = place.popen("rmi", "made", stdout=subprocess.DEVNULL)
    wait_until(lambda: removing.poll() is not None or _is_waited_for(monitor), "rmi to wait")
    removal.destroy(location, identity)
    monitor_lock.drop(location, identity, monitor)
    assert removing.wait(PATIENCE) == 0


def test_an_image_is_removed_whole_though_somebody_was_killed_who_cleared_its_last_container_away(
    place: Engine,
) -> None:
    location, identity = _made(place)
    removal.vanish(location, identity, "last", {})
    place.ok("rmi", "made")
    assert place.containers() == [place.inspect("box")["Id"]]


def _made(place: Engine) -> tuple[Location, str]:
    """Make an image with a layer of its own, and a container of it; the engine's place, and the container's id."""
    if place.prefix:
        pytest.skip("once is enough")
    place.ok("run", "--name", "box", "plain", "sh", "-c", "echo first > /data/file")
    place.ok("commit", "box", "made:latest")
    identity = place.ok("create", "--name", "last", "made", "true").strip()
    return Location(str(place.root), str(place.run_root), rootless=False), identity


def _is_waited_for(descriptor: int) -> bool:
    """Whether somebody waits for a lock on a file, as /proc/locks shows below the lock itself."""
    with open("/proc/locks", encoding="ascii") as file:
        return any("->" in line and f":{os.fstat(descriptor).st_ino} " in line for line in file)


def test_snapshots_are_listed_with_their_sizes_and_removed(place: Engine) -> None:
    place.ok("create", "--name", "box", "plain", *SLEEP)
    place.ok("snapshot", "box", "one")
    place.ok("start", "box")
    place.ok("exec", "box", "busybox", "dd", "if=/dev/zero", "of=/data/file", "bs=1k", "count=200")
    place.ok("snapshot", "box", "two")
    assert place.ok("snapshot", "ls", "-q", "box") == "one\ntwo\n"
    table = place.ok("snapshot", "ls", "box").splitlines()
    assert table[0].split() == ["NAME", "CREATED", "SIZE"]
    sizes = dict(json.loads(f'["{line}"]')[0].split() for line in place.ok(
        "snapshot", "ls", "box", "--format", "{{.Name}} {{.Size}}").splitlines())  # fmt: skip
    assert sizes["two"][0] == "2"
    assert sizes["two"].endswith("kB")
    refused = place("snapshot", "box", "two")
    assert (refused.code, refused.err) == (
        1, "orlop: container box has a snapshot two already: name another, or remove it\n",
    )  # fmt: skip
    assert place.ok("snapshot", "rm", "box", "two") == "two\n"
    assert place("snapshot", "rm", "box", "two").err == "Error: container box has no snapshot two\n"
    assert place("restore", "box", "two").err == "orlop: container box has no snapshot two\n"
    assert place.ok("snapshot", "ls", "-q", "box") == "one\n"


def test_what_a_container_stands_on_stays_when_its_snapshot_is_removed(place: Engine) -> None:
    place.ok("run", "--name", "box", "plain", "sh", "-c", "echo first > /data/file")
    place.ok("snapshot", "box", "one")
    place.ok("snapshot", "rm", "box", "one")
    place.ok("system", "prune", "--force")  # it takes stopped containers, too, and so what they stand on
    place.ok("run", "--name", "box", "plain", "sh", "-c", "echo first > /data/file")
    place.ok("snapshot", "box", "one")
    place.ok("snapshot", "rm", "box", "one")
    place.ok("image", "prune", "--force")
    assert "file" in place.ok("diff", "box")


@pytest.mark.parametrize("runs", [True, False], ids=["running", "stopped"])
def test_a_fork_has_the_files_and_goes_its_own_way(place: Engine, runs: bool) -> None:
    place.ok("run", "-d", "--name", "box", "-e", "WORD=yes", "plain", *SLEEP)
    write(place, "box", "first")
    if not runs:
        place.ok("kill", "box")
        place.ok("wait", "box")
    forked = place.ok("fork", "box", "other").strip()
    assert place.state("other")["Status"] == "created"
    place.ok("start", "other", *(() if runs else ("box",)))
    write(place, "box", "changed")
    assert read(place, "other") == "first"
    assert place.ok("exec", "other", "sh", "-c", "echo $WORD; cat /etc/hostname; hostname").split() == [
        "yes", forked[:12], forked[:12],
    ]  # fmt: skip
    assert f"{forked[:12]}\n" in place.ok("exec", "other", "cat", "/etc/hosts")
    place.ok("rm", "-f", "box")
    assert read(place, "other") == "first"
    assert "/data/file" in place.ok("diff", "other")


def test_a_fork_of_a_snapshot_can_be_started_at_once(place: Engine) -> None:
    place.ok("run", "-d", "--name", "box", "plain", *SLEEP)
    write(place, "box", "first")
    place.ok("snapshot", "box", "then")
    write(place, "box", "second")
    place.ok("fork", "--snapshot", "then", "--start", "box", "other")
    assert read(place, "other") == "first"
    assert place("fork", "box", "other").err.startswith('orlop: the container name "/other" is already in use')
    assert place("fork", "--snapshot", "never", "box", "third").err == "orlop: container box has no snapshot never\n"
    assert sorted(place.names()) == ["box", "other"]
    assert place("fork", "--start", "box").code == 0


def test_volumes_with_names_are_shared_by_a_fork_and_others_made_anew(place: Engine) -> None:
    place.ok("run", "-d", "--name", "box", "-v", "shared:/shared", "-v", "/data", "plain", *SLEEP)
    place.ok("exec", "box", "sh", "-c", "echo there > /shared/file; echo mine > /data/file")
    place.ok("snapshot", "box", "then")
    place.ok("exec", "box", "sh", "-c", "echo later > /shared/file")
    place.ok("restore", "-t", "0", "box", "then")
    assert place.ok("exec", "box", "cat", "/shared/file", "/data/file") == "later\nmine\n"
    place.ok("fork", "--start", "box", "other")
    assert place.ok("exec", "other", "cat", "/shared/file") == "later\n"
    assert place.ok("exec", "other", "ls", "/data").split() == ["gone", "kept"]
    assert len(place.ok("volume", "ls", "-q").split()) == 3
    place.ok("rm", "-f", "-v", "box", "other")
    assert place.ok("volume", "ls", "-q").split() == ["shared"]
    place.ok("volume", "rm", "shared")


def test_files_stand_still_while_they_are_saved(place: Engine) -> None:
    # Each round writes a, then b: whoever looks at one moment sees a at most one ahead.
    script = "i=0; while :; do i=$((i+1)); echo $i > /data/a; echo $i > /data/b; done"
    place.ok("run", "-d", "--name", "box", "plain", "sh", "-c", script)
    result = place("snapshot", "box", "then")
    assert result.code == 0, result
    place.ok("rm", "-f", "box") if "cannot be paused" in result.err else None
    if "cannot be paused" in result.err:
        return
    place.ok("kill", "box")
    place.ok("wait", "box")
    place.ok("restore", "box", "then")
    layer = place.inspect("box")["Snapshots"][0]["Layer"]
    data = place.root / "snapshots/overlay" / layer / "fs/data"
    found = [int((data / name).read_text() or 0) if (data / name).exists() else 0 for name in "ab"]
    assert found[0] - found[1] in (0, 1) or 0 in found  # it may have been caught between truncating and writing


def test_containers_without_files_of_their_own_say_so(place: Engine) -> None:
    place.ok("create", "--name", "box", "--rootfs", "ROOTFS", "true")
    for command in (("snapshot", "box"), ("fork", "box")):
        refused = place(*command)
        assert refused.code == 1
        assert "has no files of its own: it runs on" in refused.err
    assert place("snapshot", "box", "../x").err.startswith('orlop: invalid name of a snapshot "../x"')


def test_a_container_that_would_be_removed_is_not_stopped_to_go_back(place: Engine) -> None:
    place.ok("run", "-d", "--rm", "--name", "box", "plain", *SLEEP)
    place.ok("snapshot", "box", "then")
    assert "--rm removes it when it is stopped" in place("restore", "box", "then").err
    assert place.state("box")["Status"] == "running"
    place.ok("fork", "box", "other")
    assert not place.inspect("other")["HostConfig"]["AutoRemove"]


@pytest.mark.parametrize("driver", ["btrfs", "vfs"])
def test_the_other_drivers_do_it_their_way(
    driver: str, tmp_path: Path, rootfs: Path, request: pytest.FixtureRequest
) -> None:
    base = tmp_path
    if driver == "btrfs":
        base = request.getfixturevalue("btrfs") / tmp_path.name
        base.mkdir()
    engine = Engine(base, rootfs)
    os.environ["ORLOP_STORAGE_DRIVER"] = driver
    try:
        make(engine, "plain:latest")
        engine.ok("run", "-d", "--name", "box", "plain", *SLEEP)
        write(engine, "box", "first")
        engine.ok("snapshot", "box", "then")
        write(engine, "box", "second")
        engine.ok("fork", "--start", "box", "other")
        engine.ok("restore", "-t", "0", "box", "then")
        assert (read(engine, "box"), read(engine, "other")) == ("first", "second")
        engine.ok("rm", "-f", "box", "other")
        left = os.listdir(engine.root / "snapshots" / driver)
        assert len(left) == 1, left
        engine.close()
    finally:
        del os.environ["ORLOP_STORAGE_DRIVER"]


_KILLED = """
import os, sys
sys.path.insert(0, sys.argv[1])
from orlop.engine import container, container_snapshots, fork, rebasing
from orlop.engine.location import Location
from orlop.storage.snapshots.overlay import Overlay
location = Location(sys.argv[2], sys.argv[3], rootless=False)
where, after, action = sys.argv[4], int(sys.argv[5]), sys.argv[6]
owner = {"write": container, "prepare": Overlay, "commit": Overlay, "remove": Overlay, "forget": rebasing}[where]
real = getattr(owner, where)
count = 0
def killed(*arguments, **options):
    global count
    count += 1
    if count > after // 2 and after % 2 == 0:
        os._exit(9)
    done = real(*arguments, **options)
    if count > after // 2:
        os._exit(9)
    return done
setattr(owner, where, killed)
target = container.find(location, "box")
if action == "save":
    container_snapshots.save(target, "then")
elif action == "restore":
    container_snapshots.restore(target, "one")
else:
    fork.fork(target, "other")
"""


@pytest.mark.parametrize("action", ["save", "restore", "fork"])
def test_whoever_is_killed_meanwhile_the_files_are_there(shared: Engine, action: str) -> None:
    make(shared, "plain:latest")
    # Before and after the first call of each, and of writing the second one too.
    points = [(where, after) for where in ("write", "prepare", "commit", "remove", "forget") for after in (0, 1)]
    for where, after in [*points, ("write", 2), ("write", 3)]:
        shared.ok("run", "--name", "box", "plain", "sh", "-c", "echo first > /data/file")
        shared.ok("snapshot", "box", "one")
        told = [str(REPOSITORY / "src"), str(shared.root), str(shared.run_root), where, str(after), action]
        done = subprocess.run([sys.executable, "-c", _KILLED, *told], capture_output=True, check=False)
        assert done.returncode in (0, 9), done.stderr.decode()
        shared.ok("start", "-a", "box")
        assert "A /data/file" in shared.ok("diff", "box"), (where, after)
        shared.ok("rm", *shared.ok("ps", "-aq").split())
    shared.ok("system", "prune", "--force")
    left = [name for name in os.listdir(shared.root / "snapshots/overlay") if name != ".empty"]
    assert len(left) == 1, left
    shared.ok("rmi", "plain")


def test_many_snapshots_of_a_container_are_not_stacked_without_end(shared: Engine) -> None:
    make(shared, "plain:latest")
    shared.ok("run", "--name", "box", "plain", "sh", "-c", "echo first > /data/file")
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from orlop.engine import container, container_snapshots, rebasing;"
        "from orlop.engine.location import Location; rebasing.MOST_LAYERS = 6;"
        "target = container.find(Location(sys.argv[2], sys.argv[3], rootless=False), 'box');"
        "[(container_snapshots.save(target, f's{n}'), container_snapshots.restore(target, f's{n}')) for n in range(12)]"
    )
    told = [str(REPOSITORY / "src"), str(shared.root), str(shared.run_root)]
    subprocess.run([sys.executable, "-c", script, *told], check=True)
    lower = shared.inspect("box")["GraphDriver"]["Data"]["LowerDir"]
    assert lower.count("/fs") <= 6
    shared.ok("restore", "box", "s0")
    shared.ok("start", "-a", "box")
    shared.ok("rm", "box")
    assert [name for name in os.listdir(shared.root / "snapshots/overlay") if name != ".empty"][1:] == []
    shared.ok("rmi", "plain")
