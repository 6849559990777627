"""Groups are made, joined, looked at and removed on the real hierarchies."""

from __future__ import annotations

import os
import signal
import stat
import time
import traceback
from typing import TYPE_CHECKING

import pytest

from orlop.errors import Conflict, Unsupported
from orlop.linux import cgroup, clone
from orlop.linux.cgroup import directory, removal
from orlop.linux.cgroup.layout import Layout
from tests.integration.cgroup.conftest import exit_of, value

if TYPE_CHECKING:
    from collections.abc import Callable

    from orlop.linux.cgroup import Group
    from tests.integration.cgroup.conftest import Process


def sleep() -> None:
    while True:
        signal.pause()


def test_a_group_is_made_in_every_hierarchy_and_removed_with_its_parent(group: Group, parent: str) -> None:
    group.create()

    assert all(os.path.isdir(h.directory(group.path)) for h in group.hierarchies)
    group.remove()
    assert not group.exists
    assert not any(os.path.exists(h.directory(parent)) for h in group.hierarchies)


def test_a_process_that_writes_0_to_the_join_files_is_in_the_group(group: Group, process: Process) -> None:
    group.create()

    pid = process(group, sleep)

    assert group.pids() == [pid]
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        joined = {tuple(line.strip().split(":")[1:]) for line in file}
    names = [",".join(h.controllers) for h in group.hierarchies]
    assert {(name, group.path) for name in names} <= joined


def test_another_process_can_be_added(group: Group, process: Process) -> None:
    group.create()
    pid = os.fork()
    if pid == 0:
        sleep()

    group.add(pid)

    assert group.pids() == [pid]
    group.kill()
    assert exit_of(pid) == -signal.SIGKILL


def test_a_process_can_be_born_in_the_unified_hierarchy(own_group: Group) -> None:
    own_group.create()
    into = own_group.clone_fd()
    if into is None:
        pytest.skip("needs a unified hierarchy")

    pid, pidfd = clone.clone(0, cgroup=into)
    if pid == 0:
        os._exit(0 if f"0::{own_group.path}\n" in open("/proc/self/cgroup", encoding="utf-8").read() else 1)
    os.close(into)
    os.close(pidfd)

    assert exit_of(pid) == 0


def test_no_descriptor_survives_an_exec(own_group: Group) -> None:
    own_group.create()
    files = own_group.join_files()
    into = own_group.clone_fd()

    for descriptor in (*files, *([into] if into is not None else [])):
        assert not os.get_inheritable(descriptor)
        os.close(descriptor)


def test_a_process_born_in_the_unified_hierarchy_needs_not_to_join_it(machine: Layout, own_group: Group) -> None:
    own_group.create()

    files = own_group.join_files(unified=False)

    assert [os.readlink(f"/proc/self/fd/{descriptor}") for descriptor in files] == [
        h.directory(own_group.path) + "/tasks" for h in machine.v1
    ]
    for descriptor in files:
        os.close(descriptor)


def test_the_record_of_a_group_is_enough_to_kill_and_remove_it(own_group: Group, process: Process) -> None:
    own_group.create()
    pid = process(own_group, sleep)

    again = cgroup.from_record(own_group.record())
    again.kill()
    again.remove()

    assert exit_of(pid) == -signal.SIGKILL
    assert not own_group.exists


def test_an_empty_group_is_taken_over_and_a_busy_one_is_not(group: Group, process: Process) -> None:
    group.create()
    group.create()
    pid = process(group, sleep)

    with pytest.raises(Conflict, match=str(pid)):
        group.create()
    assert group.pids() == [pid]


def test_a_failed_creation_leaves_nothing_behind(group: Group, parent: str) -> None:
    with pytest.raises((OSError, Unsupported), match=r"pids\.max"):
        group.create({"pids": {"limit": 1 << 70}})

    assert not group.exists
    assert not any(os.path.exists(h.directory(parent)) for h in group.hierarchies)


def test_processes_below_the_group_count_as_its_own(group: Group, process: Process) -> None:
    group.create()
    inner = group.child("inner")
    inner.create()
    pid = process(inner, sleep)

    assert group.pids(recursive=False) == []
    assert group.pids() == [pid]
    group.kill()
    group.remove()
    assert exit_of(pid) == -signal.SIGKILL


