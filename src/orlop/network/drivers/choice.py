"""Which drivers there are."""

from __future__ import annotations

from orlop.errors import InvalidArgument, Unsupported
from orlop.network import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.network.drivers.interface import Driver


def find(name: str) -> Driver:
    """The driver of a name, for networks that containers have devices on.

    Raises:
        InvalidArgument: containers on networks of this driver have none.
        Unsupported: there is no such driver.
    """
    if name == record.BRIDGE:
        from orlop.network.drivers.bridge import Bridge

        return Bridge()
    if name in (record.MACVLAN, record.IPVLAN):
        from orlop.network.drivers import macvlan

        return macvlan.Macvlan() if name == record.MACVLAN else macvlan.Ipvlan()
    if name in (record.HOST, record.NULL):
        raise InvalidArgument(f'only one instance of "{name}" network is allowed')
    raise Unsupported(
        f'error looking up network plugin {name}: plugin "{name}" not found; there are bridge, macvlan and ipvlan'
    )
