"""Bringing a blob to a registry (distribution-spec, "Pushing Blobs").

A session is opened, and its URL takes all of the blob in the request that closes it, which is quickest. Where something
on the way does not let so much through, it is sent in chunks. If a request breaks off, the session is asked how much
has arrived, and gets the rest. A session that is lost is replaced by a new one; the distribution project's own registry
forgets every session of which a request broke off.
"""

from __future__ import annotations

from functools import partial
from urllib.parse import urlencode

from orlop.errors import DigestMismatch, NotFound, RegistryError
from orlop.images.registry.persistence import delay, redirect_target
from orlop.images.registry.refusals import NoConnection, NotTls, Unreachable, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Protocol

    from orlop.images.registry.connections import Answer
    from orlop.images.registry.endpoint import Endpoint

    class Reader(Protocol):
        """What a blob is read from."""

        def read(self, size: int, /) -> bytes:
            """The next bytes, or none at the end."""

        def close(self) -> object:
            """Let go of it."""


#: What is read and sent at once, within the connection's timeout, which has to do for slow lines too.
_PIECE = 128 << 10
#: The size of chunks where all at once is too much, and the smallest that is tried.
_LARGEST_CHUNK, _SMALLEST_CHUNK = 32 << 20, 1 << 20
_TOO_MUCH = 413
_OCTETS = {"Content-Type": "application/octet-stream"}
#: What a server may say when the session is gone, or does not fit what was sent.
_LOST = (404, 409, 416)
#: What servers say that do not mount, or not from there.
_NOT_MOUNTED = (400, 401, 403, 405, 409, 501)
_AGAIN = (408, 429, 500, 502, 503, 504)
#: An attempt that brought this much is not counted against the number of attempts.
_WORTH_WHILE = 1 << 20


def mount(endpoint: Endpoint, repository: str, digest: str, from_repository: str, domain: str) -> bool:
    """Have a blob of another repository in this one too; False if that was not possible, for whichever reason.

    Raises:
        RegistryError: the registry cannot be reached, or fails.
    """
    prefix = endpoint.server.prefix
    query = urlencode({"mount": digest, "from": f"{prefix}{from_repository}"})
    what = f"{domain}/{repository}@{digest}"
    scopes = [endpoint.scope(repository, "pull,push"), endpoint.scope(from_repository)]
    url = f"{endpoint.url('blobs/uploads/', repository)}?{query}"
    headers = {"Content-Length": "0"}
    try:
        answer = endpoint.request(
            "POST", url, what, repository=repository, scopes=scopes, headers=headers, expected=(201, 202)
        )
    except NotFound:
        return False
    except RegistryError as error:
        if error.status in _NOT_MOUNTED:
            return False  # an upload will tell whether it is this repository that is not open to us
        raise
    answer.discard()
    if answer.status == 201:
        return True
    # It has opened a session instead, which nobody wants.
    _Upload(endpoint, repository, digest, 0, what).cancel(answer)
    return False


def upload(
    endpoint: Endpoint,
    repository: str,
    digest: str,
    size: int,
    open_at: Callable[[int], Reader],
    domain: str,
    progress: Callable[[int], None] | None = None,
) -> None:
    """See `orlop.images.registry.client.Registry.upload_blob`."""
    _Upload(endpoint, repository, digest, size, f"{domain}/{repository}@{digest}").run(open_at, progress)


