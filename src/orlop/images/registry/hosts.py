"""Where a registry is and how it is reached: its servers, its mirrors, and whether it may do without TLS.

The registries' part of orlop's configuration (`orlop.configuration`), by their domains::

    [registry."docker.io"]
    mirrors = ["https://mirror.example.com", "cache.example.com:5000/hub"]

    [registry."registry.example.com:5000"]
    insecure = true          # no certificate is checked, and plain HTTP is taken

What other engines are told of registries counts as well (`orlop.images.registry.elsewhere`).

Mirrors are asked in their order before the registry itself, for pulling only. One with a path has the registry's
repositories below that path. A mirror is as insecure as the configuration of its own host says, or its URL.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from orlop import configuration
from orlop.errors import InvalidArgument
from orlop.images.registry import elsewhere
from orlop.images.registry.proxies import is_loopback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from orlop.images.registry.credentials import Credential

#: The server that has what is called docker.io.
_HUB = "registry-1.docker.io"


class Server:
    """One server of a registry: its host with its port, the schemes to try in their order, and a path before names."""

    __slots__ = ("authority", "insecure", "is_mirror", "prefix", "schemes")

    def __init__(
        self,
        authority: str,
        schemes: tuple[str, ...],
        *,
        prefix: str = "",
        insecure: bool = False,
        mirror: bool = False,
    ) -> None:
        self.authority = authority
        self.schemes = schemes
        self.prefix = prefix
        #: Whether its certificate is not checked.
        self.insecure = insecure
        self.is_mirror = mirror


class RegistryOptions:
    """How registries are talked to; a value that is not changed after it was made.

    ``environment`` is where the configuration, credentials and proxies are looked up. ``credentials`` is asked
    for a host's credentials if it is given, and nobody else then. ``insecure`` names hosts in addition to those of the configuration;
    ``verify_tls=False`` means all. Times are in seconds: ``connect_timeout`` for reaching a server, ``read_timeout``
    for any silence of it, ``answer_timeout`` for a whole answer that is not a blob. ``attempts`` is how often a request
    is tried, ``longest_wait`` the longest time that a server can have us wait before the next. ``chunk_size`` is how
    many bytes of a blob one request brings to a registry; 0 is all of it, as long as the registry takes that.
    """

    __slots__ = (
        "answer_timeout",
        "attempts",
        "certificate_directories",
        "chunk_size",
        "connect_timeout",
        "credentials",
        "environment",
        "insecure",
        "longest_wait",
        "read_timeout",
        "registries",
        "user_agent",
        "verify_tls",
    )

    def __init__(
        self,
        *,
        environment: Mapping[str, str] | None = None,
        registries: Mapping[str, Mapping[str, Any]] | None = None,
        credentials: Callable[[str], Credential | None] | None = None,
        insecure: tuple[str, ...] = (),
        verify_tls: bool = True,
        certificate_directories: tuple[str, ...] | None = None,
        connect_timeout: float = 15,
        read_timeout: float = 60,
        answer_timeout: float = 120,
        attempts: int = 5,
        longest_wait: float = 60,
        chunk_size: int = 0,
    ) -> None:
        from orlop import __version__

        self.environment = os.environ if environment is None else environment
        self.registries = registries_of(self.environment) if registries is None else registries
        self.credentials = credentials
        self.insecure = insecure
        self.verify_tls = verify_tls
        self.certificate_directories = (
            _certificate_directories(self.environment) if certificate_directories is None else certificate_directories
        )
        self.connect_timeout = connect_timeout
        self.read_timeout = read_timeout
        self.answer_timeout = answer_timeout
        self.attempts = attempts
        self.longest_wait = longest_wait
        self.chunk_size = chunk_size
        self.user_agent = f"orlop/{__version__}"

    def is_insecure(self, authority: str) -> bool:
        """Whether a host, named with its port if it has one, may do without a certificate and without TLS."""
        if not self.verify_tls or authority in self.insecure:
            return True
        said = self.registries.get(_domain_of(authority), {}).get("insecure")
        if said is not None:
            return bool(said)
        networks = [name for name, said in self.registries.items() if "/" in name and said.get("insecure")]
        return bool(networks) and _is_within(host_and_port(authority, "https")[0], networks)

    def may_be_plain(self, authority: str) -> bool:
        """Whether plain HTTP is taken from a host: this machine itself, or one that is configured so."""
        return self.is_insecure(authority) or is_loopback(host_and_port(authority, "https")[0])

    def certificates(self, authority: str) -> tuple[list[str], list[tuple[str, str]]]:
        """Files of authorities to trust for a host, and of certificates with their keys to show it, as configured."""
        said = self.registries.get(_domain_of(authority), {})
        return list(said.get("ca", ())), [(certificate, key) for certificate, key in said.get("client", ())]

    def servers(self, domain: str) -> list[Server]:
        """The servers of a registry, mirrors first and the registry itself last."""
        mirrors = self.registries.get(domain, {}).get("mirrors", ())
        return [*(self._mirror(mirror) for mirror in mirrors), self._server(_HUB if domain == "docker.io" else domain)]

    def _server(self, authority: str, prefix: str = "", *, mirror: bool = False) -> Server:
        schemes = ("https", "http") if self.may_be_plain(authority) else ("https",)
        return Server(authority, schemes, prefix=prefix, insecure=self.is_insecure(authority), mirror=mirror)

    def _mirror(self, url: str) -> Server:
        scheme, separator, rest = url.rpartition("://")
        authority, _, prefix = rest.partition("/")
        prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        if not separator:
            return self._server(authority, prefix, mirror=True)
        return Server(authority, (scheme,), prefix=prefix, insecure=self.is_insecure(authority), mirror=True)


def host_and_port(authority: str, scheme: str) -> tuple[str, int]:
    """The host, without brackets and in lower case, and the port of ``host[:port]``.

    Raises:
        InvalidArgument: it is not of that form.
    """
    try:
        parts = urlsplit(f"//{authority}")
        port = parts.port
    except ValueError:
        port = -1
    if port == -1 or not parts.hostname or parts.path or parts.username is not None or parts.query or parts.fragment:
        raise InvalidArgument(f'"{authority[:160]}" is not a host with an optional port')
    return parts.hostname, port or (443 if scheme == "https" else 80)


def _is_within(host: str, networks: Iterable[str]) -> bool:
    """Whether a host is an address of a network such as ``10.0.0.0/8``."""
    import ipaddress

    try:
        address = ipaddress.ip_address(host)
        return any(address in ipaddress.ip_network(each, strict=False) for each in networks)
    except ValueError:
        return False  # a name, of which nobody knows whose address it has when it is asked for


def _domain_of(authority: str) -> str:
    return "docker.io" if authority == _HUB else authority


def _certificate_directories(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Where certificates are, the most important place first."""
    directory = configuration.user_directory(environment)
    own = (f"{directory}/containers/certs.d", f"{directory}/docker/certs.d") if directory else ()
    return (*own, "/etc/containers/certs.d", "/etc/docker/certs.d", "/etc/containerd/certs.d")


