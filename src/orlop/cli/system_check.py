"""``orlop system check``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop system check",
    "",
    "Verify every blob and every snapshot, and what images and containers need of them",
    (
        Option("-q, --quiet", "Only tell of problems"),
        Option("--repair", "Put right what can be: remove what is damaged or left over, unpack what is missing"),
    ),
    at_most=0,
)

IN_NAMESPACE = True


def run(location: Location, said: Parsed) -> int:
    """Carry the command out; returns 1 if a problem is left."""
    from orlop import units
    from orlop.engine import image_store, storage_check

    counted = [0, 0]

    def count(_digest: str, size: int) -> None:
        counted[0] += 1
        counted[1] += size

    images = image_store.open_store(location)
    problems = storage_check.verify(location, images, repair=said["repair"], verified=count)
    for problem in problems:
        sys.stdout.write(f"{problem}\n")
    if not said["quiet"]:
        found = f"{len(problems)} problem{'' if len(problems) == 1 else 's'}" if problems else "no problems"
        sys.stdout.write(f"{counted[0]} blobs verified ({units.human_size(counted[1])}): {found}\n")
    return 1 if any(not problem.repaired for problem in problems) else 0
