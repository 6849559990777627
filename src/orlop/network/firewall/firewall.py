"""The rules of one engine: made, changed, looked at and removed.

They are in three tables of one name, of families inet (what may pass, `filtering`), ip and ip6 (which addresses become
which, `translation`). The kernel is the only one that remembers them. Every change is one transaction, so that no packet
meets half of it, and leaves the same however often it is made; whoever finds the tables gone has them made anew from
the engine's records. No rule of anybody else's is read or changed.
"""

from __future__ import annotations

import _socket
import os

from orlop.errors import Conflict, NotFound, Unsupported
from orlop.linux import conntrack, network_device
from orlop.linux import namespace as namespaces
from orlop.linux.netlink import NETLINK_NETFILTER, Netlink
from orlop.linux.nftables import listing, transaction, types
from orlop.linux.nftables.message import INET, IPV4, IPV6
from orlop.linux.nftables.transaction import Element, Transaction
from orlop.network.firewall import filtering, forwarding, respect, shape, translation
from orlop.network.firewall.port import PROTOCOLS, mark, packed
from orlop.network.firewall.shape import families

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias, TypeVar

    from orlop.network.firewall.link import Link
    from orlop.network.firewall.port import Port
    from orlop.network.firewall.zone import Zone

    #: Of which family's table, which set, and what in it.
    Place: TypeAlias = tuple[int, str, Element]
    Result = TypeVar("Result")

_SOCKET_FAMILY = {IPV4: _socket.AF_INET, IPV6: _socket.AF_INET6}
_LINKS = {IPV4: "links4", IPV6: "links6"}
_ENOENT = 2
_ERESTART = 85
_BUSY = (16, 17)  # EBUSY, EEXIST: a map has another value for the key
_ATTEMPTS = 50


class FirewallGone(Exception):
    """Something of the engine's tables is not there; mostly because somebody flushed the rule set.

    `Firewall.rebuild` makes all of it anew, or says why that cannot be.
    """


