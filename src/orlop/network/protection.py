"""The networks of one engine as its firewall sees them: which of them are enclosed by rules.

The firewall has no state but the kernel's. Whoever makes rules for a network notes that beside what else of it is up, so
that everything can be made anew from the records if somebody has flushed the rules: the networks, and the ports that are
published (`orlop.network.ports`).
"""

from __future__ import annotations

import fcntl
import os

from orlop.network import endpoint, record, store
from orlop.network.firewall import filtering, policy, shape
from orlop.network.firewall.firewall import Firewall, FirewallGone
from orlop.network.firewall.zone import Zone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from orlop.network.firewall.port import Port
    from orlop.network.place import Place
    from orlop.network.record import Network

_MACHINES_OWN = "/var/lib/orlop/networks"
_LOCK = ".firewall"
_ENCLOSED = "enclosed"
#: A symbolic link that nobody follows: with which rule set of the kernel's ours were whole, and in which shape.
_SEEN = ".firewall-seen"
_OWN_NAMESPACE = "/proc/self/ns/net"


def table(place: Place) -> str:
    """The name of the engine's tables: ``orlop`` for the machine's own, another for each other one."""
    if place.directory == _MACHINES_OWN:
        return "orlop"
    import _blake2

    return f"orlop-{_blake2.blake2s(place.directory.encode(), digest_size=4).hexdigest()}"


def zone(network: Network) -> Zone:
    """What the firewall must know of a bridge network."""
    options = network.options
    return Zone(
        network.bridge,
        [pool.subnet for pool in network.pools],
        internal=network.internal,
        icc=network.connects_containers,
        masquerade=network.masquerades,
        source4=options.get(record.HOST_IPV4, ""),
        source6=options.get(record.HOST_IPV6, ""),
        mode4=options.get(record.GATEWAY_MODE_IPV4, "nat"),
        mode6=options.get(record.GATEWAY_MODE_IPV6, "nat"),
        trusted=tuple(each for each in options.get(record.TRUSTED_INTERFACES, "").split(":") if each),
    )


def enclose(place: Place, network: Network) -> None:
    """Have rules for a network whose bridge has just been made.

    Raises:
        OSError: the kernel refused.
    """
    with _Rules(place) as rules:
        is_first = not rules.enclosed()
        os.close(os.open(f"{place.running(network.id)}/{_ENCLOSED}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        # Making everything anew removes what is there, and the kernel has us wait for that when we close the
        # conversation: some 10 ms, which the first network need not have.
        if is_first or rules.firewall.is_whole():
            rules.firewall.open_zone(zone(network))
        if not rules.firewall.is_whole():
            rules.restore()


def release(place: Place, network: Network) -> None:
    """Have no rules for a network any more.

    Raises:
        OSError: the kernel refused.
    """
    with _Rules(place) as rules:
        try:
            os.unlink(f"{place.running(network.id)}/{_ENCLOSED}")
        except FileNotFoundError:
            pass  # its making was broken off before
        rules.firewall.close_zone(zone(network))


def check(place: Place) -> None:
    """Put everything back if somebody has removed it.

    Where no rule of anybody's has changed since they were whole, they still are.

    Raises:
        OSError: the kernel refused.
    """
    with firewall_of(place) as firewall:
        now, found = look(place, firewall)
        if found == shape.BROKEN:
            found = firewall.shape()
            if found != shape.BROKEN:
                _note(place, now, found)
        if firewall.stands(found):
            return
    restore(place)


def look(place: Place, firewall: Firewall) -> tuple[str, int]:
    """What is another once any rule has changed here, whoever's it is; and the shape in which ours were since then.

    That is `shape.BROKEN` where nobody has looked.

    Raises:
        OSError: the kernel refused.
    """
    about = filtering.comment(respectful=firewall.respect).replace(" ", "-")
    now = f"{about}/{os.stat(_OWN_NAMESPACE).st_ino}/{firewall.generation()}/"
    try:
        noted = os.readlink(f"{place.run_directory}/{_SEEN}")
    except OSError:
        return now, shape.BROKEN
    last = noted[len(now) :]
    return now, int(last) if noted.startswith(now) and last.isdecimal() else shape.BROKEN


def _note(place: Place, now: str, found: int) -> None:
    path = f"{place.run_directory}/{_SEEN}"
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    try:
        os.symlink(f"{now}{found}", path)
    except OSError:
        return  # somebody was quicker, or the disk is full: then the next start looks again


def restore(place: Place) -> None:
    """Make all rules anew, for every network that is up and every port that is published.

    Raises:
        OSError: the kernel refused.
    """
    with _Rules(place) as rules:
        rules.restore()


def publish(place: Place, ports: Sequence[Port]) -> None:
    """Have ports of the host lead to containers; they are written down already.

    Raises:
        OSError: the kernel refused.
    """
    if not ports:
        return
    with firewall_of(place) as firewall:
        try:
            firewall.publish(list(ports))
            return
        except FirewallGone:
            pass  # somebody has flushed the rules
    restore(place)


def retract(place: Place, ports: Sequence[Port]) -> None:
    """Have ports of the host lead nowhere any more. The caller holds them (`orlop.network.ports.claims`).

    Raises:
        OSError: the kernel refused.
    """
    if not ports:
        return
    with firewall_of(place) as firewall:
        firewall.retract(list(ports))


def end_connections(place: Place, ports: Sequence[Port]) -> None:
    """End the connections by ports that led to a container, whoever has them now.

    Raises:
        OSError: the kernel refused.
    """
    if not ports:
        return
    with firewall_of(place) as firewall:
        firewall.end_connections(list(ports))


def firewall_of(place: Place) -> Firewall:
    """An engine's rules, the caller's to close."""
    return Firewall(table(place), respect=policy.is_respectful(place.run_directory))


def lost(place: Place) -> tuple[int, int]:
    """How many new connections our rules have let pass, and how many of them everybody else's rules too.

    Raises:
        OSError: the kernel refused.
    """
    with firewall_of(place) as firewall:
        return firewall.lost()


class _Rules:
    """The engine's rules, while nobody else changes which networks they are for; for ``with``."""

    __slots__ = ("_lock", "_place", "firewall")

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lock = os.open(f"{place.run_directory}/{_LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.firewall = firewall_of(place)

    def __enter__(self) -> _Rules:
        return self

    def __exit__(self, *_: object) -> None:
        self.firewall.close()
        os.close(self._lock)

    def enclosed(self) -> list[str]:
        """The ids of the networks that have rules."""
        place = self._place
        return [each for each in endpoint.networks(place) if os.path.lexists(f"{place.running(each)}/{_ENCLOSED}")]

    def restore(self) -> None:
        """Make all rules anew."""
        from orlop.network import linking
        from orlop.network.ports import publishing

        place = self._place
        found = [store.read(place, network_id) for network_id in self.enclosed()]
        networks = [network for network in found if network is not None]
        links = []
        for network in networks:
            if not network.connects_containers:
                links += linking.every(endpoint.on_network(place, network.id))
        self.firewall.rebuild([zone(network) for network in networks], publishing.every(place), links)
