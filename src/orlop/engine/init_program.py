"""``--init``: a program of a thousand bytes as the container's first, which reaps orphans and passes signals on.

It is ours (scripts/init.c), so nothing has to be installed. Each container has a copy of its own: what a privileged
one does to it happens to nobody else.
"""

from __future__ import annotations

import os

from orlop.errors import Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FILE = "init"
#: Where a container sees it: on a file system that is no part of its image; or, if that is the host's own, in the image.
PATH = "/dev/init"
_IN_IMAGE = "/sbin/docker-init"


def content() -> bytes:
    """The program for this machine.

    Raises:
        Unsupported: it has not been compiled for this machine's architecture.
    """
    import binascii  # `base64` would load `re`
    import zlib

    from orlop.engine.init_code import PROGRAMS

    machine = os.uname().machine
    if machine not in PROGRAMS:
        raise Unsupported(f"--init: there is no init for {machine}; use one that is in the image")
    return zlib.decompress(binascii.a2b_base64(PROGRAMS[machine]))


def write(directory: str) -> None:
    """Make the program's file in a container's directory.

    Raises:
        Unsupported: as `content`.
        OSError: it cannot be made.
    """
    descriptor = os.open(f"{directory}/{FILE}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o555)
    try:
        os.fchmod(descriptor, 0o555)  # whatever the umask: any user in the container executes it
        os.write(descriptor, content())
    finally:
        os.close(descriptor)


def apply(config: dict[str, Any], directory: str) -> None:
    """Have a configuration's program be run by init; ``directory`` is the container's, where its file will be."""
    is_bound = any(each["destination"] == "/dev" and each["type"] == "bind" for each in config["mounts"])
    path = _IN_IMAGE if is_bound else PATH
    config["process"]["args"] = [path, *config["process"]["args"]]
    config["mounts"].append(
        {
            "destination": path,
            "type": "bind",
            "source": f"{directory}/{FILE}",
            "options": ["bind", "rprivate", "ro", "nosuid", "nodev"],
        }
    )
