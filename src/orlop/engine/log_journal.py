"""A log in systemd's journal, in its native protocol: one datagram of fields for each line."""

from __future__ import annotations

import _socket

from orlop.engine.log_lines import Lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_INFO = "6"
_ERROR = "3"
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


class Journal:
    """The writer, in a log process. ``socket`` is where the journal listens."""

    __slots__ = ("_fields", "_lines", "_socket")

    def __init__(self, socket: str, tag: str, about: Mapping[str, str], attributes: Mapping[str, str]) -> None:
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
        self._socket.connect(socket)
        self._lines = Lines()
        fields = {
            "CONTAINER_ID": about["ID"],
            "CONTAINER_ID_FULL": about["FullID"],
            "CONTAINER_NAME": about["Name"],
            "CONTAINER_TAG": tag,
            "IMAGE_NAME": about["ImageName"],
            "SYSLOG_IDENTIFIER": tag,
        }
        for name, value in attributes.items():
            fields[_name(name)] = value
        self._fields = b"".join(_field(name, value.encode()) for name, value in fields.items() if name)

    def write(self, stream: str, data: bytes) -> None:
        """Send the lines that are whole now."""
        whole = self._lines.whole(stream, data)
        for line in whole[:-1].split(b"\n") if whole else ():
            self._send(stream, line)
        if not whole and self._lines.waits(stream):
            for text, is_end in self._lines.split(stream):
                self._send(stream, text, partial=not is_end)

    def close(self) -> None:
        """Send the last, unfinished lines."""
        for stream, text in self._lines.rest():
            self._send(stream, text, partial=True)
        self._socket.close()

    def _send(self, stream: str, line: bytes, *, partial: bool = False) -> None:
        message = self._fields + _field("PRIORITY", (_ERROR if stream == "stderr" else _INFO).encode())
        message += _field("MESSAGE", line) + (_field("CONTAINER_PARTIAL_MESSAGE", b"true") if partial else b"")
        try:
            self._socket.send(message)
        except OSError:
            return  # the journal is gone or being restarted; there is nobody to tell


def _field(name: str, value: bytes) -> bytes:
    if b"\n" in value:
        return name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
    return name.encode() + b"=" + value + b"\n"


def _name(text: str) -> str:
    """A label's or variable's name as one of a field: capital letters, digits and _, and no _ at the beginning."""
    return "".join(each if each in _LETTERS else "_" for each in text.upper()).lstrip("_")
