"""Measure what orlop does with images: ``python -m bench.images --help``."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench import machine, processes
from bench.images import disk, measure, registry, sample
from bench.images.contestants import CONTESTANTS
from bench.images.listing import IMAGES, seconds_for_images
from bench.report import table
from bench.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Of each operation the most that it may take of Docker's time.
_TARGETS = {"pull": 0.5, "push": 0.7, "save": 0.7, "load": 0.7, "rmi": 0.3}
_MOST_MEMORY = 150e6
_MOST_LISTING = 0.1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.images", description="Measure images beside docker and podman."
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is done (default: 3)")
    parser.add_argument("--only", default="", help="contestants, separated by ;: " + "; ".join(CONTESTANTS))
    parser.add_argument("--no-listing", action="store_true", help=f"do not make {IMAGES} images and list them")
    parser.add_argument("--write", metavar="FILE", help="put the results into FILE, between its two marks")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _times_table(times: Mapping[str, Sequence[float]], labels: Sequence[str]) -> str:
    rows = []
    for operation in measure.OPERATIONS:
        medians = {label: median(times[f"{label} {operation}"]) for label in labels if f"{label} {operation}" in times}
        row = [operation, *(f"{medians[label]:.2f}" if label in medians else "-" for label in labels)]
        for base in ("docker", "podman"):
            ratio = medians["orlop"] / medians[base] if "orlop" in medians and base in medians else None
            row.append("-" if ratio is None else f"{ratio:.2f}")
        row.append(str(_TARGETS[operation]))
        rows.append(row)
    return table(["seconds", *labels, "orlop ÷ docker", "orlop ÷ podman", "at most"], rows)


def _measure(options: argparse.Namespace, workspace: Workspace) -> str:
    wanted = [name.strip() for name in options.only.split(";") if name.strip()]
    chosen = {name: make for name, make in CONTESTANTS.items() if not wanted or name in wanted}
    before = os.getloadavg()[0]
    _say("making the image")
    layout = sample.make(workspace.path)
    parts = [
        f"{machine.facts()}. {options.rounds} rounds, contestants taking turns; load average before: {before:.2f}.",
        f"Reproduce, as root: `{machine.command('bench.images')}`.",
    ]
    with registry.serving(workspace.path) as address:
        name = registry.fill(layout, address)
        archive = registry.archive(layout, workspace.path, name)
        times, absent = measure.take_times(chosen, workspace, name, archive, options.rounds, _say)
        parts.append(_times_table(times, list(chosen)))
        if absent:
            parts.append("Not measured: " + "; ".join(f"{who} ({why})" for who, why in absent.items()) + ".")
        if "orlop" in chosen:
            _say("memory and listing of orlop")
            with CONTESTANTS["orlop"](workspace) as contestant:
                most = measure.take_memory(contestant, name)
                parts.append(
                    f"Most memory during a pull, all processes (PSS): {most / 1e6:.0f} MB (at most {_MOST_MEMORY / 1e6:.0f})."
                )
                if not options.no_listing:
                    listed, started = seconds_for_images(contestant, workspace, 10)
                    parts.append(
                        f"`orlop images` with {IMAGES} images: {listed * 1000:.0f} ms, of which {started * 1000:.0f} ms are the "
                        f"start; beyond it {(listed - started) * 1000:.0f} ms (at most {_MOST_LISTING * 1000:.0f})."
                    )
    return "\n\n".join(parts)


def main() -> int:
    """Measure, print and, if asked to, write."""
    options = _options()
    if os.geteuid() != 0:
        _say("the benchmark needs root: the engines that it compares with do")
        return 1
    processes.adopt_descendants()
    with tempfile.TemporaryDirectory(prefix="orlop-bench-") as directory, disk.mounted(Path(directory)) as mounted:
        workspace = Workspace(mounted)
        workspace.prepare()
        try:
            results = _measure(options, workspace)
        except processes.ProgramFailed as reason:
            _say(f"in the middle of measuring, {reason}")
            return 1
    print(results)
    if options.write:
        machine.write(Path(options.write), results, "images")
    return 0


if __name__ == "__main__":
    sys.exit(main())