def registries_of(
    environment: Mapping[str, str], system: str = configuration.SYSTEM, etc: str = "/etc"
) -> dict[str, dict[str, Any]]:
    """What is configured of registries, by domain: here, and for other engines (`elsewhere`), whose files are in ``etc``.

    Raises:
        InvalidArgument: a file is not TOML, or says something of a registry that means nothing.
    """
    found = elsewhere.settings(environment, etc)
    for domain, settings in found.items():
        for url in settings.get("mirrors", ()):
            _check_mirror(url, f"{domain}, which another engine's configuration names,")
    for path, registries in configuration.tables(environment, "registry", system):
        for domain, settings in registries.items():
            _check(settings, f'registry."{domain}" in {path}')
            found[domain] = found.get(domain, {}) | settings
    return found


def _check(settings: object, where: str) -> None:
    if not isinstance(settings, dict):
        raise InvalidArgument(f"{where} must be a table")
    for key, value in settings.items():
        if key == "insecure":
            if not isinstance(value, bool):
                raise InvalidArgument(f"insecure of {where} must be true or false")
        elif key == "mirrors":
            if not isinstance(value, list) or not all(isinstance(url, str) for url in value):
                raise InvalidArgument(f"mirrors of {where} must be an array of strings")
            for url in value:
                _check_mirror(url, where)
        else:
            raise InvalidArgument(f'{where} has the unknown key "{key}": there are mirrors and insecure')


def _check_mirror(url: str, where: str) -> None:
    scheme, separator, rest = url.rpartition("://")
    if separator and scheme not in ("https", "http"):
        raise InvalidArgument(f'the mirror "{url}" of {where} must be of http or https')
    try:
        host_and_port(rest.partition("/")[0], scheme)
    except InvalidArgument as error:
        raise InvalidArgument(f'the mirror "{url}" of {where} cannot be used: {error}') from None
