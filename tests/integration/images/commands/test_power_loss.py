"""What is there after a loss of power, whenever it comes: images are used before they are on the disk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.image_maker import GROUP, PASSWD, base, file, layer
from tests.integration.images.commands import power
from tests.integration.images.commands.archives import docker_archive, small
from tests.integration.images.commands.power import Machine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.images.commands.conftest import ImageEngine

MANY = layer(*(file(f"many/{number}", f"text {number}") for number in range(200)))
APP = docker_archive("app:1", [base(PASSWD, GROUP), small("text"), MANY], {"Env": ["PATH=/bin"]})
LOOK = ("sh", "-c", "cat /a/file; cat /many/* | wc -c; cat /etc/passwd | head -n 1")
SEEN = f"text{sum(len(f'text {number}') for number in range(200))}\nroot:x:0:0:root:/root:/bin/sh\n"


@pytest.fixture
def machine(tmp_path: Path, rootfs: Path) -> Machine:
    """A machine with an empty disk."""
    made = Machine(tmp_path, rootfs)
    made.make()
    return made


def records(engine: ImageEngine) -> list[dict[str, object]]:
    """The records of all images' snapshots."""
    return [json.loads(path.read_bytes()) for path in (engine.root / "snapshots").glob("*/sha256:*/record.json")]


def test_an_image_is_used_at_once_and_confirmed_when_it_is_on_the_disk(machine: Machine) -> None:
    with machine.booted() as engine:
        engine.load(APP)
        assert engine.ok("run", "--rm", "app:1", *LOOK) == SEEN
        power.settled(engine)
        assert [each.get("confirmed") for each in records(engine)] == [True] * 3
        assert not [each for each in records(engine) if "boot" in each]
        machine.lose_power()
    with machine.booted() as engine:
        before = sorted(path.stat().st_ino for path in (engine.root / "snapshots/overlay").glob("sha256:*"))
        engine.is_sound()
        assert engine.ok("run", "--rm", "app:1", *LOOK) == SEEN
        after = sorted(path.stat().st_ino for path in (engine.root / "snapshots/overlay").glob("sha256:*"))
        assert after == before, "nothing had to be unpacked again"


def test_an_image_that_is_listed_is_whole_after_a_loss_of_power(machine: Machine) -> None:
    with machine.booted() as engine:
        engine.load(APP)
        engine.ok("tag", "app:1", "app:2")
        machine.lose_power()
        power.settled(engine)
    with machine.booted() as engine:
        assert engine.images() == ["app:1", "app:2"]
        assert engine.ok("run", "--rm", "app:2", *LOOK) == SEEN
        engine.is_sound()


@pytest.mark.parametrize("driver", ["overlay", "vfs"])
def test_what_may_not_have_come_to_the_disk_is_unpacked_again_before_it_is_used(machine: Machine, driver: str) -> None:
    machine.driver = driver
    with machine.booted() as engine:
        power.killed(engine, power.BEFORE_THE_DISK, "load", given=APP)
        machine.lose_power()
    with machine.booted() as engine:
        assert engine.images() == ["app:1"]
        power.lose_files(engine)
        assert engine.ok("run", "--rm", "app:1", *LOOK) == SEEN
        engine.is_sound()
        assert [each.get("confirmed") for each in records(engine)] == [True] * 3


@pytest.mark.parametrize(
    "place",
    [
        "storage/snapshots/directory.py:commit:published = +",
        "images/index.py:write:os.rename(aside+",
        "storage/unwritten.py:settle:storage.snapshots.confirm",
        "storage/snapshots/directory.py:_confirm:records.write+",
    ],
)
def test_whenever_the_power_is_lost_an_image_is_whole_or_not_there_and_can_be_had_again(
    machine: Machine, place: str
) -> None:
    with machine.booted() as engine:
        power.killed(engine, place, "load", given=APP)
        machine.lose_power()
        power.settled_by_next(engine)
    with machine.booted() as engine:
        power.lose_files(engine)
        if engine.images():
            assert engine.ok("run", "--rm", "app:1", *LOOK) == SEEN
        engine.load(APP)
        assert engine.ok("run", "--rm", "app:1", *LOOK) == SEEN
        power.settled_by_next(engine)
        engine.is_sound()


def test_containers_whose_image_was_lost_find_it_whole_whatever_is_asked_of_them(
    machine: Machine, tmp_path: Path
) -> None:
    asked: dict[str, Callable[[ImageEngine, str], bool]] = {
        "started": lambda engine, name: engine.ok("start", "-a", name) == SEEN,
        "copied": lambda engine, name: (
            engine.ok("cp", f"{name}:/a/file", str(tmp_path)) == "" and (tmp_path / "file").read_text() == "text"
        ),
        "compared": lambda engine, name: engine.ok("diff", name) == "",
        "exported": lambda engine, name: b"text 199" in tar_of(engine, name, tmp_path),
        "committed": lambda engine, name: engine.ok("commit", name, "made:1").startswith("sha256:"),
    }
    with machine.booted() as engine:
        power.killed(engine, power.BEFORE_THE_DISK, "load", given=APP)
        for name in asked:
            engine.ok("create", "--name", name, "app:1", *LOOK)
        power.write_out(engine)  # the containers, which nothing else can bring back
        machine.lose_power()
        power.settled_by_next(engine)
    disk = machine.disk
    for name, ask in asked.items():
        machine.disk = disk
        machine.lose_power()  # each is asked on a disk of its own
        with machine.booted() as engine:
            power.lose_files(engine)
            assert ask(engine, name), name


