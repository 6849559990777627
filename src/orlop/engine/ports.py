"""A container's ports that can be reached from outside, as they are shown."""

from __future__ import annotations

from orlop.engine import network_mode
from orlop.network.ports import published as in_force
from orlop.network.ports.specification import order

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from orlop.engine.container import Container

    #: ``NetworkSettings.Ports`` of Docker's API: for each port, such as ``80/tcp``, its bindings, None if it is only exposed.
    Ports = dict[str, list[dict[str, Any]] | None]


def settings(target: Container, *, is_running: bool) -> Ports:
    """``NetworkSettings.Ports`` of Docker's API.

    Raises:
        NotFound: the container was removed meanwhile.
    """
    if not is_running or not network_mode.has_ports(target.record):
        return {}
    found: Ports = dict.fromkeys(target.record["Config"].get("ExposedPorts") or ())
    known = in_force.read(target.location.networks, target.id)
    for each in known.ports if known is not None and not known.is_over else ():
        bindings = found.get(each.port) or []
        found[each.port] = bindings + each.bindings()
    return dict(sorted(found.items(), key=lambda item: order(item[0])))


def published(target: Container) -> dict[str, list[str]]:
    """For each published port, such as ``80/tcp``, the addresses at which it is, such as ``0.0.0.0:8080``.

    A container without a network of its own, as one with ``--network none`` or ``host``, has none; nor has one that does
    not run.

    Raises:
        NotFound: the container was removed meanwhile.
    """
    ports = settings(target, is_running=bool(target.state()["Running"]))
    return {
        port: [in_force.shown(each["HostIp"], int(each["HostPort"])) for each in bindings]
        for port, bindings in ports.items()
        if bindings
    }


def of_host(ports: Ports) -> list[str]:
    """The host's ports, each such as ``8080/tcp``."""
    return [
        f"{each['HostPort']}/{port.partition('/')[2]}" for port, bindings in ports.items() for each in bindings or ()
    ]


def displayed(ports: Ports) -> str:
    """What ``ps`` shows, as Docker does.

    Neighbours that are only exposed, or published under their own numbers, are put together.
    """
    rows = sorted(
        (number, address, host, protocol)
        for port, bindings in ports.items()
        for number, protocol in (order(port),)
        for address, host in (_addresses(bindings) or [("", 0)])
    )
    groups: dict[tuple[str, str], list[int]] = {}
    whole, others = [], []
    for number, address, host, protocol in rows:
        if address and host != number:
            others.append(f"{in_force.shown(address, host)}->{number}/{protocol}")
            continue
        group = groups.setdefault((address, protocol), [number, number])
        if number == group[1] + 1:
            group[1] = number
        elif number > group[1]:
            whole.append(_group(address, protocol, group))
            groups[address, protocol] = [number, number]
    whole += [_group(address, protocol, group) for (address, protocol), group in groups.items()]
    return ", ".join(whole + others)


def _addresses(bindings: Sequence[Mapping[str, Any]] | None) -> list[tuple[str, int]]:
    return [(each["HostIp"], int(each["HostPort"])) for each in bindings or ()]


def _group(address: str, protocol: str, group: Sequence[int]) -> str:
    first, last = group
    numbers = str(first) if first == last else f"{first}-{last}"
    if not address:
        return f"{numbers}/{protocol}"
    host = f"[{address}]" if ":" in address else address
    return f"{host}:{numbers}->{numbers}/{protocol}"
