"""The networks that every engine has: ``bridge``, where containers are that name none, ``host`` and ``none``.

They are written down when somebody first needs one. The bridge's device is ``orlop0`` for the engine that is the
machine's own (`/var/lib/orlop`), and has a name that is derived from the root directory for every other one.
"""

from __future__ import annotations

import os

from orlop.errors import OrlopError
from orlop.linux import network_device, route
from orlop.network import pools, record, store
from orlop.network.record import Network, Pool
from orlop.network.subnet import Subnet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from orlop.linux.netlink import Netlink
    from orlop.network.place import Place

_MACHINES_OWN = "/var/lib/orlop/networks"
_DRIVERS = {record.BRIDGE: record.BRIDGE, record.HOST: record.HOST, record.NONE: record.NULL}


def make(place: Place, names: Sequence[str]) -> None:
    """Write down those of these names that are not there.

    Raises:
        OrlopError: no subnet is left for the default network.
    """
    with store.Changing(place) as changing:
        for name in names:
            if changing.is_free(name):
                network = Network(os.urandom(32).hex(), name, _DRIVERS[name])
                if name != record.BRIDGE:
                    changing.publish(network)
                    continue
                network.options = {
                    record.DEFAULT_BRIDGE: "true",
                    record.ENABLE_ICC: "true",
                    record.ENABLE_MASQUERADE: "true",
                    record.HOST_BINDING_IPV4: "0.0.0.0",  # noqa: S104 - what is published is published to all
                    record.BRIDGE_NAME: device_name(place),
                    record.MTU: "1500",
                }
                with pools.Claims(place) as claims:
                    others = list(claims.others(everywhere=True))
                    subnet = pools.choose(pools.taken(changing.networks()), others)
                    network.pools = [Pool(str(subnet), "", subnet.address(1), {})]
                    claims.take(subnet, network.id)
                    changing.publish(network)


def fit(netlink: Netlink, place: Place, network: Network) -> None:
    """Have the default network, which is about to be made, be where nobody else is by now, and under the engine's own name.

    Whoever has had its subnet chosen counts on no certain one. The machine may have got a route to it meanwhile; and a state
    directory that was copied has the network of the original, device and all.
    """
    name = device_name(place)
    if network.bridge == name and not _is_in_the_way(netlink, network):
        return
    with store.Changing(place) as changing, pools.Claims(place) as claims:
        network.options = {**network.options, record.BRIDGE_NAME: name}
        theirs = list(claims.others(everywhere=False))
        subnet = network.pools[0].parsed()
        if _is_in_the_way(netlink, network) or any(subnet.overlaps(each) for each, _ in theirs):
            others = [each for each in changing.networks() if each.id != network.id]
            try:
                found = pools.choose(pools.taken(others), claims.others(everywhere=True))
            except OrlopError:
                found = subnet  # everything is somebody's: who has a closer route is reached, as before
            claims.give_back([subnet], network.id)
            subnet = found
            network.pools = [Pool(str(subnet), "", subnet.address(1), {})]
        claims.take(subnet, network.id)
        changing.replace(network)


def _is_in_the_way(netlink: Netlink, network: Network) -> bool:
    """Whether a route of the machine's, other than by the network's own device, leads where the network is."""
    subnet = network.pools[0].parsed()
    own = network_device.find(netlink, network.bridge)
    return any(
        each.kind == route.UNICAST
        and each.device != own
        and not each.destination.endswith("/0")
        and subnet.overlaps(Subnet.parse(each.destination))
        for each in route.routes(netlink, subnet.family)
    )


def device_name(place: Place) -> str:
    """The name of the default bridge's device."""
    if place.directory == _MACHINES_OWN:
        return "orlop0"
    import _blake2

    return f"orlop-{_blake2.blake2s(place.directory.encode(), digest_size=5).hexdigest()[:9]}"
