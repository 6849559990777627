"""A file system of the benchmark's own: ext4 with a journal, in a file.

Where the machine's ext4 has none (as in many virtual machines), it does not use an inode again for a minute after a file
was deleted, and looks through all of those whenever a file is made (``recently_deleted`` in fs/ext4/ialloc.c). Here
tens of thousands of files are deleted all the time, so that everybody would measure little else.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SIZE = 32 << 30  # of a sparse file: what is not written takes no space


@contextlib.contextmanager
def mounted(directory: Path) -> Iterator[Path]:
    """Make and mount the file system; yields where.

    Raises:
        subprocess.CalledProcessError: mkfs.ext4 or mount failed.
    """
    image, target = directory / "disk.img", directory / "disk"
    with image.open("wb") as file:
        os.truncate(file.fileno(), _SIZE)
    subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=1", image], check=True)
    target.mkdir()
    subprocess.run(["mount", "-o", "loop", image, target], check=True)
    try:
        yield target
    finally:
        subprocess.run(["umount", "--lazy", target], check=True)
