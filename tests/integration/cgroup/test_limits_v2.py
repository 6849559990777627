"""Limits where version 2 has all controllers: their files, and that the kernel keeps them.

``make vm`` runs these in a virtual machine where the machine itself has another layout.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from orlop.errors import Unsupported
from tests.integration.cgroup.conftest import exit_of, has, value

if TYPE_CHECKING:
    from collections.abc import Callable

    from orlop.linux.cgroup import Group
    from orlop.linux.cgroup.layout import Layout
    from tests.integration.cgroup.conftest import Process

MIB = 1 << 20


@pytest.fixture
def v2(machine: Layout) -> Layout:
    """This machine's layout, if it is version 2 alone."""
    if machine.kind != "v2":
        pytest.skip("needs a machine with cgroup v2 alone: make vm boots one")
    return machine


@pytest.fixture
def box(v2: Layout, groups: Callable[[Layout], Group]) -> Group:
    """A named group there."""
    return groups(v2)


def needs(layout: Layout, *controllers: str) -> None:
    for controller in controllers:
        if not has(layout, controller):
            pytest.skip(f"needs the controller {controller}")


def test_memory_and_swap_limits_are_set_and_changed(v2: Layout, box: Group) -> None:
    needs(v2, "memory")
    box.create({"memory": {"limit": 32 * MIB, "swap": 48 * MIB, "reservation": 16 * MIB}})

    assert value(box, "", "memory.max") == str(32 * MIB)
    assert value(box, "", "memory.swap.max") == str(16 * MIB)
    assert value(box, "", "memory.low") == str(16 * MIB)
    box.update({"memory": {"swap": 36 * MIB}})
    assert value(box, "", "memory.swap.max") == str(4 * MIB)
    box.update({"memory": {"limit": 64 * MIB, "swap": -1}})
    assert (value(box, "", "memory.max"), value(box, "", "memory.swap.max")) == (str(64 * MIB), "max")
    box.update({"memory": {"limit": -1}})
    assert value(box, "", "memory.max") == "max"


def test_a_process_that_takes_more_memory_than_its_limit_is_killed(v2: Layout, box: Group, process: Process) -> None:
    needs(v2, "memory")
    box.create({"memory": {"limit": 24 * MIB, "swap": 24 * MIB}})

    def take_too_much() -> None:
        _ = b"x" * (128 * MIB)

    assert exit_of(process(box, take_too_much)) == -signal.SIGKILL
    assert "oom_kill 1" in value(box, "", "memory.events")
    usage = box.statistics()["memory"]["usage"]
    assert usage["limit"] == 24 * MIB
    assert usage["failcnt"] > 0


def test_processor_weight_bandwidth_and_burst(v2: Layout, box: Group) -> None:
    needs(v2, "cpu")
    box.create({"cpu": {"shares": 1024, "quota": 50000, "period": 100000, "burst": 10000}})

    assert value(box, "", "cpu.weight") == "100"
    assert value(box, "", "cpu.max") == "50000 100000"
    assert value(box, "", "cpu.max.burst") == "10000"
    box.update({"cpu": {"quota": 20000}})
    assert value(box, "", "cpu.max") == "20000 100000"
    box.update({"cpu": {"period": 50000}})
    assert value(box, "", "cpu.max") == "20000 50000"
    box.update({"cpu": {"quota": -1, "shares": 2}})
    assert value(box, "", "cpu.max") == "max 50000"
    assert value(box, "", "cpu.weight") == "1"
    box.update({"cpu": {"idle": 1}})
    assert value(box, "", "cpu.idle") == "1"


def test_a_quota_and_its_burst_grow_and_shrink_together(v2: Layout, box: Group) -> None:
    needs(v2, "cpu")
    box.create({"cpu": {"quota": 20000, "burst": 20000}})

    for quota, burst in ((60000, 60000), (5000, 5000)):
        box.update({"cpu": {"quota": quota, "burst": burst}})
        assert value(box, "", "cpu.max.burst") == str(burst)
        assert value(box, "", "cpu.max") == f"{quota} 100000"


