"""Measure networks beside docker and podman: ``python -m bench.networks --help``."""

from __future__ import annotations

import os
import sys
from statistics import median
from typing import TYPE_CHECKING

from bench import run
from bench.engines import Absent
from bench.networks import contestants, machine
from bench.processes import ProgramFailed
from bench.report import table, targets_table, times_table
from bench.targets import Beyond, Ratio
from bench.time_taken import take_times

if TYPE_CHECKING:
    import argparse

    from bench.targets import Target
    from bench.workspace import Workspace

_TARGETS: list[Target] = [
    Beyond("orlop run", "orlop run, no network", 5.0),
    Ratio("orlop run", "docker run", 0.1),
    Ratio("orlop run, the hundredth", "orlop run", 1.1),
    Ratio("orlop, 100 join", "docker, 16 join", 0.125),
]
_TRAFFIC = ("orlop", "docker")
_TRAFFIC_ROUNDS = 3


def _options() -> argparse.Namespace:
    every = {**contestants.TIMES, **contestants.JOINS}
    parser = run.parser("bench.networks", "Measure networks beside docker and podman", every, rounds=20)
    parser.add_argument("--join-rounds", type=int, default=3, help="how often many join at once (default: 3)")
    parser.add_argument("--no-traffic", action="store_true", help="do not measure what goes through networks")
    return parser.parse_args()


def _measure(options: argparse.Namespace, workspace: Workspace) -> str:
    before = os.getloadavg()[0]
    times, absent = take_times(run.chosen(contestants.TIMES, options.only), workspace, options.rounds, run.say)
    chosen = run.chosen(contestants.JOINS, options.only)
    joins, not_joined = take_times(chosen, workspace, options.join_rounds, run.say)
    times.update(joins)
    absent.update(not_joined)
    parts = [
        run.circumstances("bench.networks", options.rounds, before),
        times_table(times, absent, ["orlop run", "docker run"]),
    ]
    if not options.no_traffic:
        parts.append(_traffic(workspace))
    parts.append(targets_table(_TARGETS, times, {}))
    return "\n\n".join(parts)


def _traffic(workspace: Workspace) -> str:
    found: dict[str, dict[str, list[float]]] = {}
    absent: dict[str, str] = {}
    with machine.neighbour() as outside:
        # Each time alone on the machine: what one engine does to packets is not done to those of the other.
        for name in _TRAFFIC * _TRAFFIC_ROUNDS:
            run.say(f"traffic of {name}")
            try:
                carried = contestants.carried(name, workspace, outside, machine.ADDRESS)
            except (Absent, ProgramFailed) as reason:
                absent[name] = " ".join(str(reason).split())
                continue
            for key, value in carried.items():
                found.setdefault(name, {}).setdefault(key, []).append(value)
    keys = next(iter(found.values()), {})
    rows = [[key, *(f"{median(each[key]):.1f}" for each in found.values())] for key in keys]
    text = table(["traffic; TCP with one connection", *found], rows)
    if absent:
        text += "\n\nNot measured: " + "; ".join(f"{name} ({reason})" for name, reason in absent.items()) + "."
    return text


if __name__ == "__main__":
    sys.exit(run.run(_options(), _measure, "networks", machine.entered))
