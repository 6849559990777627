"""What is measured: each operation of each contestant in each round, the contestants taking turns."""

from __future__ import annotations

import itertools
import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.engines import Absent
from bench.images import registry
from bench.images.memory import peak
from bench.processes import ProgramFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from bench.images.contestants import Contestant
    from bench.workspace import Workspace

OPERATIONS = ("pull", "push", "save", "rmi", "load")

Times = dict[str, list[float]]


@dataclass(frozen=True)
class Moved:
    """What is moved about and how: an image's name in a registry, an archive of it, and the operations to measure."""

    name: str
    archive: str
    operations: Sequence[str] = OPERATIONS


def take_times(
    contestants: Mapping[str, Callable[[Workspace], AbstractContextManager[Contestant]]],
    workspace: Workspace,
    moved: Moved,
    rounds: int,
    say: Callable[[str], None],
) -> tuple[Times, dict[str, str]]:
    """Seconds by contestant and operation (``orlop pull``); and who could not take part, and why."""
    times: Times = {}
    absent: dict[str, str] = {}
    with ExitStack() as stack:
        ready: dict[str, Contestant] = {}
        for label, make in contestants.items():
            say(f"preparing {label}")
            try:
                ready[label] = stack.enter_context(make(workspace))
            except (Absent, ProgramFailed) as reason:
                absent[label] = " ".join(str(reason).split())
        for done, (label, contestant) in itertools.product(range(rounds), ready.items()):
            say(f"round {done + 1} of {rounds}: {label}")
            for operation, seconds in _round(contestant, workspace, moved).items():
                if operation in moved.operations:
                    times.setdefault(f"{label} {operation}", []).append(seconds)
    return times, absent


def _round(contestant: Contestant, workspace: Workspace, moved: Moved) -> dict[str, float]:
    """Everything that is asked for once, beginning and ending with a store that does not have the image."""
    saved = str(workspace.path / "saved.tar")
    name, names = moved.name, [moved.name]
    took = {"pull": _quietly(lambda: contestant.pull(name))}
    if "push" in moved.operations:
        with registry.serving(workspace.path) as address:
            other = f"{address}/bench/pushed:1"
            contestant.tag(name, other)
            names.insert(0, other)
            took["push"] = _quietly(lambda: contestant.push(other))
    if "save" in moved.operations:
        took["save"] = _quietly(lambda: contestant.save(name, saved))
        os.unlink(saved)
    took["rmi"] = _quietly(lambda: contestant.remove(*names))
    if "load" in moved.operations:
        took["load"] = _quietly(lambda: contestant.load(moved.archive))
        contestant.remove(name)
    return took


def _quietly(action: Callable[[], float]) -> float:
    """Measure when the disk has nothing to do any more that others have left to it."""
    os.sync()
    time.sleep(0.2)
    return action()


def take_memory(contestant: Contestant, name: str) -> int:
    """The most memory that a pull holds, in bytes."""
    most = peak(lambda: contestant.pull(name))
    contestant.remove(name)
    return most
