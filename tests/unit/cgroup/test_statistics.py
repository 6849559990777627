"""Statistics, from files as kernels of both versions print them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orlop.linux.cgroup import counters
from orlop.linux.cgroup.layout import Hierarchy, Layout

if TYPE_CHECKING:
    from pathlib import Path

V1_FILES = {
    "cpu/cpu.stat": "nr_periods 12\nnr_throttled 3\nthrottled_time 4500\nnr_bursts 0\nburst_time 0\n",
    "cpu/cpuacct.usage": "123456789\n",
    "cpu/cpuacct.usage_percpu": "100000000 23456789 \n",
    "cpu/cpuacct.usage_percpu_sys": "1 2 \n",
    "cpu/cpuacct.usage_percpu_user": "3 4 \n",
    "cpu/cpuacct.stat": "user 10\nsystem 2\n",
    "cpuset/cpuset.cpus": "0-1,3\n",
    "cpuset/cpuset.mems": "0\n",
    "cpuset/cpuset.sched_load_balance": "1\n",
    "cpuset/cpuset.sched_relax_domain_level": "-1\n",
    "memory/memory.stat": "cache 4096\nrss 8192\ntotal_cache 4096\nhierarchical_memory_limit 67108864\n",
    "memory/memory.limit_in_bytes": "67108864\n",
    "memory/memory.usage_in_bytes": "12288\n",
    "memory/memory.max_usage_in_bytes": "20480\n",
    "memory/memory.failcnt": "2\n",
    "memory/memory.memsw.limit_in_bytes": "134217728\n",
    "memory/memory.memsw.usage_in_bytes": "16384\n",
    "memory/memory.memsw.failcnt": "0\n",
    "memory/memory.kmem.limit_in_bytes": "9223372036854771712\n",
    "pids/pids.current": "4\n",
    "pids/pids.max": "max\n",
    "blkio/blkio.bfq.io_service_bytes_recursive": "Total 0\n",
    "blkio/blkio.throttle.io_service_bytes_recursive": "8:0 Read 8192\n8:0 Write 0\n8:0 Total 8192\nTotal 8192\n",
    "hugetlb/hugetlb.2MB.usage_in_bytes": "2097152\n",
    "hugetlb/hugetlb.2MB.max_usage_in_bytes": "4194304\n",
    "hugetlb/hugetlb.2MB.failcnt": "1\n",
    "hugetlb/hugetlb.2MB.rsvd.usage_in_bytes": "7\n",
}
V2_FILES = {
    "cpu.stat": "usage_usec 1000\nuser_usec 600\nsystem_usec 400\nnr_periods 5\nnr_throttled 1\nthrottled_usec 20\n",
    "cpu.pressure": "some avg10=1.50 avg60=0.00 avg300=0.00 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n",
    "cpuset.cpus": "\n",
    "cpuset.cpus.effective": "0-1\n",
    "cpuset.mems.effective": "0\n",
    "memory.current": "12288\n",
    "memory.max": "67108864\n",
    "memory.peak": "20480\n",
    "memory.stat": "anon 8192\nfile 4096\nslab 10\n",
    "memory.events": "low 0\nhigh 0\nmax 9\noom 1\noom_kill 1\n",
    "memory.swap.current": "4096\n",
    "memory.swap.max": "1048576\n",
    "pids.current": "3\n",
    "pids.max": "10\n",
    "io.stat": "8:0 rbytes=1024 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n",
    "hugetlb.2MB.current": "0\n",
    "hugetlb.2MB.events": "max 4\n",
    "hugetlb.2MB.rsvd.current": "7\n",
}


def lay_out(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def v1_statistics(tmp_path: Path) -> dict[str, Any]:
    names = {"cpu": ("cpu", "cpuacct")}
    hierarchies = []
    for name in ("cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "freezer"):
        lay_out(
            tmp_path / name / "box", {f: t for p, t in V1_FILES.items() for n, _, f in [p.partition("/")] if n == name}
        )
        hierarchies.append(Hierarchy(1, names.get(name, (name,)), str(tmp_path / name), "/"))
    return Layout(hierarchies, None).group("/box").statistics()


def test_v1_processor_time_is_in_nanoseconds(tmp_path: Path) -> None:
    assert v1_statistics(tmp_path)["cpu"] == {
        "usage": {
            "total": 123456789,
            "percpu": [100000000, 23456789],
            "percpu_kernel": [1, 2],
            "percpu_user": [3, 4],
            "kernel": 20_000_000,  # of ticks of 10 ms
            "user": 100_000_000,
        },
        "throttling": {"periods": 12, "throttledPeriods": 3, "throttledTime": 4500},
    }


def test_v1_memory_has_limits_use_and_the_raw_counters(tmp_path: Path) -> None:
    memory = v1_statistics(tmp_path)["memory"]

    assert memory["cache"] == 4096
    assert memory["usage"] == {"limit": 67108864, "usage": 12288, "max": 20480, "failcnt": 2}
    assert memory["swap"] == {"limit": 134217728, "usage": 16384, "failcnt": 0}
    assert memory["kernel"] == {"limit": 9223372036854771712, "failcnt": 0}
    assert memory["raw"]["total_cache"] == 4096


def test_v1_lists_pids_without_a_limit_and_processors_written_out(tmp_path: Path) -> None:
    statistics = v1_statistics(tmp_path)

    assert statistics["pids"] == {"current": 4}
    assert statistics["cpuset"]["cpus"] == [0, 1, 3]
    assert statistics["cpuset"]["sched_relax_domain_level"] == -1
    assert statistics["hugetlb"] == {"2MB": {"usage": 2097152, "max": 4194304, "failcnt": 1}}


def test_v1_block_devices_count_in_the_throttling_layer_where_the_scheduler_counts_nothing(tmp_path: Path) -> None:
    assert v1_statistics(tmp_path)["blkio"] == {
        "ioServiceBytesRecursive": [
            {"major": 8, "op": "Read", "value": 8192},
            {"major": 8, "op": "Write"},
            {"major": 8, "op": "Total", "value": 8192},
        ]
    }


def v2_statistics(tmp_path: Path) -> dict[str, Any]:
    lay_out(tmp_path / "box", V2_FILES)
    return Layout([], Hierarchy(2, (), str(tmp_path), "/")).group("/box").statistics()


def test_v2_processor_time_is_converted_from_microseconds(tmp_path: Path) -> None:
    cpu = v2_statistics(tmp_path)["cpu"]

    assert cpu["usage"] == {"total": 1000000, "kernel": 400000, "user": 600000}
    assert cpu["throttling"] == {"periods": 5, "throttledPeriods": 1, "throttledTime": 20000}
    assert cpu["psi"]["some"] == {"avg10": 1.5, "avg60": 0.0, "avg300": 0.0, "total": 77}


def test_v2_swap_is_reported_with_memory_as_version_1_counts_it(tmp_path: Path) -> None:
    memory = v2_statistics(tmp_path)["memory"]

    assert memory["usage"] == {"limit": 67108864, "usage": 12288, "max": 20480, "failcnt": 9}
    assert memory["swap"] == {"limit": 67108864 + 1048576, "usage": 12288 + 4096, "failcnt": 9}
    assert memory["cache"] == 4096


def test_v2_has_the_same_shape_for_the_rest(tmp_path: Path) -> None:
    statistics = v2_statistics(tmp_path)

    assert statistics["pids"] == {"current": 3, "limit": 10}
    assert statistics["cpuset"] == {"cpus": [0, 1], "mems": [0]}
    assert statistics["blkio"]["ioServiceBytesRecursive"][0] == {"major": 8, "op": "Read", "value": 1024}
    assert statistics["hugetlb"] == {"2MB": {"failcnt": 4}}


def test_unlimited_is_the_largest_number(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")

    assert counters.number(str(tmp_path / "memory.max")) == 2**64 - 1


def test_a_group_that_is_gone_has_used_nothing(tmp_path: Path) -> None:
    statistics = Layout([Hierarchy(1, ("memory",), str(tmp_path), "/")], None).group("/gone").statistics()

    assert statistics == {"cpu": {}, "cpuset": {}, "memory": {}, "pids": {}, "blkio": {}, "hugetlb": {}}
