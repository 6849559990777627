"""Having what was written on the disk, so that it is there after a loss of power (syncfs(2))."""

from __future__ import annotations

import os

from orlop.linux.call import check, libc_function


def write_out(directory: str) -> None:
    """Write to the disk all that is still to be written of the file system that a directory is on.

    Raises:
        OSError: the directory cannot be opened, or something could not be written.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        check(libc_function("syncfs", 1)(descriptor), "syncfs", directory)
    finally:
        os.close(descriptor)
