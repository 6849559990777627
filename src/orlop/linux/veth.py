"""Pairs of network devices of which one gets what the other sends: veth(4)."""

from __future__ import annotations

from orlop.linux import network_device
from orlop.linux.netlink import nest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.netlink import Requests

_VETH_INFO_PEER = 1
#: Whoever does not say how many queues gets one as well, but the kernel first makes one for each processor, and then waits
#: twice until nobody can be using the others (synchronize_net), while no other device of the machine can be changed.
_QUEUES = 1


def create(
    requests: Requests,
    name: str,
    peer: str,
    *,
    mac: bytes = b"",
    peer_mac: bytes = b"",
    mtu: int = 0,
    master: int = 0,
    up: bool = False,
    peer_namespace: int = -1,
    peer_process: int = 0,
) -> None:
    """Make a pair: ``name`` here, and ``peer`` here too or in another network namespace, under its final name at once.

    ``master`` is the index of the bridge that gets the end that is here for a port. ``peer_namespace`` is a descriptor
    of the other namespace, ``peer_process`` the pid of a process in it. The peer is switched off, as long as it takes to
    give it addresses: the kernel has it so until the pair is complete.

    Raises:
        OSError: EEXIST if one of the names is in use where it is to be.
    """
    there = network_device.described(peer, peer_mac, mtu, peer_namespace, peer_process, _QUEUES)
    data = nest(_VETH_INFO_PEER, network_device.head(0) + there)
    network_device.create(requests, "veth", name, data, mac=mac, mtu=mtu, master=master, up=up, queues=_QUEUES)
