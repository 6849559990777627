"""What each section of linux.resources becomes, in version 1 and in version 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from orlop.errors import InvalidConfig, Unsupported
from orlop.linux.cgroup.controller import block_io, cpu, cpuset, hugetlb, memory, network, pids, rdma, unified

if TYPE_CHECKING:
    from pathlib import Path

    from orlop.linux.cgroup.controller import Setting

NOWHERE = "/nonexistent"
MIB = 1 << 20


def pairs(settings: list[Setting]) -> list[tuple[str, str]]:
    return [(setting.file, setting.value) for setting in settings]


# Memory


def test_memory_v1_writes_all_its_limits() -> None:
    section = {
        "limit": 64 * MIB,
        "swap": 128 * MIB,
        "reservation": 32 * MIB,
        "kernel": -1,
        "kernelTCP": 8 * MIB,
        "swappiness": 0,
        "disableOOMKiller": True,
        "useHierarchy": True,
    }

    assert pairs(memory.v1(section, NOWHERE)) == [
        ("memory.limit_in_bytes", str(64 * MIB)),
        ("memory.memsw.limit_in_bytes", str(128 * MIB)),
        ("memory.soft_limit_in_bytes", str(32 * MIB)),
        ("memory.kmem.limit_in_bytes", "-1"),
        ("memory.kmem.tcp.limit_in_bytes", str(8 * MIB)),
        ("memory.swappiness", "0"),
        ("memory.oom_control", "1"),
        ("memory.use_hierarchy", "1"),
    ]


def test_unlimited_memory_means_unlimited_memory_and_swap_on_v1_with_swap_accounting(tmp_path: Path) -> None:
    (tmp_path / "memory.memsw.limit_in_bytes").touch()

    assert pairs(memory.v1({"limit": -1}, str(tmp_path))) == [
        ("memory.limit_in_bytes", "-1"),
        ("memory.memsw.limit_in_bytes", "-1"),
    ]
    assert pairs(memory.v1({"limit": -1}, NOWHERE)) == [("memory.limit_in_bytes", "-1")]


def test_zeros_and_nulls_are_what_go_programs_write_for_nothing_given() -> None:
    section = {"limit": 0, "swap": None, "reservation": 0, "kernel": 0, "swappiness": None, "disableOOMKiller": False}

    assert [s.file for s in memory.v1(section, NOWHERE) if not s.unlimited] == []
    assert memory.v2(section, NOWHERE) == []
    assert cpu.v1({"shares": 0, "quota": 0, "period": 0, "realtimePeriod": 0}, NOWHERE) == []
    assert cpuset.v1({"cpus": "", "mems": ""}, NOWHERE) == []
    assert block_io.v1({"weight": 0, "weightDevice": None}, NOWHERE) == []


def test_a_swappiness_of_minus_one_in_an_unsigned_field_is_not_given() -> None:
    assert memory.v1({"swappiness": (1 << 64) - 1}, NOWHERE) == []


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"limit": 64 * MIB, "swap": 96 * MIB}, [("memory.swap.max", str(32 * MIB)), ("memory.max", str(64 * MIB))]),
        ({"limit": 64 * MIB, "swap": 64 * MIB}, [("memory.swap.max", "0"), ("memory.max", str(64 * MIB))]),
        ({"limit": 64 * MIB, "swap": -1}, [("memory.swap.max", "max"), ("memory.max", str(64 * MIB))]),
        ({"limit": -1}, [("memory.swap.max", "max"), ("memory.max", "max")]),
        ({"limit": 64 * MIB}, [("memory.max", str(64 * MIB))]),
        ({"reservation": 8 * MIB}, [("memory.low", str(8 * MIB))]),
    ],
)
def test_memory_v2_counts_swap_without_memory(
    section: dict[str, Any], expected: list[tuple[str, str]], tmp_path: Path
) -> None:
    (tmp_path / "memory.swap.max").touch()

    assert pairs(memory.v2(section, str(tmp_path))) == expected


def test_swap_alone_is_taken_with_the_memory_limit_that_is_set(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(f"{64 * MIB}\n")
    (tmp_path / "memory.swap.max").touch()

    assert pairs(memory.v2({"swap": 80 * MIB}, str(tmp_path))) == [("memory.swap.max", str(16 * MIB))]


def test_swap_without_any_memory_limit_is_refused_on_v2() -> None:
    with pytest.raises(InvalidConfig, match=r"memory\.limit"):
        memory.v2({"swap": 80 * MIB}, NOWHERE)


@pytest.mark.parametrize("version", [memory.v1, memory.v2])
def test_swap_below_memory_is_refused_on_both(version: Any) -> None:
    with pytest.raises(InvalidConfig, match="at least"):
        version({"limit": 64 * MIB, "swap": 32 * MIB}, NOWHERE)


def test_what_v2_does_not_have_is_refused_by_name() -> None:
    for section, name in (
        ({"kernelTCP": MIB}, r"memory\.kernelTCP"),
        ({"swappiness": 10}, r"memory\.swappiness"),
        ({"disableOOMKiller": True}, r"memory\.disableOOMKiller"),
        ({"useHierarchy": False}, r"memory\.useHierarchy"),
    ):
        with pytest.raises(Unsupported, match=name):
            memory.v2(section, NOWHERE)
    with pytest.raises(Unsupported, match=r"cpu\.realtimeRuntime"):
        cpu.v2({"realtimeRuntime": 1000}, NOWHERE)
    with pytest.raises(Unsupported, match="leafWeight"):
        block_io.v2({"leafWeight": 100}, NOWHERE)


def test_check_before_update_refuses_a_limit_below_what_is_used(tmp_path: Path) -> None:
    (tmp_path / "memory.current").write_text(f"{10 * MIB}\n")

    with pytest.raises(InvalidConfig, match="in use"):
        memory.v2({"limit": 5 * MIB, "checkBeforeUpdate": True}, str(tmp_path))
    assert memory.v2({"limit": 5 * MIB}, str(tmp_path))


# Processor


@pytest.mark.parametrize(
    ("shares", "weight"), [(1, 1), (2, 1), (1024, 100), (262144, 10000), (500000, 10000), (512, 59), (2048, 174)]
)
def test_shares_become_the_weight_that_other_runtimes_give(shares: int, weight: int) -> None:
    assert cpu.shares_to_weight(shares) == weight


def test_more_shares_never_weigh_less() -> None:
    weights = [cpu.shares_to_weight(shares) for shares in range(2, 262145, 37)]

    assert weights == sorted(weights)


def test_cpu_v1_tries_the_period_before_the_quota_and_after_it() -> None:
    settings = cpu.v1({"shares": 512, "quota": 20000, "period": 50000, "burst": 1000}, NOWHERE)

    assert pairs(settings) == [
        ("cpu.shares", "512"),
        ("cpu.cfs_period_us", "50000"),
        ("cpu.cfs_burst_us", "1000"),
        ("cpu.cfs_quota_us", "20000"),
    ]
    assert [s.again for s in settings] == [False, True, True, False]


@pytest.mark.parametrize("shares", [1, 262145])
def test_shares_that_v1_would_quietly_change_are_refused(shares: int) -> None:
    with pytest.raises(InvalidConfig, match="shares"):
        cpu.v1({"shares": shares}, NOWHERE)


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ({"quota": 20000}, "20000 50000"),
        ({"period": 200000}, "10000 200000"),
        ({"quota": -1}, "max 50000"),
        ({"quota": 30000, "period": 60000}, "30000 60000"),
    ],
)
def test_cpu_v2_keeps_the_half_of_cpu_max_that_is_not_given(
    section: dict[str, Any], value: str, tmp_path: Path
) -> None:
    (tmp_path / "cpu.max").write_text("10000 50000\n")

    assert pairs(cpu.v2(section, str(tmp_path))) == [("cpu.max", value)]


def test_a_group_is_made_idle_after_its_weight_is_set_and_busy_before() -> None:
    assert pairs(cpu.v2({"shares": 1024, "idle": 1}, NOWHERE)) == [("cpu.weight", "100"), ("cpu.idle", "1")]
    assert pairs(cpu.v2({"shares": 1024, "idle": 0}, NOWHERE)) == [("cpu.idle", "0"), ("cpu.weight", "100")]


def test_a_cpuset_that_is_not_a_list_is_refused() -> None:
    assert pairs(cpuset.v1({"cpus": "0-1,3", "mems": "0"}, NOWHERE)) == [
        ("cpuset.cpus", "0-1,3"),
        ("cpuset.mems", "0"),
    ]
    with pytest.raises(InvalidConfig):
        cpuset.v1({"cpus": "all"}, NOWHERE)


# The others


def test_pids_are_unlimited_by_minus_one_and_none_by_zero() -> None:
    assert pairs(pids.v1({"limit": -1}, NOWHERE)) == [("pids.max", "max")]
    assert pairs(pids.v1({"limit": 0}, NOWHERE)) == [("pids.max", "0")]
    assert pids.v1({}, NOWHERE) == []


BLOCK_IO = {
    "weight": 500,
    "weightDevice": [{"major": 8, "minor": 0, "weight": 10}],
    "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1048576}],
    "throttleWriteBpsDevice": [{"major": 8, "minor": 16, "rate": 0}],
    "throttleReadIOPSDevice": [{"major": 8, "minor": 0, "rate": 100}],
    "throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 200}],
}


def test_block_io_v1_uses_bfqs_files_where_the_kernel_has_only_those(tmp_path: Path) -> None:
    assert pairs(block_io.v1(BLOCK_IO, NOWHERE)) == [
        ("blkio.weight", "500"),
        ("blkio.weight_device", "8:0 10"),
        ("blkio.throttle.read_bps_device", "8:0 1048576"),
        ("blkio.throttle.write_bps_device", "8:16 0"),
        ("blkio.throttle.read_iops_device", "8:0 100"),
        ("blkio.throttle.write_iops_device", "8:0 200"),
    ]
    (tmp_path / "blkio.bfq.weight").touch()
    assert pairs(block_io.v1(BLOCK_IO, str(tmp_path)))[:2] == [
        ("blkio.bfq.weight", "500"),
        ("blkio.bfq.weight_device", "8:0 10"),
    ]


def test_block_io_v2_puts_rates_into_io_max_and_scales_weights(tmp_path: Path) -> None:
    assert pairs(block_io.v2(BLOCK_IO, NOWHERE)) == [
        ("io.weight", "4950"),
        ("io.weight", "8:0 1"),
        ("io.max", "8:0 rbps=1048576"),
        ("io.max", "8:16 wbps=max"),
        ("io.max", "8:0 riops=100"),
        ("io.max", "8:0 wiops=200"),
    ]
    (tmp_path / "io.bfq.weight").touch()
    assert pairs(block_io.v2({"weight": 500}, str(tmp_path))) == [("io.bfq.weight", "500")]


@pytest.mark.parametrize(("weight", "expected"), [(10, 1), (1000, 10000), (100, 910)])
def test_block_io_weights_lie_on_a_line(weight: int, expected: int) -> None:
    assert block_io.weight_to_v2(weight) == expected


def test_huge_pages_limit_use_and_reservations(tmp_path: Path) -> None:
    (tmp_path / "hugetlb.2MB.rsvd.max").touch()

    assert pairs(hugetlb.v2([{"pageSize": "2MB", "limit": 4 * MIB}], str(tmp_path))) == [
        ("hugetlb.2MB.max", str(4 * MIB)),
        ("hugetlb.2MB.rsvd.max", str(4 * MIB)),
    ]
    assert pairs(hugetlb.v1([{"pageSize": "1GB", "limit": 0}], NOWHERE)) == [("hugetlb.1GB.limit_in_bytes", "0")]


@pytest.mark.parametrize("size", ["2M", "../x", "MB", None])
def test_a_page_size_that_is_none_is_refused(size: str | None) -> None:
    with pytest.raises(InvalidConfig, match="pageSize"):
        hugetlb.v1([{"pageSize": size, "limit": 1}], NOWHERE)


def test_network_marks_and_rdma_limits() -> None:
    section = {"classID": 0x100001, "priorities": [{"name": "eth0", "priority": 0}]}

    assert pairs(network.net_cls(section, NOWHERE)) == [("net_cls.classid", str(0x100001))]
    assert pairs(network.net_prio(section, NOWHERE)) == [("net_prio.ifpriomap", "eth0 0")]
    assert pairs(rdma.v1({"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}}, NOWHERE)) == [
        ("rdma.max", "mlx5_1 hca_handle=3 hca_object=10000")
    ]


def test_unified_keys_are_file_names_and_each_line_is_written_alone() -> None:
    section = {"memory.high": "1000000", "io.max": "8:0 rbps=1\n8:16 wbps=2\n"}

    assert pairs(unified.v2(section, NOWHERE)) == [
        ("memory.high", "1000000"),
        ("io.max", "8:0 rbps=1"),
        ("io.max", "8:16 wbps=2"),
    ]


@pytest.mark.parametrize("name", ["../memory.max", "a/memory.max", "", "..", "memory"])
def test_a_unified_key_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidConfig):
        unified.v2({name: "1"}, NOWHERE)


def test_a_value_of_the_wrong_type_is_named() -> None:
    with pytest.raises(InvalidConfig, match="limit must be an integer"):
        memory.v1({"limit": "64m"}, NOWHERE)
