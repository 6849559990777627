"""What ``-p`` and ``--expose`` say, in the shapes of Docker's API.

A published port is an entry of Docker's ``PortBindings``: the container's port, such as ``80/tcp``, and a binding, an object
with ``HostIp`` (empty: every address) and ``HostPort`` (a number, a range of which one is taken, or empty: any). Two fields
are ours, and there only if they were asked for: ``From``, a list of subnets whose hosts may connect, and ``On``, the
host's network interface at which the port is.
"""

from __future__ import annotations

import _socket

from orlop.errors import InvalidArgument
from orlop.network.subnet import Subnet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

TCP = "tcp"
UDP = "udp"
SCTP = "sctp"
PROTOCOLS = (TCP, UDP, SCTP)
LARGEST = 65535
_LONGEST_INTERFACE = 15  # IFNAMSIZ without the zero at the end


def parse(text: str) -> list[tuple[str, dict[str, Any]]]:
    """The ports that one ``-p`` publishes: each a container's port and a binding.

    ``[[ip:][host port]:]port[/protocol][,from=SUBNET…][,on=INTERFACE]``, where both ports may be ranges; or Docker's long
    form, ``target=80,published=8080,protocol=tcp``.

    Raises:
        InvalidArgument: it says nothing that can be published.
    """
    words, options = _split(text)
    address, host, inside = words
    numbers, slash, rest = inside.partition("/")
    protocol = rest.partition("/")[0].lower() if slash else ""
    if not numbers:
        raise InvalidArgument(f"no port specified: {text}<empty>")
    first, last = _range(numbers, f"invalid containerPort: {numbers}", least=1)
    address = _address(address)
    low = high = 0
    if host:
        low, high = _range(host, f"invalid hostPort: {host}", least=0)
    if host and last - first != high - low and first != last:
        raise InvalidArgument(f"invalid ranges specified for container and host Ports: {numbers} and {host}")
    if (protocol or TCP) not in PROTOCOLS:
        raise InvalidArgument(f"invalid proto: {protocol}")
    _check_reachable(address, options)
    found = []
    for offset in range(last - first + 1):
        port = str(low + offset) if host else ""
        if first == last and low != high:
            port = f"{low}-{high}"
        found.append((f"{first + offset}/{protocol or TCP}", {"HostIp": address, "HostPort": port, **options}))
    return found


