"""Looking for everything that is installed in an image."""

from __future__ import annotations

from itertools import islice

from orlop.build.sbom import alpine, debian, distribution, languages, rpm
from orlop.build.sbom.files import Files
from orlop.build.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.build.sbom.distribution import Distribution
    from orlop.build.sbom.package import Package

#: More than this in one image is an attack on whoever reads the list.
_MOST = 200_000


class Inventory(Value):
    """What was found: the ``distribution``, and its and others' ``packages``, in their order."""

    distribution: Distribution
    packages: tuple[Package, ...]


def scan(root: int) -> Inventory:
    """What is installed below an open directory.

    Raises:
        InvalidArgument: its directories lie too deep in each other.
        OSError: it cannot be read.
    """
    files = Files(root)
    found = distribution.find(files)

    def everything() -> set[Package]:
        made: set[Package] = set()
        for source in (
            debian.find(files, found),
            alpine.find(files, found),
            rpm.find(files, found),
            languages.find(files),
        ):
            made.update(islice(source, _MOST - len(made)))
        return made

    packages = sorted(everything(), key=lambda each: (each.url, each.found_in))
    return Inventory(found, tuple(packages))
