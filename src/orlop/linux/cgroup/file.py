"""Reading and writing the small files of a cgroup directory.

A write either succeeds or raises ``OSError`` that names the file, the value and the errno's meaning,
because "Invalid argument" alone never told anybody which limit was wrong.
"""

from __future__ import annotations

import errno
import os

_READ_SIZE = 65536


def read(path: str) -> str:
    """The whole text of a file, without the newline at its end.

    Raises:
        OSError: it cannot be opened or read; ``filename`` is the path.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(descriptor, _READ_SIZE):
            parts.append(part)
            if len(part) < 4096:  # kernfs fills a page if it has one
                break
    except OSError as error:
        raise OSError(error.errno, f"read: {os.strerror(error.errno or 0)}", path) from None
    finally:
        os.close(descriptor)
    return b"".join(parts).decode("utf-8", "replace").rstrip("\n")


def read_if_there(path: str) -> str | None:
    """Like `read`; None if there is no such file, or its cgroup is being removed."""
    try:
        return read(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENOTDIR):
            return None
        raise


def write(path: str, value: str) -> None:
    """Write a value in one system call, as cgroup files want it.

    Raises:
        OSError: the kernel refused; the text names the value, ``filename`` is the path.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.encode())
    except OSError as error:
        raise OSError(error.errno, f"write {value!r}: {os.strerror(error.errno or 0)}", path) from None
    finally:
        os.close(descriptor)


def pids_in(directory: str, *, parent: int | None = None) -> list[int]:
    """The processes directly in a cgroup; those of other pid namespaces, which read as 0, are left out.

    A cgroup that is gone, or whose controller was taken away, has none. ``parent`` is an open directory that
    ``directory`` is relative to.
    """
    text = _list_file(directory + "/cgroup.procs", parent)
    return [int(word) for word in text.split() if word != "0"]


def _list_file(path: str, parent: int | None) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=parent)
    except FileNotFoundError:
        return ""
    parts = []
    try:
        while part := os.read(descriptor, _READ_SIZE):
            parts.append(part)
    except OSError as error:
        # ENODEV: removed meanwhile. EOPNOTSUPP: a threaded cgroup, its processes show at the domain above.
        if error.errno not in (errno.ENODEV, errno.EOPNOTSUPP):
            raise OSError(error.errno, f"read: {os.strerror(error.errno or 0)}", path) from None
    finally:
        os.close(descriptor)
    return b"".join(parts).decode()
