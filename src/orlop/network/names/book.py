"""Who can be found by which name: every endpoint of an engine's networks, in memory.

Names are lower case. A container is told of the networks that it is on, and of no other.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from orlop.network.endpoint import Endpoint

_SHORT = 12


class Holders:
    """The endpoints that have one name, whose turn it is in order."""

    __slots__ = ("_endpoints", "_turn")

    def __init__(self) -> None:
        self._endpoints: dict[str, Endpoint] = {}
        self._turn = 0

    def add(self, endpoint: Endpoint) -> None:
        """One more."""
        self._endpoints[endpoint.container] = endpoint

    def remove(self, container: str) -> bool:
        """One less; whether there is none any more."""
        self._endpoints.pop(container, None)
        return not self._endpoints

    def in_turn(self) -> list[Endpoint]:
        """All of them, beginning with another one each time."""
        found = list(self._endpoints.values())
        self._turn = (self._turn + 1) % len(found)
        return found[self._turn :] + found[: self._turn]


class Page:
    """The names of one network."""

    __slots__ = ("_addresses", "_endpoints", "_names", "is_internal", "name")

    def __init__(self, name: str, *, is_internal: bool) -> None:
        self.name = name.lower()
        self.is_internal = is_internal
        self._endpoints: dict[str, Endpoint] = {}
        self._names: dict[str, Holders] = {}
        self._addresses: dict[str, Endpoint] = {}

    def add(self, endpoint: Endpoint) -> None:
        """Write an endpoint down, in place of what was there of its container."""
        self.remove(endpoint.container)
        self._endpoints[endpoint.container] = endpoint
        for name in names_of(endpoint):
            self._names.setdefault(name, Holders()).add(endpoint)
        for address in endpoint.addresses:
            self._addresses[address] = endpoint

    def remove(self, container: str) -> None:
        """Forget a container."""
        endpoint = self._endpoints.pop(container, None)
        if endpoint is None:
            return
        for name in names_of(endpoint):
            holders = self._names.get(name)
            if holders is not None and holders.remove(container):
                del self._names[name]
        for address in endpoint.addresses:
            if self._addresses.get(address) is endpoint:
                del self._addresses[address]

    def containers(self) -> Iterable[str]:
        """The ids of all that are on the network."""
        return self._endpoints.keys()

    def endpoint(self, container: str) -> Endpoint | None:
        """A container's own; None if it is not on the network."""
        return self._endpoints.get(container)

    def holders(self, name: str, asker: Endpoint) -> list[Endpoint]:
        """Those who have a name, or that name among the links of who asks."""
        for link in asker.links:
            target, _, alias = link.partition(":")
            if (alias or target).lower() == name:
                name = target.lower()
                break
        found = self._names.get(name)
        return found.in_turn() if found is not None else []

    def at(self, address: str) -> Endpoint | None:
        """Whose an address is."""
        return self._addresses.get(address)


def names_of(endpoint: Endpoint) -> set[str]:
    """Everything that an endpoint can be found by, its container's id included, for links."""
    own = (endpoint.container_name.lstrip("/"), endpoint.container, endpoint.container[:_SHORT])
    return {name.lower() for name in (*own, *endpoint.names, *endpoint.aliases) if name}


class Book:
    """The pages of all networks, by their ids."""

    __slots__ = ("_memberships", "_pages", "version")

    def __init__(self) -> None:
        #: Another number after each change.
        self.version = 0
        self._pages: dict[str, Page] = {}
        #: A container's id → the ids of the networks that it is on.
        self._memberships: dict[str, set[str]] = {}

    def networks(self) -> list[str]:
        """The ids of all that have a page."""
        return list(self._pages)

    def has(self, network: str) -> bool:
        """Whether a network has a page."""
        return network in self._pages

    def open(self, network: str, name: str, *, is_internal: bool) -> None:
        """Begin a network's page."""
        self.version += 1
        self._pages[network] = Page(name, is_internal=is_internal)

    def close(self, network: str) -> None:
        """Forget a network."""
        self.version += 1
        page = self._pages.get(network)
        for container in list(page.containers()) if page is not None else ():
            self.remove(network, container)
        self._pages.pop(network, None)

    def containers(self, network: str) -> set[str]:
        """The ids of all that are on a network."""
        page = self._pages.get(network)
        return set(page.containers()) if page is not None else set()

    def add(self, endpoint: Endpoint) -> None:
        """Write down that a container is on a network."""
        self.version += 1
        self._pages[endpoint.network].add(endpoint)
        self._memberships.setdefault(endpoint.container, set()).add(endpoint.network)

    def remove(self, network: str, container: str) -> None:
        """Write down that it is not any more."""
        self.version += 1
        page = self._pages.get(network)
        if page is not None:
            page.remove(container)
        memberships = self._memberships.get(container)
        if memberships is not None:
            memberships.discard(network)
            if not memberships:
                del self._memberships[container]

    def addresses(self, container: str, name: str) -> list[str] | None:
        """The addresses that a container finds by a name, of both versions; None if nobody has it.

        The network with its default route is looked through first; ``NAME.NETWORK`` is on that one.
        """
        mine = self._mine(container)
        for page, asker in mine:
            found = page.holders(name, asker)
            if not found and name.endswith("." + page.name):
                found = page.holders(name[: -len(page.name) - 1], asker)
            if found:
                return [address for endpoint in found for address in endpoint.addresses]
        return None

    def name_at(self, container: str, address: str) -> str:
        """The name, with its network's, that is at an address which a container can see; empty if there is none."""
        for page, _ in self._mine(container):
            found = page.at(address)
            if found is not None:
                return f"{found.container_name.lstrip('/') or found.container[:_SHORT]}.{page.name}"
        return ""

    def is_shut_in(self, container: str) -> bool:
        """Whether a container is on no network that leads outside."""
        return all(page.is_internal for page, _ in self._mine(container))

    def _mine(self, container: str) -> list[tuple[Page, Endpoint]]:
        """The networks that a container is on, the one with the default route first."""
        found = []
        for network in self._memberships.get(container, ()):
            page = self._pages[network]
            endpoint = page.endpoint(container)
            if endpoint is not None:
                found.append((page, endpoint))
        if len(found) > 1:
            found.sort(key=lambda each: (-each[1].gateway_priority, each[0].is_internal, each[0].name))
        return found
