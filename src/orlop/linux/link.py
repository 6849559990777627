"""Network interfaces of the calling process's network namespace (netdevice(7))."""

from __future__ import annotations

import _socket
import fcntl

_SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1


def set_up(name: str) -> None:
    """Bring an interface up, such as ``lo`` in a new namespace."""
    control = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        request = name.encode().ljust(16, b"\0") + bytes(24)
        flags = int.from_bytes(fcntl.ioctl(control.fileno(), _SIOCGIFFLAGS, request)[16:18], "little")
        request = name.encode().ljust(16, b"\0") + (flags | IFF_UP).to_bytes(2, "little") + bytes(22)
        fcntl.ioctl(control.fileno(), SIOCSIFFLAGS, request)
    finally:
        control.close()