def test_removing_waits_for_processes_that_are_ending(group: Group, process: Process) -> None:
    group.create()
    go, told = os.pipe()

    def leave_later() -> None:
        os.close(told)
        os.read(go, 1)  # ends when the test closes its side
        time.sleep(0.05)  # still there when the group is to be removed

    pid = process(group, leave_later)
    os.close(told)
    os.close(go)

    group.remove()

    assert not group.exists
    assert exit_of(pid) == 0


def test_a_process_that_stays_is_named_and_left_alone(group: Group, process: Process) -> None:
    group.create()
    pid = process(group, sleep)
    busy = group.hierarchies[0].directory(group.path)

    with pytest.raises(OSError, match=f"process {pid} is in it") as caught:
        removal.remove_busy(busy, patience=0.05)

    assert caught.value.filename == busy
    assert group.pids() == [pid]


def test_parents_of_others_stay_and_ours_go_with_whoever_is_last(
    machine: Layout, groups: Callable[[Layout, str], Group], parent: str
) -> None:
    theirs = [machine.group(parent).hierarchies[0].directory(parent)]
    for each in theirs:
        os.mkdir(each)
    try:
        first, second = groups(machine, "a/one"), groups(machine, "a/two")
        first.create()
        second.create()
        first.remove()
        assert second.exists
        second.remove()

        assert all(os.path.isdir(each) and not os.path.exists(each + "/a") for each in theirs)
        assert not directory.marked(theirs[0])
    finally:
        for each in theirs:
            os.rmdir(each)


def test_eight_processes_make_and_remove_groups_below_one_parent(machine: Layout, parent: str) -> None:
    def work(number: int) -> None:
        for round_ in range(25):
            group = machine.group(f"{parent}/shared/{number}-{round_}")
            group.create({"pids": {"limit": 10}})
            group.remove()

    children = []
    for number in range(8):
        pid = os.fork()
        if pid == 0:
            try:
                work(number)
                os._exit(0)
            except Exception:  # noqa: BLE001 - the test sees the exit status
                traceback.print_exc()
            finally:
                os._exit(1)
        children.append(pid)

    assert [exit_of(pid) for pid in children] == [0] * 8
    everything = machine.group(parent)
    assert not everything.exists


def test_a_new_cpuset_has_processors_along_the_whole_path(
    machine: Layout, groups: Callable[[Layout, str], Group], parent: str
) -> None:
    if machine.v1_hierarchy("cpuset") is None:
        pytest.skip("needs the v1 controller cpuset")
    group = groups(machine, "deep/down/box")
    group.create()

    for path in (parent, f"{parent}/deep/down", group.path):
        assert value(machine.group(path), "cpuset", "cpuset.cpus") != ""
        assert value(machine.group(path), "cpuset", "cpuset.mems") != ""


def test_an_ordinary_user_gets_no_group_unless_limits_were_asked_for(own_group: Group) -> None:
    denied = {"devices": [{"allow": False, "access": "rwm"}], "memory": {"limit": -1}}

    def try_both() -> int:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        own_group.create(denied, rootless=True)
        if own_group.hierarchies or own_group.join_files() or own_group.clone_fd() is not None or own_group.pids():
            return 1
        own_group.remove()
        try:
            own_group.update({"memory": {"limit": 1 << 24}})
        except PermissionError as error:
            return 0 if "memory" in str(error) and "delegated" in str(error) else 2
        return 3

    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            status = try_both()
        finally:
            os._exit(status)

    assert exit_of(pid) == 0
    assert not own_group.exists


def test_a_delegated_unified_group_can_be_used_by_its_user(
    machine: Layout, groups: Callable[[Layout, str], Group]
) -> None:
    if machine.unified is None:
        pytest.skip("needs a unified hierarchy")
    unified = Layout([], machine.unified)
    given = groups(unified, "given")
    given.create()
    given.delegate(65534, 65534)
    top = given.directory("") or ""
    assert os.stat(top + "/cgroup.procs").st_uid == 65534
    assert stat.S_ISREG(os.stat(top + "/cgroup.procs").st_mode)

    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            mine = given.child("mine")
            mine.create({"devices": [{"allow": False}]}, rootless=True)
            status = 0 if mine.exists else 1
            mine.remove()
        finally:
            os._exit(status)
    assert exit_of(pid) == 0
