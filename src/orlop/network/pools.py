"""Which subnet a network gets that asks for none, and whether it can have the one that it asks for.

Subnets come from a list, the first that nobody has. Somebody has a subnet if it overlaps

- a route or an address of the machine's (the kernel tells);
- another network of this engine's, whether containers are on it or not;
- a network of another engine's. The kernel does not know those that no container is on, so each engine that root runs
  notes what it takes in a directory that all of the machine share: a symbolic link for each subnet, to the directory of
  the network that has it. A link to a network that is gone is worth nothing. Its name tells in which network namespace
  the engine is: a subnet that a user chooses is in nobody's way who is in another one.
"""

from __future__ import annotations

import errno
import fcntl
import os

from orlop.errors import Conflict, OrlopError
from orlop.linux import network_address, network_device, route
from orlop.linux.netlink import Netlink
from orlop.network.subnet import IPV4, IPV6, Subnet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orlop.network.place import Place
    from orlop.network.record import Network

#: Where subnets come from: a block, and the length of the prefixes into which it is divided. A bridge has 1,023 ports at
#: most, so that larger subnets would be of no use.
BLOCKS = (
    *((f"10.{second}.0.0/16", 20) for second in range(210, 220)),
    *((f"172.{second}.0.0/16", 20) for second in range(20, 31)),
    ("192.168.0.0/16", 24),
)
#: Where the engines of root note which subnets they have.
CLAIMS = "/var/lib/orlop-subnets"

_CANNOT_WRITE = (errno.EROFS, errno.EACCES, errno.EPERM)
_LINK_LOCAL = ("fe80:", "ff00:", "169.254.")


class Taken:
    """What is taken on this machine, and by whom: pairs of a subnet and some words for a person.

    ``networks`` are those of this engine, ``machine`` the machine's routes and addresses: subnets with the name of
    the device, and whether it is a route by way of a gateway.
    """

    __slots__ = ("_machine", "_networks")

    def __init__(self, networks: Iterable[tuple[Subnet, str]], machine: Iterable[tuple[Subnet, str, bool]]) -> None:
        self._networks = list(networks)
        self._machine = [each for each in machine if each[0].prefix]  # everybody's default route is nobody's subnet

    def without_machine(self) -> Taken:
        """The same without what the machine itself has."""
        return Taken(self._networks, ())

    def holder(self, wanted: Subnet, *, is_chosen: bool) -> str:
        """Who has a subnet, or a part of it; empty if nobody.

        A user who chooses one may take a part of what lies behind a gateway: the network's route is the closer one.
        """
        for each, name in self._networks:
            if wanted.overlaps(each):
                return f"network {name} has {each}"
        for each, device, is_beyond in self._machine:
            is_closer = is_chosen and is_beyond and each.prefix < wanted.prefix
            if wanted.overlaps(each) and not is_closer:
                return f"the machine's device {device} has {each}"
        return ""


