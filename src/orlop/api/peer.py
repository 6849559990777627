"""Who a client is: a process on this machine, or whoever has a certificate."""

from __future__ import annotations

import socket
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from typing import Any

_CREDENTIALS = struct.Struct("3i")


class Peer:
    """The other end of a connection.

    ``uid``, ``gid`` and ``pid`` are those of the process that connected to a Unix socket, -1 over TCP. There ``name`` is
    the common name of its certificate, if it has shown one, which ``certificate`` is (DER), and ``address`` where it is.
    """

    __slots__ = ("address", "certificate", "gid", "name", "pid", "uid")

    def __init__(self, transport: asyncio.BaseTransport) -> None:
        connection = transport.get_extra_info("socket")
        self.uid = self.gid = self.pid = -1
        self.address = self.name = ""
        self.certificate = b""
        if connection.family == socket.AF_UNIX:
            said = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            self.pid, self.uid, self.gid = _CREDENTIALS.unpack(said)
            return
        host, port = (transport.get_extra_info("peername") or ("", 0))[:2]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        encrypted = transport.get_extra_info("ssl_object")
        if encrypted is not None:
            self.name = _common_name(encrypted.getpeercert() or {})
            self.certificate = encrypted.getpeercert(binary_form=True) or b""

    @property
    def is_local(self) -> bool:
        """Whether it is a process on this machine, at a Unix socket."""
        return self.pid >= 0

    def describe(self) -> dict[str, Any]:
        """Who it is, in a few words."""
        if self.is_local:
            return {"uid": self.uid, "gid": self.gid, "pid": self.pid}
        return {"address": self.address, "certificate": self.name}


def _common_name(certificate: dict[str, Any]) -> str:
    for part in certificate.get("subject", ()):
        for name, value in part:
            if name == "commonName":
                return str(value)
    return ""
