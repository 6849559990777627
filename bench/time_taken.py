"""Start-to-exit times, the contestants taking turns: whatever disturbs the machine disturbs all of them alike."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from bench.engines import Absent
from bench.processes import ProgramFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bench.contestants import Contestant
    from bench.workspace import Workspace

WARM_UP = 2

#: Seconds between two runs, so that what the kernel puts off, such as taking a network namespace down, is not paid
#: for by whoever comes next.
PAUSE = 0.05


def take_times(
    contestants: Mapping[str, Contestant], workspace: Workspace, rounds: int, say: Callable[[str], None]
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Return the seconds that each contestant took in each round, and who could not take part, and why."""
    times: dict[str, list[float]] = {}
    absent: dict[str, str] = {}
    with ExitStack() as stack:
        runs: dict[str, Callable[[], float]] = {}
        for name, contestant in contestants.items():
            say(f"preparing {name}")
            try:
                run = stack.enter_context(contestant(workspace))
                for _ in range(WARM_UP):
                    run()
            except (Absent, ProgramFailed) as reason:
                absent[name] = " ".join(str(reason).split())
                continue
            runs[name] = run
            times[name] = []
        for done in range(rounds):
            if done % 10 == 0:
                say(f"round {done} of {rounds}")
            for name, run in runs.items():
                time.sleep(PAUSE)
                times[name].append(run())
    return times, absent
