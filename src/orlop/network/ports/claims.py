"""Holding ports of the host, for as long as a container is running.

A claim is a bound socket. So the kernel itself is the register of all ports: it tells every engine of the machine and every
program of the host apart, it never gives one port to two, it picks a free one itself, and it takes a claim back however
its holder ends. Nothing listens at it: what no rule of the kernel forwards is refused as if nobody were there, unless the
proxy serves it (`orlop.network.ports.proxy`), whose connections then come to this very socket.

All claims of a container are held by one descriptor: they are in the queue of a Unix socket that nobody reads
(`Claims.pack`), so that thousands of ports take nothing of a monitor's limit of open files.
"""

from __future__ import annotations

import _socket
import errno
import os
import select
import sys

from orlop import json_text
from orlop.errors import Conflict, InvalidArgument, NotFound, OrlopError, Unsupported
from orlop.network.ports.published import ANY, Published
from orlop.network.ports.specification import SCTP, TCP, UDP, canonical, families, order

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

_BACKLOG = 4096  # as much as net.core.somaxconn is
#: Descriptors that go with one packet: the kernel allows 253 (SCM_MAX_FD).
_AT_ONCE = 250
#: What a packet consists of, beside the descriptors.
_CLAIMS = b"+"
_SO_PEEK_OFF = 42
_IPPROTO_SCTP = 132
_SO_BINDTODEVICE = 25
#: How often a port is looked for that is free where the kernel does not pick one.
_ATTEMPTS = 64


class Taken(Conflict):
    """``holder`` has the port already, somebody if that is empty; ``wanted`` is what could not be published."""

    def __init__(self, wanted: Published, holder: str = "") -> None:
        super().__init__(f"bind for {wanted} failed: port is already allocated{f', to {holder}' if holder else ''}")
        self.wanted = wanted
        self.holder = holder


class Claims:
    """Ports that are held: ``published`` says which, and `pack` makes them one descriptor."""

    __slots__ = ("_by_number", "_sockets", "published")

    def __init__(self) -> None:
        self.published: list[Published] = []
        self._sockets: list[_socket.socket] = []
        #: Those that may be in each other's way.
        self._by_number: dict[int, list[Published]] = {}

    def add(self, wanted: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Published]:
        """Claim what Docker's ``PortBindings`` ask for; returns what that is, in the order of the containers' ports.

        Raises:
            Taken: somebody has one of the ports already; what was claimed before stays claimed.
            InvalidArgument: the host has no such address.
            NotFound: the host has no such interface.
            OrlopError: an ordinary user may not have such a port.
        """
        asked = [(port, each) for port in sorted(wanted, key=order) for each in wanted[port] or ()]
        found = {}
        # What can be had in one way only comes first.
        for place in sorted(range(len(asked)), key=lambda place: _choices(asked[place][1])):
            found[place] = self._claim(*asked[place])
        return [found[place] for place in range(len(asked))]

    def _claim(self, port: str, binding: Mapping[str, Any]) -> Published:
        try:
            address = canonical(str(binding.get("HostIp") or ""))
        except (OSError, ValueError):
            raise InvalidArgument(f"invalid IP address: {binding.get('HostIp')}") from None
        sources = tuple(binding.get("From") or ())
        said = str(binding.get("HostPort") or "0")
        first, _, last = said.partition("-")
        taken: Taken | None = None
        for number in range(int(first), int(last or first) + 1):
            wanted = Published(port, address, number, families(address, sources), sources, binding.get("On") or "")
            try:
                self._hold(wanted)
            except Taken as problem:
                taken = taken or problem
            else:
                return wanted
        if taken is None:
            raise InvalidArgument(f"invalid hostPort: {said}")
        if last and last != first:
            raise Conflict(f"bind for {taken.wanted} failed: all ports of {said} are already allocated")
        raise taken

    def _hold(self, wanted: Published) -> None:
        for each in self._by_number.get(wanted.number, ()):
            if each.overlaps(wanted):
                raise Taken(wanted, f"the same container's {each.port}")
        self._have(wanted, _bound(wanted))

    def try_to_hold(self, wanted: Published) -> bool:
        """Claim a port that somebody has had; whether nobody has it now."""
        try:
            self._hold(wanted)
        except OrlopError:
            return False
        return True

    def _have(self, published: Published, socket: _socket.socket) -> None:
        self._sockets.append(socket)
        self.published.append(published)
        self._by_number.setdefault(published.number, []).append(published)

    def remove(self, gone: Sequence[Published]) -> None:
        """Give claims back."""
        for each in gone:
            place = self.published.index(each)
            del self.published[place]
            self._by_number[each.number].remove(each)
            self._sockets.pop(place).close()

    def pack(self, served: Sequence[Published] = ()) -> tuple[int, int]:
        """Put the claims into a descriptor that holds them, and let go of them here.

        Returns:
            That descriptor, and one that poll(2) finds readable when somebody comes to one of the ``served`` ones, which
            the proxy serves; -1 if there is none of these.
        """
        watch = -1
        to_proxy = set(served)
        if served:
            epoll = select.epoll()
            for place, each in enumerate(self.published):
                if each in to_proxy:
                    _open(self._sockets[place], each)
                    epoll.register(self._sockets[place].fileno(), select.EPOLLIN)
            watch = os.dup(epoll.fileno())
            epoll.close()
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
        # What they are is in a file that goes with them: the queue has little room for texts.
        about = _written([[each.fields(), each in to_proxy] for each in self.published])
        descriptors = [about, *(each.fileno() for each in self._sockets)]
        ours.setblocking(False)
        try:
            for start in range(0, len(descriptors), _AT_ONCE):
                packed = b"".join(each.to_bytes(4, sys.byteorder) for each in descriptors[start : start + _AT_ONCE])
                ours.sendmsg([_CLAIMS], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)], _socket.MSG_NOSIGNAL)
        except (
            OSError
        ) as error:  # ETOOMANYREFS: an ordinary user's limit of open files holds for all that are on their way
            theirs.close()
            if watch >= 0:
                os.close(watch)
            raise OrlopError(f"cannot hold {len(self.published)} ports: {error.strerror or error}") from None
        finally:
            ours.close()
            os.close(about)
        self.close()
        return theirs.detach(), watch

    def close(self) -> None:
        """Let go of all of them."""
        for each in self._sockets:
            each.close()
        self._sockets = []
        self.published = []
        self._by_number = {}


