from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from orlop.engine import container, monitor_lock, names
from orlop.engine.location import Location
from orlop.errors import NotFound, OrlopError


@pytest.fixture
def location(tmp_path: Path) -> Location:
    """A prepared engine location."""
    made = Location(str(tmp_path / "root"), str(tmp_path / "run"), rootless=False)
    made.prepare()
    return made


def add(location: Location, container_id: str, name: str) -> container.Container:
    os.mkdir(f"{location.containers}/{container_id}")
    names.claim(location.names, name, container_id, location.containers)
    made = container.Container(location, container_id)
    container.write(f"{made.directory}/{container.RECORD_FILE}", {"Id": container_id, "Name": name})
    return made


def test_a_container_is_found_by_id_name_and_the_beginning_of_its_id(location: Location) -> None:
    add(location, "a" * 64, "web")
    add(location, "ab" * 32, "db")
    for wanted in ("ab" * 32, "db", "ab"):
        assert container.find(location, wanted).name == "db"


def test_a_name_counts_before_the_beginning_of_an_id(location: Location) -> None:
    add(location, "ab" * 32, "web")
    add(location, "c" * 64, "ab")
    assert container.find(location, "ab").id == "c" * 64


def test_an_ambiguous_beginning_is_an_error(location: Location) -> None:
    add(location, "a" * 64, "web")
    add(location, "ab" * 32, "db")
    with pytest.raises(OrlopError, match="multiple IDs"):
        container.find(location, "a")


@pytest.mark.parametrize("wanted", ["", "nope", "../containers", ".new-" + "a" * 64, "/"])
def test_what_is_not_there_is_not_found(location: Location, wanted: str) -> None:
    os.mkdir(f"{location.containers}/.new-{'a' * 64}")
    with pytest.raises(NotFound, match="no such container"):
        container.find(location, wanted)


def test_a_container_without_state_was_created_and_not_started(location: Location) -> None:
    made = add(location, "a" * 64, "web")
    assert made.state()["Status"] == "created"
    assert made.last_written() == 0


def test_a_damaged_record_is_named(location: Location) -> None:
    made = add(location, "a" * 64, "web")
    Path(made.directory, container.STATE_FILE).write_text("{")
    with pytest.raises(OrlopError, match=container.STATE_FILE):
        made.state()


def test_a_record_that_cannot_be_written_leaves_the_old_one(location: Location) -> None:
    made = add(location, "a" * 64, "web")
    made.write_state({"Status": "running"})
    with pytest.raises(TypeError):
        made.write_state({"Status": object()})
    assert made.state() == {"Status": "running"}


def test_directories_of_state_are_nobody_else_s(location: Location) -> None:
    for directory in (location.root, location.containers, location.names, location.run_root):
        assert os.stat(directory).st_mode & 0o777 == 0o700


def test_the_directory_s_lock_is_exclusive_and_goes_with_the_directory(location: Location) -> None:
    made = add(location, "a" * 64, "web")
    held = container.lock(made.directory)
    assert held is not None
    assert container.lock(made.directory, wait=False) is None
    os.close(held)
    os.rename(made.directory, f"{location.containers}/{container.GONE}x")
    assert container.lock(made.directory) is None


def test_a_monitor_s_lock_is_seen_by_others_and_taken_once(location: Location) -> None:
    assert not monitor_lock.is_held(location, "a")
    held = monitor_lock.take(location, "a")
    assert held is not None
    assert monitor_lock.is_held(location, "a")
    assert monitor_lock.take(location, "a") is None
    assert monitor_lock.root_of(location, "a") == location.root
    monitor_lock.drop(location, "a", held)
    assert not monitor_lock.is_held(location, "a")


def test_looking_at_a_monitor_s_lock_does_not_get_in_its_way(location: Location) -> None:
    first = monitor_lock.take(location, "a")
    assert first is not None
    os.close(first)  # as if killed: the file stays
    assert not monitor_lock.is_held(location, "a")
    again = monitor_lock.take(location, "a")
    assert again is not None
    os.close(again)


def test_a_location_follows_options_then_the_environment() -> None:
    from orlop.engine.location import locate

    variables = {"ORLOP_ROOT": "/env/root", "ORLOP_RUN_ROOT": "/env/run", "HOME": "/home/u"}
    assert locate(None, None, variables).root == "/env/root"
    assert locate("/opt/root", None, variables).root == "/opt/root"
    assert locate("/opt/root", None, variables).run_root == "/env/run"


def test_a_run_directory_of_somebody_else_is_refused(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    with pytest.raises(OrlopError, match="only uid 4242 can write"):
        location.prepare()


def test_a_run_directory_that_is_a_link_or_open_to_others_is_refused(location: Location) -> None:
    os.chmod(location.run_root, 0o770)
    with pytest.raises(OrlopError, match="run directory"):
        location.prepare()
    os.rename(location.run_root, location.run_root + "-moved")
    os.symlink(location.run_root + "-moved", location.run_root)
    os.chmod(location.run_root, 0o700)
    with pytest.raises(OrlopError, match="run directory"):
        location.prepare()


def test_a_directory_that_is_just_being_begun_is_not_taken_for_abandoned(tmp_path: Path) -> None:
    """Between mkdir and flock nobody holds it; whoever repairs must wait for its turn, and leave it alone."""
    aside = str(tmp_path / ".new-x")
    beginner = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(beginner, fcntl.LOCK_SH)
    os.mkdir(aside)
    assert container.lock_abandoned(str(tmp_path), aside) is None
    os.close(beginner)
    abandoned = container.lock_abandoned(str(tmp_path), aside)
    assert abandoned is not None
    os.close(abandoned)


def test_a_container_that_is_being_prepared_is_locked(tmp_path: Path) -> None:
    lock = container.begin(str(tmp_path), str(tmp_path / ".new-x"))
    assert container.lock_abandoned(str(tmp_path), str(tmp_path / ".new-x")) is None
    os.close(lock)
