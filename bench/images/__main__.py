"""Measure what orlop does with images: ``python -m bench.images --help``."""

from __future__ import annotations

import os
import sys
from statistics import median
from typing import TYPE_CHECKING

from bench import run
from bench.images import disk, measure, registry, sample
from bench.images.contestants import CONTESTANTS
from bench.images.listing import IMAGES, seconds_for_images
from bench.report import table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from bench.workspace import Workspace

#: Of each operation the most that it may take of Docker's time.
_TARGETS = {"pull": 0.5, "push": 0.7, "save": 0.7, "load": 0.7, "rmi": 0.3}
_MOST_MEMORY = 150e6
_MOST_LISTING = 0.1


def _options() -> argparse.Namespace:
    parser = run.parser("bench.images", "Measure images beside docker and podman", CONTESTANTS, rounds=3)
    parser.add_argument("--operations", default="", help="operations, separated by ;: " + "; ".join(measure.OPERATIONS))
    parser.add_argument("--no-listing", action="store_true", help=f"do not make {IMAGES} images and list them")
    return parser.parse_args()


def _times_table(times: Mapping[str, Sequence[float]], labels: Sequence[str]) -> str:
    rows = []
    for operation in measure.OPERATIONS:
        medians = {label: median(times[f"{label} {operation}"]) for label in labels if f"{label} {operation}" in times}
        if not medians:
            continue
        row = [operation, *(f"{medians[label]:.2f}" if label in medians else "-" for label in labels)]
        for base in ("docker", "podman"):
            ratio = medians["orlop"] / medians[base] if "orlop" in medians and base in medians else None
            row.append("-" if ratio is None else f"{ratio:.2f}")
        row.append(str(_TARGETS[operation]))
        rows.append(row)
    return table(["seconds", *labels, "orlop ÷ docker", "orlop ÷ podman", "at most"], rows)


def _measure(options: argparse.Namespace, workspace: Workspace) -> str:
    chosen = run.chosen(CONTESTANTS, options.only)
    operations = run.names(options.operations) or measure.OPERATIONS
    before = os.getloadavg()[0]
    run.say("making the image")
    layout = sample.make(workspace.path)
    parts = [run.circumstances("bench.images", options.rounds, before)]
    with registry.serving(workspace.path) as address:
        name = registry.fill(layout, address)
        archive = registry.archive(layout, workspace.path, name)
        moved = measure.Moved(name, archive, operations)
        times, absent = measure.take_times(chosen, workspace, moved, options.rounds, run.say)
        parts.append(_times_table(times, list(chosen)))
        if absent:
            parts.append("Not measured: " + "; ".join(f"{who} ({why})" for who, why in absent.items()) + ".")
        if "orlop" in chosen:
            run.say("memory and listing of orlop")
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


if __name__ == "__main__":
    sys.exit(run.run(_options(), _measure, "images", disk.mounted))
