"""Compressing layers: the same bytes for the same data, however many processors there are.

gzip
    One member without name and time (RFC 1952). The data is cut into pieces of a megabyte, which threads compress at
    the same time, each with the end of the piece before it as its dictionary; their raw deflate streams, ended at a
    byte's boundary (Z_SYNC_FLUSH), follow each other as one stream, as pigz does it. So the bytes do not depend on
    the threads.

    With isal it is done at level 2: a fifth of zlib's time at level 1, with the same ratio, and 0.9 of the ratio at level
    6, which takes 17 times as long. Levels up to 2 give the same bytes on every x86 processor; level 3 does not.
    Where isal is not installed zlib does it at level 1, with other bytes: what identifies a layer's content anywhere is
    its DIFF ID.
zstd
    One frame with its checksum (RFC 8878), level 3, compressed by libzstd's own threads in jobs of a fixed size.
none
    The data as it is.
"""

from __future__ import annotations

import os
import zlib

from orlop import third_party
from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from orlop.storage.layers.tar_writer import Sink

    class Compressor(Protocol):
        """A sink that passes on what it got in another form. Use it as a context manager, which ends its threads."""

        def write(self, data: bytes | memoryview, /) -> None:
            """Take some data, all of it, and perhaps pass on some output."""

        def finish(self) -> None:
            """Pass on the rest of the output."""

        def __enter__(self) -> Compressor:
            """Itself."""

        def __exit__(self, *_exception: object) -> None:
            """End its threads, whether it was finished or not."""


GZIP = "gzip"
ZSTD = "zstd"
NONE = ""

_PIECE = 1 << 20
_WINDOW = 32 << 10
_ZSTD_JOB = 2 << 20
_MOST_THREADS = 8

#: No flags, no time, no hint about the speed, unknown system.
_GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
#: An empty last block: all that came before it are not the last.
_DEFLATE_END = b"\x03\0"
_ISAL_LEVEL = 2
_ZLIB_LEVEL = 1


def compressor(kind: str, sink: Sink, threads: int = 0) -> Compressor:
    """A compressor of one kind (``gzip``, ``zstd``, or nothing) that passes its output on to ``sink``.

    ``threads`` is how many compress at the same time, by default as many as this process may use processors.

    Raises:
        InvalidArgument: the kind is not known.
        Unsupported: the package that it needs is not installed.
    """
    threads = threads or min(len(os.sched_getaffinity(0)), _MOST_THREADS)
    if kind == GZIP:
        return _Gzip(sink, threads)
    if kind == ZSTD:
        return _Zstd(sink, threads)
    if kind == NONE:
        return _Plain(sink)
    raise InvalidArgument(f'unknown compression "{kind}": expected gzip, zstd or an empty text for none')


class _Plain:
    __slots__ = ("_sink",)

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def write(self, data: bytes | memoryview) -> None:
        self._sink.write(data)

    def finish(self) -> None:
        """Nothing is kept back."""

    def __enter__(self) -> _Plain:
        return self

    def __exit__(self, *_exception: object) -> None:
        """There is nothing to end."""


class _Zstd:
    __slots__ = ("_sink", "_state")

    def __init__(self, sink: Sink, threads: int) -> None:
        zstd: Any = third_party.load("backports.zstd", "compressing with zstd")
        parameter = zstd.CompressionParameter
        self._sink = sink
        self._state: Any = zstd.ZstdCompressor(
            options={
                parameter.compression_level: 3,
                parameter.checksum_flag: 1,
                # With no workers the output would be another one than with any number of them.
                parameter.nb_workers: max(threads, 1),
                parameter.job_size: _ZSTD_JOB,
            }
        )

    def write(self, data: bytes | memoryview) -> None:
        output = self._state.compress(data)
        if output:
            self._sink.write(output)

    def finish(self) -> None:
        self._sink.write(self._state.flush())

    def __enter__(self) -> _Zstd:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._state = None  # libzstd ends its threads when the state is freed


