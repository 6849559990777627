"""A state directory that was copied while it was written to, and is opened elsewhere."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orlop.engine import container
from tests.integration.engine import leftovers
from tests.integration.engine.conftest import PATIENCE, Engine
from tests.integration.engine.image_maker import make

if TYPE_CHECKING:
    from collections.abc import Iterator


def _copy(engine: Engine, directory: Path) -> Engine:
    """Another engine with a copy of the state, such as a backup has; what vanishes meanwhile is missing."""
    copy = Engine(directory, directory)
    copy.rootfs = engine.rootfs
    subprocess.run(["cp", "-a", "--", engine.root, copy.root], check=False, stderr=subprocess.DEVNULL)
    return copy


def _settled(copy: Engine) -> None:
    """Give a command, after which nothing is left over but control groups, which are those of the original's containers."""
    copy.ok("ps", "-a")
    end = time.monotonic() + PATIENCE
    while left := [each for each in leftovers.found(copy) if not each.startswith("/sys/fs/cgroup")]:
        assert time.monotonic() < end, left
        time.sleep(0.01)


def test_a_state_directory_that_was_copied_in_mid_write_is_repaired_when_it_is_opened(
    engine: Engine, tmp_path: Path
) -> None:
    make(engine, "plain:latest")
    running = engine.ok("run", "-d", "--name", "web", "plain", "sh", "-c", "echo begun; sleep 1000").strip()
    engine.ok("create", "--name", "made", "-v", "data:/data", "plain", "touch", "/data/used")
    for number in range(3):
        busy = [
            engine.popen(*words, stdin=-3, stdout=-3, stderr=-3)
            for words in (
                ["run", "--rm", "-v", "/data", "plain", "true"],
                ["create", "--name", f"new{number}", "-v", "/data", "plain", "true"],
                ["commit", "web", f"app:{number}"],
                ["rename", f"new{number - 1}", f"old{number - 1}"],
                ["rm", "-f", f"old{number - 2}"],
            )
        ]
        (tmp_path / f"copy{number}").mkdir()
        copy = _copy(engine, tmp_path / f"copy{number}")
        for each in busy:
            each.wait()
        _settled(copy)
        assert leftovers.damaged_logs(copy) == []
        state = copy.state(running)
        assert (state["Status"], state["ExitCode"]) == ("exited", 255)
        assert copy.ok("logs", "web") == "begun\n"
        assert copy.ok("run", "--rm", "plain", "echo", "here") == "here\n"
        copy.ok("start", "-a", "made")
        assert (copy.root / "volumes/data/_data/used").exists()
        assert engine.state(running)["Status"] == "running"
        engine.ok("exec", "web", "true")
        copy.close()
        shutil.rmtree(copy.root)
    assert not (engine.root / "volumes/data/_data/used").exists()


@pytest.fixture(scope="module")
def original(shared: Engine) -> Engine:
    """An engine to make copies of, with a container of each kind that has files in the engine's own directories."""
    make(shared, "plain:latest")
    words = ("sh", "-c", "echo again >> /data/lines; wc -l < /data/lines")
    shared.ok("create", "--name", "imaged", "-v", "data:/data", "plain", *words)
    shared.ok("create", "--name", "rooted", "-v", "data:/data", "--rootfs", "ROOTFS", *words)
    shared.ok("create", "--name", "hosted", "-v", "data:/mnt", "host", "sh", "-c", "ls $(cat /mnt/where)")
    shared.ok("create", "--name", "other", "plain", "true")
    return shared


@pytest.fixture
def copy(original: Engine, tmp_path: Path) -> Iterator[Engine]:
    """A copy that nobody has opened yet."""
    made = _copy(original, tmp_path)
    yield made
    made.close()


def test_what_records_say_of_the_state_directory_goes_with_it(original: Engine, copy: Engine) -> None:
    assert copy.ok("start", "-a", "imaged") == "1\n"
    assert copy.ok("start", "-a", "rooted") == "2\n"
    source = copy.inspect("imaged")["Mounts"][0]["Source"]
    assert source == f"{copy.root}/volumes/data/_data"
    assert subprocess.run(["grep", "-rl", str(original.root), copy.root], stdout=-1, check=False).stdout == b""


