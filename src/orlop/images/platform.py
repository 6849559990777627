"""Platforms: what an image was built for, and which of an index's images fits best.

The words are Go's (``linux/arm64/v8``), since the image specification takes them from there. What users and other
tools say instead (``x86_64``, ``aarch64``, ``armhf``) is normalised. Choosing goes as in containerd: the platform
itself first, then what the same processor also runs, the most capable first.
"""

from __future__ import annotations

import os

from orlop.errors import InvalidArgument, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from orlop.images.manifest import Descriptor

_SYSTEMS = frozenset(
    [
        "aix",
        "android",
        "darwin",
        "dragonfly",
        "freebsd",
        "illumos",
        "ios",
        "js",
        "linux",
        "netbsd",
        "openbsd",
        "plan9",
        "solaris",
        "wasip1",
        "windows",
        "zos",
    ]
)
_SYSTEM_NAMES = {"macos": "darwin"}
_ARCHITECTURES = frozenset(
    [
        "386",
        "amd64",
        "arm",
        "arm64",
        "loong64",
        "mips",
        "mipsle",
        "mips64",
        "mips64le",
        "ppc64",
        "ppc64le",
        "riscv64",
        "s390x",
        "sparc64",
        "wasm",
    ]
)
#: Other names of an architecture, and the variant that goes with the name.
_ARCHITECTURE_NAMES = {
    "i386": ("386", ""),
    "i486": ("386", ""),
    "i586": ("386", ""),
    "i686": ("386", ""),
    "x86": ("386", ""),
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "arm64": ("arm64", ""),
    "armel": ("arm", "v6"),
    "armhf": ("arm", "v7"),
    "armv5l": ("arm", "v5"),
    "armv5tel": ("arm", "v5"),
    "armv6l": ("arm", "v6"),
    "armv7l": ("arm", "v7"),
    "armv8l": ("arm", "v8"),
    "loongarch64": ("loong64", ""),
}
_COMPONENT = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
#: What an attestation says that it was built for: it is no image.
_UNKNOWN = "unknown"


class Platform:
    """An operating system and a processor, normalised. Equal if all of it is equal; ``str()`` is Docker's text."""

    __slots__ = ("architecture", "os", "os_features", "os_version", "variant")

    def __init__(
        self,
        os: str,  # the specification's name
        architecture: str,
        variant: str = "",
        os_version: str = "",
        os_features: Sequence[str] = (),
    ) -> None:
        system = os.lower()
        self.os = _SYSTEM_NAMES.get(system, system)
        self.architecture, self.variant = _normalise(architecture, variant)
        self.os_version = os_version
        self.os_features = tuple(os_features)

    @property
    def is_unknown(self) -> bool:
        """Whether it marks an entry of an index that is no image, such as an attestation."""
        return _UNKNOWN in (self.os, self.architecture)

    def as_json(self) -> dict[str, Any]:
        """The object of the image specification."""
        made: dict[str, Any] = {"architecture": self.architecture, "os": self.os}
        if self.os_version:
            made["os.version"] = self.os_version
        if self.os_features:
            made["os.features"] = list(self.os_features)
        if self.variant:
            made["variant"] = self.variant
        return made

    def _key(self) -> tuple[str, str, str, str, tuple[str, ...]]:
        return self.os, self.architecture, self.variant, self.os_version, self.os_features

    def __str__(self) -> str:
        system = f"{self.os}({self.os_version})" if self.os_version else self.os
        return f"{system}/{self.architecture}" + (f"/{self.variant}" if self.variant else "")

    def __repr__(self) -> str:
        return f"Platform({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Platform) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())


def _normalise(architecture: str, variant: str) -> tuple[str, str]:
    architecture = architecture.lower()
    variant = variant.lower()
    architecture, usual = _ARCHITECTURE_NAMES.get(architecture, (architecture, ""))
    variant = variant or usual
    if variant.isdecimal():
        variant = f"v{variant}"
    if architecture == "arm":
        return architecture, variant or "v7"
    if (architecture, variant) in (("arm64", "v8"), ("amd64", "v1")):
        return architecture, ""
    return architecture, variant