def test_processes_run_on_the_processors_of_their_cpuset(v2: Layout, box: Group, process: Process) -> None:
    needs(v2, "cpuset")
    last = max(os.sched_getaffinity(0))
    box.create({"cpu": {"cpus": str(last), "mems": "0"}})

    assert exit_of(process(box, lambda: int(os.sched_getaffinity(0) != {last}))) == 0
    assert box.statistics()["cpuset"] == {"cpus": [last], "mems": [0]}


def test_rates_of_block_devices_are_in_io_max(v2: Layout, box: Group) -> None:
    needs(v2, "io")
    with open("/proc/partitions", encoding="utf-8") as file:
        devices = [line.split() for line in file.read().splitlines()[2:]]
    if not devices:
        pytest.skip("needs a block device")
    device = {"major": int(devices[0][0]), "minor": int(devices[0][1])}

    box.create(
        {
            "blockIO": {
                "throttleReadBpsDevice": [{**device, "rate": 1 << 20}],
                "throttleWriteIOPSDevice": [{**device, "rate": 100}],
            }
        }
    )

    assert value(box, "", "io.max") == f"{devices[0][0]}:{devices[0][1]} rbps=1048576 wbps=max riops=max wiops=100"
    box.update({"blockIO": {"throttleReadBpsDevice": [{**device, "rate": 0}]}})
    assert "rbps=max" in value(box, "", "io.max")


def test_pids_huge_pages_and_unified_keys(v2: Layout, box: Group) -> None:
    needs(v2, "pids", "hugetlb", "memory")
    box.create(
        {
            "pids": {"limit": 17},
            "hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MIB}],
            "unified": {"memory.high": str(64 * MIB)},
        }
    )

    assert value(box, "", "pids.max") == "17"
    assert value(box, "", "hugetlb.2MB.max") == str(4 * MIB)
    assert value(box, "", "memory.high") == str(64 * MIB)
    with pytest.raises(Unsupported, match=r"nonsense\.max"):
        box.update({"unified": {"nonsense.max": "1"}})


def test_what_a_device_that_is_not_there_refuses_is_named(v2: Layout, box: Group) -> None:
    needs(v2, "rdma")

    with pytest.raises(OSError, match="mlx5_1 hca_handle=3") as caught:
        box.create({"rdma": {"mlx5_1": {"hcaHandles": 3}}})

    assert str(caught.value.filename).endswith("rdma.max")
    assert not box.exists


def test_a_parent_with_processes_cannot_hand_controllers_down(
    v2: Layout, groups: Callable[[Layout, str], Group], process: Process
) -> None:
    needs(v2, "memory")
    busy = groups(v2, "busy")
    busy.create()
    process(busy, signal.pause)
    inner = busy.child("inner")

    inner.create({})
    assert exit_of(process(inner, lambda: 0)) == 0
    inner.remove()
    with pytest.raises(OSError, match=r"controller memory.*processes of its own"):
        inner.create({"memory": {"limit": 32 * MIB}})

    assert not inner.exists


def test_limits_can_be_set_on_a_group_that_was_made_without_any(v2: Layout, box: Group) -> None:
    needs(v2, "pids")
    box.create()

    box.update({"pids": {"limit": 5}})

    assert value(box, "", "pids.max") == "5"


def test_the_statistics_are_what_the_group_used(v2: Layout, box: Group, process: Process) -> None:
    needs(v2, "cpu", "memory", "pids")
    box.create({"pids": {"limit": 50}, "memory": {"limit": 64 * MIB}})

    def work() -> None:
        total = 0
        for number in range(200_000):
            total += number

    assert exit_of(process(box, work)) == 0
    data = box.statistics()

    assert data["cpu"]["usage"]["total"] > 1_000_000
    assert data["pids"] == {"limit": 50}
    assert data["memory"]["usage"]["limit"] == 64 * MIB
    assert data["memory"]["raw"]["pgfault"] > 0
