"""One request to one server and its answer, over connections that are kept. Knows no registries.

Nothing is retried, followed or authorised here, and bodies arrive as they were sent: whatever a server calls their
content encoding is not undone, so that no bomb is unpacked.
"""

from __future__ import annotations

import json
import os
import ssl
import threading
import time
from urllib.parse import unquote, urlsplit

from orlop import third_party
from orlop.errors import RegistryError, Unsupported
from orlop.images.registry import certificates
from orlop.images.registry.origin import Origin, origin_of
from orlop.images.registry.pools import PlainPool, TlsPool
from orlop.images.registry.proxies import proxy_for
from orlop.images.registry.refusals import NoConnection, NotTls, Unreachable, Untrusted, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    import urllib3

    from orlop.images.registry.hosts import RegistryOptions
else:
    urllib3 = third_party.load("urllib3", "talking to registries")

#: What a blob is read in: large enough to cost little, small enough for many at once.
CHUNK = 256 << 10
#: The largest document that is read, but for manifests, which have a limit of their own.
LARGEST_ANSWER = 8 << 20
#: What is read to the end although nobody wants it: more than that is dearer than a new connection.
_LITTLE = 64 << 10
GIVEN_UP = "the transfer was given up"
#: Less than this many bytes in the time of the read timeout is as good as silence.
_SLOWEST = 4 << 10


