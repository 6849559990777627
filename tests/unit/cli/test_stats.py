"""What numbers of statistics become for people."""

from __future__ import annotations

from typing import Any

from orlop.cli import stats

ID = "4f" * 32


def processor(used: int, passed: int) -> dict[str, Any]:
    return {"cpu_usage": {"total_usage": used}, "system_cpu_usage": passed, "online_cpus": 4}


def sample(**fields: Any) -> dict[str, Any]:
    return {
        "name": "/web",
        "id": ID,
        "pids_stats": {"current": 3},
        "blkio_stats": {"io_service_bytes_recursive": None},
        "cpu_stats": processor(300, 2000),
        "precpu_stats": processor(100, 1000),
        "memory_stats": {},
        **fields,
    }


def test_a_processors_time_is_a_share_of_one_processors() -> None:
    assert stats._row(ID, sample(), full=False)["CPUPerc"] == "80.00%"
    assert stats._row(ID, sample(precpu_stats=processor(0, 0)), full=False)["CPUPerc"] == "0.00%"
    assert stats._row(ID, sample(precpu_stats=processor(300, 2000)), full=False)["CPUPerc"] == "0.00%"


def test_memory_is_shown_without_the_cache_that_nobody_uses() -> None:
    version_1 = {"usage": 5 << 20, "limit": 64 << 20, "stats": {"total_inactive_file": 1 << 20, "inactive_file": 0}}
    row = stats._row(ID, sample(memory_stats=version_1), full=False)
    assert (row["MemUsage"], row["MemPerc"]) == ("4MiB / 64MiB", "6.25%")
    version_2 = {"usage": 5 << 20, "limit": 64 << 20, "stats": {"inactive_file": 3 << 20}}
    assert stats._row(ID, sample(memory_stats=version_2), full=False)["MemUsage"] == "2MiB / 64MiB"
    assert stats._row(ID, sample(), full=False)["MemUsage"] == "0B / 0B"


def test_what_went_over_networks_and_devices_is_added_up() -> None:
    networks = {name: {"rx_bytes": 1000, "tx_bytes": 20} for name in ("eth0", "eth1")}
    entries = [
        {"op": "Read", "value": 4096},
        {"op": "Write", "value": 1},
        {"op": "write", "value": 2},
        {"op": "Sync", "value": 9},
    ]
    row = stats._row(ID, sample(networks=networks, blkio_stats={"io_service_bytes_recursive": entries}), full=False)
    assert row["NetIO"] == "2kB / 40B"
    assert row["BlockIO"] == "4.1kB / 3B"


def test_a_container_is_called_what_the_user_calls_it() -> None:
    assert stats._row("web", sample(), full=False)["Container"] == "web"
    assert stats._row(ID, sample(), full=False)["Container"] == ID[:12]
    assert stats._row(ID, sample(), full=True)["Container"] == ID
    row = stats._row(ID, sample(), full=True)
    assert (row["ID"], row["Name"], row["PIDs"]) == (ID, "web", "3")
