"""What a driver of networks does.

A network has a part on the host, which all of its containers share, and a device in each container. The driver makes
and removes both; addresses, names, ports and records are the same for all drivers and none of its business.

A network is *up* from its first container on until its last one ends:

1. `Driver.check` looks at a network that somebody wants to make, before it is written down.
2. `Driver.up` makes the host's part, while nobody else can be at it, and returns the index of the device that
   containers are attached to. It may find what a crash has left, or what the user has made under the same name.
3. `Driver.prepare` says what of a container's device will be on the host, which is written down; then `Driver.attach`
   makes the device, under its final name, switched off. Both may be called for many containers at the same time.
   Addresses, routes and switching on come after it, and are done inside by `orlop.network.inside`.
4. `Driver.detach` takes the device away from a container that goes on running; where the container has ended, its
   device goes with its namespace.
5. `Driver.down` removes the host's part, when no container is left; what is not there is no error.

Everything happens in the machine's network namespace, by netlink, without programs: a container's start waits for
`attach`. A driver for a network of several machines (vxlan), or one that has CNI plugins do the work, is one more
module in `orlop.network.drivers.choice`: it gets the same endpoint, whose addresses it may also set itself.
"""

from __future__ import annotations

from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.netlink import Netlink
    from orlop.network.endpoint import Endpoint
    from orlop.network.place import Place
    from orlop.network.record import Network


class Driver:
    """One way to connect containers."""

    __slots__ = ()

    def check(self, network: Network) -> None:
        """Look at a network before it is written down.

        Raises:
            InvalidArgument: an option cannot be right.
            Unsupported: the kernel lacks what it takes.
        """

    def up(self, netlink: Netlink, place: Place, network: Network) -> int:
        """Make the host's part of a network; returns the index of the device that containers are attached to.

        Raises:
            OrlopError: it cannot be made.
            OSError: the kernel refused.
        """
        raise NotImplementedError

    def check_up(self, place: Place) -> None:
        """Put back what somebody else has removed of the host's part of networks that are up, its devices apart.

        Each container's start does this.

        Raises:
            OSError: the kernel refused.
        """

    def down(self, netlink: Netlink, place: Place, network: Network) -> None:
        """Remove the host's part of a network.

        Raises:
            OSError: the kernel refused.
        """
        raise NotImplementedError

    def prepare(self, network: Network, endpoint: Endpoint) -> None:
        """Note in ``endpoint.host_interface`` what of a container's device will be on the host."""
        raise NotImplementedError

    def attach(self, netlink: Netlink, network: Network, base: int, endpoint: Endpoint, namespace: int) -> None:
        """Make a container's device, named ``endpoint.interface``, in the namespace that a descriptor is open on.

        ``base`` is what `up` returned.

        Raises:
            OSError: the kernel refused: ENODEV if the device ``base`` is gone.
        """
        raise NotImplementedError

    def is_up(self, netlink: Netlink, network: Network, base: int) -> bool:  # noqa: ARG002 - it is nobody's to remove
        """Whether the device that containers are attached to is there and as it was.

        Raises:
            OSError: the kernel refused.
        """
        return True

    def reattach(self, netlink: Netlink, network: Network, base: int, endpoint: Endpoint) -> None:
        """Attach a running container's device again to ``base``, which may be another than it was.

        Raises:
            OSError: the kernel refused.
        """

    def detach(self, netlink: Netlink, inside: Netlink, endpoint: Endpoint) -> None:
        """Take a running container's device away; ``inside`` talks to the container's namespace.

        Raises:
            OSError: the kernel refused.
        """
        raise NotImplementedError


def mac(endpoint: Endpoint) -> bytes:
    """A container's hardware address, six bytes."""
    return bytes.fromhex(endpoint.mac.replace(":", ""))


def choose_mac(address: bytes) -> str:
    """The hardware address of who has an IPv4 address on a network, so that others' tables stay right."""
    return ":".join(f"{each:02x}" for each in (0x02, 0x42, *address))


def parse_mac(text: str) -> str:
    """A hardware address that a user chose, in its usual form.

    Raises:
        InvalidArgument: it is none, or stands for several devices.
    """
    parts = text.replace("-", ":").split(":")
    try:
        numbers = bytes(int(each, 16) for each in parts if len(each) <= 2)
    except ValueError:
        numbers = b""
    if len(numbers) != 6 or len(parts) != 6 or numbers[0] & 1:
        raise InvalidArgument(f"invalid mac-address: {text}")
    return numbers.hex(":")