def host() -> Platform:
    """The platform of this machine."""
    system, _, _, _, machine = os.uname()
    if machine in ("mips", "mips64", "ppc64"):
        import sys

        machine += {"mips": "le", "mips64": "le", "ppc64": "le"}[machine] if sys.byteorder == "little" else ""
    return Platform(system, machine)


def parse(text: str) -> Platform:
    """Read ``linux/arm64/v8``, ``linux/amd64``, ``windows(10.0.20348)/amd64``, or a system or processor alone.

    What is left out is this machine's.

    Raises:
        InvalidArgument: it is malformed, or a single word that is neither a known system nor a known processor.
    """
    components = text.split("/")
    system, bracket, version = components[0].partition("(")
    if bracket:
        if not version.endswith(")"):
            raise _invalid(text, "the system's version has no closing bracket")
        version = version[:-1]
    words = [system, *components[1:], *([version] if bracket else [])]
    if len(components) > 3 or not all(word and _COMPONENT.issuperset(word) for word in words):
        raise _invalid(text, "must be of the form system[/architecture[/variant]]")
    if len(components) > 1:
        variant = components[2] if len(components) == 3 else ""
        return Platform(system, components[1], variant, version)
    here = host()
    if _SYSTEM_NAMES.get(system.lower(), system.lower()) in _SYSTEMS:
        return Platform(system, here.architecture, here.variant, version)
    architecture, variant = _normalise(system, "")
    if architecture in _ARCHITECTURES and not bracket:
        return Platform(here.os, architecture, variant)
    raise _invalid(text, "is neither a known operating system nor a known architecture")


def runnable(wanted: Platform) -> list[Platform]:
    """What a machine of a platform runs, the best first: itself, then older variants and the 32-bit sibling."""
    found = [wanted]

    def also(architecture: str, variant: str = "") -> None:
        found.append(Platform(wanted.os, architecture, variant, wanted.os_version, wanted.os_features))

    level = _level(wanted.variant)
    if wanted.architecture == "amd64":
        for older in range(level - 1, 0, -1):
            also("amd64", f"v{older}")
        also("386")
    elif wanted.architecture == "arm64":
        # 64-bit processors of version 9 also run what was built for version 8, and (most of them) 32-bit programs.
        if level > 8:
            also("arm64", "v8")
        for older in range(8, 4, -1):
            also("arm", f"v{older}")
    elif wanted.architecture == "arm":
        for older in range(level - 1, 4, -1):
            also("arm", f"v{older}")
    return found


def _level(variant: str) -> int:
    major = variant.removeprefix("v").partition(".")[0]
    return int(major) if major.isdecimal() and len(major) < 4 else 0


def matches(offered: Platform, wanted: Platform) -> bool:
    """Whether what was built for one platform runs on another."""
    return any(_same(offered, candidate) for candidate in runnable(wanted))


def _same(offered: Platform, candidate: Platform) -> bool:
    return (
        (offered.os, offered.architecture, offered.variant) == (candidate.os, candidate.architecture, candidate.variant)
        and (not candidate.os_version or offered.os_version == candidate.os_version)
        and (offered.os != "windows" or set(offered.os_features) <= set(candidate.os_features))
    )


def choose(descriptors: Iterable[Descriptor], wanted: Platform, name: str = "the index") -> Descriptor:
    """The entry of an index that fits a platform best; the first of several that fit equally well.

    An entry without a platform is taken if none that has one fits. Attestations and the like, which are for
    ``unknown/unknown``, never are.

    Raises:
        NotFound: none fits; the message lists those that are there.
    """
    there = [each for each in descriptors if each.platform is None or not each.platform.is_unknown]
    for candidate in runnable(wanted):
        for descriptor in there:
            if descriptor.platform is not None and _same(descriptor.platform, candidate):
                return descriptor
    for descriptor in there:
        if descriptor.platform is None:
            return descriptor
    offered = ", ".join(dict.fromkeys(str(each.platform) for each in there)) or "no image at all"
    raise NotFound(f"{name} has no image for {wanted}: it has {offered}")


def _invalid(text: str, reason: str) -> InvalidArgument:
    return InvalidArgument(f'invalid platform "{text[:160]}": {reason}')
