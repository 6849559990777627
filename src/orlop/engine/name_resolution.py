"""What a user adds to how a container finds hosts: ``--dns``, ``--dns-search``, ``--dns-option``, ``--add-host``."""

from __future__ import annotations

import _socket

from orlop.errors import InvalidArgument, Unsupported
from orlop.network.names import hosts_file, resolv_conf, sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from orlop.engine.settings import Settings

GATEWAY = "host-gateway"
#: ``--dns-search .``: search nowhere (resolv.conf(5)).
_NOWHERE = "."


def check(settings: Settings) -> None:
    """Whether what a user says can be.

    Raises:
        InvalidArgument: an address is none, or something is not one word.
        Unsupported: it needs a network that the container is not going to have.
    """
    for address in settings.dns:
        if not _is_address(address):
            raise InvalidArgument(f"invalid --dns: {address} is not an ip address")
    for text in (*settings.dns_search, *settings.dns_options):
        if not text or any(character.isspace() for character in text):
            raise InvalidArgument(f"{text!r} is not a valid domain or resolver option: it must be one word")
    for text in settings.extra_hosts:
        if split(text)[1] == GATEWAY and settings.network == "none":
            raise Unsupported("unable to derive the IP value for host-gateway: the container is on no network")


def resolvers(theirs: bytes, dns: Sequence[str], search: Sequence[str], options: Sequence[str]) -> bytes:
    """The text of /etc/resolv.conf of a container that asks by itself.

    What the user says of a kind stands in for what ``theirs``, the host's, has of it.
    """
    if not (dns or search or options):
        return theirs
    conf = _said(theirs, search, options)
    conf.servers = list(dns) or conf.servers
    return conf.text().encode()


def own_resolver(theirs: bytes, search: Sequence[str], options: Sequence[str]) -> bytes:
    """The text of /etc/resolv.conf of a container whose networks have a resolver, as `resolvers`."""
    conf = _said(theirs, search, options)
    conf.servers = [sockets.ADDRESS]
    if conf.option("ndots") is None:
        # A name without a dot is most likely a container's: it is asked for as it is, and not in the host's domains first.
        conf.options.append("ndots:0")
    return conf.text().encode()


def hosts(extra: Sequence[str], gateways: Sequence[str]) -> list[str]:
    """Lines for /etc/hosts; ``gateways`` are the addresses of the host that the container can reach.

    Raises:
        InvalidArgument: one is not ``NAME:ADDRESS``.
        Unsupported: there is no such address.
    """
    lines = []
    for text in extra:
        name, address = split(text)
        if address == GATEWAY and not gateways:
            raise Unsupported("unable to derive the IP value for host-gateway: none of the networks reaches the host")
        lines += [hosts_file.line(each, name) for each in (gateways if address == GATEWAY else (address,))]
    return lines


def split(text: str) -> tuple[str, str]:
    """Name and address of one ``--add-host``: ``NAME:ADDRESS`` or ``NAME=ADDRESS``, an IPv6 one also in brackets.

    Raises:
        InvalidArgument: it has another form.
    """
    separator = "=" if "=" in text else ":"
    name, _, address = text.partition(separator)
    if address[:1] == "[" and address[-1:] == "]":
        address = address[1:-1]
    if not name or not address or any(character.isspace() for character in name):
        raise InvalidArgument(f'bad format for add-host: "{text}"')
    if address != GATEWAY and not _is_address(address):
        raise InvalidArgument(f'invalid IP address in add-host: "{address}"')
    return name, address


def _said(theirs: bytes, search: Sequence[str], options: Sequence[str]) -> resolv_conf.ResolvConf:
    conf = resolv_conf.parse(theirs.decode("utf-8", "replace"))
    if search:
        conf.search = [] if _NOWHERE in search else list(search)
    if options:
        conf.options = list(options)
    return conf


def _is_address(text: str) -> bool:
    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            _socket.inet_pton(family, text)
        except OSError:
            continue
        return True
    return False
