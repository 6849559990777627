"""What a container that a program of the user's connects may not send: packets for the machine's own loopback addresses.

The program opens a socket of the user's to whatever address a packet is for. Some versions do so for 127.0.0.1 as well, which
then is the machine's: pasta before 2024 and slirp4netns, whose options for that are about another address, in the place of
which they use the loopback. No program on an ordinary machine sends such packets, but one in a container can, by a socket that
is bound to the device, or by packets that it writes itself (packet(7)). On orlop's own networks the kernel drops them.

What a packet says of itself is compared with the bytes of its frame, since a socket of that kind may call it something else.
"""

from __future__ import annotations

from orlop.engine import child
from orlop.errors import OrlopError
from orlop.linux import namespace
from orlop.linux.netlink import NETLINK_NETFILTER, Netlink
from orlop.linux.nftables import expression as e
from orlop.linux.nftables.message import NETDEV
from orlop.linux.nftables.transaction import EGRESS, Transaction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_TABLE = "orlop-guard"
_CHAIN = "leaves"
# Of an Ethernet frame: what is in it, and the addresses that an IP packet in it is for, or their beginning.
_KIND = e.payload(e.LINK_HEADER, 12, 2)
_IPV4_FIRST = e.payload(e.LINK_HEADER, 14 + 16, 1)
_IPV6_FIRST_HALF = e.payload(e.LINK_HEADER, 14 + 24, 8)
_ARP, _IPV4, _IPV6 = b"\x08\x06", b"\x08\x00", b"\x86\xdd"
_LOOPBACK, _THIS = b"\x7f", b"\x00"  # 127.0.0.0/8, and 0.0.0.0/8, which means this machine, too
_NO_NETWORK = bytes(8)  # of ::1, :: and ::ffff:127.0.0.1


def keep(namespaces: Sequence[int], interface: str) -> None:
    """Have only other packets leave by a device; ``namespaces`` are its network and perhaps its user namespace, opened.

    Raises:
        OrlopError: the kernel cannot do that.
    """

    def act() -> None:
        for each in reversed(namespaces):
            namespace.join(each)
        with Netlink(protocol=NETLINK_NETFILTER) as netlink:
            change = Transaction(netlink, NETDEV, _TABLE)
            change.add_table()
            change.delete_table()  # one that is there is for a device that has gone
            change.add_table()
            change.add_base_chain(_CHAIN, "filter", EGRESS, 0, policy=e.DROP, device=interface)
            change.add_rule(_CHAIN, _KIND, e.compare(_ARP), e.verdict(e.ACCEPT))
            others = (e.compare(_LOOPBACK, e.NOT_EQUAL), e.compare(_THIS, e.NOT_EQUAL))
            change.add_rule(_CHAIN, _KIND, e.compare(_IPV4), _IPV4_FIRST, *others, e.verdict(e.ACCEPT))
            not_here = e.compare(_NO_NETWORK, e.NOT_EQUAL)
            change.add_rule(_CHAIN, _KIND, e.compare(_IPV6), _IPV6_FIRST_HALF, not_here, e.verdict(e.ACCEPT))
            change.commit()

    try:
        child.run(act)
    except OrlopError as error:
        raise OrlopError(
            "cannot keep the container from the machine's loopback addresses, which takes Linux 5.16 with "
            f"CONFIG_NETFILTER_EGRESS: {error}; use --network bridge, or a network of your own"
        ) from None
