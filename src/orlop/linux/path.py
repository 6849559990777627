"""Opening and making files below a root that somebody hostile may be changing at the same time.

Every component is resolved relative to an open directory, symbolic links are followed as if the root were
``/``, and links of /proc that jump elsewhere ("magic links") are never followed. See openat2(2), Linux 5.6.
"""

from __future__ import annotations

import errno
import os
import stat

from orlop.linux import number
from orlop.linux.call import syscall

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

_MOST_LINKS = 40  # MAXSYMLINKS of the kernel
_COMPONENT = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def open_at(directory: int, path: str | bytes, flags: int, *, resolve: int, mode: int = 0) -> int:
    """openat2(2), close-on-exec.

    Raises:
        OSError: EXDEV or ELOOP where ``resolve`` forbids what the path does.
    """
    words = how(flags, resolve, mode)
    encoded = os.fsencode(path)
    attempts = 0
    while True:
        try:
            return syscall(number.OPENAT2, "openat2", path, directory, encoded, words, len(words))
        except BlockingIOError:
            # EAGAIN: a rename or mount elsewhere raced with "..". The kernel asks to try again.
            attempts += 1
            if attempts > 1000:
                raise


def how(flags: int, resolve: int, mode: int = 0) -> bytes:
    """``struct open_how``, close-on-exec."""
    return (flags | os.O_CLOEXEC).to_bytes(8, "little") + mode.to_bytes(8, "little") + resolve.to_bytes(8, "little")


def open_in_root(root: int, path: str, flags: int = os.O_PATH) -> int:
    """Open what ``path`` means to a process whose root directory is ``root``."""
    return open_at(root, path, flags, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)


def open_beneath(directory: int, path: str, flags: int) -> int:
    """Open a file of a pseudo file system: below ``directory``, through no link and into no other mount."""
    resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS
    return open_at(directory, path, flags, resolve=resolve)


def open_real_directory(root: int, path: str) -> int:
    """Open a directory below ``root`` (O_PATH) with no symbolic link anywhere on the way to it."""
    return open_at(
        root,
        path.strip("/") or ".",
        os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW,
        resolve=RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    )


def ensure_directory(root: int, path: str, mode: int = 0o755) -> int:
    """Open directory ``path`` below ``root`` (O_PATH); what is missing of it is made.

    A dangling link on the way is completed where it points to, below ``root``, as the kernel would read it there.
    """
    try:
        return open_in_root(root, path, os.O_PATH | os.O_DIRECTORY)
    except FileNotFoundError:
        return _walk(root, path, mode, is_directory=True)


def ensure_file(root: int, path: str, mode: int = 0o755) -> int:
    """Open ``path`` below ``root`` (O_PATH) whatever it is; a missing one is made as an empty file, with its directories."""
    try:
        return open_in_root(root, path)
    except FileNotFoundError:
        return _walk(root, path, mode, is_directory=False)


def split(path: str) -> list[str]:
    """A path's components, without empty ones and ``.``."""
    return [part for part in path.split("/") if part and part != "."]


def _walk(root: int, path: str, mode: int, *, is_directory: bool) -> int:
    """Go down component by component, making what is missing; returns an O_PATH descriptor.

    The directories that were passed stay open on a stack, so that ``..`` goes back to where we came from,
    whoever moves directories meanwhile.
    """
    stack: list[int] = [os.dup(root)]
    pending = split(path)[::-1]
    links = 0
    try:
        while pending:
            name = pending.pop()
            if name == "..":
                if len(stack) > 1:
                    os.close(stack.pop())
                continue
            make_directory = bool(pending) or is_directory
            descriptor = _open_or_make(stack[-1], name, mode, make_directory)
            kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
            if kind == stat.S_IFLNK:
                links += 1
                target = os.readlink("", dir_fd=descriptor)
                os.close(descriptor)
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, f"too many symbolic links: {os.strerror(errno.ELOOP)}", path)
                if target.startswith("/"):
                    while len(stack) > 1:
                        os.close(stack.pop())
                pending.extend(split(target)[::-1])
                continue
            if make_directory and kind != stat.S_IFDIR:
                os.close(descriptor)
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
            stack.append(descriptor)
        return stack.pop()
    finally:
        for descriptor in stack:
            os.close(descriptor)


def _open_or_make(directory: int, name: str, mode: int, make_directory: bool) -> int:
    try:
        return os.open(name, _COMPONENT, dir_fd=directory)
    except FileNotFoundError:
        pass  # made below
    try:
        if make_directory:
            os.mkdir(name, mode, dir_fd=directory)
        else:
            flags = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY | os.O_CLOEXEC
            os.close(os.open(name, flags, mode & 0o666, dir_fd=directory))
    except FileExistsError:
        pass  # somebody was quicker; what is there now is looked at like anything else
    return os.open(name, _COMPONENT, dir_fd=directory)
