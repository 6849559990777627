"""Keep compiled filters, in memory and, if the caller has a directory for it, across processes.

A filter is found by the hash of the whole configuration, of the machine and of the compiler's version, so a
kept one is never out of date. What lies on disk is loaded into the kernel as it is: whoever could write it could
switch a container's filter off. So the directory and the file in it must belong to the caller and be writable by
nobody else, and neither may be a link; whatever is not so is as good as absent.
"""

from __future__ import annotations

import os
import stat
from _blake2 import blake2b

from orlop import json_text
from orlop.linux.call import MACHINE
from orlop.linux.seccomp.program import Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

#: Raised with every change of what the compiler makes of a configuration.
_COMPILER = 1
_MAGIC = b"orlop-seccomp-1\n"
_DIGEST = 32
_LARGEST = 1 << 20
_MOST = 64


class Cache:
    """Compiled filters by content.

    ``directory`` is where to keep them for other processes; it must exist. Without one, only memory is used.
    """

    __slots__ = ("_directory", "_programs")

    def __init__(self, directory: str | None = None) -> None:
        self._directory = directory
        self._programs: dict[bytes, Program] = {}

    def compile(self, config: Mapping[str, Any]) -> Program:
        """The program for a ``linux.seccomp`` object, compiled only if it is not kept.

        Raises:
            InvalidConfig, Unsupported: as `orlop.linux.seccomp.compile` does.
        """
        text = f"{_COMPILER} {MACHINE} {json_text.dumps(config)}"
        key = blake2b(text.encode(), digest_size=_DIGEST).digest()
        program = self._programs.get(key)
        if program is not None:
            return program
        opened = _open_private(self._directory) if self._directory is not None else -1
        try:
            if opened >= 0:
                program = _load(opened, key)
            if program is None:
                from orlop.linux.seccomp.compiler import compile_config

                program = compile_config(config)
                if opened >= 0:
                    _store(opened, key, program)
        finally:
            if opened >= 0:
                os.close(opened)
        while len(self._programs) >= _MOST:  # a launcher lives for long; the oldest goes first
            del self._programs[next(iter(self._programs))]
        self._programs[key] = program
        return program


def _open_private(directory: str) -> int:
    """Open a directory that only we can write to; -1 if there is none, or if others could."""
    try:
        opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return -1  # a cache that cannot be used costs a compilation, nothing else
    if _ours(os.fstat(opened)):
        return opened
    os.close(opened)
    return -1


def _ours(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _load(directory: int, key: bytes) -> Program | None:
    try:
        file = os.open(key.hex(), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        return None  # not kept yet, as a rule
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or not _ours(status) or status.st_nlink != 1:
            return None
        data = os.read(file, _LARGEST)
    finally:
        os.close(file)
    body = data[len(_MAGIC) + _DIGEST :]
    # A crash may leave a file whose name reached the disk before its content.
    if not data.startswith(_MAGIC) or data[len(_MAGIC) : -len(body) or None] != _digest(key, body):
        return None
    head, _, instructions = body.partition(b"\n")
    flags, *unmatched = head.decode().split(" ")
    return Program(instructions, int(flags), tuple(unmatched))


def _digest(key: bytes, body: bytes) -> bytes:
    return blake2b(body, digest_size=_DIGEST, key=key).digest()


def _store(directory: int, key: bytes, program: Program) -> None:
    head = " ".join((str(program.flags), *program.unmatched)).encode()
    if b"\n" in head or len(head.split(b" ")) != 1 + len(program.unmatched):
        return  # names that are no words: not worth a format of their own
    body = head + b"\n" + program.instructions
    name = key.hex()
    temporary = f".{name}.{os.getpid()}"
    try:
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=directory)
    except OSError:
        return  # read-only, or full: the next one compiles again
    try:
        os.write(file, _MAGIC + _digest(key, body) + body)
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        os.unlink(temporary, dir_fd=directory)
    finally:
        os.close(file)
