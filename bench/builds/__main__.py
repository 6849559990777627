"""Measure builds: ``python -m bench.builds --help``."""

from __future__ import annotations

import itertools
import os
import sys
from contextlib import ExitStack
from statistics import median
from typing import TYPE_CHECKING

from bench import run
from bench.builds.contestants import CONTESTANTS
from bench.engines import IMAGE, Absent
from bench.images import disk
from bench.images.memory import peak
from bench.processes import ProgramFailed
from bench.report import table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bench.builds.contestants import Builder
    from bench.workspace import Workspace

COLD, CACHED = "cold", "cached"
FIRST, WHOLE, CHANGED = "50,000 copied", "one of them changed", "one changed, its directory copied"
_FILES, _DIRECTORIES = 50_000, 250
_MOST_MEMORY = 200e6
#: As many builds that have nothing to do are one measurement.
_CACHED = 5
_STAGE = """\
FROM {image} AS {name}
RUN i=0; while [ $i -lt 40 ]; do echo $i >/made-$i; i=$((i+1)); done
COPY source /source
RUN cat /source/* >/{name}
"""


def _options() -> argparse.Namespace:
    parser = run.parser("bench.builds", "Measure builds beside docker and buildah", CONTESTANTS, rounds=3)
    parser.add_argument("--no-large", action="store_true", help=f"no context of {_FILES} files")
    return parser.parse_args()


def five_stages(directory: Path) -> Path:
    """A context with four stages that need nothing of each other, and one that takes something from each."""
    (directory / "source").mkdir(parents=True)
    for number in range(20):
        (directory / f"source/{number}").write_text(f"{number}\n" * 500)
    names = ("one", "two", "three", "four")
    text = "".join(_STAGE.format(image=IMAGE, name=name) for name in names)
    copies = "".join(f"COPY --from={name} /{name} /{name}\n" for name in names)
    (directory / "Dockerfile").write_text(f'{text}FROM {IMAGE}\n{copies}CMD ["/bin/true"]\n')
    return directory


def large(directory: Path) -> Path:
    """A context of many files, of which the Dockerfile copies the directory where one changes."""
    for number in range(_DIRECTORIES):
        (directory / f"d{number}").mkdir(parents=True)
        for other in range(_FILES // _DIRECTORIES):
            (directory / f"d{number}/f{other}").write_text(f"{number} {other}\n" * 20)
    return directory


def _round(builder: Builder, stages: Path, many: Path | None) -> dict[str, float]:
    took = {COLD: builder.build(stages, cached=False)}
    builder.build(stages, cached=True)
    took[CACHED] = median(builder.build(stages, cached=True) for _ in range(_CACHED))
    if many is None:
        return took
    for what, text, first in ((WHOLE, "COPY . /all\n", FIRST), (CHANGED, "COPY d7 /d7\n", "")):
        (many / "Dockerfile").write_text(f"FROM {IMAGE}\n{text}")
        seconds = builder.build(many, cached=False)
        if first:
            took[first] = seconds
        builder.build(many, cached=True)
        (many / "d7/f7").write_text(os.urandom(8).hex())
        took[what] = builder.build(many, cached=True)
    return took


def _measure(options: argparse.Namespace, workspace: Workspace) -> str:
    before = os.getloadavg()[0]
    stages = five_stages(workspace.path / "five")
    many = None if options.no_large else large(workspace.path / "many")
    times: dict[str, list[float]] = {}
    absent: dict[str, str] = {}
    most = 0
    with ExitStack() as stack:
        ready: dict[str, Builder] = {}
        for label, make in run.chosen(CONTESTANTS, options.only).items():
            run.say(f"preparing {label}")
            try:
                ready[label] = stack.enter_context(make(workspace))
            except (Absent, ProgramFailed) as reason:
                absent[label] = " ".join(str(reason).split())
        for done, (label, builder) in itertools.product(range(options.rounds), ready.items()):
            run.say(f"round {done + 1} of {options.rounds}: {label}")
            os.sync()
            # The others send or copy the whole context each time, which takes them minutes: once is enough.
            for what, seconds in _round(builder, stages, many if label == "orlop" or not done else None).items():
                times.setdefault(f"{label} {what}", []).append(seconds)
        if "orlop" in ready:
            most = max(_peak(ready["orlop"], context) for context in (stages, many) if context is not None)
    parts = [run.circumstances("bench.builds", options.rounds, before), _times_table(times, list(ready))]
    if absent:
        parts.append("Not measured: " + "; ".join(f"{who} ({why})" for who, why in absent.items()) + ".")
    if most:
        parts.append(
            f"Most memory of a build, all processes (PSS): {most / 1e6:.0f} MB (at most {_MOST_MEMORY / 1e6:.0f})."
        )
    return "\n\n".join(parts)


def _peak(builder: Builder, context: Path) -> int:
    """The most memory of a build by an interpreter of its own, and of one by what that has left behind."""
    builder.forget_what_is_left()
    return peak(lambda: (builder.build(context, cached=False), builder.build(context, cached=False)))


def _times_table(times: Mapping[str, Sequence[float]], labels: Sequence[str]) -> str:
    rows = []
    for what in (COLD, CACHED, FIRST, WHOLE, CHANGED):
        medians = {label: median(times[f"{label} {what}"]) for label in labels if f"{label} {what}" in times}
        if not medians:
            continue
        least = {label: min(times[f"{label} {what}"]) for label in medians}
        row = [what, *(f"{medians[label]:.2f} ({least[label]:.2f})" if label in medians else "-" for label in labels)]
        for base in ("docker", "buildah"):
            ratio = medians["orlop"] / medians[base] if "orlop" in medians and base in medians else None
            row.append("-" if ratio is None else f"{ratio:.2f}")
        row.append({COLD: "0.6 of the faster", CACHED: "0.15 of docker", WHOLE: "2 s", CHANGED: "2 s"}.get(what, ""))
        rows.append(row)
    head = ["seconds: median (least)", *labels, "orlop ÷ docker", "orlop ÷ buildah", "at most"]
    return table(head, rows)


if __name__ == "__main__":
    sys.exit(run.run(_options(), _measure, "builds", disk.mounted))
