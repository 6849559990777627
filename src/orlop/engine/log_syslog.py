"""A log that goes to a syslog daemon, here or elsewhere (RFC 3164, RFC 5424, RFC 5425)."""

from __future__ import annotations

import os
import socket
import time

from orlop import clock
from orlop.engine.log_lines import Lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

FORMATS = ("", "rfc3164", "rfc5424", "rfc5424micro")

_FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "security", "console", "solaris-cron", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
)  # fmt: skip
_DAEMON = 3
_INFO = 6
_ERROR = 3
_PORT = 514
_TLS_PORT = 6514
_PATIENCE = 10.0  # seconds for a connection
#: Seconds between attempts to reach a daemon that is gone.
_PAUSE = 1.0


def facility(text: str) -> int:
    """A facility's number, from its name or number.

    Raises:
        ValueError: there is no such facility.
    """
    if text in _FACILITIES:
        return _FACILITIES.index(text)
    if text.isdigit() and int(text) < len(_FACILITIES):
        return int(text)
    raise ValueError(f"must be one of {', '.join(_FACILITIES)}, or a number below {len(_FACILITIES)}")


def address(text: str) -> tuple[str, str, int]:
    """The protocol, the host or path, and the port of a daemon.

    Raises:
        ValueError: it cannot be an address.
    """
    protocol, separator, rest = text.partition("://")
    if protocol in ("unix", "unixgram") and rest.startswith("/"):
        if not os.path.exists(rest):
            raise ValueError(f"there is no {rest}")
        return protocol, rest, 0
    if not separator or protocol not in ("udp", "tcp", "tcp+tls") or not rest:
        raise ValueError(
            "must be unix:///path, unixgram:///path, udp://host, tcp://host or tcp+tls://host, with a port"
        )
    host, colon, port = rest.rpartition(":")
    if not colon or rest.endswith("]"):
        host, port = rest, str(_TLS_PORT if protocol == "tcp+tls" else _PORT)
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{port} is no port")
    return protocol, host.strip("[]"), int(port)


class Syslog:
    """The writer, in a log process. Messages for a daemon that cannot be reached are lost."""

    __slots__ = (
        "_facility",
        "_format",
        "_hostname",
        "_lines",
        "_options",
        "_protocol",
        "_retry",
        "_socket",
        "_tag",
        "_where",
    )

    def __init__(self, options: Mapping[str, str], tag: str, attributes: Mapping[str, str]) -> None:
        del attributes  # Docker's driver has no place for them either
        self._options = options
        self._tag = tag
        self._lines = Lines()
        self._facility = facility(options["syslog-facility"]) if "syslog-facility" in options else _DAEMON
        self._format = options.get("syslog-format", "")
        self._hostname = socket.gethostname()
        self._socket: socket.socket | None = None
        self._retry = 0.0
        if "syslog-address" in options:
            self._protocol, host, port = address(options["syslog-address"])
            self._where: tuple[str, int] = (host, port)
        else:
            from orlop.engine import log_drivers

            self._protocol, self._where = "local", (log_drivers.local_syslog() or log_drivers.SYSLOG_SOCKETS[0], 0)

    def write(self, stream: str, data: bytes) -> None:
        """Send the lines that are whole now."""
        whole = self._lines.whole(stream, data)
        for line in whole[:-1].split(b"\n") if whole else ():
            self._send(stream, line)
        if not whole and self._lines.waits(stream):
            for text, _ in self._lines.split(stream):
                self._send(stream, text)

    def close(self) -> None:
        """Send the last, unfinished lines."""
        for stream, text in self._lines.rest():
            self._send(stream, text)
        if self._socket is not None:
            self._socket.close()

    def _send(self, stream: str, line: bytes) -> None:
        message = self._message(_ERROR if stream == "stderr" else _INFO, line)
        if self._protocol in ("tcp", "tcp+tls", "unix"):
            if self._protocol == "tcp+tls" and self._format.startswith("rfc5424"):
                message = str(len(message)).encode() + b" " + message  # RFC 5425, section 4.3
            else:
                message += b"\n"
        for _ in range(2):  # a connection may have been closed by the other side
            connection = self._connection()
            if connection is None:
                return
            try:
                connection.sendall(message)
            except OSError:
                connection.close()
                self._socket = None
            else:
                return

    def _message(self, severity: int, line: bytes) -> bytes:
        priority = self._facility * 8 + severity
        pid = os.getpid()
        if self._format in ("rfc5424", "rfc5424micro"):
            moment = clock.now()
            moment = f"{moment[:-4]}Z" if self._format == "rfc5424micro" else f"{moment[:19]}Z"
            head = f"<{priority}>1 {moment} {self._hostname} {self._tag} {pid} {self._tag} - "
        else:
            moment = time.strftime("%b %e %H:%M:%S")
            host = "" if self._protocol in ("local", "unix", "unixgram") and not self._format else f"{self._hostname} "
            head = f"<{priority}>{moment} {host}{self._tag}[{pid}]: "
        return head.encode() + line

    def _connection(self) -> socket.socket | None:
        if self._socket is None and time.monotonic() >= self._retry:
            try:
                self._socket = self._connect()
            except OSError:
                self._retry = time.monotonic() + _PAUSE
        return self._socket

    def _connect(self) -> socket.socket:
        if self._protocol in ("local", "unix", "unixgram"):
            kind = socket.SOCK_STREAM if self._protocol == "unix" else socket.SOCK_DGRAM
            local = socket.socket(socket.AF_UNIX, kind)
            local.connect(self._where[0])
            return local
        if self._protocol == "udp":
            host, port = self._where
            family, kind, number, _, there = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
            remote = socket.socket(family, kind, number)
            remote.connect(there)
            return remote
        connection = socket.create_connection(self._where, _PATIENCE)
        connection.settimeout(None)
        return self._secure(connection) if self._protocol == "tcp+tls" else connection

    def _secure(self, connection: socket.socket) -> socket.socket:
        import ssl

        context = ssl.create_default_context(cafile=self._options.get("syslog-tls-ca-cert"))
        if self._options.get("syslog-tls-skip-verify", "false") in ("1", "true"):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if "syslog-tls-cert" in self._options:
            context.load_cert_chain(self._options["syslog-tls-cert"], self._options.get("syslog-tls-key"))
        return context.wrap_socket(connection, server_hostname=self._where[0])
