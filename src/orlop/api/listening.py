"""Where a server listens: Unix sockets, TCP with certificates on both sides, and sockets that it was started with."""

from __future__ import annotations

import os
import socket
import ssl
import stat
from contextlib import suppress

from orlop.errors import Conflict, InvalidArgument, OrlopError

#: Clients that may wait to be accepted.
BACKLOG = 1024
_FIRST_PASSED = 3
_PLAIN_PORT = 2375
_TLS_PORT = 2376


class Certificates:
    """What a server shows and what it asks of its clients: paths of its certificate, its key, and of the CA of its clients.

    Without a ``ca`` every client is let in that speaks TLS.
    """

    __slots__ = ("ca", "certificate", "key")

    def __init__(self, certificate: str, key: str, ca: str = "") -> None:
        self.certificate = certificate
        self.key = key
        self.ca = ca

    def context(self) -> ssl.SSLContext:
        """How connections are encrypted.

        Raises:
            OrlopError: a file cannot be read, or is none of that kind.
        """
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        what = f"the certificate {self.certificate} with the key {self.key}"
        try:
            made.load_cert_chain(self.certificate, self.key)
            if self.ca:
                what = f"the clients' CA {self.ca}"
                made.load_verify_locations(self.ca)
                made.verify_mode = ssl.CERT_REQUIRED
        except (OSError, ssl.SSLError) as error:
            reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
            raise OrlopError(f"cannot use {what}: {reason}") from None
        return made


class Listener:
    """A socket that listens, how its connections are encrypted (None: not at all), and what to remove in the end."""

    __slots__ = ("certificates", "path", "socket", "tls")

    def __init__(self, made: socket.socket, certificates: Certificates | None = None, path: str = "") -> None:
        self.socket = made
        self.certificates = certificates
        self.tls = certificates.context() if certificates is not None else None
        self.path = path

    def close(self) -> None:
        """Listen no more."""
        self.socket.close()
        if self.path:
            with suppress(FileNotFoundError):
                os.unlink(self.path)


def unix(path: str, group: int = -1) -> Listener:
    """Listen on a Unix socket that root and the group's members can connect to; one that a killed server left is replaced.

    Raises:
        Conflict: somebody else listens there.
        OrlopError: it cannot be made.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        with suppress(FileNotFoundError):
            _clear(path)
        mask = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(mask)
        if group >= 0:
            os.chown(path, -1, group)
            os.chmod(path, 0o660)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise OrlopError(f"cannot listen on {path}: {error.strerror or error}") from None
    except BaseException:
        listener.close()
        raise
    return Listener(listener, path=path)


def tcp(address: str, certificates: Certificates | None, *, insecure: bool = False) -> Listener:
    """Listen on ``host:port``, with certificates; without any only if ``insecure`` says that the user knows what that means.

    Raises:
        InvalidArgument: it is no address, or there are no certificates.
        OrlopError: it cannot be made.
    """
    if certificates is None and not insecure:
        raise InvalidArgument(
            f"cannot listen on tcp://{address} without certificates: whoever reaches it would be root on this machine; "
            "give --tlscert, --tlskey and --tlscacert, or --insecure-tcp if nobody else can reach it"
        )
    host, _, port = address.rpartition(":") if not address.endswith("]") else (address, "", "")
    if not host:
        host, port = (port, "") if not port.isdigit() else ("", port)
    number = int(port) if port.isdigit() else (_PLAIN_PORT if certificates is None else _TLS_PORT)
    if (port and not port.isdigit()) or number > 65535:
        raise InvalidArgument(f"cannot listen on tcp://{address}: {port} is no port")
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host.strip("[]") or None, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise OrlopError(f"cannot listen on tcp://{address}: {error.strerror or error}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise OrlopError(f"cannot listen on tcp://{address}: {error.strerror or error}") from None
    try:
        return Listener(listener, certificates)
    except BaseException:
        listener.close()
        raise


def passed() -> list[Listener]:
    """The sockets that systemd passes to a service (sd_listen_fds(3)).

    Raises:
        InvalidArgument: there are none.
    """
    count = os.environ.get("LISTEN_FDS", "")
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or not count.isdigit() or int(count) < 1:
        raise InvalidArgument("cannot listen on fd://: this process was not started with any socket (LISTEN_FDS)")
    found = []
    for number in range(_FIRST_PASSED, _FIRST_PASSED + int(count)):
        os.set_inheritable(number, False)
        found.append(Listener(socket.socket(fileno=number)))
    return found


def _clear(path: str) -> None:
    """Remove the socket that a killed server left."""
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise Conflict(f"cannot listen on {path}: it is there and no socket; give another one with -H")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise Conflict(f"cannot listen on {path}: another server listens there")
