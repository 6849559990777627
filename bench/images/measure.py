"""What is measured: each operation of each contestant in each round, the contestants taking turns."""

from __future__ import annotations

import itertools
import os
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from bench.engines import Absent
from bench.images import registry
from bench.images.memory import peak
from bench.processes import ProgramFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from bench.images.contestants import Contestant
    from bench.workspace import Workspace

OPERATIONS = ("pull", "push", "save", "rmi", "load")

Times = dict[str, list[float]]


def take_times(
    contestants: Mapping[str, Callable[[Workspace], AbstractContextManager[Contestant]]],
    workspace: Workspace,
    name: str,
    archive: str,
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
            for operation, seconds in _round(contestant, workspace, name, archive).items():
                times.setdefault(f"{label} {operation}", []).append(seconds)
    return times, absent


def _round(contestant: Contestant, workspace: Workspace, name: str, archive: str) -> dict[str, float]:
    """Everything once, beginning and ending with a store that does not have the image."""
    saved = str(workspace.path / "saved.tar")
    took = {"pull": _quietly(lambda: contestant.pull(name))}
    with registry.serving(workspace.path) as address:
        other = f"{address}/bench/pushed:1"
        contestant.tag(name, other)
        took["push"] = _quietly(lambda: contestant.push(other))
    took["save"] = _quietly(lambda: contestant.save(name, saved))
    took["rmi"] = _quietly(lambda: contestant.remove(other, name))
    took["load"] = _quietly(lambda: contestant.load(archive))
    contestant.remove(name)
    os.unlink(saved)
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
