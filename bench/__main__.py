"""Measure orlop beside other runtimes and engines: ``python -m bench --help``."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench import machine, processes
from bench.contestants import CONTESTANTS, IDLERS
from bench.memory import take_footprints
from bench.report import memory_table, targets_table, times_table
from bench.targets import TARGETS
from bench.time_taken import take_times
from bench.workspace import Workspace

if TYPE_CHECKING:
    from bench.memory import Footprint


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure orlop beside its peers (as root).")
    parser.add_argument("--rounds", type=int, default=30, help="how often each contestant runs (default: 30)")
    parser.add_argument("--containers", type=int, default=10, help="idle containers, 0 for none (default: 10)")
    parser.add_argument("--only", default="", help="contestants, separated by ;: " + "; ".join(CONTESTANTS))
    parser.add_argument("--write", metavar="FILE", help="put the results into FILE, between its two marks")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _measure(options: argparse.Namespace, workspace: Workspace) -> str:
    wanted = [name.strip() for name in options.only.split(";") if name.strip()]
    chosen = {name: run for name, run in CONTESTANTS.items() if not wanted or name in wanted}
    idlers = {name: run for name, run in IDLERS.items() if not wanted or name in wanted}
    before = os.getloadavg()[0]
    times, absent = take_times(chosen, workspace, options.rounds, _say)
    parts = [
        f"{machine.facts()}. {options.rounds} rounds, contestants taking turns; load average before: {before:.2f}.",
        f"Reproduce with `make bench` or, as root: `{machine.command('bench')}`.",
        times_table(times, absent, ["floor", "runc run", "docker run"]),
    ]
    footprints: dict[str, Footprint] = {}
    if options.containers > 0 and idlers:
        footprints, absent = take_footprints(idlers, workspace, options.containers, _say)
        parts += [f"{options.containers} idle containers:", memory_table(footprints, absent)]
    parts.append(targets_table(TARGETS, times, footprints))
    return "\n\n".join(parts)


def main() -> int:
    """Measure, print and, if asked to, write."""
    options = _options()
    if os.geteuid() != 0:
        _say("the benchmark needs root: it makes namespaces, mounts and cgroups")
        return 1
    processes.adopt_descendants()
    with tempfile.TemporaryDirectory(prefix="orlop-bench-") as directory:
        workspace = Workspace(Path(directory))
        workspace.prepare()
        try:
            results = _measure(options, workspace)
        except processes.ProgramFailed as reason:
            _say(f"in the middle of measuring, {reason}")
            return 1
    print(results)
    if options.write:
        machine.write(Path(options.write), results, "results")
    return 0


if __name__ == "__main__":
    sys.exit(main())
