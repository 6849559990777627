"""What orlop has set itself to reach, as ratios within one run and as megabytes."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.memory import Footprint


class Target(Protocol):
    """Something that can be held against what was measured."""

    @property
    def words(self) -> str:
        """What is measured, for the table."""
        ...

    @property
    def most(self) -> float:
        """The largest value that is good enough."""
        ...

    def measured(self, times: Mapping[str, Sequence[float]], footprints: Mapping[str, Footprint]) -> float | None:
        """What was measured, or None if it was not."""
        ...


@dataclass(frozen=True)
class Ratio:
    """The median of one contestant, divided by that of another."""

    contestant: str
    base: str
    most: float

    @property
    def words(self) -> str:
        """What is measured, for the table."""
        return f"{self.contestant} ÷ {self.base}"

    def measured(self, times: Mapping[str, Sequence[float]], footprints: Mapping[str, Footprint]) -> float | None:
        """The ratio, or None if one of the two did not take part."""
        if self.contestant not in times or self.base not in times:
            return None
        return median(times[self.contestant]) / median(times[self.base])


@dataclass(frozen=True)
class Beyond:
    """By how much the median of one contestant exceeds that of another, in milliseconds."""

    contestant: str
    base: str
    most: float

    @property
    def words(self) -> str:
        """What is measured, for the table."""
        return f"{self.contestant} − {self.base}, in ms"

    def measured(self, times: Mapping[str, Sequence[float]], footprints: Mapping[str, Footprint]) -> float | None:
        """The milliseconds, or None if one of the two did not take part."""
        if self.contestant not in times or self.base not in times:
            return None
        return 1e3 * (median(times[self.contestant]) - median(times[self.base]))


@dataclass(frozen=True)
class Memory:
    """Private memory of one idle container, everything counted, in megabytes."""

    contestant: str
    most: float

    @property
    def words(self) -> str:
        """What is measured, for the table."""
        return f"{self.contestant}, idle: USS in MB for each container"

    def measured(self, times: Mapping[str, Sequence[float]], footprints: Mapping[str, Footprint]) -> float | None:
        """The megabytes, or None if it did not take part."""
        footprint = footprints.get(self.contestant)
        return None if footprint is None else footprint.uss_each / 1e6


TARGETS: list[Target] = [
    Ratio("orlop-runtime run", "runc run", 0.7),
    Ratio("launcher", "floor, calls only", 1.8),
    Ratio("engine.containers.run", "floor, calls only", 3.0),
    Ratio("engine.containers.run, 8 at a time", "docker run, 8 at a time", 0.05),
    Ratio("orlop run", "docker run", 0.1),
    Ratio("orlop run, first", "docker run", 0.2),
    Beyond("orlop ps -a, 1000 containers", "orlop ps -a, none", 100.0),
    Ratio("orlop run, 128 MiB of log", "docker run, 128 MiB of log", 1.0),
    Memory("orlop run", 1.0),
]
