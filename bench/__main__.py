"""Measure orlop beside other runtimes and engines: ``python -m bench --help``."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING

from bench import run
from bench.contestants import CONTESTANTS, IDLERS
from bench.memory import take_footprints
from bench.report import memory_table, targets_table, times_table
from bench.targets import TARGETS
from bench.time_taken import take_times

if TYPE_CHECKING:
    import argparse

    from bench.memory import Footprint
    from bench.workspace import Workspace


def _options() -> argparse.Namespace:
    parser = run.parser("bench", "Measure orlop beside its peers", CONTESTANTS, rounds=30)
    parser.add_argument("--containers", type=int, default=10, help="idle containers, 0 for none (default: 10)")
    return parser.parse_args()


def _measure(options: argparse.Namespace, workspace: Workspace) -> str:
    chosen = run.chosen(CONTESTANTS, options.only)
    idlers = run.chosen(IDLERS, options.only)
    before = os.getloadavg()[0]
    times, absent = take_times(chosen, workspace, options.rounds, run.say)
    parts = [
        run.circumstances("bench", options.rounds, before),
        times_table(times, absent, ["floor", "runc run", "docker run"]),
    ]
    footprints: dict[str, Footprint] = {}
    if options.containers > 0 and idlers:
        footprints, absent = take_footprints(idlers, workspace, options.containers, run.say)
        parts += [f"{options.containers} idle containers:", memory_table(footprints, absent)]
    parts.append(targets_table(TARGETS, times, footprints))
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.exit(run.run(_options(), _measure, "results", nullcontext))
