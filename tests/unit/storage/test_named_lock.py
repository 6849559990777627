"""One at a time for a name, whoever is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from orlop.storage import named_lock
from orlop.storage.named_lock import NamedLock

SOURCE = Path(__file__).parents[3] / "src"

HOLD = """
import sys, time
sys.path.insert(0, sys.argv[1])
from orlop.storage.named_lock import NamedLock
NamedLock(sys.argv[2], "name").acquire()
print("held", flush=True)
time.sleep(1000)
"""


def test_only_one_has_the_lock_at_a_time(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        for _ in range(50):
            with NamedLock(str(tmp_path / "locks"), "name"):
                inside.append(number)
                most.append(len(inside))
                inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert os.listdir(tmp_path / "locks") == []


def test_another_name_is_another_lock(tmp_path: Path) -> None:
    with NamedLock(str(tmp_path), "one"), NamedLock(str(tmp_path), "two"):
        assert sorted(os.listdir(tmp_path)) == ["one", "two"]
    assert os.listdir(tmp_path) == []


def test_whoever_waits_may_change_their_mind(tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def give_up() -> None:
        raise Enough

    with NamedLock(str(tmp_path), "name"), pytest.raises(Enough):
        NamedLock(str(tmp_path), "name").acquire(give_up)
    with NamedLock(str(tmp_path), "name"):
        pass


def test_the_lock_of_a_killed_process_is_free_and_its_file_is_swept(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(SOURCE), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        named_lock.sweep(str(tmp_path))
        assert os.listdir(tmp_path) == ["name"]
        holder.kill()
    named_lock.sweep(str(tmp_path))
    assert os.listdir(tmp_path) == []
    named_lock.sweep(str(tmp_path / "nothing"))
    with NamedLock(str(tmp_path), "name"):
        pass


def test_a_sweep_takes_no_lock_from_anybody(tmp_path: Path) -> None:
    over = threading.Event()

    def sweep() -> None:
        while not over.is_set():
            named_lock.sweep(str(tmp_path / "locks"))

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    try:
        test_only_one_has_the_lock_at_a_time(tmp_path)
    finally:
        over.set()
        sweeper.join()
