"""Processes that an engine has one of at most, which come when there is work and go with the last who needs them."""

from __future__ import annotations

import os
import select
import signal
from typing import TYPE_CHECKING

import pytest

from orlop.engine.summon import Summons

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIVE = "tests.summoned:live"


class Customer:
    """Somebody with work, as a monitor is."""

    def __init__(self, run_root: Path) -> None:
        self.source, self._work = os.pipe()
        self._answers, answer = os.pipe()
        self.summons = Summons(str(run_root), "test", LIVE, [self.source], b"work", [self.source, answer])
        self._ends = [self.source, self._work, self._answers, answer]

    def ask(self) -> tuple[int, int]:
        """Have a byte of work done; by whom, and how much that one has done so far."""
        os.write(self._work, b"?")
        return self.wait()

    def wait(self) -> tuple[int, int]:
        """Go on as a pump does until there is an answer."""
        while True:
            poll = select.poll()
            poll.register(self._answers, select.POLLIN)
            due = self.summons.register(poll)
            ready = {descriptor for descriptor, _ in poll.poll(due or 20_000)}
            assert ready or due, "nothing happens"
            self.summons.look(ready)
            if self._answers in ready:
                pid, count = os.read(self._answers, 100).split()
                return int(pid), int(count)

    def close(self) -> None:
        """Need nothing any more."""
        self.summons.close()
        for each in self._ends:
            os.close(each)


@pytest.fixture
def customers(tmp_path: Path) -> Iterator[list[Customer]]:
    made = [Customer(tmp_path) for _ in range(3)]
    yield made
    for each in made:
        each.close()


def _wait_for_end(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return


def test_one_process_serves_everybody(customers: list[Customer]) -> None:
    answers = [each.ask() for each in customers]
    assert {pid for pid, _ in answers} == {answers[0][0]}
    assert [count for _, count in answers] == [1, 2, 3]


def test_nothing_is_started_before_there_is_work(customers: list[Customer], tmp_path: Path) -> None:
    poll = select.poll()
    for each in customers:
        each.summons.register(poll)
    assert poll.poll(0) == []
    assert os.listdir(tmp_path) == []


def test_a_killed_process_is_replaced_and_no_work_is_lost(customers: list[Customer]) -> None:
    first = customers[0]
    pid, _ = first.ask()
    os.kill(pid, signal.SIGKILL)
    again, count = first.ask()
    assert again != pid
    assert count == 1


def test_it_ends_with_the_last_who_needs_it_and_leaves_no_socket(customers: list[Customer], tmp_path: Path) -> None:
    pid, _ = customers[0].ask()
    customers[1].ask()
    customers[0].summons.close()
    assert customers[1].ask()[0] == pid
    customers[1].summons.close()
    _wait_for_end(pid)
    assert not (tmp_path / "test.sock").exists()
    assert customers[2].ask()[0] != pid


def test_sockets_can_be_exchanged_while_it_serves(customers: list[Customer]) -> None:
    first, second, _ = customers
    pid, _ = first.ask()
    first.summons.replace([second.source], [second.source, second._ends[3]])
    os.write(second._work, b"?")
    assert int(os.read(second._answers, 100).split()[0]) == pid


def test_who_comes_while_one_process_goes_gets_the_next(customers: list[Customer], tmp_path: Path) -> None:
    for _ in range(20):
        first, second, _ = customers
        first.ask()
        first.summons.close()  # it is going now, or is just about to
        pid, _ = second.ask()
        assert pid > 0
        second.summons.close()


def test_a_process_that_cannot_live_is_not_started_all_the_time(tmp_path: Path) -> None:
    source, work = os.pipe()
    summons = Summons(str(tmp_path), "test", "tests.summoned:die", [source], b"work", [source])
    os.write(work, b"?")
    starts = rests = 0
    try:
        while rests < 3:
            before = summons._child
            poll = select.poll()
            due = summons.register(poll)
            if due is not None and due > 100:
                rests += 1
                summons._rests_until = 1e-9  # the time has passed
            summons.look(
                {
                    descriptor
                    for descriptor, _ in poll.poll(due if due is not None and due <= 100 else 20_000 * (due is None))
                }
            )
            starts += summons._child not in (0, before)
    finally:
        summons.close()
        os.close(source)
        os.close(work)
    assert starts <= 8
