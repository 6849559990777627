"""The files that tell a container who it is and whom to ask: /etc/hostname, /etc/hosts, /etc/resolv.conf.

They lie in the container's directory and are bound over the root file system's own, so they can be changed while it runs,
in place. What its addresses have to do with it is put in when it is connected to its networks; what its programs write to
/etc/resolv.conf stays, as the note shows that begins what is ours.
"""

from __future__ import annotations

import _blake2
import os

from orlop.network.names import hosts_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from orlop.engine.settings import Settings
    from orlop.network.endpoint import Endpoint
    from orlop.network.record import Network

#: Their names in a container's directory, and below its /etc.
FILES = ("resolv.conf", "hostname", "hosts")
#: Files that a container has made larger than this are its own affair.
_LARGEST = 1 << 20
#: What is read at once: memory for that much is had without asking the kernel.
_AT_ONCE = 1 << 14
#: Where a container on the host's network finds the host.
_HOST = "127.0.0.1"
#: Where one finds itself that has no address which we know of.
_ITSELF = "127.0.1.1"
_NOTE = b"# As orlop wrote it: "
_WHY = b". What is changed here stays.\n"


def write(directory: str, settings: Settings) -> None:
    """Make the three files in a container's directory; with the host's network they are the host's.

    Raises:
        InvalidArgument: what is to be added to them cannot be.
    """
    from orlop.engine import network_mode

    hostname = settings.hostname
    on_host = settings.network == "host"
    is_connected = network_mode.is_connected(settings.network)
    hosts = _hosts_of_host() if on_host else hosts_file.LOCAL.encode()
    resolvers = (_read("/etc/resolv.conf") if on_host else None) or b""
    if is_connected or not settings.is_ordinary:
        from orlop.engine import name_resolution

        name_resolution.check(settings)
        if is_connected:
            resolvers = _noted(_own_resolver(settings.dns_search, settings.dns_options))
        else:
            resolvers = name_resolution.resolvers(resolvers, settings.dns, settings.dns_search, settings.dns_options)
            own = hosts_file.line(_ITSELF, _names(hostname, settings.domainname)) if not on_host and hostname else ""
            hosts += "".join((own, *name_resolution.hosts(settings.extra_hosts, [_HOST]))).encode()
    elif not on_host and hostname:
        hosts += hosts_file.line(_ITSELF, _names(hostname, "")).encode()
    texts = {"resolv.conf": resolvers, "hostname": f"{hostname}\n".encode(), "hosts": hosts}
    for name in FILES:
        # 0644: any user in the container reads them; outside, the directory around them keeps others out.
        descriptor = os.open(f"{directory}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            os.fchmod(descriptor, 0o644)
            os.write(descriptor, texts[name])
        finally:
            os.close(descriptor)


def at_start(
    directory: str,
    record: Mapping[str, Any],
    networks: Sequence[Network],
    endpoints: Sequence[Endpoint],
    linked: Sequence[str] = (),
    gateways: Sequence[str] = (),
) -> None:
    """Have the files of a container say what is so now, as it starts on ``networks``.

    ``endpoints`` are its connections to them, ``linked`` further lines for hosts. Without networks that we know of,
    ``gateways`` are the addresses at which it finds the host.

    Raises:
        Unsupported: it is to know the host's address, and no network has one.
    """
    host = record["HostConfig"]
    lines = [hosts_file.LOCAL]
    if host.get("ExtraHosts"):
        from orlop.engine import name_resolution

        lines += name_resolution.hosts(host["ExtraHosts"], gateways or _gateways(networks, endpoints))
    lines += linked
    names = names_of(record)
    addresses = [address for each in endpoints for address in each.addresses]
    lines += [hosts_file.line(address, names) for address in addresses or [_ITSELF]]
    _replace(f"{directory}/hosts", "".join(lines).encode())
    renew_resolver(directory, record)


def as_host(directory: str, record: Mapping[str, Any]) -> None:
    """Have the files of a container that has the host's network say what the host's do now, as it starts again."""
    from orlop.engine import name_resolution

    host = record["HostConfig"]
    hosts = _hosts_of_host()
    resolvers = _read("/etc/resolv.conf") or b""
    said = (host.get(key) or () for key in ("Dns", "DnsSearch", "DnsOptions"))
    extra = name_resolution.hosts(host.get("ExtraHosts") or (), [_HOST])
    try:
        _replace(f"{directory}/hosts", hosts + "".join(extra).encode())
        _replace(f"{directory}/resolv.conf", name_resolution.resolvers(resolvers, *said))
    except PermissionError:
        return  # an ordinary user's container has made them those of another of its users


def renew_resolver(directory: str, record: Mapping[str, Any]) -> None:
    """Have a container on networks ask their resolver, and search where its host does now, unless it said otherwise."""
    host = record["HostConfig"]
    before = _read(f"{directory}/resolv.conf")
    if before is not None and (not before or _is_ours(before)):
        now = _noted(_own_resolver(host.get("DnsSearch") or (), host.get("DnsOptions") or ()))
        if now != before:
            _replace(f"{directory}/resolv.conf", now)


def renew_hosts(directory: str, names: str, addresses: Sequence[str]) -> None:
    """Have a running container find ``names``, its own or those of a link, at these addresses only."""
    before = _read(f"{directory}/hosts")
    if before is None:
        return
    text = before.decode("utf-8", "surrogateescape")
    now = hosts_file.renew(text, names, addresses)
    if now != text:
        _replace(f"{directory}/hosts", now.encode("utf-8", "surrogateescape"))


def names_of(record: Mapping[str, Any]) -> str:
    """What a container calls itself."""
    config = record["Config"]
    return _names(config["Hostname"], config.get("Domainname") or "")


def mounts(directory: str) -> list[dict[str, Any]]:
    """The OCI mounts that put the files in place."""
    return [
        {
            "destination": f"/etc/{name}",
            "type": "bind",
            "source": f"{directory}/{name}",
            "options": ["rbind", "rprivate", "rw"],
        }
        for name in FILES
    ]


def _own_resolver(search: Sequence[str], options: Sequence[str]) -> bytes:
    from orlop.engine import name_resolution

    return name_resolution.own_resolver(_read("/etc/resolv.conf") or b"", search, options)


def _names(hostname: str, domainname: str) -> str:
    if domainname:
        return f"{hostname}.{domainname} {hostname}"
    short = hostname.partition(".")[0]
    return hostname if short in ("", hostname) else f"{hostname} {short}"


def _gateways(networks: Sequence[Network], endpoints: Sequence[Endpoint]) -> list[str]:
    """Where a container reaches the host: at a bridge, that of the network by which it reaches everything else if it can."""
    from orlop.network import record as network_record

    bridges = {each.id: each for each in networks if each.driver == network_record.BRIDGE}
    found: dict[int, str] = {}
    able = [each for each in endpoints if each.network in bridges]
    for each in sorted(able, key=lambda one: (-one.gateway_priority, bridges[one.network].internal, one.network_name)):
        for pool in bridges[each.network].pools:
            if pool.gateway:
                found.setdefault(pool.family, pool.gateway)
    return [found[family] for family in sorted(found)]


def _noted(text: bytes) -> bytes:
    return _NOTE + _digest(text) + _WHY + text


def _is_ours(text: bytes) -> bool:
    """Whether a text is as we wrote it."""
    note, _, rest = text.partition(b"\n")
    return note + b"\n" == _NOTE + _digest(rest) + _WHY


def _digest(text: bytes) -> bytes:
    return _blake2.blake2s(text, digest_size=6).hexdigest().encode()


def _replace(path: str, text: bytes) -> None:
    """Change a file in place, since it is mounted in a container; who reads it meanwhile sees a part at worst."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        written = 0
        while written < len(text):
            written += os.write(descriptor, text[written:])
        os.ftruncate(descriptor, written)
    finally:
        os.close(descriptor)


def _hosts_of_host() -> bytes:
    text = _read("/etc/hosts") or hosts_file.LOCAL.encode()
    return text if text.endswith(b"\n") else text + b"\n"


def _read(path: str) -> bytes | None:
    """A file's text; None if there is none, or it is too large to be one of these."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    text = b""
    try:
        while len(text) <= _LARGEST and (part := os.read(descriptor, _AT_ONCE)):
            text += part
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return text if len(text) <= _LARGEST else None
