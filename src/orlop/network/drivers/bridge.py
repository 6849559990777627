"""The driver ``bridge``: a switch of the kernel's on the host, and a pair of devices from it to each container.

Sources: bridge(8), veth(4), Documentation/networking/bridge.rst.
"""

from __future__ import annotations

import os

from orlop.errors import Conflict, InvalidArgument
from orlop.linux import bridge, network_address, network_device, veth
from orlop.network import predefined, protection, record
from orlop.network.drivers import interface
from orlop.network.drivers.interface import Driver
from orlop.network.firewall import forwarding
from orlop.network.firewall.zone import ISOLATED, MODES, NAT
from orlop.network.subnet import IPV4

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.netlink import Netlink, Requests
    from orlop.network.endpoint import Endpoint
    from orlop.network.place import Place
    from orlop.network.record import Network

_LONGEST_NAME = 15
_EEXIST = 17
#: Beside the endpoints of a network that is up: a bridge with a name of the user's was made by us, and goes again.
_MADE = "made"


class Bridge(Driver):
    """Containers on one switch, which the machine is on too."""

    __slots__ = ()

    def check(self, network: Network) -> None:
        """See `Driver.check`."""
        name = network.options.get(record.BRIDGE_NAME, "")
        if len(name) > _LONGEST_NAME or any(each in "/%:" or each.isspace() for each in name) or name in {".", ".."}:
            raise InvalidArgument(
                f"invalid bridge name {name!r}: at most {_LONGEST_NAME} characters, no blank and none of / % :"
            )
        _check_mtu(network)
        for key in (record.ENABLE_ICC, record.ENABLE_MASQUERADE, record.INHIBIT_IPV4):
            if network.options.get(key, "true") not in record.BOOLEANS:
                raise InvalidArgument(f"invalid {key}: {network.options[key]}: true or false")
        for key in (record.GATEWAY_MODE_IPV4, record.GATEWAY_MODE_IPV6):
            if network.options.get(key, NAT) not in MODES:
                raise InvalidArgument(f"invalid {key}: {network.options[key]}: it is one of {', '.join(MODES)}")

    def up(self, netlink: Netlink, place: Place, network: Network) -> int:
        """See `Driver.up`."""
        if network.is_default:
            predefined.fit(netlink, place, network)
        name = network.bridge
        there = network_device.get(netlink, name)
        if there is not None and there.kind != "bridge":
            raise Conflict(f"network {network.name}: the machine's device {name} is no bridge: remove or rename it")
        if there is None:
            if _is_named(network):
                made = f"{place.running(network.id)}/{_MADE}"
                os.close(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            bridge.create(netlink, name, mac=_mac(network), mtu=network.mtu)
            there = network_device.get(netlink, name)
        if there is None:
            raise Conflict(f"network {network.name}: somebody removed the bridge {name} while it was made")
        with netlink.batch() as batch:
            network_device.change(batch, there.index, up=True, link_local=network.ipv6)
            for pool in network.pools:
                if pool.gateway and _has_gateway(network, pool.family):
                    network_address.add(batch, there.index, pool.gateway, pool.parsed().prefix)
        protection.enclose(place, network)
        return there.index

    def check_up(self, place: Place) -> None:
        """See `Driver.check_up`."""
        protection.check(place)

    def down(self, netlink: Netlink, place: Place, network: Network) -> None:
        """See `Driver.down`."""
        protection.release(place, network)
        if not _is_named(network) or os.path.lexists(f"{place.running(network.id)}/{_MADE}"):
            network_device.delete(netlink, network.bridge)

    def prepare(self, network: Network, endpoint: Endpoint) -> None:  # noqa: ARG002 - the interface's
        """See `Driver.prepare`."""
        endpoint.host_interface = f"ov-{endpoint.id[:12]}"

    def attach(self, netlink: Netlink, network: Network, base: int, endpoint: Endpoint, namespace: int) -> None:
        """See `Driver.attach`."""
        with netlink.batch() as batch:
            veth.create(
                batch,
                endpoint.host_interface,
                endpoint.interface,
                peer_mac=interface.mac(endpoint),
                mtu=network.mtu,
                master=base,
                peer_namespace=namespace,
            )
            network_device.change(batch, endpoint.host_interface, up=True, link_local=False)
            _set_port(batch, network, endpoint)

    def is_up(self, netlink: Netlink, network: Network, base: int) -> bool:
        """See `Driver.is_up`."""
        there = network_device.get(netlink, network.bridge)
        return there is not None and there.index == base and there.is_up

    def reattach(self, netlink: Netlink, network: Network, base: int, endpoint: Endpoint) -> None:
        """See `Driver.reattach`."""
        there = network_device.get(netlink, endpoint.host_interface)
        if there is not None and there.master != base:
            with netlink.batch() as batch:
                network_device.change(batch, endpoint.host_interface, up=True, master=base)
                _set_port(batch, network, endpoint)

    def detach(self, netlink: Netlink, inside: Netlink, endpoint: Endpoint) -> None:  # noqa: ARG002 - the interface's
        """See `Driver.detach`."""
        network_device.delete(netlink, endpoint.host_interface)


def _has_gateway(network: Network, family: int) -> bool:
    """Whether the machine has an address on the network."""
    is_ipv4 = family == IPV4
    if network.options.get(record.GATEWAY_MODE_IPV4 if is_ipv4 else record.GATEWAY_MODE_IPV6) == ISOLATED:
        return False
    return not is_ipv4 or network.options.get(record.INHIBIT_IPV4) not in record.TRUE


def _is_named(network: Network) -> bool:
    """Whether a user chose the bridge's name, so that there may be one that is not ours."""
    return record.BRIDGE_NAME in network.options and not network.is_default


def _set_port(requests: Requests, network: Network, endpoint: Endpoint) -> None:
    """What is special about a port of the bridge."""
    isolated = None if network.connects_containers else True
    # Where the kernel shows packets between ports to the rules, it sends none back by the port it came from.
    hairpin = True if forwarding.bridges_call_rules() else None
    if isolated or hairpin:
        bridge.change_port(requests, endpoint.host_interface, isolated=isolated, hairpin=hairpin)


def _mac(network: Network) -> bytes:
    """The bridge's hardware address: one that does not change with its ports."""
    return b"\x02\x42" + bytes.fromhex(network.id[:8])


def _check_mtu(network: Network) -> None:
    text = network.options.get(record.MTU, "0")
    if not (text.isascii() and text.isdigit()) or int(text) > 65535 or 0 < int(text) < 68:
        raise InvalidArgument(f"invalid {record.MTU}: {text}: a number of bytes from 68 to 65535")