def test_a_view_of_this_machine_does_not_show_the_state_where_it_is_now(original: Engine) -> None:
    directory = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="orlop-copy-"))
    try:
        copy = _copy(original, directory)
        (directory / "shown").touch()
        (copy.root / "volumes/data/_data/where").write_text(str(directory))
        assert copy.ok("start", "-a", "hosted") == "shown\n"
        copy.close()
    finally:
        shutil.rmtree(directory)


def test_a_state_directory_that_is_moved_back_and_forth_is_found_each_time(copy: Engine, tmp_path: Path) -> None:
    first = copy.root
    for number in (1, 2):
        assert copy.ok("start", "-a", "imaged") == f"{number}\n"
        copy.root = copy.root.rename(tmp_path / f"moved{number}")
    assert copy.ok("start", "-a", "imaged") == "3\n"
    copy.root = copy.root.rename(first)
    assert copy.ok("start", "-a", "imaged") == "4\n"


def test_a_state_directory_can_be_used_by_another_path_to_it(copy: Engine, tmp_path: Path) -> None:
    assert copy.ok("start", "-a", "imaged") == "1\n"
    noted = (copy.root / "whereabouts").readlink()
    (tmp_path / "link").symlink_to(copy.root)
    first, copy.root = copy.root, tmp_path / "link"
    assert copy.ok("start", "-a", "imaged") == "2\n"
    copy.root = first
    assert (copy.root / "whereabouts").readlink() == noted


def test_what_was_copied_twice_over_a_rename_loses_nothing_of_what_stays(copy: Engine) -> None:
    for kind, name in ((container.NEW, "imaged"), (container.GONE, "other")):
        (container_id,) = [each.name for each in (copy.root / "containers").iterdir() if _name(each) == name]
        shutil.copytree(copy.root / "containers" / container_id, copy.root / "containers" / f"{kind}{container_id}")
    _settled(copy)
    assert copy.ok("start", "-a", "imaged") == "1\n"
    copy.ok("start", "-a", "other")


def test_names_that_were_copied_at_another_time_than_records_are_those_of_the_records(copy: Engine) -> None:
    names = copy.root / "names"
    (names / "imaged").rename(names / "before")
    (names / "rooted").unlink()
    (names / "hosted").unlink()
    (names / "rooted").symlink_to((names / "other").readlink())
    record = next(each for each in (copy.root / "containers").iterdir() if _name(each) == "hosted") / "container.json"
    record.write_text(record.read_text().replace('"Name":"hosted"', '"Name":"rooted"'))
    _settled(copy)
    found = copy.names()
    assert {"imaged", "rooted", "other"} < set(found)
    assert len(found) == 4


def test_a_container_without_a_record_is_gone_and_one_without_files_begins_anew(copy: Engine) -> None:
    for path in (copy.root / "containers").iterdir():
        if _name(path) == "other":
            (path / "container.json").unlink()
        elif _name(path) == "imaged":
            shutil.rmtree(copy.root / "snapshots/overlay" / path.name)
    _settled(copy)
    assert sorted(copy.names()) == ["hosted", "imaged", "rooted"]
    assert copy.ok("start", "-a", "imaged") == "1\n"


def test_a_copy_is_not_opened_with_the_run_directory_in_which_the_original_runs(original: Engine, copy: Engine) -> None:
    original.detached("still", "sleep", "1000")
    shutil.rmtree(copy.root)
    subprocess.run(["cp", "-a", "--", original.root, copy.root], check=True)
    own, copy.run_root = copy.run_root, original.run_root
    done = copy("rm", "-f", "still")
    copy.run_root = own
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        f"orlop: {copy.root} is a copy of {original.root}, whose container still runs: "
        "name another run directory for the copy, with --run-root\n"
    )
    assert original.state("still")["Status"] == "running"
    original.ok("rm", "-f", "still")


def _name(directory: Path) -> str:
    """The name in a container's record."""
    return str(json.loads((directory / "container.json").read_text())["Name"]) if directory.name[0] != "." else ""