def test_a_build_begins_with_the_whole_of_an_image_that_was_lost(machine: Machine, tmp_path: Path) -> None:
    with machine.booted() as engine:
        power.killed(engine, power.BEFORE_THE_DISK, "load", given=APP)
        machine.lose_power()
        power.settled_by_next(engine)
    (tmp_path / "context").mkdir()
    (tmp_path / "context/Dockerfile").write_text("FROM app:1\nRUN cat /a/file /many/199 > /seen\n")
    with machine.booted() as engine:
        power.lose_files(engine)
        engine.ok("build", "--network", "none", "-t", "built:1", str(tmp_path / "context"))
        assert engine.ok("run", "--rm", "built:1", "cat", "/seen") == "texttext 199"
        power.settled_by_next(engine)
        engine.is_sound()


def tar_of(engine: ImageEngine, name: str, directory: Path) -> bytes:
    """A container's files."""
    engine.ok("export", "-o", str(directory / "export.tar"), name)
    return (directory / "export.tar").read_bytes()


def test_a_container_that_comes_back_with_the_machine_comes_back_whole(machine: Machine) -> None:
    with machine.booted() as engine:
        power.killed(engine, power.BEFORE_THE_DISK, "load", given=APP)
        engine.ok("run", "-d", "--name", "web", "--restart", "always", "app:1", "sleep", "1000")
        power.write_out(engine)
        machine.lose_power()
    with machine.booted() as engine:
        power.lose_files(engine)
        assert engine.ok("ps", "--format", "{{.Names}}") == "web\n"
        assert engine.ok("exec", "web", *LOOK) == SEEN


def test_a_check_tells_what_was_lost_and_repairs_it(machine: Machine) -> None:
    with machine.booted() as engine:
        power.killed(engine, power.BEFORE_THE_DISK, "load", given=APP)
        machine.lose_power()
        power.settled_by_next(engine)
    with machine.booted() as engine:
        power.lose_files(engine)
        told = engine("system", "check")
        assert told.code == 1
        assert told.out.count("was not yet on the disk when the machine went down") == 3, told
        assert engine("system", "check", "--repair").out.count("unpacked again") == 3
        engine.is_sound()
        assert engine.ok("run", "--rm", "app:1", *LOOK) == SEEN


def test_a_blob_that_is_damaged_too_is_found_out_and_had_again(machine: Machine) -> None:
    with machine.booted() as engine:
        power.killed(engine, power.BEFORE_THE_DISK, "load", given=APP)
        machine.lose_power()
        power.settled_by_next(engine)
    with machine.booted() as engine:
        power.lose_files(engine)
        largest = max((engine.root / "images/blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
        with largest.open("r+b") as blob:
            blob.seek(largest.stat().st_size // 2)
            blob.write(b"damage")
        message = engine.fails("create", "--pull", "never", "app:1", "true")
        assert "is not whole: pull it again" in message, message
        assert not largest.exists()
        engine.load(APP)
        assert engine.ok("run", "--rm", "app:1", *LOOK) == SEEN
        power.settled(engine)
        engine.is_sound()


def test_an_image_that_was_lost_can_be_looked_at_counted_and_removed(machine: Machine) -> None:
    with machine.booted() as engine:
        power.killed(engine, power.BEFORE_THE_DISK, "load", given=APP)
        machine.lose_power()
        power.settled_by_next(engine)
    with machine.booted() as engine:
        power.lose_files(engine)
        assert engine.image("app:1")["Size"] > 0
        assert engine.ok("system", "df", "--format", "{{.Type}} {{.TotalCount}}").splitlines()[0] == "Images 1"
        engine.ok("history", "app:1")
        engine.ok("rmi", "app:1")
        power.settled_by_next(engine)
        assert engine.leftovers() == []


def test_whoever_writes_to_the_disk_may_be_killed_and_the_next_command_goes_on(machine: Machine) -> None:
    with machine.booted() as engine:
        power.killed(engine, power.BEFORE_THE_DISK, "load", given=APP)
        assert len(power.notes(engine)) == 1
        assert [each for each in records(engine) if "confirmed" in each] == []
        engine.ok("ps")
        power.settled(engine)
        assert [each.get("confirmed") for each in records(engine)] == [True] * 3


def test_an_image_may_be_removed_and_had_again_while_it_is_written_to_the_disk(machine: Machine) -> None:
    with machine.booted() as engine:
        for _ in range(3):
            engine.load(APP)
            engine.ok("rmi", "app:1")
        power.settled(engine)
        assert engine.leftovers() == []
        power.killed(engine, power.BEFORE_THE_DISK, "load", given=APP)
        engine.ok("rmi", "app:1")
        engine.load(APP)
        power.settled(engine)
        assert [each.get("confirmed") for each in records(engine)] == [True] * 3
        engine.is_sound()
