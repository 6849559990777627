"""Device rules are kept by the version 1 controller and by the version 2 program."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from orlop.linux.cgroup import device_filter, device_program
from orlop.linux.cgroup.devices import ANY, EVERYTHING, READ, WRITE, Rule
from orlop.linux.cgroup.layout import Layout
from tests.integration.cgroup.conftest import exit_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from orlop.linux.cgroup import Group
    from tests.integration.cgroup.conftest import Process

DENY_ALL = {"allow": False, "access": "rwm"}
ALLOW_ALL = {"allow": True, "access": "rwm"}


def character(major: int, minor: int, access: str, *, allow: bool = True) -> dict[str, Any]:
    return {"allow": allow, "type": "c", "major": major, "minor": minor, "access": access}


@pytest.fixture(params=["v1", "unified"])
def enforcing(request: pytest.FixtureRequest, machine: Layout, groups: Callable[[Layout], Group]) -> Group:
    """A named group whose devices are decided by version 1, or by version 2."""
    if request.param == "v1":
        if machine.v1_hierarchy("devices") is None:
            pytest.skip("needs the v1 controller devices")
        return groups(Layout(machine.v1, None))
    if machine.unified is None:
        pytest.skip("needs a unified hierarchy")
    return groups(Layout([], machine.unified))


def opens(path: str, mode: int) -> bool:
    try:
        os.close(os.open(path, mode))
    except PermissionError:
        return False
    return True


def test_only_what_the_rules_allow_can_be_opened(enforcing: Group, process: Process) -> None:
    enforcing.create({"devices": [DENY_ALL, character(1, 11, "r")]})

    def look() -> int:
        expected = [
            opens("/dev/null", os.O_RDWR),
            opens("/dev/zero", os.O_RDONLY),
            opens("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK),
            not opens("/dev/kmsg", os.O_WRONLY),
            not opens("/dev/kmsg", os.O_RDWR),
        ]
        return 0 if all(expected) else 1

    assert exit_of(process(enforcing, look)) == 0


def test_a_container_without_rules_gets_no_devices_but_the_default_ones(enforcing: Group, process: Process) -> None:
    enforcing.create({})

    def look() -> int:
        return 0 if opens("/dev/null", os.O_RDWR) and not opens("/dev/kmsg", os.O_WRONLY) else 1

    assert exit_of(process(enforcing, look)) == 0


def test_rules_count_in_their_order(enforcing: Group, process: Process) -> None:
    enforcing.create({"devices": [ALLOW_ALL, character(1, 11, "w", allow=False)]})

    def look() -> int:
        readable = opens("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        return 0 if readable and not opens("/dev/kmsg", os.O_WRONLY) else 1

    assert exit_of(process(enforcing, look)) == 0


def test_nodes_can_be_made_but_not_opened(enforcing: Group, process: Process, tmp_path: Any) -> None:
    enforcing.create({"devices": [DENY_ALL]})
    node = str(tmp_path / "mem")

    def look() -> int:
        os.mknod(node, 0o600 | 0o020000, os.makedev(1, 11))
        return 0 if not opens(node, os.O_RDONLY) else 1

    assert exit_of(process(enforcing, look)) == 0


def test_making_nodes_can_be_denied_after_the_fact_by_a_later_rule_set(enforcing: Group, process: Process) -> None:
    enforcing.create({"devices": [ALLOW_ALL]})
    enforcing.update({"devices": [DENY_ALL, character(1, 11, "rw")]})
    allowed = process(enforcing, lambda: 0 if opens("/dev/kmsg", os.O_WRONLY) else 1)
    assert exit_of(allowed) == 0

    enforcing.update({"devices": [DENY_ALL]})
    denied = process(enforcing, lambda: 0 if not opens("/dev/kmsg", os.O_WRONLY) else 1)
    assert exit_of(denied) == 0

    enforcing.update({"devices": [ALLOW_ALL]})
    again = process(enforcing, lambda: 0 if opens("/dev/kmsg", os.O_WRONLY) else 1)
    assert exit_of(again) == 0


def test_an_update_of_other_limits_leaves_devices_alone(enforcing: Group, process: Process) -> None:
    enforcing.create({"devices": [DENY_ALL, character(1, 11, "w")]})

    enforcing.update({"pids": {"limit": -1}})

    assert exit_of(process(enforcing, lambda: 0 if opens("/dev/kmsg", os.O_WRONLY) else 1)) == 0


def test_a_device_that_old_and_new_rules_allow_is_never_missing(enforcing: Group, process: Process) -> None:
    enforcing.create({"devices": [DENY_ALL]})
    stop, told = os.pipe()

    def keep_opening() -> int:
        os.close(told)
        os.set_blocking(stop, False)
        failures = 0
        while True:
            failures += not opens("/dev/null", os.O_RDWR)
            try:
                os.read(stop, 1)
                return min(failures, 98)
            except BlockingIOError:
                continue

    pid = process(enforcing, keep_opening)
    for minor in range(100):
        enforcing.update({"devices": [DENY_ALL, character(10, minor, "rw")]})
    os.close(told)

    assert exit_of(pid) == 0
    os.close(stop)


def test_an_update_replaces_our_program_and_keeps_those_of_others(
    machine: Layout, groups: Callable[[Layout], Group]
) -> None:
    if machine.unified is None:
        pytest.skip("needs a unified hierarchy")
    group = groups(Layout([], machine.unified))
    group.create({"devices": [DENY_ALL]})
    directory = group.directory("") or ""
    (first,) = device_filter.programs(directory)

    group.update({"devices": [DENY_ALL, character(10, 200, "rw")]})

    (second,) = device_filter.programs(directory)
    assert second != first


def test_the_kernel_accepts_the_longest_and_the_oddest_programs() -> None:
    many = [Rule(bool(n % 3), "cb"[n % 2], n % 512, ANY if n % 5 == 0 else n, n % 7 + 1) for n in range(300)]
    odd = [Rule(True, "c", (1 << 31) - 1, (1 << 20) - 1, READ), Rule(False, "b", ANY, ANY, WRITE)]
    all_of_it = [Rule(True, "a", ANY, ANY, EVERYTHING)]

    for rules in (many, odd, all_of_it, []):
        os.close(device_filter.load(device_program.assemble(rules), "test"))


def test_a_privileged_group_of_version_2_gets_no_program(machine: Layout, groups: Callable[[Layout], Group]) -> None:
    if machine.unified is None:
        pytest.skip("needs a unified hierarchy")
    group = groups(Layout([], machine.unified))

    group.create({"devices": [ALLOW_ALL]})

    assert device_filter.programs(group.directory("") or "") == []
