"""``--pid-file``: where engines read a process id as soon as the file is there."""

from __future__ import annotations

import os

from orlop.runtime.step import step


def write(path: str, pid: int) -> None:
    """Write a process id, whole or not at all.

    Raises:
        StepFailed: it cannot be written.
    """
    directory, _, name = path.rpartition("/")
    aside = f"{directory}/.{name}.{os.urandom(8).hex()}"  # nobody else who can write there has put a link in its place
    with step("write", path):
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            os.write(descriptor, str(pid).encode())
        finally:
            os.close(descriptor)
        os.rename(aside, path)
