"""``/networks``."""

from __future__ import annotations

from orlop import filters
from orlop.api import children
from orlop.api.endpoints.containers import find
from orlop.api.exchange import json, nothing
from orlop.api.fields import Fields
from orlop.api.filtering import words
from orlop.api.shapes import filled
from orlop.engine import network_filters, networks
from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from orlop.api.exchange import Reply, Request
    from orlop.api.routes import Endpoint
    from orlop.engine.location import Location


class Networks:
    """The endpoints for networks."""

    __slots__ = ("_location",)

    def __init__(self, location: Location) -> None:
        self._location = location

    def routes(self) -> Iterator[tuple[str, str, Endpoint]]:
        """Where these endpoints are."""
        yield "GET", "/networks", self.list
        yield "POST", "/networks/create", self.create
        yield "POST", "/networks/prune", self.prune
        yield "GET", "/networks/{id}", self.inspect
        yield "DELETE", "/networks/{id}", self.remove
        yield "POST", "/networks/{id}/connect", self.connect
        yield "POST", "/networks/{id}/disconnect", self.disconnect

    async def list(self, request: Request) -> Reply:
        """All networks that the filters let through."""
        wanted = filters.read(words(request.filters()), network_filters.known(self._location))
        return json([each for each in networks.every(self._location) if wanted(each)])

    async def inspect(self, request: Request) -> Reply:
        """What is known of one."""
        return json(filled(networks.describe(self._location, request.arguments["id"])))

    async def create(self, request: Request) -> Reply:
        """Make one."""
        wanted = await request.json()
        said = Fields(wanted)
        for name in ("Name", "Driver", "Scope"):
            said.text(name)
        for name in ("Internal", "Attachable", "Ingress", "ConfigOnly", "EnableIPv4", "EnableIPv6"):
            said.flag(name)
        said.pairs("Options")
        said.pairs("Labels")
        said.inner("ConfigFrom").text("Network")
        ipam = said.inner("IPAM")
        ipam.text("Driver")
        ipam.pairs("Options")
        for each in ipam.objects("Config"):
            pool = Fields(each, "IPAM.Config.")
            for name in ("Subnet", "IPRange", "Gateway"):
                pool.text(name)
            pool.pairs("AuxiliaryAddresses")
        made = await children.call(lambda _: networks.create(self._location, wanted).id)
        return json({"Id": made, "Warning": ""}, 201)

    async def remove(self, request: Request) -> Reply:
        """Remove one."""
        name = request.arguments["id"]

        def work(_: children.Tell) -> None:
            networks.remove(self._location, name)

        await children.call(work)
        return nothing()

    async def connect(self, request: Request) -> Reply:
        """Put a container on one more network."""
        said = Fields(await request.json())
        network, container = request.arguments["id"], self._container(said)
        settings = said.inner("EndpointConfig").plain()
        await children.call(lambda _: networks.connect(self._location, network, container, settings))
        return nothing(200)

    async def disconnect(self, request: Request) -> Reply:
        """Take a container off a network."""
        said = Fields(await request.json())
        network, force = request.arguments["id"], said.flag("Force")
        container = said.text("Container") if force else self._container(said)
        await children.call(lambda _: networks.disconnect(self._location, network, container, force=force))
        return nothing(200)

    def _container(self, said: Fields) -> str:
        name = said.text("Container")
        if not name:
            raise InvalidArgument('invalid name or ID supplied: ""')
        return find(self._location, name).id

    async def prune(self, request: Request) -> Reply:
        """Remove those that no container is on."""
        wanted = filters.read(words(request.filters()), network_filters.of_prune())
        gone = await children.call(lambda _: networks.prune(self._location, wanted))
        return json({"NetworksDeleted": gone})