def bindings(texts: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """Docker's ``PortBindings`` from what several ``-p`` say.

    Raises:
        InvalidArgument: one says nothing that can be published.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for text in texts:
        for port, binding in parse(text):
            found.setdefault(port, []).append(binding)
    return found


def check(
    wanted: Mapping[str, Sequence[Mapping[str, Any]] | None],
) -> dict[str, Sequence[Mapping[str, Any]] | None]:
    """Docker's ``PortBindings``, whoever wrote them; a port without a protocol is one of TCP.

    Raises:
        InvalidArgument: something in them cannot be published.
    """
    found = {}
    for port, said in wanted.items():
        number, _, protocol = port.partition("/")
        protocol = protocol or TCP
        if not 1 <= _number(number) <= LARGEST or protocol not in PROTOCOLS:
            raise InvalidArgument(f'invalid port specification: "{port}"')
        for each in said or ():
            host = str(each.get("HostPort") or "0")
            _range(host, f'invalid port specification: "{host}"', least=0)
            address = _address(str(each.get("HostIp") or ""))
            options: dict[str, Any] = {}
            for source in each.get("From") or ():
                _add_option(options, "from", str(source))
            if each.get("On"):
                _add_option(options, "on", str(each["On"]))
            _check_reachable(address, options)
        found[f"{int(number)}/{protocol}"] = said
    return found


def exposed(text: str) -> list[str]:
    """The ports that an ``--expose`` names: ``80``, ``80/udp`` or ``80-90/tcp``.

    Raises:
        InvalidArgument: it names none.
    """
    if ":" in text:
        raise InvalidArgument(f"invalid port format for --expose: {text}")
    numbers, _, protocol = text.partition("/")
    protocol = protocol.lower() or TCP
    problem = f"invalid range format for --expose: {text}"
    first, last = _range(numbers, problem, least=1)
    if protocol not in PROTOCOLS:
        raise InvalidArgument(problem)
    return [f"{number}/{protocol}" for number in range(first, last + 1)]


def container_port(text: str) -> str:
    """A container's port as Docker's API names it: ``80/tcp`` from ``80`` or ``80/TCP``.

    Raises:
        InvalidArgument: it is none.
    """
    number, slash, protocol = text.partition("/")
    protocol = protocol.lower() if slash else TCP
    if protocol not in PROTOCOLS:
        raise InvalidArgument(f"invalid proto: {protocol}")
    return f"{_range(number, f'invalid port ({text}): must be PORT or PORT/PROTOCOL', least=0)[0]}/{protocol}"


def order(port: str) -> tuple[int, str]:
    """What containers' ports are sorted by: number, then protocol."""
    number, _, protocol = port.partition("/")
    return int(number), protocol


def canonical(address: str) -> str:
    """An address, or none, in the one form in which the kernel writes it.

    Raises:
        OSError, ValueError: it is no address.
    """
    if not address:
        return ""
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    return _socket.inet_ntop(family, _socket.inet_pton(family, address))


def families(address: str, sources: Sequence[str]) -> tuple[int, ...]:
    """The versions of the protocol at which a port is to be: AF_INET, AF_INET6, or both of them."""
    if address:
        return (_socket.AF_INET6,) if ":" in address else (_socket.AF_INET,)
    if not sources:
        return (_socket.AF_INET, _socket.AF_INET6)
    there = {Subnet.parse(each).family for each in sources}
    return tuple(each for each in (_socket.AF_INET, _socket.AF_INET6) if each in there)


def _split(text: str) -> tuple[tuple[str, str, str], dict[str, Any]]:
    """Address, host's port and container's port as they were said, and what is ours of a binding."""
    first, *rest = text.split(",")
    if "=" in first:
        return _split_long(text)
    options: dict[str, Any] = {}
    for each in rest:
        key, equals, value = each.partition("=")
        if not equals or not value or not _add_option(options, key, value):
            raise InvalidArgument(f"invalid publish option {each!r}: it must be from=SUBNET or on=INTERFACE")
    address, _, numbers = first.rpartition(":")
    address, _, host = address.rpartition(":")
    return (address, host, numbers), options


def _split_long(text: str) -> tuple[tuple[str, str, str], dict[str, Any]]:
    said = {"target": "", "published": "", "protocol": TCP, "ip": ""}
    options: dict[str, Any] = {}
    for each in text.split(","):
        key, equals, value = each.partition("=")
        if not equals or not key:
            raise InvalidArgument(f"invalid publish opts format (should be name=value but got '{each}')")
        if key in said:
            said[key] = value
        elif not _add_option(options, key, value):
            raise InvalidArgument(
                f"unexpected key '{key}' in '{each}': use target, published, protocol, ip, from and on"
            )
    return (said["ip"], said["published"], f"{said['target']}/{said['protocol']}"), options


def _add_option(options: dict[str, Any], key: str, value: str) -> bool:
    """Take in one of our own fields; False if it is none."""
    if key == "from":
        if "/" not in value:
            value = f"{value}/{128 if ':' in value else 32}"
        options.setdefault("From", []).append(str(Subnet.parse(value)))
    elif key == "on":
        if not value or len(value) > _LONGEST_INTERFACE or "/" in value or not value.isprintable() or " " in value:
            raise InvalidArgument(f"invalid interface {value!r}: it cannot be the name of one")
        options["On"] = value
    else:
        return False
    return True


def _address(text: str) -> str:
    """The host's address without its brackets."""
    plain = text
    if text[:1] == "[":
        if text[-1] != "]":
            raise InvalidArgument(f"invalid IP address {text}: missing ']' in address")
        plain = text[1:-1]
    try:
        canonical(plain)
    except (OSError, ValueError):
        raise InvalidArgument(f"invalid IP address: {text}") from None
    return plain


def _range(text: str, problem: str, *, least: int) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    low, high = _number(first), _number(last if dash else first)
    if not least <= low <= high <= LARGEST:
        raise InvalidArgument(problem)
    return low, high


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1


def _check_reachable(address: str, options: dict[str, Any]) -> None:
    for each in options.get("From", ()):
        if address and Subnet.parse(each).family not in families(address, ()):
            raise InvalidArgument(f"nobody in {each} can connect to {address}: they are of different IP versions")
