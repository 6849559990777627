"""Pseudoterminals: pty(7), ioctl_tty(2), termios(3)."""

from __future__ import annotations

import errno
import fcntl
import os

from orlop.linux import mount, path

_TIOCSWINSZ = 0x5414
_TIOCGWINSZ = 0x5413
_TIOCSCTTY = 0x540E
_TIOCSPTLCK = 0x40045431
_TIOCGPTPEER = 0x5441
_DEVPTS_SUPER_MAGIC = 0x1CD1


def open_master(devpts: int) -> tuple[int, int]:
    """A new pseudoterminal from a descriptor of the directory where a devpts is mounted: (master, slave).

    The multiplexer is opened in that very mount, through no link, and without the help of a /proc, which the
    caller may have none of for its own pid namespace. The slave comes from the master itself (TIOCGPTPEER,
    Linux 4.13), never from a path, so it cannot be something else that was put at ``/dev/pts/N``
    (CVE-2025-52565).

    Raises:
        OSError: the directory is not a devpts, or something was mounted over its ``ptmx``.
    """
    if mount.statfs_type(devpts) != _DEVPTS_SUPER_MAGIC:
        raise OSError(errno.ENODEV, "not a devpts file system", "/dev/pts")
    master = path.open_beneath(devpts, "ptmx", os.O_RDWR | os.O_NOCTTY)
    return master, open_slave(master)


def open_slave(master: int) -> int:
    """The other end of a master."""
    fcntl.ioctl(master, _TIOCSPTLCK, bytes(4))
    return fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)


def set_size(terminal: int, rows: int, columns: int) -> None:
    """Set the window's size in characters; the foreground process group gets SIGWINCH."""
    packed = rows.to_bytes(2, "little") + columns.to_bytes(2, "little") + bytes(4)
    fcntl.ioctl(terminal, _TIOCSWINSZ, packed)


def get_size(terminal: int) -> tuple[int, int]:
    """Rows and columns."""
    packed = fcntl.ioctl(terminal, _TIOCGWINSZ, bytes(8))
    return int.from_bytes(packed[:2], "little"), int.from_bytes(packed[2:4], "little")


def make_controlling(terminal: int) -> None:
    """Make a terminal the controlling one of this session, which must not have one."""
    fcntl.ioctl(terminal, _TIOCSCTTY, 0)