def unpack(queue: int) -> tuple[Claims, list[tuple[Published, int]]]:
    """What `Claims.pack` made a descriptor of; that goes on holding them.

    Returns:
        The claims, and those that the proxy serves with their descriptors, which are the claims'.
    """
    claims = Claims()
    served = []
    about, *descriptors = _peek(queue)
    told = json_text.loads(os.pread(about, os.fstat(about).st_size, 0))
    os.close(about)
    for (fields, is_served), descriptor in zip(told, descriptors, strict=True):
        each = Published.from_fields(fields)
        claims._have(each, _socket.socket(fileno=descriptor))  # noqa: SLF001 - made here
        if is_served:
            served.append((each, descriptor))
    return claims, served


def _peek(queue: int) -> list[int]:
    """Copies of all descriptors in a queue."""
    found: list[int] = []
    borrowed = _socket.socket(fileno=queue)
    try:
        borrowed.setblocking(False)
        borrowed.setsockopt(_socket.SOL_SOCKET, _SO_PEEK_OFF, 0)
        while True:
            data, ancillary, _, _ = borrowed.recvmsg(
                len(_CLAIMS), _socket.CMSG_SPACE(4 * _AT_ONCE), _socket.MSG_PEEK | _socket.MSG_CMSG_CLOEXEC
            )
            if not data:
                return found  # nobody is at the other end who could send more
            packed = ancillary[0][2]
            found += [int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed), 4)]
    finally:
        borrowed.detach()


def _written(told: list[Any]) -> int:
    """A file in memory with a JSON text."""
    descriptor = os.memfd_create("orlop-ports", os.MFD_CLOEXEC)
    data = json_text.dumps(told).encode()
    while data:
        data = data[os.write(descriptor, data) :]
    return descriptor


def _choices(binding: Mapping[str, Any]) -> int:
    """How many ports of the host a binding leaves to choose from."""
    first, _, last = str(binding.get("HostPort") or "0").partition("-")
    return int(last or first) - int(first) if int(first) else 1 << 16


def _bound(wanted: Published) -> _socket.socket:
    """A socket with the port, whose number is written down where any would do."""
    try:
        if wanted.protocol == SCTP:
            return _bound_sctp(wanted)
        socket = _new(wanted, _socket.SOCK_STREAM if wanted.protocol == TCP else _socket.SOCK_DGRAM)
        try:
            try:
                socket.bind(_where(wanted))
            except OSError as error:
                if error.errno != errno.EADDRINUSE or wanted.protocol != TCP or not wanted.number:
                    raise
                socket.close()
                socket = _bound_beside_old_connections(wanted)
            wanted.number = socket.getsockname()[1]
            if wanted.protocol == UDP:
                socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVBUF, 0)  # nobody reads
        except BaseException:
            socket.close()
            raise
    except OSError as error:
        raise _reason(error, wanted) from None
    return socket


