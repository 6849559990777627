"""Groups on this machine's real hierarchies, below a parent of the test's own that is gone afterwards."""

from __future__ import annotations

import itertools
import os
import traceback
from typing import TYPE_CHECKING, Protocol

import pytest

from orlop.linux import cgroup
from orlop.linux.cgroup.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orlop.linux.cgroup import Group

_numbers = itertools.count()


class Process(Protocol):
    """Starts a process in a group that runs a function and exits with what it returns; returns its pid."""

    def __call__(self, group: Group, function: Callable[[], int | None]) -> int: ...


@pytest.fixture(autouse=True)
def _needs_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: makes real cgroups")


@pytest.fixture
def machine() -> Layout:
    """The layout that this machine has."""
    found = cgroup.detect()
    if found.kind == "none":
        pytest.skip("needs a mounted cgroup hierarchy")
    return found


@pytest.fixture(params=["everything", "v1", "unified"])
def layout(request: pytest.FixtureRequest, machine: Layout) -> Layout:
    """This machine's layout, and each version alone as far as the machine has it."""
    found = machine
    if request.param == "v1":
        found = Layout(machine.v1, None)
    elif request.param == "unified":
        found = Layout([], machine.unified)
    if found.kind == "none":
        pytest.skip(f"this machine has no cgroup hierarchies of the kind: {request.param}")
    return found


@pytest.fixture
def parent() -> str:
    """A path that no other test, worker or run uses; it disappears with its last group."""
    return f"/orlop-group-test-{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def groups(parent: str) -> Iterator[Callable[[Layout, str], Group]]:
    """Name groups below the parent; whatever is left of them is killed and removed."""
    named: list[Group] = []

    def name(where: Layout, child: str = "box") -> Group:
        group = where.group(f"{parent}/{child}")
        named.append(group)
        return group

    yield name
    left = []
    for group in named:
        if group.exists:
            group.kill()
            group.remove()
    for hierarchy in cgroup.detect().v1:
        left += [hierarchy.directory(parent)] if os.path.exists(hierarchy.directory(parent)) else []
    assert left == []


@pytest.fixture
def group(layout: Layout, groups: Callable[[Layout], Group]) -> Group:
    """A named group on the whole layout, on version 1 alone and on version 2 alone in turn."""
    return groups(layout)


@pytest.fixture
def own_group(machine: Layout, groups: Callable[[Layout], Group]) -> Group:
    """A named group on this machine's layout."""
    return groups(machine)


@pytest.fixture
def process() -> Iterator[Process]:
    """Start processes in groups as the runtime does; those that are left are ended."""
    started: list[int] = []

    def start(group: Group, function: Callable[[], int | None]) -> int:
        files = group.join_files()
        ready, told = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                for descriptor in files:
                    os.write(descriptor, b"0")
                os.write(told, b"+")
                os._exit(function() or 0)
            except Exception:  # noqa: BLE001 - the test sees the exit status
                traceback.print_exc()
            finally:
                os._exit(99)
        started.append(pid)
        for descriptor in (*files, told):
            os.close(descriptor)
        assert os.read(ready, 1) == b"+"
        os.close(ready)
        return pid

    yield start
    for pid in started:
        try:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def has(layout: Layout, controller: str) -> bool:
    """Whether one of the layout's hierarchies has a controller."""
    if layout.v1_hierarchy(controller) is not None:
        return True
    if layout.unified is None:
        return False
    with open(layout.unified.mountpoint + "/cgroup.controllers", encoding="utf-8") as file:
        return controller in file.read().split()


def exit_of(pid: int) -> int:
    """Wait for a child; its exit status, or the negative number of the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def value(group: Group, controller: str, name: str) -> str:
    """What a file of the group says."""
    directory = group.directory(controller)
    assert directory is not None
    with open(f"{directory}/{name}", encoding="utf-8") as file:
        return file.read().strip()