class Firewall:
    """The rules of an engine, in the caller's network namespace or that which ``namespace`` is open on.

    Attributes:
        table: the tables' name.
        respect: whether others use published ports only if the host's rules let them in (`respect`).
    """

    __slots__ = ("_namespace", "_netlink", "respect", "table")

    def __init__(self, table: str, *, respect: bool = False, namespace: int = -1) -> None:
        self.table = table
        self.respect = respect
        self._namespace = namespace
        self._netlink = Netlink(namespace, NETLINK_NETFILTER)

    def close(self) -> None:
        """End the conversation with the kernel; the rules stay."""
        self._netlink.close()

    def __enter__(self) -> Firewall:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open_zone(self, zone: Zone) -> None:
        """Have the rules know a network, which may be there already; makes the tables if it is the engine's first.

        Raises:
            Conflict: somebody else has tables of the engine's name.
            InvalidArgument: one of its networks or addresses cannot be right.
            OSError: the kernel refused.
        """
        self._inside(forwarding.switch_on, zone)
        self.prepare(zone)
        for _ in range(_ATTEMPTS):
            change = self._transaction()
            is_whole = self.is_whole()
            if not is_whole:
                self._lay(change)
                if self.respect and shape.is_respecting(self._netlink, self.table):
                    self._lay_respect(change)
            self._open(change, zone)
            try:
                change.commit()
            except FileNotFoundError as error:
                if not is_whole:
                    raise lacking(error) from None
                continue  # somebody removed the tables meanwhile
            return
        raise self._restless(f"{zone.bridge} was put into it")

    def prepare(self, zone: Zone) -> None:
        """Set what a network's bridge needs, once it is there."""
        self._inside(forwarding.prepare, zone)

    def close_zone(self, zone: Zone) -> None:
        """Have the rules forget a network, which may be forgotten already; the last one's goes with the tables."""
        for _ in range(_ATTEMPTS):
            generation = listing.generation(self._netlink)
            try:
                names = {each.key.rstrip(b"\0").decode() for each in self._elements(INET, "to")}
            except FileNotFoundError:
                names = set()
            if not names - {zone.bridge}:
                if self._clear(generation):
                    return
                continue
            if zone.bridge not in names:
                return
            change = self._transaction()
            filtering.close_zone(change, zone)
            for family in families():
                translation.close_zone(change.beside(family), family, zone)
            try:
                change.commit()
            except FileNotFoundError:
                pass  # somebody else removed the tables meanwhile
            # Whether it was the last is asked again: another may have gone at the same time.
        raise self._restless(f"{zone.bridge} was removed from it")

    def publish(self, ports: list[Port]) -> None:
        """Have ports lead to containers. What they led to before is forgotten.

        Raises:
            FirewallGone: the tables are not there.
            InvalidArgument: an address cannot be right.
            NotFound: the host has no such network device.
            OSError: the kernel refused.
        """
        self._check_devices(ports)
        change = self._transaction()
        places = [place for port in ports for place in self._places(port)]
        if self.respect and not shape.is_respecting(self._netlink, self.table):
            self._lay_respect(change)
        self._add(change, places)
        self._mark(change, ports)
        try:
            change.commit()
        except FileNotFoundError:
            raise FirewallGone(self.table) from None
        except OSError as error:
            if error.errno not in _BUSY:
                raise
            self._delete(change, [each for each in places if self._has(each)])
            self._add(change, places)
            self._mark(change, ports)
            change.commit()
        for bridge in {port.bridge for port in ports if port.bridge and port.is_on_loopback and not port.direct}:
            self._inside(forwarding.open_loopback, bridge)

    def settle(self, ports: list[Port]) -> None:
        """Have what was sent to ports already before they were published go to the containers from now on.

        A sender of datagrams that did not wait would otherwise go on sending them to the host. The kernel takes
        some 15 ms for each such port, because it looks through all connections: there is time after `publish`.
        """
        waiting = {(PROTOCOLS[port.protocol], port.host_port, port.family): port for port in ports if not port.direct}
        for (protocol, host_port, family), port in waiting.items():
            if port.protocol == "tcp":
                continue
            for each in conntrack.connections(
                self._netlink, _SOCKET_FAMILY[family], protocol=protocol, destination_port=host_port
            ):
                if (each.reply.source, each.reply.source_port) != (port.address, port.port):
                    each.forget(self._netlink)

    def unpublish(self, ports: list[Port]) -> None:
        """Have ports lead nowhere any more, wherever they led, and end the connections by them.

        Raises:
            OSError: the kernel refused.
        """
        self.retract(ports)
        self.end_connections(ports)

    def retract(self, ports: list[Port]) -> None:
        """Have ports lead nowhere any more, wherever they led; connections that there are go on.

        Raises:
            OSError: the kernel refused.
        """
        self._take_out([place for port in ports for place in self._places(port)])

    def end_connections(self, ports: list[Port]) -> None:
        """End the connections that there are by ports, which lead nowhere any more or elsewhere.

        Raises:
            OSError: the kernel refused.
        """
        by_address: dict[tuple[int, str], set[tuple[int, int, int]]] = {}
        for port in ports:
            if not port.direct:
                ends = by_address.setdefault((_SOCKET_FAMILY[port.family], port.address), set())
                ends.add((PROTOCOLS[port.protocol], port.host_port, port.port))
        for (family, address), ends in by_address.items():
            for each in conntrack.connections(self._netlink, family, answered_by=address):
                if (each.original.protocol, each.original.destination_port, each.reply.source_port) in ends:
                    each.forget(self._netlink)

    def keep_links(self, addresses: list[str], links: list[Link]) -> None:
        """Have containers use and be used by others as ``links`` say, where containers otherwise do not reach each other.

        ``addresses`` are theirs; a link of theirs that is none of these is forgotten.

        Raises:
            FirewallGone: the tables are not there.
            OSError: the kernel refused.
        """
        wanted = [_link(link) for link in links]
        keys = {element.key for _, _, element in wanted}
        theirs = {(IPV6 if ":" in each else IPV4, packed(IPV6 if ":" in each else IPV4, each)) for each in addresses}
        stale: list[Place] = []
        try:
            for family, ours in theirs:
                name = _LINKS[family]
                ends = ((0, len(ours)), (len(ours), 2 * len(ours)))
                stale += [
                    (INET, name, each)
                    for each in self._elements(INET, name)
                    if each.key not in keys and any(each.key[at:to] == ours for at, to in ends)
                ]
            self._take_out(stale)
            change = self._transaction()
            self._add(change, wanted)
            change.commit()
        except FileNotFoundError:
            raise FirewallGone(self.table) from None

    def is_whole(self) -> bool:
        """Whether the tables are there, with all rules that every packet comes by."""
        return self.stands(self.shape())

    def shape(self) -> int:
        """Which of the shapes the tables have that `shape` tells of."""
        found = shape.look(self._netlink, self.table, respectful=self.respect)
        if found == shape.BROKEN and listing.table(self._netlink, INET, self.table):
            transaction.wait_for_others(self._netlink)
            found = shape.look(self._netlink, self.table, respectful=self.respect)
        return found

    def stands(self, found: int) -> bool:
        """Whether with tables of this shape all is there that every packet comes by."""
        if found != shape.RESPECTING:
            return found == shape.PLAIN
        with Netlink(self._namespace) as devices:
            return respect.has_loop(devices, self.table)

    def generation(self) -> int:
        """The number of the rule set, which is another after each change, whoever's it was."""
        return listing.generation(self._netlink)

    def rebuild(self, zones: list[Zone], ports: list[Port], links: Sequence[Link] = ()) -> None:
        """Make everything anew, as the engine's records have it.

        Raises:
            Conflict: somebody else has tables of the engine's name.
            InvalidArgument: an address cannot be right.
            OSError: the kernel refused.
            Unsupported: the kernel lacks a part of nf_tables.
        """
        if not zones:
            self.clear()
            return
        self._own()
        change = self._transaction()
        for family in (INET, *families()):
            change.beside(family).add_table()
            change.beside(family).delete_table()
        self._lay(change)
        if self.respect and ports:
            self._lay_respect(change)
        for zone in zones:
            self._inside(forwarding.switch_on, zone)
            self.prepare(zone)
            self._open(change, zone)
        places = [place for port in ports for place in self._places(port)]
        self._add(change, _distinct(places + [_link(link) for link in links]))
        self._mark(change, ports)
        try:
            change.commit()
        except FileNotFoundError as error:
            raise lacking(error) from None
        for bridge in {port.bridge for port in ports if port.bridge and port.is_on_loopback and not port.direct}:
            self._inside(forwarding.open_loopback, bridge)

    def clear(self) -> None:
        """Remove everything of the engine's from the rule set, if there is anything."""
        for _ in range(_ATTEMPTS):
            if self._clear(0):
                return
        raise self._restless("it was removed")

    def lost(self) -> tuple[int, int]:
        """How many packets that open connections were let pass here, and how many of them by everybody else's rules too.

        Both are 0 without the tables.
        """
        try:
            accepted = listing.counter(self._netlink, INET, self.table, "accepted")
            return accepted, min(accepted, listing.counter(self._netlink, INET, self.table, "passed"))
        except FileNotFoundError:
            return 0, 0

    def _transaction(self) -> Transaction:
        return Transaction(self._netlink, INET, self.table)

    def _take_out(self, places: list[Place]) -> None:
        """Delete those elements that are there."""
        change = self._transaction()
        left = _distinct(places)
        for _ in range(_ATTEMPTS):
            self._delete(change, left)
            try:
                change.commit()
            except FileNotFoundError:
                left = [each for each in left if self._has(each)]
                continue
            return
        raise self._restless("ports were taken out of it")

    def _restless(self, meanwhile: str) -> OSError:
        return OSError(_ERESTART, f"nftables: table {self.table} kept changing while {meanwhile}")

    def _add(self, change: Transaction, places: list[Place]) -> None:
        for (family, set_name), elements in _grouped(places).items():
            change.beside(family).add_elements(set_name, elements)

    def _delete(self, change: Transaction, places: list[Place]) -> None:
        for (family, set_name), elements in _grouped(places).items():
            change.beside(family).delete_elements(set_name, elements)

    def _lay(self, change: Transaction) -> None:
        self._own()
        filtering.lay(change, respectful=self.respect)
        for family in families():
            translation.lay(change.beside(family), family, respectful=self.respect)

    def _lay_respect(self, change: Transaction) -> None:
        with Netlink(self._namespace) as devices:
            self._inside(respect.make_loop, devices, self.table)
        for family in families():
            respect.lay(change.beside(family), family, self.table)

    def _own(self) -> list[int]:
        """Of which families the engine's tables are there.

        Raises:
            Conflict: one of that name is not orlop's.
        """
        found = []
        for family in (INET, *families()):
            there = listing.table(self._netlink, family, self.table)
            if there and not there.comment.startswith(filtering.MAKER):
                raise Conflict(f"nftables has a table {self.table} that is not orlop's: rename it or delete it")
            if there:
                found.append(family)
        return found

    def _open(self, change: Transaction, zone: Zone) -> None:
        filtering.open_zone(change, zone)
        for family in families():
            translation.open_zone(change.beside(family), family, zone)

    def _clear(self, generation: int) -> bool:
        """Remove the tables, unless the rule set has changed since ``generation``; whether it is done."""
        change = self._transaction()
        for family in self._own():
            change.beside(family).delete_table()
        try:
            change.commit(generation)
        except OSError as error:
            if error.errno in {_ERESTART, _ENOENT}:
                return False
            raise
        with Netlink(self._namespace) as devices:
            respect.remove_loop(devices, self.table)
        return True

    def _elements(self, family: int, set_name: str) -> list[Element]:
        return listing.elements(self._netlink, family, self.table, set_name)

    def _places(self, port: Port) -> list[Place]:
        """Where a port is put: among the maps, and among what is asked of if the host's rules are respected."""
        if port.direct:
            return [(INET, f"open{6 if port.family == IPV6 else 4}", port.opening())]
        name, element = port.element()
        places: list[Place] = [(port.family, name, element)]
        if self.respect:
            places.append((port.family, f"{respect.ASKED}{name}", Element(element.key, last=element.last)))
            if port.interface:
                places.append((port.family, respect.BY_MARK, port.by_mark()))
        return places

    def _mark(self, change: Transaction, ports: list[Port]) -> None:
        """Have devices that ports are for marked; which they stay, since it means nothing else."""
        if not self.respect:
            return
        for interface in {port.interface for port in ports if port.interface}:
            element = Element(types.interface_name(interface), mark(interface))
            for family in families():
                change.beside(family).add_elements(respect.MARKS, [element])

    def _check_devices(self, ports: list[Port]) -> None:
        """Look that the devices that ports are for are there: one that is not is most likely a slip of the pen.

        Raises:
            NotFound: one is not.
        """
        for interface in {port.interface for port in ports if port.interface}:
            with Netlink(self._namespace) as devices:
                if network_device.find(devices, interface) is None:
                    raise NotFound(f"network device {interface}: the host has none of this name")

    def _has(self, place: Place) -> bool:
        family, set_name, element = place
        return listing.element(self._netlink, family, self.table, set_name, element) is not None

    def _inside(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Call a function in the network namespace that the rules are in, for what /proc/sys shows there."""
        if self._namespace < 0:
            return function(*arguments)
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            namespaces.join(self._namespace, namespaces.CLONE_NEWNET)
            try:
                return function(*arguments)
            finally:
                namespaces.join(own, namespaces.CLONE_NEWNET)
        finally:
            os.close(own)


def lacking(error: OSError) -> Unsupported:
    """What it means that something is not there where everything that rules speak of has just been made."""
    hint = '; firewall = "open" in /etc/orlop/config.toml does without' if "chain ask " in str(error) else ""
    return Unsupported(f"this kernel lacks a part of nf_tables ({error.strerror}){hint}")


def _link(link: Link) -> Place:
    return INET, _LINKS[link.family], link.element()


def _distinct(places: list[Place]) -> list[Place]:
    """Without what is said twice; the last counts."""
    return list({(family, name, each.key, each.last): (family, name, each) for family, name, each in places}.values())


def _grouped(places: list[Place]) -> dict[tuple[int, str], list[Element]]:
    found: dict[tuple[int, str], list[Element]] = {}
    for family, set_name, element in places:
        found.setdefault((family, set_name), []).append(element)
    return found
