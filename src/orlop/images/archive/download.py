"""An archive that is a file here or at a URL, as a descriptor to read from."""

from __future__ import annotations

import os
import threading

from orlop import third_party
from orlop.errors import InvalidArgument, NotFound, RegistryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

_CHUNK = 256 << 10
_CONNECT = 30.0  # seconds
_READ = 120.0


class opened:  # noqa: N801 - used like a function, as contextlib's are
    """``with opened(source) as descriptor:``, where ``source`` is a path or an ``http://`` or ``https://`` URL.

    Raises:
        InvalidArgument: it is a directory.
        NotFound: there is no such file, or the server has nothing there.
        RegistryError: the server refuses, cannot be reached, or ends the connection early.
        OSError: the file cannot be read.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._descriptor = -1
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def __enter__(self) -> int:
        if self._source.startswith(("http://", "https://")):
            self._descriptor = self._begin()
        else:
            if os.path.isdir(self._source):
                raise InvalidArgument(f"{self._source} is a directory: import its archive, made with 'tar -C DIR -c .'")
            try:
                self._descriptor = os.open(self._source, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                raise NotFound(f"there is no file {self._source}") from None
        return self._descriptor

    def _begin(self) -> int:
        urllib3 = third_party.load("urllib3", "downloading an archive")
        timeout = urllib3.Timeout(connect=_CONNECT, read=_READ)
        try:
            answer = urllib3.PoolManager().request(
                "GET", self._source, preload_content=False, decode_content=False, timeout=timeout
            )
        except urllib3.exceptions.LocationValueError as error:
            raise InvalidArgument(f"{self._source!r} is not an address to download from: {error}") from None
        except urllib3.exceptions.HTTPError as error:
            raise RegistryError(f"cannot download {self._source}: {error}") from None
        if answer.status == 404:
            raise NotFound(f"cannot download {self._source}: the server has nothing there")
        if answer.status != 200:
            raise RegistryError(f"cannot download {self._source}: HTTP status {answer.status}", status=answer.status)
        reader, writer = os.pipe2(os.O_CLOEXEC)
        self._thread = threading.Thread(
            target=self._copy, args=(answer, writer, urllib3), name="orlop-download", daemon=True
        )
        self._thread.start()
        return reader

    def _copy(self, answer: Any, writer: int, urllib3: Any) -> None:
        try:
            for piece in answer.stream(_CHUNK):
                data = memoryview(piece)
                while data:
                    data = data[os.write(writer, data) :]
        except BrokenPipeError:
            pass  # nobody reads any more
        except (urllib3.exceptions.HTTPError, OSError) as error:
            self._error = RegistryError(f"the download of {self._source} was interrupted: {error}")
        finally:
            os.close(writer)
            answer.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
        if self._thread is not None:
            self._thread.join()
        if self._error is not None:
            raise self._error
