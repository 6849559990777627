"""Freezing, thawing and killing, by each version's means."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from orlop.linux import procfs
from tests.integration.cgroup.conftest import exit_of, has

if TYPE_CHECKING:
    from collections.abc import Callable

    from orlop.linux.cgroup import Group
    from orlop.linux.cgroup.layout import Layout
    from tests.integration.cgroup.conftest import Process


def sleep() -> None:
    while True:
        signal.pause()


def test_a_frozen_process_makes_no_progress_until_it_is_thawed(group: Group, process: Process) -> None:
    group.create()
    go, told = os.pipe()
    answer, said = os.pipe()

    def reply() -> None:
        os.read(go, 1)
        os.write(said, b"!")

    pid = process(group, reply)
    group.freeze()
    frozen = group.frozen

    os.write(told, b"?")
    os.set_blocking(answer, False)
    with pytest.raises(BlockingIOError):
        os.read(answer, 1)
    os.set_blocking(answer, True)
    group.thaw()

    assert os.read(answer, 1) == b"!"
    assert (frozen, group.frozen) == (True, False)
    assert exit_of(pid) == 0
    for descriptor in (go, told, answer, said):
        os.close(descriptor)


def test_freezing_covers_the_groups_below(group: Group, process: Process) -> None:
    group.create()
    inner = group.child("inner")
    inner.create()
    pid = process(inner, sleep)

    group.freeze()
    group.kill()
    group.remove()

    assert exit_of(pid) == -signal.SIGKILL


def test_killing_ends_the_processes_of_a_frozen_group(group: Group, process: Process) -> None:
    group.create()
    pid = process(group, sleep)
    group.freeze()

    group.kill()

    assert exit_of(pid) == -signal.SIGKILL
    group.remove()
    assert not group.exists


def test_killing_ends_even_what_another_tool_froze_on_version_1(
    machine: Layout, own_group: Group, process: Process
) -> None:
    if machine.v1_hierarchy("freezer") is None:
        pytest.skip("needs the v1 controller freezer")
    own_group.create()
    pid = process(own_group, sleep)
    with open(f"{own_group.directory('freezer')}/freezer.state", "w", encoding="utf-8") as file:
        file.write("FROZEN")
    assert own_group.frozen

    own_group.kill()

    assert exit_of(pid) == -signal.SIGKILL


def test_another_signal_reaches_every_process_and_waits_in_a_frozen_group(group: Group, process: Process) -> None:
    group.create()
    ready, told = os.pipe()

    def exit_when_told() -> None:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
        os.write(told, b"+")
        sleep()

    first, second = process(group, exit_when_told), process(group, exit_when_told)
    assert os.read(ready, 1) + os.read(ready, 1) == b"++"
    os.close(ready)
    os.close(told)

    group.freeze()
    group.kill(signal.SIGTERM)
    assert group.frozen
    assert sorted(group.pids()) == sorted((first, second))
    group.thaw()

    assert [exit_of(first), exit_of(second)] == [7, 7]


def test_a_signal_to_a_running_group_leaves_it_running(group: Group, process: Process) -> None:
    group.create()
    pid = process(group, sleep)

    group.kill(0)

    assert not group.frozen
    stat = procfs.stat(pid)
    assert stat is not None
    assert stat.state in "RS"


def test_a_fork_bomb_is_bounded_and_ends(
    machine: Layout, layout: Layout, groups: Callable[[Layout], Group], process: Process
) -> None:
    if not has(layout, "pids"):
        pytest.skip("needs the controller pids")
    group = groups(layout)
    group.create({"pids": {"limit": 24}})
    full, told = os.pipe()

    def explode() -> None:
        while True:
            try:
                os.fork()
            except BlockingIOError:
                os.write(told, b"f")
                signal.pause()

    pid = process(group, explode)
    assert os.read(full, 1) == b"f"
    assert len(group.pids()) <= 24

    group.kill()
    assert exit_of(pid) == -signal.SIGKILL
    group.remove()
    assert not group.exists
    os.close(full)
    os.close(told)


def test_killing_keeps_up_with_processes_that_only_fork(group: Group, process: Process) -> None:
    """Each child forks the next and exits, so that a list of processes is always out of date."""
    group.create()
    started, told = os.pipe()

    def run_away() -> None:
        os.write(told, b"+")
        while True:
            if os.fork():
                os._exit(0)

    pid = process(group, run_away)
    assert os.read(started, 1) == b"+"
    assert exit_of(pid) == 0

    group.kill()
    group.remove()

    assert not group.exists
    os.close(started)
    os.close(told)
