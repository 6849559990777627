"""The benchmark's tables and targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.memory import Footprint, Share
from bench.report import memory_table, targets_table, times_table
from bench.targets import Memory, Ratio

if TYPE_CHECKING:
    from bench.targets import Target

TIMES = {"runc run": [0.040, 0.020, 0.030], "orlop-runtime run": [0.012, 0.010, 0.018]}


def test_times_are_shown_as_medians_beside_their_ratios() -> None:
    lines = times_table(TIMES, {}, ["runc run", "docker run"]).splitlines()
    assert lines[0] == "| start to exit | median ms | p10 | p90 | ÷ runc run |"
    assert lines[3].startswith("| orlop-runtime run | 12.0 |")
    assert lines[3].endswith("| 0.40 |")


def test_who_is_absent_is_named_with_the_reason() -> None:
    assert times_table(TIMES, {"crun run": "crun is not installed"}, []).endswith(
        "Not measured: crun run (crun is not installed)."
    )


def test_memory_is_divided_by_the_number_of_containers_and_added_up() -> None:
    footprint = Footprint(10, {"monitor": Share(10, 4_000_000, 8_000_000), "launcher": Share(1, 2_000_000, 3_000_000)})
    lines = memory_table({"orlop run": footprint}, {}).splitlines()
    assert lines[2:] == [
        "| orlop run: monitor × 10 | 0.40 | 0.80 |",
        "| orlop run: launcher | 0.20 | 0.30 |",
        "| **orlop run, all** | 0.60 | 1.10 |",
    ]


def test_a_target_is_met_missed_or_not_measured() -> None:
    targets: list[Target] = [
        Ratio("orlop-runtime run", "runc run", 0.7),
        Ratio("orlop-runtime run", "runc run", 0.3),
        Ratio("orlop run", "docker run", 0.1),
        Memory("orlop run", 1.0),
    ]
    footprints = {"orlop run": Footprint(2, {"monitor": Share(2, 1_000_000, 0)})}
    verdicts = [line.split(" | ")[2:] for line in targets_table(targets, TIMES, footprints).splitlines()[2:]]
    assert verdicts == [["0.40", "yes |"], ["0.40", "no |"], ["not measured", " |"], ["0.50", "yes |"]]