class Claims:
    """The directory that all engines of root's share, locked; for ``with``, around the writing down of networks."""

    __slots__ = ("_directory", "_lock", "_namespace", "_place")

    def __init__(self, place: Place, directory: str = CLAIMS) -> None:
        self._place = place
        self._namespace = str(os.stat("/proc/self/ns/net").st_ino)
        self._directory = directory
        self._lock = -1
        if place.rootless:
            return  # an ordinary user's networks are in a namespace where no other engine is
        while self._lock < 0:
            try:
                os.makedirs(directory, 0o700, exist_ok=True)
                self._lock = _lock(directory)
            except FileNotFoundError:
                continue  # the last one has just gone
            except OSError as error:
                if error.errno not in _CANNOT_WRITE:
                    raise
                return  # a machine where nothing can be noted: what its kernel knows has to do

    def others(self, *, everywhere: bool) -> Iterator[tuple[Subnet, str]]:
        """The subnets of networks of other engines in this network namespace, or ``everywhere``."""
        for name in os.listdir(self._directory) if self._lock >= 0 else ():
            try:
                target = os.readlink(f"{self._directory}/{name}")
            except OSError:
                continue
            if not os.path.isdir(target):
                os.unlink(f"{self._directory}/{name}")
            elif os.path.dirname(target) != self._place.directory:
                subnet, _, namespace = name.partition("@")
                if everywhere or namespace == self._namespace:
                    place, _, network_id = target.rpartition("/")
                    yield Subnet.parse(subnet.replace("_", "/")), f"{network_id[:12]} of {place}"

    def take(self, subnet: Subnet, network_id: str) -> None:
        """Note that a network has a subnet."""
        if self._lock < 0:
            return
        path = self._path(subnet)
        try:
            os.unlink(path)  # this engine's own, of a network that is no more
        except FileNotFoundError:
            pass
        os.symlink(f"{self._place.directory}/{network_id}", path)

    def give_back(self, subnets: Iterable[Subnet], network_id: str) -> None:
        """Note that a network is going to be no more."""
        for each in subnets if self._lock >= 0 else ():
            path = self._path(each)
            try:
                if os.readlink(path) == f"{self._place.directory}/{network_id}":
                    os.unlink(path)
            except FileNotFoundError:
                continue

    def _path(self, subnet: Subnet) -> str:
        return f"{self._directory}/{str(subnet).replace('/', '_')}@{self._namespace}"

    def __enter__(self) -> Claims:
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock < 0:
            return
        try:
            os.rmdir(self._directory)
        except OSError:
            pass  # there are claims in it
        os.close(self._lock)


def taken(networks: Iterable[Network]) -> Taken:
    """What the machine has at this moment, and these networks."""
    mine = [(pool.parsed(), network.name) for network in networks if not network.config_only for pool in network.pools]
    machine = []
    with Netlink() as netlink:
        names = network_device.names(netlink)
        for each in route.routes(netlink):
            if each.kind == route.UNICAST and not each.destination.startswith(_LINK_LOCAL):
                name = names.get(each.device, str(each.device))
                machine.append((Subnet.parse(each.destination), name, bool(each.gateway)))
        for one in network_address.addresses(netlink):
            if one.is_lasting and one.text:
                subnet = Subnet.parse(f"{one.text}/{one.prefix}")
                machine.append((subnet, names.get(one.device, str(one.device)), False))
    return Taken(mine, machine)


def choose(taken: Taken, others: Iterable[tuple[Subnet, str]]) -> Subnet:
    """An IPv4 subnet that nobody has.

    Raises:
        OrlopError: everything is taken.
    """
    theirs = [each for each, _ in others]
    for text, prefix in BLOCKS:
        block = Subnet.parse(text)
        for base in range(block.base, block.last + 1, 1 << (32 - prefix)):
            found = Subnet(IPV4, base, prefix)
            if not any(found.overlaps(each) for each in theirs) and not taken.holder(found, is_chosen=False):
                return found
    raise OrlopError("no subnet is left that overlaps none of this machine: name one with --subnet")


def choose_ipv6() -> Subnet:
    """An IPv6 subnet of the unique local addresses, 56 of whose bits are random (RFC 4193), so that nobody has it."""
    return Subnet(IPV6, int.from_bytes(b"\xfd" + os.urandom(7) + bytes(8), "big"), 64)


def check(wanted: Subnet, taken: Taken, others: Iterable[tuple[Subnet, str]]) -> None:
    """Whether a network can have the subnet that a user chose for it.

    Raises:
        Conflict: somebody has it, or a part of it.
    """
    holder = taken.holder(wanted, is_chosen=True)
    for each, name in others:
        if not holder and wanted.overlaps(each):
            holder = f"network {name} has {each}"
    if holder:
        raise Conflict(f"invalid pool request: pool {wanted} overlaps with other one on this address space: {holder}")


def _lock(directory: str) -> int:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        if os.stat(directory).st_ino == os.fstat(descriptor).st_ino:
            return descriptor
    except FileNotFoundError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    raise FileNotFoundError
