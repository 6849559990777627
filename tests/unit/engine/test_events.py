"""Events: appended by anybody, read by anybody, never more than two files."""

from __future__ import annotations

import json
import multiprocessing
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from orlop.engine import events
from orlop.engine.location import Location

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def location(tmp_path: Path) -> Location:
    made = Location(str(tmp_path / "root"), str(tmp_path / "run"), rootless=False)
    made.prepare()
    return made


def emit(location: Location, action: str, **attributes: str) -> None:
    events.emit(location, events.CONTAINER, action, "f" * 64, attributes)


def actions(found: list[dict[str, Any]]) -> list[str]:
    return [each["Action"] for each in found]


def file(location: Location) -> Path:
    from pathlib import Path

    return Path(events.directory(location), "events.json")


def test_an_event_is_a_line_in_the_words_of_dockers_api(location: Location) -> None:
    before = time.time_ns()
    emit(location, "start", image="debian", name="web", note='"\n')
    line, rest = file(location).read_text().split("\n", 1)
    event = json.loads(line)
    assert rest == ""
    assert event["Type"] == "container"
    assert event["Action"] == "start"
    assert event["Actor"] == {"ID": "f" * 64, "Attributes": {"image": "debian", "name": "web", "note": '"\n'}}
    assert before <= event["timeNano"] <= time.time_ns()
    assert event["time"] == event["timeNano"] // 10**9
    assert events.read(location) == [event]


def test_only_what_happened_in_a_time_is_told(location: Location) -> None:
    for action in ("create", "start", "die"):
        emit(location, action)
    first, second, third = (each["timeNano"] for each in events.read(location))
    assert actions(events.read(location, since=second)) == ["start", "die"]
    assert actions(events.read(location, until=second)) == ["create", "start"]
    assert actions(list(events.follow(location, first + 1, third - 1))) == ["start"]


def test_nothing_has_happened_where_nobody_wrote(location: Location) -> None:
    assert events.read(location) == []
    assert list(events.follow(location, 0, time.time_ns())) == []


def test_what_a_full_disk_made_of_a_line_is_passed_over(location: Location) -> None:
    emit(location, "start")
    with file(location).open("ab") as stream:
        stream.write(b'{"Type":"contai\n\0\0\0\n[]\n{"timeNano":"x"}\n')
    emit(location, "die")
    with file(location).open("ab") as stream:
        stream.write(b'{"Type":"container","timeN')
    assert actions(events.read(location)) == ["start", "die"]


def test_an_event_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("a file where the directory would be")
    emit(Location(str(tmp_path / "root"), str(tmp_path / "run"), rootless=False), "start")


def test_a_reader_who_waits_hears_of_everything_in_order(location: Location) -> None:
    stream = events.Stream(location)
    assert stream.read() == []

    def write() -> None:
        for number in range(500):
            emit(location, str(number))

    writer = threading.Thread(target=write)
    writer.start()
    found: list[str] = []
    while len(found) < 500:
        assert stream.wait(20)
        found += actions(stream.read())
    writer.join()
    stream.close()
    assert found == [str(number) for number in range(500)]


def test_a_full_file_makes_room_and_nobody_who_follows_misses_anything(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_LARGEST", 2000)
    stream = events.Stream(location)
    found: list[str] = []
    for number in range(200):
        emit(location, str(number))
        if number % 7 == 0:
            found += actions(stream.read())
    found += actions(stream.read())
    stream.close()
    assert found == [str(number) for number in range(200)]
    assert sorted(each.name for each in file(location).parent.iterdir()) == ["events.json", "events.json.1"]
    assert sum(each.stat().st_size for each in file(location).parent.iterdir()) < 5000
    assert actions(events.read(location))[-1] == "199"


def _write(root: str, run: str, count: int) -> None:
    events._LARGEST = 20_000
    for number in range(count):
        emit(Location(root, run, rootless=False), str(number))


def test_many_processes_write_at_once_and_every_line_is_whole(location: Location) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write, args=(location.root, location.run_root, 300)) for _ in range(4)]
    stream = events.Stream(location)
    for each in writers:
        each.start()
    found: list[str] = []
    while any(each.is_alive() for each in writers):
        found += actions(stream.read())
        stream.wait(0.01)
    for each in writers:
        each.join()
    found += actions(stream.read())
    stream.close()
    for path in file(location).parent.iterdir():
        assert all(json.loads(line)["Type"] == "container" for line in path.read_text().splitlines())
    assert len(found) <= 1200
    assert set(found) >= {"299"}


def test_following_ends_when_its_time_is_over(location: Location) -> None:
    end = time.time_ns() + 200_000_000
    emit(location, "start")
    assert actions(list(events.follow(location, 0, end))) == ["start"]
    assert time.time_ns() >= end