def _new(wanted: Published, kind: int, protocol: int = 0) -> _socket.socket:
    family = _socket.AF_INET6 if _socket.AF_INET6 in wanted.families else _socket.AF_INET
    try:
        socket = _socket.socket(family, kind | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK, protocol)
    except OSError as error:
        if error.errno != errno.EAFNOSUPPORT or len(wanted.families) == 1:
            raise
        wanted.families = (_socket.AF_INET,)  # the kernel was started without IPv6
        return _new(wanted, kind, protocol)
    try:
        if family == _socket.AF_INET6:
            socket.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, len(wanted.families) == 1)
        if wanted.interface:
            socket.setsockopt(_socket.SOL_SOCKET, _SO_BINDTODEVICE, wanted.interface.encode() + b"\0")
    except OSError:
        socket.close()
        raise
    return socket


def _where(wanted: Published) -> tuple[Any, ...]:
    if _socket.AF_INET6 not in wanted.families:
        return (wanted.address or ANY[_socket.AF_INET], wanted.number)
    scope = 0
    if wanted.interface and wanted.address.startswith("fe80:"):
        scope = _socket.if_nametoindex(wanted.interface)
    return (wanted.address or ANY[_socket.AF_INET6], wanted.number, 0, scope)


def _bound_beside_old_connections(wanted: Published) -> _socket.socket:
    """A socket with a port at which connections were that have ended not long ago (TIME_WAIT), as SO_REUSEADDR allows it.

    That alone would let others have the port as well. To listen is what makes the kernel look for holders in earnest, and
    what is taken back after that leaves the port ours alone.
    """
    socket = _new(wanted, _socket.SOCK_STREAM)
    try:
        socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        socket.bind(_where(wanted))
        socket.listen(0)
        socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 0)
        socket.shutdown(_socket.SHUT_RDWR)
    except OSError:
        socket.close()
        raise
    return socket


def _bound_sctp(wanted: Published) -> _socket.socket:
    """A claim on a port of SCTP, which the kernel can forward without having such sockets.

    Where it has none, no program of the host can have the port either, and what keeps containers apart is a name.
    """
    for _ in range(_ATTEMPTS):
        try:
            socket = _new(wanted, _socket.SOCK_STREAM, _IPPROTO_SCTP)
        except OSError as error:
            if error.errno not in (errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT):
                raise
            socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
            number = wanted.number or 32768 + int.from_bytes(os.urandom(2), "big") % 28232
            try:
                socket.bind(f"\0orlop-sctp-{number}")
            except OSError:
                socket.close()
                if wanted.number:
                    raise
                continue
            wanted.number = number
            return socket
        try:
            socket.bind(_where(wanted))
        except OSError:
            socket.close()
            raise
        wanted.number = socket.getsockname()[1]
        return socket
    raise Taken(wanted)


def _open(socket: _socket.socket, published: Published) -> None:
    """Have connections and datagrams come to a claim that the proxy serves."""
    if published.protocol == TCP:
        # For its connections: those that have just ended do not keep the port from the next who wants it. The port itself
        # is nobody else's nevertheless, since somebody listens at it.
        socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        socket.listen(_BACKLOG)
    else:
        socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVBUF, 1 << 20)


def _reason(error: OSError, wanted: Published) -> OrlopError:
    """What the kernel's refusal means."""
    if error.errno == errno.EADDRINUSE:
        return Taken(wanted)
    if error.errno == errno.EADDRNOTAVAIL:
        return InvalidArgument(f"cannot publish {wanted.port} at {wanted}: this machine has no such address")
    if error.errno in (errno.ENODEV, errno.ENXIO) and wanted.interface:
        return NotFound(f"cannot publish {wanted.port} on {wanted.interface}: this machine has no such interface")
    if error.errno in (errno.EACCES, errno.EPERM):
        return OrlopError(
            f"cannot publish {wanted.port} at {wanted}: ordinary users may have ports from "
            "net.ipv4.ip_unprivileged_port_start (sysctl) on"
        )
    if error.errno in (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT):
        return Unsupported(f"cannot publish {wanted.port} at {wanted}: the kernel has no such protocol")
    return OrlopError(f"cannot publish {wanted.port} at {wanted}: {error.strerror or error}")


def every(
    bindings: Mapping[str, Sequence[Mapping[str, Any]] | None] | None, exposed: Iterable[str], *, publish_all: bool
) -> dict[str, Sequence[Mapping[str, Any]]]:
    """Docker's ``PortBindings`` with, for ``PublishAllPorts``, any port of the host for each exposed one that has none."""
    wanted = {port: each for port, each in (bindings or {}).items() if each}
    if publish_all:
        for port in exposed:
            wanted.setdefault(port, [{"HostIp": "", "HostPort": ""}])
    return wanted
