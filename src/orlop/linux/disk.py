"""Having what was written on the disk, so that it is there after a loss of power (syncfs(2))."""

from __future__ import annotations

import os

from orlop.linux.call import check, libc_function

_SYNC_FILE_RANGE_WRITE = 2


def begin_writing(descriptor: int, offset: int, size: int) -> None:
    """Have a part of a file written to the disk from now on, without waiting for it (sync_file_range(2)).

    It is a hint: where it cannot be followed, a later fdatasync(2) has more to do, and says what is wrong.
    """
    libc_function("sync_file_range", 4)(descriptor, offset, size, _SYNC_FILE_RANGE_WRITE)


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