class Answer:
    """A server's answer whose body is not read yet. Close it, or read it to its end."""

    __slots__ = ("_connections", "_response", "headers", "origin", "status", "url")

    def __init__(self, connections: Connections, response: urllib3.BaseHTTPResponse, url: str, origin: Origin) -> None:
        self._connections = connections
        self._response = response
        self.url = url
        self.origin = origin
        self.status = response.status
        #: By names in lower case; of a header that is there twice all values, separated by commas.
        self.headers = {name.lower(): value for name, value in response.headers.items()}

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return self._response.headers.getlist(name)

    @property
    def length(self) -> int:
        """How long the body is said to be, or -1."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isdecimal() and len(text) < 20 else -1

    def chunks(self) -> Iterator[bytes]:
        """The body, piece by piece.

        Raises:
            Unreachable: the connection breaks, is silent for too long, or too slow to get anywhere.
        """
        patience = self._connections.options.read_timeout
        received, waited = 0, 0.0
        try:
            while True:
                began = time.monotonic()
                with _errors(self.origin, self._connections):
                    data = self._response.read1(CHUNK, decode_content=False)
                if self._connections.is_closed:
                    raise RegistryError(GIVEN_UP)
                if not data:
                    return
                # Only the time that the server took: whoever takes the pieces may be slow.
                waited += time.monotonic() - began
                received += len(data)
                if waited > patience:
                    if received < _SLOWEST:
                        raise Unreachable(f"{self.origin.authority} sends {received} bytes in {waited:.0f} seconds")
                    received, waited = 0, 0.0
                yield data
        finally:
            self.close()

    def body(self, limit: int, what: str) -> bytes:
        """The whole body.

        Raises:
            RegistryError: it is longer than ``limit`` bytes, or compressed although nobody asked for that.
            Unreachable: it does not arrive in time.
        """
        encoding = self.headers.get("content-encoding", "identity").lower()
        if encoding not in ("identity", ""):
            self.close()
            raise RegistryError(f"{what}: {self.origin.authority} sent it encoded as {plain(encoding)}, unasked")
        deadline = time.monotonic() + self._connections.options.answer_timeout
        pieces: list[bytes] = []
        length = 0
        for piece in self.chunks():
            pieces.append(piece)
            length += len(piece)
            if length > limit:
                self.close()
                raise RegistryError(f"{what}: {self.origin.authority} sent more than {limit} bytes")
            if time.monotonic() > deadline:
                self.close()
                raise Unreachable(f"{what}: {self.origin.authority} did not finish its answer in time")
        if length < self.length:
            raise Unreachable(f"{what}: {self.origin.authority} broke off after {length} bytes")
        return b"".join(pieces)

    def document(self, what: str) -> dict[str, Any]:
        """The body, a JSON object.

        Raises:
            RegistryError: it is something else, or as for `body`.
        """
        data = self.body(LARGEST_ANSWER, what)
        try:
            document = json.loads(data)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise RegistryError(f"{what}: {self.origin.authority} did not answer with a JSON object")
        return document

    def discard(self) -> None:
        """Read what is left if it is little, so that the connection can be used again."""
        deadline = time.monotonic() + self._connections.options.read_timeout
        received = 0
        try:
            for piece in self.chunks():
                received += len(piece)
                if received > _LITTLE or time.monotonic() > deadline:
                    break
        except RegistryError:
            pass  # the connection is closed then
        self.close()

    def close(self) -> None:
        """Let go of the connection: for another request if all of the answer was read."""
        if self._response.length_remaining not in (0, None) or not self._response.closed:
            self._response.close()
        self._response.release_conn()


class Connections:
    """Connections to the servers that one registry and what it leads to consist of. Threads share them.

    ``trusted`` is the registry's own host: its certificate authorities are trusted for the servers that it leads to
    as well, such as its token server. Client certificates are shown only to whom the user gave them for.
    """

    def __init__(self, options: RegistryOptions, trusted: str) -> None:
        self.options = options
        self._closed = threading.Event()
        self._trusted = trusted
        self._lock = threading.Lock()
        self._pools: dict[Origin, urllib3.PoolManager] = {}
        self._proxies: dict[str, str] = {}

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] | None = None,
        *,
        connect_timeout: float = 0,
    ) -> Answer:
        """Send a request and wait for the beginning of its answer, whatever its status is.

        Raises:
            Unreachable: no answer came.
            Untrusted: one of both sides does not accept the other's certificate.
            RegistryError: the request cannot be sent, or the connections are closed.
        """
        origin = origin_of(url, "the request")
        timeout = urllib3.Timeout(
            connect=connect_timeout or self.options.connect_timeout, read=self.options.read_timeout
        )
        with _errors(origin, self):
            if self.is_closed:
                raise RegistryError(GIVEN_UP)
            response = self._pool(origin).request(
                method,
                url,
                body=body,
                headers={"User-Agent": self.options.user_agent, "Accept-Encoding": "identity", **headers},
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
                timeout=timeout,
            )
        return Answer(self, response, url, origin)

    def close(self) -> None:
        """Close all connections; what other threads transfer over them ends with an error."""
        self._closed.set()
        with self._lock:
            for manager in self._pools.values():
                for key in manager.pools.keys():  # noqa: SIM118 - it cannot be iterated over
                    pool = manager.pools.get(key)
                    if isinstance(pool, (PlainPool, TlsPool)):
                        pool.abandon()
                manager.clear()
            self._pools.clear()

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed.is_set()

    def pause(self, seconds: float) -> None:
        """Wait before the next attempt.

        Raises:
            RegistryError: the connections were closed meanwhile.
        """
        if self._closed.wait(seconds):
            raise RegistryError(GIVEN_UP)

    def _pool(self, origin: Origin) -> urllib3.PoolManager:
        with self._lock:
            pool = self._pools.get(origin)
            if pool is None:
                pool = self._pools[origin] = self._make_pool(origin)
            return pool

    def _make_pool(self, origin: Origin) -> urllib3.PoolManager:
        settings: dict[str, Any] = {"maxsize": 16, "block": False}
        if origin.scheme == "https":
            settings["ssl_context"] = self._context(origin)
        proxy = proxy_for(origin.scheme, origin.host, origin.port, self.options.environment)
        if not proxy:
            made = urllib3.PoolManager(num_pools=1, **settings)
        else:
            parts = urlsplit(proxy)
            if parts.scheme not in ("http", "https"):
                raise Unsupported(f'the proxy of {origin.authority} is of the kind "{plain(parts.scheme)}": use http')
            headers = None
            if parts.username:
                secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
                headers = urllib3.make_headers(proxy_basic_auth=secret)
            made = urllib3.ProxyManager(proxy, num_pools=1, proxy_headers=headers, **settings)
        made.pool_classes_by_scheme = {"http": PlainPool, "https": TlsPool}
        return made

    def _context(self, origin: Origin) -> ssl.SSLContext:
        options = self.options
        directories = options.certificate_directories
        own = certificates.find(_names(origin), directories)
        authorities, pairs = options.certificates(origin.authority)
        own.authorities += authorities
        own.pairs += pairs
        trusted = Origin("https", self._trusted)
        others = certificates.find(_names(trusted), directories).authorities if origin != trusted else []
        insecure = options.is_insecure(origin.authority) or (
            origin.host == trusted.host and options.is_insecure(self._trusted)
        )
        return certificates.context(own, others, verify=not insecure)


def _names(origin: Origin) -> tuple[str, ...]:
    """The names of the directories that a server's certificates may be in."""
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    with_port = f"{host}:{origin.port}"
    return (with_port, host) if origin.port == 443 else (with_port,)


