"""Hearing that the rule set was changed, by whomever.

Source: linux/netfilter/nf_tables.h, linux/filter.h.
"""

from __future__ import annotations

import _socket
import sys

from orlop.linux.call import address_of, buffer
from orlop.linux.netlink import NETLINK_NETFILTER

_GROUP = 7  # NFNLGRP_NFTABLES
_NEW_GENERATION = 10 << 8 | 15  # NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWGEN: what each transaction ends with
_SO_ATTACH_FILTER = 26
_LARGEST = 1 << 16
_ENOBUFS = 105

_LOAD_HALF = 0x28  # BPF_LD | BPF_H | BPF_ABS
_JUMP_IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K
_TYPE = 4  # where in struct nlmsghdr the type is


class Changes:
    """A descriptor, in the caller's network namespace, that is readable once the rule set has been changed."""

    __slots__ = ("_socket",)

    def __init__(self) -> None:
        flags = _socket.SOCK_RAW | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK
        self._socket = _socket.socket(_socket.AF_NETLINK, flags, NETLINK_NETFILTER)
        # Of all that is told of a transaction only the end wakes us: one message, however much was changed. The filter
        # reads numbers in network byte order.
        kind = int.from_bytes(_NEW_GENERATION.to_bytes(2, sys.byteorder), "big")
        program = bytearray(
            b"".join(
                code.to_bytes(2, sys.byteorder) + bytes((if_so, if_not)) + value.to_bytes(4, sys.byteorder)
                for code, if_so, if_not, value in (
                    (_LOAD_HALF, 0, 0, _TYPE),
                    (_JUMP_IF_EQUAL, 0, 1, kind),
                    (_RETURN, 0, 0, _LARGEST),
                    (_RETURN, 0, 0, 0),
                )
            )
        )
        view = buffer(program)
        length = (len(program) // 8).to_bytes(2, sys.byteorder) + bytes(6)  # struct sock_fprog
        self._socket.setsockopt(
            _socket.SOL_SOCKET, _SO_ATTACH_FILTER, length + address_of(view).to_bytes(8, sys.byteorder)
        )
        self._socket.bind((0, 1 << (_GROUP - 1)))

    @property
    def descriptor(self) -> int:
        """What poll(2) finds readable."""
        return self._socket.fileno()

    def take(self) -> bool:
        """Take all that was told so far; whether there was anything."""
        found = False
        while True:
            try:
                self._socket.recv(_LARGEST)
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != _ENOBUFS:
                    raise
            found = True  # ENOBUFS: so much was told that there was no room for all of it

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()
