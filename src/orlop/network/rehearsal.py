"""Going through what connecting a container to a network takes, for `orlop.engine.rehearsal`, where nothing is made.

The directories that are named here are not there, and instead of telling the kernel anything it is asked about what it has.
"""

from __future__ import annotations

from orlop import json_text
from orlop.linux import network_device
from orlop.linux.netlink import NETLINK_NETFILTER, NETLINK_ROUTE, Netlink
from orlop.linux.nftables import message
from orlop.network import addresses, endpoint, inside, protection, record, subnet
from orlop.network.drivers import choice, interface
from orlop.network.endpoint import Endpoint
from orlop.network.names import sockets
from orlop.network.place import Place
from orlop.network.record import Network, Pool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_NOWHERE = "/proc/self/nowhere"
_ID = "0" * 64


class _Talk(Netlink):
    """A conversation in which one thing is asked, whatever was to be said; ``kind`` and ``body`` are that question."""

    __slots__ = ("_question",)

    def __init__(self, protocol: int, kind: int, body: bytes) -> None:
        super().__init__(protocol=protocol)
        self._question = (kind, 0, body, ())

    def request(
        self, what: str, kind: int, body: bytes, flags: int = 0, tolerated: tuple[int, ...] = ()
    ) -> list[bytes]:
        """Ask the question."""
        kind, flags, body, tolerated = self._question
        return super().request(what, kind, body, flags, tolerated)

    def run(
        self,
        steps: Sequence[tuple[str, int, int, bytes, tuple[int, ...]]],
        opening: tuple[int, bytes] | None = None,  # noqa: ARG002 - nothing changes, so there is no transaction
        closing: tuple[int, bytes] | None = None,  # noqa: ARG002
    ) -> list[bytes]:
        """Ask the question for each step."""
        return super().run([(each[0], *self._question) for each in steps])


def connect() -> None:
    """Do it once.

    Raises:
        OSError: the kernel does not talk of rules, or not to us.
    """
    place = Place(_NOWHERE, _NOWHERE, rootless=False)
    network = Network(_ID, record.BRIDGE, record.BRIDGE)
    network.pools = [Pool("10.0.0.0/20", "", "10.0.0.1", {})]
    network = Network.from_fields(json_text.loads(json_text.dumps(network.fields())))
    with protection.firewall_of(place) as firewall:
        protection.look(place, firewall)
    made = Endpoint(network.id, _ID, _ID, container_name="a", network_name=network.name, interface="lo")
    endpoint.of_container(place, made.container)
    try:
        addresses.take(place, network, subnet.IPV4, made.container, "", lambda _: True)
    except FileNotFoundError:
        made.ipv4, made.gateway_ipv4 = "10.0.0.2/20", "10.0.0.1"
    made.mac = interface.choose_mac(subnet.packed(made.addresses[0]))
    driver = choice.find(network.driver)
    driver.prepare(network, made)
    try:
        made.write(place)
    except FileNotFoundError:
        pass  # as everything that is written there
    with _Talk(NETLINK_ROUTE, network_device.ASK, network_device.head(made.interface)) as talk:
        driver.attach(talk, network, 1, made, 0)
        index = inside.configure(talk, made)
        inside.set_default_routes(talk, [made], {made.interface: index})
    with _Talk(NETLINK_NETFILTER, message.kind(message.GETGEN), message.head(0)) as talk:
        sockets.redirect(talk, 1, 2)