class _UnreadableError(Exception):
    """The blob could not be read; ``reason`` says why."""

    def __init__(self, reason: OSError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class _Upload:
    """One blob's way to a registry."""

    __slots__ = ("_chunk", "_digest", "_endpoint", "_repository", "_scopes", "_size", "_url", "_what")

    def __init__(self, endpoint: Endpoint, repository: str, digest: str, size: int, what: str) -> None:
        self._endpoint = endpoint
        self._repository = repository
        self._digest = digest
        self._size = size
        self._what = what
        self._scopes = [endpoint.scope(repository, "pull,push")]
        #: How much one request carries; 0 is all.
        self._chunk = endpoint.options.chunk_size
        #: Where the session is; empty while there is none.
        self._url = ""

    def run(self, open_at: Callable[[int], Reader], progress: Callable[[int], None] | None) -> None:
        """Send all of it, in as many attempts as are allowed."""
        failures = arrived = 0
        self._open()
        while True:
            began = arrived
            try:
                arrived = self._arrived() if failures else 0
                self._send(arrived, open_at, progress)
                return
            except _UnreadableError as error:
                raise error.reason from None
            except (NoConnection, NotTls):
                raise
            except NotFound as error:  # the session is gone
                problem: Exception = error
            except RegistryError as error:
                if error.status == _TOO_MUCH and self._shrink():
                    continue
                if not isinstance(error, Unreachable) and error.status not in (*_LOST, *_AGAIN):
                    raise _refined(error, self._what) from None
                problem = error
            failures = 1 if arrived - began >= _WORTH_WHILE else failures + 1
            if failures >= self._endpoint.options.attempts:
                raise problem
            self._endpoint.connections.pause(delay(failures - 1))

    def cancel(self, answer: Answer) -> None:
        """Give a session up that an answer has opened. A registry that does not take that forgets it by itself."""
        try:
            self._moved(answer)
            self._ask("DELETE", self._url, expected=(200, 202, 204), attempts=False).discard()
        except (RegistryError, NotFound):
            return

    def _open(self) -> None:
        self._url = ""
        url = self._endpoint.url("blobs/uploads/", self._repository)
        answer = self._ask("POST", url, headers={"Content-Length": "0"}, expected=(202,))
        answer.discard()
        self._moved(answer)

    def _arrived(self) -> int:
        """How many bytes of a session that broke off have arrived; 0 in a new one if it is gone."""
        try:
            answer = self._ask("GET", self._url, expected=(204, 202, 200))
        except NotFound:
            self._open()
            return 0
        except RegistryError as error:
            if error.status not in _LOST:
                raise
            self._open()
            return 0
        answer.discard()
        self._moved(answer)
        _, _, last = answer.headers.get("range", "").rpartition("-")
        arrived = int(last) + 1 if last.isdecimal() and len(last) < 20 else 0
        # The specification has no way to say that nothing has arrived: "0-0" means nothing, or one byte.
        if arrived <= 1 or arrived > self._size:
            self._open()
            return 0
        return arrived

    def _send(self, offset: int, open_at: Callable[[int], Reader], progress: Callable[[int], None] | None) -> None:
        def pieces(begin: int, end: int) -> Iterator[bytes]:
            reader = open_at(begin)
            sent = begin
            try:
                while sent < end:
                    try:
                        piece = reader.read(min(_PIECE, end - sent))
                    except OSError as error:
                        raise _UnreadableError(error) from error  # not the connection's
                    if not piece:
                        raise DigestMismatch(f"{self._what}: there are {sent} bytes where {self._size} were declared")
                    yield piece
                    sent += len(piece)
                    if progress is not None:
                        progress(sent)
            finally:
                reader.close()

        if offset == 0 and (not self._chunk or self._size <= self._chunk):
            self._finish(_OCTETS | {"Content-Length": str(self._size)}, partial(pieces, 0, self._size))
            return
        while offset < self._size:
            end = min(offset + self._chunk, self._size) if self._chunk else self._size
            headers = {"Content-Length": str(end - offset), "Content-Range": f"{offset}-{end - 1}"}
            answer = self._ask(
                "PATCH", self._url, headers=_OCTETS | headers, body=partial(pieces, offset, end),
                expected=(202, 204, 201), attempts=False,
            )  # fmt: skip
            answer.discard()
            self._moved(answer)
            offset = end
        self._finish({"Content-Length": "0"})

    def _shrink(self) -> bool:
        """Have the next attempt bring less with each request, in a new session; False if that has no sense."""
        smaller = min(self._chunk // 2 or _LARGEST_CHUNK, self._size // 2)
        if smaller < _SMALLEST_CHUNK:
            return False
        self._chunk = smaller
        self._open()
        return True

    def _finish(self, headers: dict[str, str], body: Callable[[], Iterator[bytes]] | None = None) -> None:
        url = f"{self._url}{'&' if '?' in self._url else '?'}{urlencode({'digest': self._digest})}"
        self._ask("PUT", url, headers=headers, body=body, expected=(201, 204), attempts=False).discard()

    def _moved(self, answer: Answer) -> None:
        """Note where the session is now: each answer may say so anew."""
        location = answer.headers.get("location", "")
        if location:
            self._url, _ = redirect_target(answer, location)
        elif not self._url:
            raise RegistryError(f"{self._what}: {answer.origin.authority} does not say where to upload to")

    def _ask(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        body: Callable[[], Iterator[bytes]] | None = None,
        expected: tuple[int, ...],
        attempts: bool = True,
    ) -> Answer:
        return self._endpoint.request(
            method, url, self._what, repository=self._repository, scopes=self._scopes, headers=headers, body=body,
            expected=expected, attempts=attempts,
        )  # fmt: skip


def _refined(error: RegistryError, what: str) -> Exception:
    """Content that is not what its digest names is an error of its own."""
    if error.code in ("DIGEST_INVALID", "SIZE_INVALID"):
        return DigestMismatch(f"{what}: the registry says that the content is something else ({plain(error.code)})")
    return error
