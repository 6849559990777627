"""Files of the user's that are there, or replaced, once they are whole."""

from __future__ import annotations

import os
import stat

from orlop.errors import InvalidArgument


class written:  # noqa: N801 - used like a function, as contextlib's are
    """``with written(path) as descriptor:`` writes a file, links to it followed. A device or a pipe is written to as it is.

    Raises:
        InvalidArgument: it is a directory.
        OSError: it cannot be written.
    """

    __slots__ = ("_aside", "_descriptor", "_path")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.path.realpath(os.fspath(path))
        self._aside = ""

    def __enter__(self) -> int:
        try:
            mode = os.stat(self._path).st_mode
        except FileNotFoundError:
            mode = stat.S_IFREG
        if stat.S_ISDIR(mode):
            raise InvalidArgument(f"cannot write to {self._path}: it is a directory")
        if stat.S_ISREG(mode):
            self._aside = f"{self._path}.{os.urandom(6).hex()}"
            try:
                self._descriptor = os.open(self._aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            except OSError as error:
                error.filename = self._path
                raise
        else:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        return self._descriptor

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        os.close(self._descriptor)
        if self._aside and kind is None:
            os.rename(self._aside, self._path)
        elif self._aside:
            os.unlink(self._aside)