class _Gzip:
    __slots__ = ("_checksum", "_crc32", "_piece", "_pool", "_sink", "_size", "_window")

    def __init__(self, sink: Sink, threads: int) -> None:
        isal: Any = third_party.find("isal.isal_zlib")
        self._sink = sink
        self._crc32: Callable[[bytes | memoryview, int], int] = zlib.crc32 if isal is None else isal.crc32
        self._checksum = 0
        self._size = 0
        self._piece = bytearray()
        self._window = b""
        self._pool = _Pool(threads, _zlib_deflate if isal is None else _isal_deflate(isal))
        sink.write(_GZIP_HEADER)

    def write(self, data: bytes | memoryview) -> None:
        self._checksum = self._crc32(data, self._checksum)
        self._size += len(data)
        left = memoryview(data)
        while left:
            taken = left[: _PIECE - len(self._piece)]
            self._piece += taken
            left = left[len(taken) :]
            if len(self._piece) == _PIECE:
                self._submit()

    def finish(self) -> None:
        if self._piece:
            self._submit()
        while self._pool.pending:
            self._sink.write(self._pool.take())
        ending = self._checksum.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little")
        self._sink.write(_DEFLATE_END + ending)

    def _submit(self) -> None:
        piece = bytes(self._piece)
        self._piece.clear()
        self._pool.submit(piece, self._window)
        self._window = piece[-_WINDOW:]
        while self._pool.full:
            self._sink.write(self._pool.take())

    def __enter__(self) -> _Gzip:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._pool.end()


def _zlib_deflate() -> Callable[[bytes, bytes], bytes]:
    def deflate(piece: bytes, window: bytes) -> bytes:
        state = zlib.compressobj(_ZLIB_LEVEL, zlib.DEFLATED, -15, zdict=window)
        return state.compress(piece) + state.flush(zlib.Z_SYNC_FLUSH)

    return deflate


def _isal_deflate(isal: Any) -> Callable[[], Callable[[bytes, bytes], bytes]]:
    """Isal's deflate.

    Its compressor objects keep the interpreter's lock while they work; what its own threaded writer is made of does
    not. Where a later version should lack that, the objects do it, one at a time and with slightly other bytes.
    """
    parallel: Any = getattr(isal, "_ParallelCompress", None)

    def with_lock() -> Callable[[bytes, bytes], bytes]:
        def deflate(piece: bytes, window: bytes) -> bytes:
            state = isal.compressobj(_ISAL_LEVEL, isal.DEFLATED, -15, zdict=window)
            output: bytes = state.compress(piece) + state.flush(isal.Z_SYNC_FLUSH)
            return output

        return deflate

    def without_lock() -> Callable[[bytes, bytes], bytes]:
        # What cannot be compressed takes five bytes more for each 64 KiB.
        state: Any = parallel(buffersize=_PIECE + _PIECE // 16, level=_ISAL_LEVEL)

        def deflate(piece: bytes, window: bytes) -> bytes:
            output: bytes = state.compress_and_crc(piece, window)[0]
            return output

        return deflate

    return with_lock if parallel is None else without_lock


class _Job:
    __slots__ = ("done", "error", "output", "piece", "window")

    def __init__(self, piece: bytes, window: bytes) -> None:
        import _thread

        self.piece = piece
        self.window = window
        self.output = b""
        self.error: BaseException | None = None
        self.done = _thread.allocate_lock()
        self.done.acquire()


class _Pool:
    """Threads that compress pieces; the results come back in the order of the pieces."""

    __slots__ = ("_jobs", "_queue", "_threads", "pending")

    def __init__(self, threads: int, make: Callable[[], Callable[[bytes, bytes], bytes]]) -> None:
        import threading
        from _queue import SimpleQueue
        from collections import deque

        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._jobs: deque[_Job] = deque()
        self._threads: list[threading.Thread] = []
        self.pending = 0
        for _ in range(threads):
            thread = threading.Thread(target=_work, args=(self._queue, make()), name="compress", daemon=True)
            thread.start()
            self._threads.append(thread)

    @property
    def full(self) -> bool:
        """Whether so many pieces are waiting that the results should be taken first."""
        return self.pending > 2 * len(self._threads)

    def submit(self, piece: bytes, window: bytes) -> None:
        job = _Job(piece, window)
        self._jobs.append(job)
        self.pending += 1
        self._queue.put(job)

    def take(self) -> bytes:
        """The oldest piece's result, waited for if need be."""
        job = self._jobs.popleft()
        self.pending -= 1
        job.done.acquire()
        if job.error is not None:
            raise job.error
        return job.output

    def end(self) -> None:
        """Let the threads end; what they have not begun is dropped."""
        while self._jobs:
            self._jobs.pop().piece = b""
        self.pending = 0
        for _ in self._threads:
            self._queue.put(None)
        while self._threads:
            self._threads.pop().join()


def _work(queue: Any, deflate: Callable[[bytes, bytes], bytes]) -> None:
    job: _Job | None
    while (job := queue.get()) is not None:
        try:
            job.output = deflate(job.piece, job.window)
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is taken
            job.error = error
        job.piece = job.window = b""
        job.done.release()
