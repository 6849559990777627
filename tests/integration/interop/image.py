"""The one image that all interop tests use: busybox and three users, made without any network."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

BUSYBOX = "/bin/busybox"
PASSWD = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000:Alice:/home:/bin/sh\n"
GROUP = "root:x:0:\nalice:x:1000:\nextra:x:2000:alice\n"


def make_root_filesystem(directory: Path) -> Path:
    """Fill a directory with a root file system of one static binary."""
    for name in ("bin", "etc", "proc", "sys", "dev", "tmp", "root", "home"):
        (directory / name).mkdir(parents=True)
    directory.chmod(0o755)
    (directory / "tmp").chmod(0o1777)
    shutil.copy(BUSYBOX, directory / "bin/busybox")
    listing = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True)
    for applet in listing.stdout.split():
        if applet != "busybox":
            (directory / "bin" / applet).symlink_to("busybox")
    (directory / "etc/passwd").write_text(PASSWD)
    (directory / "etc/group").write_text(GROUP)
    (directory / "etc/not-a-program").write_text("text\n")
    return directory


def make_archive(directory: Path, root_filesystem: Path) -> Path:
    """Pack it for ``docker import`` and ``podman import``."""
    archive = directory / "image.tar"
    subprocess.run(
        ["tar", "--owner=0", "--group=0", "--numeric-owner", "-C", str(root_filesystem), "-cf", str(archive), "."],
        check=True,
    )
    return archive
