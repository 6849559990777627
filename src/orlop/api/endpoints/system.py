"""``/_ping``, ``/version``, ``/info``, ``/events``, ``/system/df`` and ``/auth``."""

from __future__ import annotations

import os
import sys
import time

import orlop
from orlop import clock, filters
from orlop.api import children, routes
from orlop.api.attachments import until_readable
from orlop.api.exchange import Reply, Stream, json, line
from orlop.api.fields import Fields
from orlop.api.filtering import words
from orlop.api.moments import moment
from orlop.api.shapes import filled
from orlop.engine import disk_usage, event_filters, events, image_store, information
from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Any

    from orlop.api.exchange import Request
    from orlop.api.routes import Endpoint
    from orlop.api.watching import Watching
    from orlop.engine.building.store import Item
    from orlop.engine.location import Location

_SECOND = 1_000_000_000
#: What an engine tells of itself that has programs of others for its parts, and of its registries.
_COMMIT = {"ID": "", "Expected": ""}
_BESIDE: dict[str, Any] = {
    "BridgeNfIptables": True,
    "BridgeNfIp6tables": True,
    "ContainerdCommit": _COMMIT,
    "RuncCommit": _COMMIT,
    "InitCommit": _COMMIT,
    "GenericResources": [],
    "NEventsListener": 0,
    "NGoroutines": 1,
    "RegistryConfig": {
        "InsecureRegistryCIDRs": ["::1/128", "127.0.0.0/8"],
        "IndexConfigs": {"docker.io": {"Name": "docker.io", "Mirrors": [], "Secure": True, "Official": True}},
        "Mirrors": [],
    },
}
_NO_SWARM = {
    "NodeID": "",
    "NodeAddr": "",
    "LocalNodeState": "inactive",
    "ControlAvailable": False,
    "Error": "",
    "RemoteManagers": None,
}
#: What the disk usage is told of.
_KINDS = ("container", "image", "volume", "build-cache")
_PING = {"Cache-Control": "no-cache, no-store, must-revalidate", "Pragma": "no-cache", "Swarm": "inactive"}


