"""The networks that every engine has: ``bridge``, where containers are that name none, ``host`` and ``none``.

They are written down when somebody first needs one. The bridge's device is ``orlop0`` for the engine that is the
machine's own (`/var/lib/orlop`), and has a name that is derived from the root directory for every other one.
"""

from __future__ import annotations

import os

from orlop.network import pools, record, store
from orlop.network.record import Network, Pool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

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


def device_name(place: Place) -> str:
    """The name of the default bridge's device."""
    if place.directory == _MACHINES_OWN:
        return "orlop0"
    import _blake2

    return f"orlop-{_blake2.blake2s(place.directory.encode(), digest_size=5).hexdigest()[:9]}"
