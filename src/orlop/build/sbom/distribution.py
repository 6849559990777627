"""Which distribution an image is of (os-release(5))."""

from __future__ import annotations

from orlop.build.sbom.package import clean
from orlop.build.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.build.sbom.files import Files

_FILES = ("etc/os-release", "usr/lib/os-release")
_LARGEST = 64 << 10


class Distribution(Value):
    """Its ``id`` such as ``debian``, its ``version`` and its name for people; all empty if the image does not say."""

    id: str = ""
    version: str = ""
    name: str = ""

    @property
    def title(self) -> str:
        """As package URLs have it: ``debian-12``."""
        return f"{self.id}-{self.version}" if self.id and self.version else self.id


def find(files: Files) -> Distribution:
    """What the image says."""
    text = next(filter(None, (files.text(path, _LARGEST) for path in _FILES)), "")
    said = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        said[name.strip()] = clean(value.strip().strip("\"'"))
    return Distribution(said.get("ID", ""), said.get("VERSION_ID", ""), said.get("PRETTY_NAME", ""))
