"""Limits are set, changed in the order that the kernel needs, and kept by the kernel."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from orlop.errors import Unsupported
from orlop.linux.cgroup.layout import Layout
from tests.integration.cgroup.conftest import exit_of, has, value

if TYPE_CHECKING:
    from collections.abc import Callable

    from orlop.linux.cgroup import Group
    from tests.integration.cgroup.conftest import Process

MIB = 1 << 20


def needs_v1(layout: Layout, *controllers: str) -> None:
    for controller in controllers:
        if layout.v1_hierarchy(controller) is None:
            pytest.skip(f"needs the v1 controller {controller}")


def test_memory_and_swap_are_raised_and_lowered_together(machine: Layout, own_group: Group) -> None:
    needs_v1(machine, "memory")
    own_group.create({"memory": {"limit": 32 * MIB, "swap": 48 * MIB, "reservation": 16 * MIB, "swappiness": 7}})

    for limit, swap in ((96, 128), (16, 24), (64, 64), (200, 300)):
        own_group.update({"memory": {"limit": limit * MIB, "swap": swap * MIB}})
        assert value(own_group, "memory", "memory.limit_in_bytes") == str(limit * MIB)
        assert value(own_group, "memory", "memory.memsw.limit_in_bytes") == str(swap * MIB)
    assert value(own_group, "memory", "memory.soft_limit_in_bytes") == str(16 * MIB)
    assert value(own_group, "memory", "memory.swappiness") == "7"

    own_group.update({"memory": {"limit": -1}})
    assert int(value(own_group, "memory", "memory.memsw.limit_in_bytes")) > 1 << 60


def test_a_process_that_takes_more_memory_than_its_limit_is_killed(
    machine: Layout, own_group: Group, process: Process
) -> None:
    needs_v1(machine, "memory")
    own_group.create({"memory": {"limit": 24 * MIB, "swap": 24 * MIB}})

    def take_too_much() -> None:
        _ = b"x" * (128 * MIB)

    assert exit_of(process(own_group, take_too_much)) == -signal.SIGKILL
    assert "oom_kill 1" in value(own_group, "memory", "memory.oom_control")
    usage = own_group.statistics()["memory"]["usage"]
    assert (usage["limit"], usage["max"]) == (24 * MIB, 24 * MIB)


def test_period_and_quota_below_a_parents_share_are_changed_in_either_direction(
    machine: Layout, groups: Callable[[Layout, str], Group]
) -> None:
    needs_v1(machine, "cpu")
    outer, inner = groups(machine, "outer"), groups(machine, "outer/inner")
    outer.create({"cpu": {"quota": 50000, "period": 100000}})
    inner.create({"cpu": {"quota": 40000, "period": 100000}})

    for quota, period in ((4000, 10000), (40000, 100000), (400000, 1000000)):
        inner.update({"cpu": {"quota": quota, "period": period}})
        assert value(inner, "cpu", "cpu.cfs_quota_us") == str(quota)
        assert value(inner, "cpu", "cpu.cfs_period_us") == str(period)
    inner.remove()


def test_shares_burst_and_idleness_are_set(machine: Layout, own_group: Group) -> None:
    needs_v1(machine, "cpu")
    own_group.create({"cpu": {"shares": 512, "quota": 50000, "burst": 20000}})

    assert value(own_group, "cpu", "cpu.shares") == "512"
    assert value(own_group, "cpu", "cpu.cfs_burst_us") == "20000"
    own_group.update({"cpu": {"idle": 1}})
    assert value(own_group, "cpu", "cpu.idle") == "1"
    own_group.update({"cpu": {"shares": 2048, "idle": 0}})
    assert value(own_group, "cpu", "cpu.shares") == "2048"


def test_processes_run_on_the_processors_of_their_cpuset(machine: Layout, own_group: Group, process: Process) -> None:
    needs_v1(machine, "cpuset")
    last = max(os.sched_getaffinity(0))
    own_group.create({"cpu": {"cpus": str(last), "mems": "0"}})

    pid = process(own_group, lambda: int(os.sched_getaffinity(0) != {last}))

    assert exit_of(pid) == 0
    assert own_group.statistics()["cpuset"]["cpus"] == [last]


def test_block_io_weights_and_rates_are_set(machine: Layout, own_group: Group) -> None:
    needs_v1(machine, "blkio")
    with open("/proc/partitions", encoding="utf-8") as file:
        devices = [line.split() for line in file.read().splitlines()[2:]]
    major, minor = int(devices[0][0]), int(devices[0][1])
    device = {"major": major, "minor": minor}

    own_group.create({"blockIO": {"throttleReadBpsDevice": [{**device, "rate": 1 << 20}]}})

    assert value(own_group, "blkio", "blkio.throttle.read_bps_device") == f"{major}:{minor} {1 << 20}"
    own_group.update({"blockIO": {"throttleReadBpsDevice": [{**device, "rate": 0}]}})
    assert value(own_group, "blkio", "blkio.throttle.read_bps_device") == ""


def test_huge_pages_are_limited_where_the_controller_is_unified(machine: Layout, own_group: Group) -> None:
    if machine.v1_hierarchy("hugetlb") is not None or not has(machine, "hugetlb"):
        pytest.skip("needs the v2 controller hugetlb")

    own_group.create({"hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MIB}]})

    assert value(own_group, "", "hugetlb.2MB.max") == str(4 * MIB)
    assert value(own_group, "", "hugetlb.2MB.rsvd.max") == str(4 * MIB)


@pytest.mark.parametrize(
    ("resources", "name", "text"),
    [
        ({"cpu": {"period": 5}}, "cpu.cfs_period_us", "'5': Invalid argument"),
        ({"cpu": {"cpus": "4000"}}, "cpuset.cpus", "'4000'"),
        (
            {"blockIO": {"throttleReadBpsDevice": [{"major": 4000, "minor": 1, "rate": 1}]}},
            "read_bps_device",
            "4000:1 1",
        ),
    ],
)
def test_a_value_that_the_kernel_refuses_is_named_with_its_file(
    machine: Layout, own_group: Group, resources: dict[str, Any], name: str, text: str
) -> None:
    needs_v1(machine, "cpu", "cpuset", "blkio")

    with pytest.raises(OSError, match=text) as caught:
        own_group.create(resources)

    assert str(caught.value.filename).endswith(name)
    assert not own_group.exists


@pytest.mark.parametrize(
    ("resources", "controller", "file"),
    [
        ({"network": {"classID": 5}}, "net_cls", "net_cls.classid"),
        ({"network": {"priorities": [{"name": "lo", "priority": 1}]}}, "net_prio", "net_prio.ifpriomap"),
        ({"rdma": {"mlx": {"hcaHandles": 1}}}, "rdma", "rdma.max"),
    ],
)
def test_a_limit_without_its_controller_is_refused_by_name(
    machine: Layout, own_group: Group, resources: dict[str, Any], controller: str, file: str
) -> None:
    if has(machine, controller):
        pytest.skip(f"needs a machine without the controller {controller}")

    with pytest.raises(Unsupported, match=f"{file}.*{controller}"):
        own_group.create(resources)

    assert not own_group.exists


def test_unified_keys_need_version_2_alone(machine: Layout, own_group: Group) -> None:
    if machine.kind == "v2":
        pytest.skip("needs a machine with v1 or hybrid cgroups")

    with pytest.raises(Unsupported, match=r"memory\.high.*" + machine.kind):
        own_group.create({"unified": {"memory.high": "1000000"}})


def test_unified_keys_are_written_where_there_is_version_2_alone(
    machine: Layout, groups: Callable[[Layout], Group]
) -> None:
    if machine.unified is None:
        pytest.skip("needs a unified hierarchy")
    group = groups(Layout([], machine.unified))

    group.create({"unified": {"cgroup.max.depth": "3"}})

    assert value(group, "", "cgroup.max.depth") == "3"


def test_the_statistics_are_what_the_group_used(machine: Layout, own_group: Group, process: Process) -> None:
    needs_v1(machine, "cpuacct", "memory", "pids")
    own_group.create({"pids": {"limit": 50}, "memory": {"limit": 64 * MIB}})

    def work() -> None:
        total = 0
        for number in range(200_000):
            total += number

    assert exit_of(process(own_group, work)) == 0
    data = own_group.statistics()

    assert data["cpu"]["usage"]["total"] > 1_000_000
    assert data["pids"] == {"limit": 50}
    assert data["memory"]["usage"]["limit"] == 64 * MIB
    assert data["memory"]["usage"]["max"] > 0
    assert data["memory"]["raw"]["hierarchical_memory_limit"] == 64 * MIB
