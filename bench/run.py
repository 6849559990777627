"""What both halves of the benchmark do around their measuring: options, a workspace, and where the results go."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bench import machine, processes
from bench.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager

_Contestant = TypeVar("_Contestant")


def parser(module: str, description: str, contestants: Iterable[str], *, rounds: int) -> argparse.ArgumentParser:
    """The options that both have; ``rounds`` is how many they do by default."""
    made = argparse.ArgumentParser(prog=f"python -m {module}", description=f"{description} (as root).")
    made.add_argument(
        "--rounds", type=int, default=rounds, help=f"how often each contestant takes its turn (default: {rounds})"
    )
    made.add_argument("--only", default="", help="contestants, separated by ;: " + "; ".join(contestants))
    made.add_argument("--write", metavar="FILE", help="put the results into FILE, between its two marks")
    return made


def names(text: str) -> list[str]:
    """What an option names, separated by semicolons."""
    return [name.strip() for name in text.split(";") if name.strip()]


def chosen(contestants: Mapping[str, _Contestant], only: str) -> dict[str, _Contestant]:
    """The contestants that ``--only`` names, or all."""
    wanted = names(only)
    return {name: each for name, each in contestants.items() if not wanted or name in wanted}


def say(text: str) -> None:
    """Tell whoever waits what is being done."""
    print(text, file=sys.stderr)


def circumstances(module: str, rounds: int, load: float) -> str:
    """On what was measured, and how to do it again; ``load`` is the load average before."""
    return (
        f"{machine.facts()}. {rounds} rounds, contestants taking turns; load average before: {load:.2f}.\n\n"
        f"Reproduce, as root: `{machine.command(module)}`."
    )


def run(
    options: argparse.Namespace,
    measure: Callable[[argparse.Namespace, Workspace], str],
    kind: str,
    prepared: Callable[[Path], AbstractContextManager[Path]],
) -> int:
    """Measure, print and, if asked to, write between the marks of this ``kind``; the exit status.

    ``prepared`` makes of a temporary directory the one to work in.
    """
    if os.geteuid() != 0:
        say("the benchmark needs root: it makes namespaces, mounts and cgroups, as those that it compares with do")
        return 1
    processes.adopt_descendants()
    with tempfile.TemporaryDirectory(prefix="orlop-bench-") as directory, prepared(Path(directory)) as place:
        workspace = Workspace(place)
        workspace.prepare()
        try:
            results = measure(options, workspace)
        except processes.ProgramFailed as reason:
            say(f"in the middle of measuring, {reason}")
            return 1
    print(results)
    if options.write:
        machine.write(Path(options.write), results, kind)
    return 0
