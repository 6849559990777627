"""Measure `orlop serve` beside dockerd: ``python -m bench.api --help``."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING

from bench import run
from bench.api import contestants
from bench.report import targets_table, times_table
from bench.targets import Ratio
from bench.time_taken import take_times

if TYPE_CHECKING:
    import argparse

    from bench.targets import Target
    from bench.workspace import Workspace

_TARGETS: list[Target] = [
    Ratio("orlop, life", "docker, life", 0.10),
    Ratio("orlop, exec", "docker, exec", 0.2),
    Ratio("orlop, list 1000", "docker, list 1000", 1.0),
    Ratio("orlop, 100 at once", "docker, 100 at once", 1 / 15),
]


def _options() -> argparse.Namespace:
    every = {**contestants.TIMES, **contestants.MANY}
    return run.parser("bench.api", "Measure orlop serve beside dockerd", every, rounds=20).parse_args()


def _measure(options: argparse.Namespace, workspace: Workspace) -> str:
    before = os.getloadavg()[0]
    times, absent = take_times(run.chosen(contestants.TIMES, options.only), workspace, options.rounds, run.say)
    many, not_many = take_times(run.chosen(contestants.MANY, options.only), workspace, 1, run.say)
    times.update(many)
    absent.update(not_many)
    memory = contestants.idle_memory(workspace) / 1e6
    parts = [
        run.circumstances("bench.api", options.rounds, before),
        times_table(times, absent, ["docker, life"]),
        f"An idle server takes {memory:.1f} MB, everything resident counted.",
        targets_table(_TARGETS, times, {}),
    ]
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.exit(run.run(_options(), _measure, "api", nullcontext))
