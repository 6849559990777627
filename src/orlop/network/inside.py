"""A container's own network namespace: its devices' addresses, and by which of them it reaches the rest of the world."""

from __future__ import annotations

from orlop.errors import OrlopError
from orlop.linux import network_address, network_device, route

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orlop.linux.netlink import Netlink
    from orlop.network.endpoint import Endpoint

_LOOPBACK = 1  # the index of lo, which every namespace is born with (net/core/dev.c)
_EVERYWHERE = {"ipv4": "0.0.0.0/0", "ipv6": "::/0"}


def configure(inside: Netlink, endpoint: Endpoint) -> int:
    """Give a device that was just attached its addresses, and switch it on; returns its index.

    Raises:
        OSError: the kernel refused.
        OrlopError: the device is not there.
    """
    index = network_device.find(inside, endpoint.interface)
    if index is None:
        raise OrlopError(f"the device {endpoint.interface} vanished while the container was connected")
    with inside.batch() as batch:
        network_device.set_up(batch, _LOOPBACK)
        network_device.change(batch, index, up=True, link_local=bool(endpoint.ipv6))
        for text in (endpoint.ipv4, endpoint.ipv6, *endpoint.link_local):
            if text:
                address, _, prefix = text.partition("/")
                network_address.add(batch, index, address, int(prefix))
    return index


def choose_gateways(endpoints: Sequence[Endpoint]) -> dict[str, Endpoint]:
    """By which of a container's networks it reaches the rest of the world: for ``ipv4`` and ``ipv6``, where there is one.

    That is the one with the highest priority, the first of them by its network's name.
    """
    found: dict[str, Endpoint] = {}
    for family in _EVERYWHERE:
        able = [each for each in endpoints if getattr(each, f"gateway_{family}")]
        if able:
            found[family] = min(able, key=lambda each: (-each.gateway_priority, each.network_name))
    return found


def set_default_routes(
    inside: Netlink, endpoints: Sequence[Endpoint], indexes: Mapping[str, int] | None = None
) -> None:
    """Have a container reach the rest of the world as `choose_gateways` says, whatever was so before.

    ``indexes`` are those of its devices that are known already.

    Raises:
        OSError: the kernel refused.
    """
    for family, chosen in choose_gateways(endpoints).items():
        index = (indexes or {}).get(chosen.interface) or network_device.find(inside, chosen.interface)
        if index is None:
            continue
        gateway = str(getattr(chosen, f"gateway_{family}"))
        by = "" if gateway == ON_LINK else gateway
        route.add(inside, _EVERYWHERE[family], device=index, gateway=by, replace=True)


#: Stands for a gateway where everything is reached directly, through the device.
ON_LINK = "-"