class _errors:  # noqa: N801 - used as a statement
    """Say what urllib3's and the socket's errors mean."""

    __slots__ = ("connections", "origin")

    def __init__(self, origin: Origin, connections: Connections) -> None:
        self.origin = origin
        self.connections = connections

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (urllib3.exceptions.HTTPError, OSError)) and not isinstance(error, RegistryError):
            if self.connections.is_closed:
                raise RegistryError(GIVEN_UP) from None
            raise _meaning(error, self.origin) from None
        if isinstance(error, (ValueError, AttributeError)) and self.connections.is_closed:
            raise RegistryError(GIVEN_UP) from None  # its parts went away under its hands
        if isinstance(error, ValueError):
            raise RegistryError(f"the request to {self.origin.authority} cannot be sent: {plain(error)}") from error


def _meaning(error: Exception, origin: Origin) -> RegistryError:
    exceptions = urllib3.exceptions
    where = origin.authority
    cause: BaseException = error
    seen = {id(cause)}
    while not isinstance(cause, ssl.SSLError):
        following = next((each for each in (*cause.args, cause.__cause__) if isinstance(each, BaseException)), None)
        if following is None or id(following) in seen:
            break
        cause = following
        seen.add(id(cause))
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Untrusted(
            f"the certificate of {where} is not trusted ({cause.verify_message}): put the certificate of its authority "
            f"into /etc/docker/certs.d/{where}/ca.crt"
        )
    if isinstance(cause, ssl.SSLError):
        reason = (cause.reason or str(cause)).replace("_", " ").lower()
        if "alert" in reason:
            return Untrusted(f"{where} does not accept the connection: {reason}")
        return NotTls(f"{where} does not speak TLS as it should: {reason}")
    if isinstance(error, exceptions.ProxyError):
        return Unreachable(f"the proxy on the way to {where} does not help: {plain(error)}")
    if isinstance(error, exceptions.NameResolutionError):
        return RegistryError(f"{where} is not known: its name has no address")
    if isinstance(error, exceptions.NewConnectionError):
        return NoConnection(f"cannot connect to {where}: {_system_reason(cause, error)}")
    if isinstance(error, (exceptions.TimeoutError, TimeoutError)):
        return Unreachable(f"{where} does not answer in time")
    return Unreachable(f"the connection to {where} broke: {_system_reason(cause, error)}")


def _system_reason(cause: BaseException, error: Exception) -> str:
    if isinstance(cause, OSError) and cause.errno:
        return os.strerror(cause.errno).lower()
    return plain(cause if str(cause) else error).lower()
