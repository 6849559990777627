"""What idle containers cost: the memory of every process that an engine keeps outside of them.

USS is what a process alone holds and would give back by ending; PSS adds its share of what it has in common
with others (proc(5), smaps_rollup).
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench import processes
from bench.engines import Absent
from bench.processes import ProgramFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bench.contestants import Idler
    from bench.workspace import Workspace


@dataclass
class Share:
    """All processes of one name."""

    count: int = 0
    uss: int = 0
    pss: int = 0


@dataclass
class Footprint:
    """What ``containers`` idle containers cost, in bytes, by the names of the processes."""

    containers: int
    each: dict[str, Share] = field(default_factory=dict)

    @property
    def uss_each(self) -> float:
        """Private bytes for one container, everything counted."""
        return sum(share.uss for share in self.each.values()) / self.containers

    @property
    def pss_each(self) -> float:
        """Proportional bytes for one container, everything counted."""
        return sum(share.pss for share in self.each.values()) / self.containers


def _settled(before: set[int]) -> Footprint:
    """Measure until nothing changes any more, so that what is still on its way out is not counted."""
    last: list[tuple[int, int]] = []
    for _ in range(50):
        processes.reap()
        found = list(processes.in_host_namespace([pid for pid in processes.descendants() if pid not in before]))
        state = sorted((process.pid, process.uss) for process in found)
        if state == last:
            break
        last = state
        time.sleep(0.2)
    footprint = Footprint(0)
    for process in found:
        share = footprint.each.setdefault(process.name, Share())
        share.count += 1
        share.uss += process.uss
        share.pss += process.pss
    return footprint


def take_footprints(
    idlers: Mapping[str, Idler], workspace: Workspace, containers: int, say: Callable[[str], None]
) -> tuple[dict[str, Footprint], dict[str, str]]:
    """Start ``containers`` idle ones with each engine in turn; return what they cost, and who was absent, and why."""
    footprints: dict[str, Footprint] = {}
    absent: dict[str, str] = {}
    for name, idler in idlers.items():
        say(f"{containers} idle containers of {name}")
        before = set(processes.descendants())
        with ExitStack() as stack:
            try:
                start = stack.enter_context(idler(workspace))
                for number in range(containers):
                    start(number)
            except (Absent, ProgramFailed) as reason:
                absent[name] = " ".join(str(reason).split())
                continue
            footprints[name] = _settled(before)
            footprints[name].containers = containers
    return footprints, absent
