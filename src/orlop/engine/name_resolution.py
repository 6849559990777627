"""What a user adds to how a container finds hosts: ``--dns``, ``--dns-search``, ``--dns-option``, ``--add-host``."""

from __future__ import annotations

import _socket

from orlop.errors import InvalidArgument, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.settings import Settings

_GATEWAY = "host-gateway"
#: ``--dns-search .``: search nowhere (resolv.conf(5)).
_NOWHERE = "."


def resolvers(ours: bytes, settings: Settings) -> bytes:
    """The text of /etc/resolv.conf: what the user says of a kind stands in for what ``ours`` has of it.

    Raises:
        InvalidArgument: an address is none.
    """
    for address in settings.dns:
        if not _is_address(address):
            raise InvalidArgument(f"invalid --dns: {address} is not an ip address")
    search = [] if _NOWHERE in settings.dns_search else settings.dns_search
    said = {
        "nameserver": [f"nameserver {address}" for address in settings.dns],
        "search": [f"search {' '.join(search)}"] if search else [],
        "options": [f"options {' '.join(settings.dns_options)}"] if settings.dns_options else [],
    }
    replaced = {kind for kind, lines in said.items() if lines}
    if settings.dns_search:
        replaced |= {"search", "domain"}
    if not replaced:
        return ours
    for text in (*search, *settings.dns_options):
        if not text or any(character.isspace() for character in text):
            raise InvalidArgument(f"{text!r} is not a valid domain or resolver option: it must be one word")
    kept = [
        line
        for line in ours.decode("utf-8", "replace").splitlines()
        if line and line[0] not in "#;" and line.split(None, 1)[:1] and line.split(None, 1)[0] not in replaced
    ]
    return "".join(line + "\n" for line in [*kept, *(line for lines in said.values() for line in lines)]).encode()


def hosts(settings: Settings) -> bytes:
    """Lines for /etc/hosts.

    Raises:
        InvalidArgument: one is not ``NAME:ADDRESS``.
        Unsupported: it needs a network that is not there.
    """
    lines = []
    for text in settings.extra_hosts:
        name, address = split(text)
        if address == _GATEWAY:
            if settings.network != "host":
                raise Unsupported("unable to derive the IP value for host-gateway: the container is on no network")
            address = "127.0.0.1"
        lines.append(f"{address}\t{name}\n")
    return "".join(lines).encode()


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
    if address != _GATEWAY and not _is_address(address):
        raise InvalidArgument(f'invalid IP address in add-host: "{address}"')
    return name, address


def _is_address(text: str) -> bool:
    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            _socket.inet_pton(family, text)
        except OSError:
            continue
        return True
    return False
