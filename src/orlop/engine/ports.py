"""A container's ports that can be reached from outside."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.container import Container


def published(target: Container) -> dict[str, list[str]]:
    """For each published port, such as ``80/tcp``, the addresses at which it is, such as ``0.0.0.0:8080``.

    A container without a network of its own, as one with ``--network none`` or ``host``, has none.

    Raises:
        NotFound: the container was removed meanwhile.
    """
    found: dict[str, list[str]] = {}
    settings = target.record.get("NetworkSettings") or {}
    for port, bindings in (settings.get("Ports") or {}).items():
        addresses = [_address(each["HostIp"], each["HostPort"]) for each in bindings or ()]
        if addresses:
            found[port] = addresses
    return found


def order(port: str) -> tuple[int, str]:
    """What ports are sorted by: number, then protocol."""
    number, _, protocol = port.partition("/")
    return int(number), protocol


def _address(host: str, port: str) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
