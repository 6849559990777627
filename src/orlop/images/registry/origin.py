"""Whom a URL leads to."""

from __future__ import annotations

from urllib.parse import urlsplit

from orlop.errors import RegistryError
from orlop.images.registry.hosts import host_and_port
from orlop.images.registry.refusals import plain

_LONGEST_URL = 16 << 10


class Origin:
    """Whom a URL leads to. Only equal origins see each other's credentials."""

    __slots__ = ("authority", "host", "port", "scheme")

    def __init__(self, scheme: str, authority: str) -> None:
        self.scheme = scheme
        self.authority = authority
        self.host, self.port = host_and_port(authority, scheme)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Origin) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def origin_of(url: str, what: str) -> Origin:
    """Whom an absolute URL leads to; ``what`` sent us there begins the error's sentence.

    Raises:
        RegistryError: it is malformed, carries a user's name, or is of another scheme than http and https.
    """
    parts = urlsplit(url) if _is_clean(url) else None
    if parts is None or parts.scheme not in ("http", "https") or "@" in parts.netloc or not parts.hostname:
        raise RegistryError(f'{what} leads to "{plain(url)}", which is no address on the web')
    return Origin(parts.scheme, parts.netloc.lower())


def _is_clean(url: str) -> bool:
    """Whether a URL is short enough and ASCII without spaces and control characters (RFC 3986)."""
    return len(url) <= _LONGEST_URL and url.isascii() and url.isprintable() and " " not in url and "\\" not in url