class System:
    """The endpoints that are about the engine."""

    __slots__ = ("_location", "_watching")

    def __init__(self, location: Location, watching: Watching) -> None:
        self._location = location
        self._watching = watching

    def routes(self) -> Iterator[tuple[str, str, Endpoint]]:
        """Where these endpoints are."""
        yield "GET", "/_ping", self.ping
        yield "GET", "/version", self.version
        yield "GET", "/info", self.info
        yield "GET", "/events", self.events
        yield "GET", "/system/df", self.disk_usage
        yield "POST", "/auth", self.login

    async def ping(self, _request: Request) -> Reply:
        """That somebody is there, and in the headers who."""
        return Reply(200, b"OK", "text/plain; charset=utf-8", {**_PING, "Builder-Version": "1"})

    async def version(self, _request: Request) -> Reply:
        """Which engine this is."""
        system = os.uname()
        details = {
            "ApiVersion": routes.text(routes.NEWEST),
            "MinAPIVersion": routes.text(routes.OLDEST),
            "Arch": _architecture(system.machine),
            "Os": "linux",
            "KernelVersion": system.release,
            "GitCommit": "",
            "GoVersion": "",
            "BuildTime": "",
            "Experimental": "false",
        }
        return json(
            {
                "Platform": {"Name": "orlop"},
                "Components": [{"Name": "Engine", "Version": orlop.__version__, "Details": details}],
                "Version": orlop.__version__,
                "ApiVersion": details["ApiVersion"],
                "MinAPIVersion": details["MinAPIVersion"],
                "GitCommit": "",
                "GoVersion": f"none; Python {sys.version.split()[0]}",
                "Os": "linux",
                "Arch": details["Arch"],
                "KernelVersion": system.release,
                "BuildTime": "",
            }
        )

    async def info(self, _request: Request) -> Reply:
        """What the engine has and can do."""
        told = await children.call(lambda _: information.describe(self._location))
        return json(filled({**_BESIDE, **told, "Swarm": _NO_SWARM, "NFd": len(os.listdir("/proc/self/fd"))}))

    async def disk_usage(self, request: Request) -> Reply:
        """What everything takes on the disk."""
        kinds = request.texts("type") or list(_KINDS)
        for each in kinds:
            if each not in _KINDS:
                raise InvalidArgument(f"unknown object type: {each}")
        return json(filled(await children.call(lambda _: _usage(self._location, kinds))))

    async def login(self, request: Request) -> Reply:
        """Try credentials with a registry."""
        said = Fields(await request.json())
        domain = said.text("serveraddress")
        username, password = said.text("username"), said.text("password")
        token = said.text("identitytoken")

        def work(_: children.Tell) -> str:
            from orlop.images.registry import credentials, login
            from orlop.images.registry.hosts import RegistryOptions

            credential = credentials.Credential(username, password, identity_token=token)
            server = credentials.host_of(domain) or "docker.io"
            return str(login.verify(server, credential, RegistryOptions()).identity_token)

        return json({"Status": "Login Succeeded", "IdentityToken": await children.call(work)})

    async def events(self, request: Request) -> Stream:
        """Each event as it happens."""
        since = moment(request.text("since"))
        until = moment(request.text("until"))
        wanted = filters.read(words(request.filters()), event_filters.tests())
        self._location.prepare()
        stream = events.Stream(self._location, watch=self._watching.watch)
        begin = time.time_ns() if since is None else since
        if since is not None and until is not None and since > until:
            raise InvalidArgument(
                f"`since` time ({request.text('since')}) cannot be after `until` time ({request.text('until')})"
            )

        async def follow() -> AsyncIterator[bytes]:
            try:
                while True:
                    now = time.time_ns()
                    for each in stream.read():
                        if begin <= each["timeNano"] and (until is None or each["timeNano"] <= until) and wanted(each):
                            yield line(event_filters.with_older_fields(each))
                    if until is not None and now >= until:
                        return
                    left = None if until is None else max(0.0, (until - time.time_ns()) / _SECOND)
                    await until_readable(stream.descriptor, left)
                    stream.wait(0)
            finally:
                stream.close()

        return Stream(follow())


def _architecture(machine: str) -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _usage(location: Location, kinds: list[str]) -> dict[str, Any]:
    from orlop.api import summaries
    from orlop.engine import container_list, volume_store
    from orlop.engine.building import store

    images = image_store.open_store(location)
    found = disk_usage.of_engine(location, images)
    told: dict[str, Any] = {"LayersSize": sum(kind.size for kind in found.kinds if kind.name == "Images")}
    if "image" in kinds:
        told["Images"] = [
            {**summaries.image(image), "SharedSize": shared, "Containers": users}
            for image, shared, _own, users in found.images
        ]
    if "container" in kinds:
        sizes = {target.id: size for target, size in found.containers}
        names = container_list.ImageNames(location)
        everybody = container_list.listed(location, filters.read((), {}), everything=True)
        told["Containers"] = [
            {**summaries.container(each, names), "SizeRw": sizes.get(each.target.id, 0)} for each in everybody
        ]
    if "volume" in kinds:
        uses = {name: (size, users) for name, size, users in found.volumes}
        told["Volumes"] = [
            {**each, "UsageData": dict(zip(("Size", "RefCount"), uses.get(each["Name"], (0, 0)), strict=True))}
            for each in volume_store.every(location)
        ]
    if "build-cache" in kinds:
        told["BuildCache"] = [_cached(each) for each in store.items(location)]
    return told


def _cached(item: Item) -> dict[str, Any]:
    return {
        "ID": item.id,
        "Type": item.kind,
        "Description": item.text,
        "InUse": item.is_busy,
        "Shared": False,
        "Size": item.size,
        "CreatedAt": clock.text(int(item.used * _SECOND)),
        "LastUsedAt": clock.text(int(item.used * _SECOND)),
        "UsageCount": 1,
    }
