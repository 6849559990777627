"""A base image from a distribution's own packages, by way of mmdebstrap(1): for where there is no registry."""

from __future__ import annotations

import os
import shutil
import subprocess

from orlop.errors import InvalidArgument, OrlopError, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from orlop.images.reference import Reference

#: Distributions that mmdebstrap can make, whose names are those of their images.
DISTRIBUTIONS = ("debian", "ubuntu")
_MOST_SAID = 2000


class Bootstrap:
    """mmdebstrap at work. Its archive comes from ``output``; `finish` says how it ended."""

    __slots__ = ("_errors", "_process", "output")

    def __init__(self, command: Sequence[str]) -> None:
        import tempfile

        self._errors = tempfile.TemporaryFile()
        #: A descriptor.
        self.output, writer = os.pipe2(os.O_CLOEXEC)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the program that was found, with a list of arguments
                command, stdin=subprocess.DEVNULL, stdout=writer, stderr=self._errors
            )
        finally:
            os.close(writer)

    def finish(self, *, wait: bool = True) -> None:
        """Wait for its end, or end it. Doing so twice is all right.

        Raises:
            OrlopError: it failed; what it said last is in the message.
        """
        if self.output < 0:
            return  # called before
        if not wait:
            self._process.terminate()
        with self._errors:
            status = self._process.wait()
            os.close(self.output)
            self.output = -1
            if wait and status:
                self._errors.seek(0)
                said = self._errors.read().decode(errors="replace").strip()[-_MOST_SAID:]
                raise OrlopError(f"mmdebstrap failed with status {status}: {said}")


def begin(
    name: Reference,
    *,
    mirrors: Sequence[str] = (),
    include: Sequence[str] = (),
    variant: str = "minbase",
    architecture: str = "",
) -> Bootstrap:
    """Start making the distribution that an image's name means: ``debian:bookworm``, ``ubuntu:noble``.

    Without ``mirrors`` (URLs or lines of a sources.list) the machine's own package sources are used where they are those
    of this release, else the distribution's public mirror.

    Raises:
        InvalidArgument: the name means no distribution that can be made.
        Unsupported: mmdebstrap is not installed.
    """
    distribution = name.path.rpartition("/")[2]
    if distribution not in DISTRIBUTIONS or not name.tag:
        raise InvalidArgument(
            f'cannot bootstrap "{name.familiar}": name a distribution and its release, such as debian:bookworm; '
            f"known are {' and '.join(DISTRIBUTIONS)}"
        )
    program = shutil.which("mmdebstrap")
    if program is None:
        raise Unsupported("bootstrapping needs mmdebstrap: install it with 'apt install mmdebstrap'")
    # mmdebstrap takes lists of sources as they are, whatever release they are of.
    sources = list(mirrors) or (_own_sources() if _own_release() == (distribution, name.tag) else [])
    command = [
        program,
        "--quiet",
        f"--variant={variant}",
        f"--mode={'root' if os.geteuid() == 0 else 'unshare'}",
        "--format=tar",
        "--skip=output/dev",  # a container has a /dev of its own
    ]
    if include:
        command.append(f"--include={','.join(include)}")
    if architecture:
        command.append(f"--architectures={architecture}")
    return Bootstrap([*command, name.tag, "-", *sources])


def _own_release() -> tuple[str, str]:
    """The machine's distribution and the name of its release (os-release(5)); empty where they are not known."""
    fields = {}
    try:
        with open("/etc/os-release", encoding="utf-8") as file:
            for line in file:
                key, _, value = line.strip().partition("=")
                fields[key] = value.strip("\"'")
    except FileNotFoundError:
        pass  # then it is none that we know
    return fields.get("ID", ""), fields.get("VERSION_CODENAME", "")


def _own_sources() -> list[str]:
    """The machine's package sources as they are, with local mirrors and options such as ``trusted=yes``."""
    found = []
    if os.path.isfile("/etc/apt/sources.list"):
        found.append("/etc/apt/sources.list")
    directory = "/etc/apt/sources.list.d"
    if os.path.isdir(directory):
        names = sorted(os.listdir(directory))
        found += [f"{directory}/{name}" for name in names if name.endswith((".list", ".sources"))]
    return found
