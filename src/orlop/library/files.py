"""Single files of containers, and their ends."""

from __future__ import annotations

import fcntl
import os
import select
import time

from orlop.engine import control_socket, frames
from orlop.errors import InvalidArgument, OrlopError
from orlop.library import errand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.container import Container

#: Bytes of an archive beside the content of its one file.
_OVERHEAD = 1 << 20


def read(target: Container, path: str, limit: int | None) -> bytes:
    """What is in a file of a container.

    Raises:
        NotFound: there is none.
        InvalidArgument: it is no file, or larger than ``limit``.
    """
    import tarfile

    archive = os.memfd_create("orlop-file", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(archive, "r+b") as file:
        if limit is not None:
            # So that the container does not decide how much memory we take, whatever it does meanwhile.
            os.ftruncate(archive, limit + _OVERHEAD)
            fcntl.fcntl(archive, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
        too_large = InvalidArgument(f"{path} in container {target.name} has more than {limit} bytes")
        try:
            arguments = {"container": target.id, "source": path, "follows": True}
            errand.call(target.location, "get_archive", arguments, descriptors=[archive], light=True)
        except (OrlopError, OSError):
            if limit is not None and os.lseek(archive, 0, os.SEEK_CUR) >= limit:
                raise too_large from None
            raise
        file.seek(0)
        with tarfile.open(fileobj=file, mode="r:") as tar:
            entry = tar.next()
            content = tar.extractfile(entry) if entry is not None and entry.isreg() else None
            if content is None or entry is None:
                raise InvalidArgument(f"{path} in container {target.name} is no file")
            if limit is not None and entry.size > limit:
                raise too_large
            return content.read()


def write(target: Container, path: str, data: bytes, mode: int, uid: int, gid: int) -> None:
    """Make a file in a container, or replace one.

    Raises:
        NotFound: its directory is not there.
        InvalidArgument: the path ends in no name.
    """
    import io
    import tarfile

    directory, _, name = path.rpartition("/")
    if name in ("", ".", ".."):
        raise InvalidArgument(f"{path!r} is no path of a file")
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.uid, entry.gid, entry.mtime = len(data), mode, uid, gid, int(time.time())
    archive = os.memfd_create("orlop-file", os.MFD_CLOEXEC)
    with open(archive, "r+b") as file:
        with tarfile.open(fileobj=file, mode="w:") as tar:
            tar.addfile(entry, io.BytesIO(data))
        file.seek(0)
        arguments = {"container": target.id, "target": directory or "/"}
        errand.call(target.location, "put_archive", arguments, descriptors=[archive], light=True)


def wait_for_end(target: Container, timeout: float) -> None:
    """Wait until a container does not run.

    Raises:
        TimeoutError: that took more than ``timeout`` seconds.
    """
    end = time.monotonic() + timeout
    with Ending(target) as ending:
        while not ending.is_there(max(0.0, end - time.monotonic())):
            if time.monotonic() >= end:
                raise TimeoutError(f"container {target.id[:12]} runs for more than {timeout:g} seconds")


class Ending:
    """The next end of a container that runs, which can be waited for with others: ``descriptor`` is readable then."""

    __slots__ = ("_socket",)

    def __init__(self, target: Container) -> None:
        self._socket = control_socket.connect(target.location, target.id)

    def __enter__(self) -> Ending:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._socket is not None:
            self._socket.close()

    @property
    def descriptor(self) -> int:
        """What poll(2) finds readable when there may be news; -1 if it has no monitor."""
        return -1 if self._socket is None else self._socket.fileno()

    def is_there(self, timeout: float) -> bool:
        """Wait at most so many seconds; whether it has ended, or its monitor has."""
        if self._socket is None:
            return True
        poll = select.poll()
        poll.register(self._socket.fileno(), select.POLLIN)
        if not poll.poll(timeout * 1000):
            return False
        return self.hear()

    def hear(self) -> bool:
        """Read what has come; whether it tells of the end."""
        if self._socket is None:
            return True
        try:
            frame = self._socket.recv(frames.LARGEST + 1)
        except ConnectionResetError:
            return True
        return frame[:1] in (frames.EXITED, b"")
