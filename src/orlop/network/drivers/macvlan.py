"""The drivers ``macvlan`` and ``ipvlan``: containers on the network that a device of the machine is on.

The device is the option ``parent``. With macvlan each container has a hardware address of its own there, with ipvlan
they share the device's. Neither reaches the machine itself by it.
Sources: ip-link(8), Documentation/networking/ipvlan.rst.
"""

from __future__ import annotations

from orlop.errors import InvalidArgument, NotFound, Unsupported
from orlop.linux import macvlan, network_device
from orlop.linux.netlink import Netlink
from orlop.network import record
from orlop.network.drivers import interface
from orlop.network.drivers.interface import Driver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.network.endpoint import Endpoint
    from orlop.network.place import Place
    from orlop.network.record import Network

_PARENT = "parent"
_ENODEV = 19
_EOPNOTSUPP = 95


class Shared(Driver):
    """What both have in common."""

    __slots__ = ()

    kind = ""
    #: Each option's key, and what may be said for it, the first without anything said.
    choices: dict[str, tuple[str, ...]] = {}

    def check(self, network: Network) -> None:
        """See `Driver.check`."""
        for key, known in self.choices.items():
            if network.options.get(key, known[0]) not in known:
                raise InvalidArgument(f"invalid {key}: {network.options[key]}: it is one of {', '.join(known)}")
        for key in network.options:
            if key not in (_PARENT, record.MTU, *self.choices) and not key.startswith("com.docker."):
                raise InvalidArgument(f"unknown {self.kind} driver option: {key}")
        with Netlink() as netlink:
            self._check_kernel(netlink)
            self._parent(netlink, network)

    def _check_kernel(self, netlink: Netlink) -> None:
        """Ask for a device that cannot be: what the kernel complains of is either that, or the kind."""
        try:
            network_device.create(netlink, self.kind, "orlop-probe")
        except OSError as error:
            if error.errno == _EOPNOTSUPP:
                raise Unsupported(
                    f"this machine's kernel has no {self.kind} devices: load the module {self.kind}, or use another driver"
                ) from None
            return
        network_device.delete(netlink, "orlop-probe")

    def _parent(self, netlink: Netlink, network: Network) -> int:
        name = network.options.get(_PARENT, "")
        if not name:
            raise InvalidArgument(
                f"a network of the driver {self.kind} needs the machine's device: say -o parent=DEVICE"
            )
        index = network_device.find(netlink, name)
        if index is None:
            raise NotFound(f"network {network.name}: the machine has no device {name} (option parent)")
        return index

    def up(self, netlink: Netlink, place: Place, network: Network) -> int:  # noqa: ARG002 - the interface's
        """See `Driver.up`."""
        return self._parent(netlink, network)

    def down(self, netlink: Netlink, place: Place, network: Network) -> None:
        """See `Driver.down`: the device is the machine's own."""

    def prepare(self, network: Network, endpoint: Endpoint) -> None:
        """See `Driver.prepare`."""
        endpoint.host_interface = network.options[_PARENT]

    def detach(self, netlink: Netlink, inside: Netlink, endpoint: Endpoint) -> None:  # noqa: ARG002 - the interface's
        """See `Driver.detach`."""
        network_device.delete(inside, endpoint.interface)


class Macvlan(Shared):
    """Containers with hardware addresses of their own on a network of the machine's."""

    __slots__ = ()

    kind = record.MACVLAN
    choices = {"macvlan_mode": ("bridge", "private", "vepa", "passthru")}

    def attach(self, netlink: Netlink, network: Network, base: int, endpoint: Endpoint, namespace: int) -> None:
        """See `Driver.attach`."""
        macvlan.create(
            netlink,
            endpoint.interface,
            base,
            network.options.get("macvlan_mode", "bridge"),
            mac=interface.mac(endpoint),
            mtu=network.mtu,
            namespace=namespace,
        )


class Ipvlan(Shared):
    """Containers that share the hardware address of a device of the machine's."""

    __slots__ = ()

    kind = record.IPVLAN
    choices = {"ipvlan_mode": ("l2", "l3", "l3s"), "ipvlan_flag": ("bridge", "private", "vepa")}

    def prepare(self, network: Network, endpoint: Endpoint) -> None:
        """See `Driver.prepare`."""
        super().prepare(network, endpoint)
        endpoint.mac = ""  # the parent's

    def attach(self, netlink: Netlink, network: Network, base: int, endpoint: Endpoint, namespace: int) -> None:
        """See `Driver.attach`."""
        macvlan.create_ipvlan(
            netlink,
            endpoint.interface,
            base,
            network.options.get("ipvlan_mode", "l2"),
            network.options.get("ipvlan_flag", "bridge"),
            mtu=network.mtu,
            namespace=namespace,
        )
