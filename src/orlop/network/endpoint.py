"""One container on one network: what is in force, as a file that whoever wants to know reads.

The file is ``<run root>/networks/<network id>/endpoints/<container id>``. It is there before the container's program
runs, and its removal is what takes the container off the network; the devices follow. It is replaced by rename, so that
who reads sees the old one or the new one.
"""

from __future__ import annotations

import os

from orlop import json_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from orlop.network.place import Place

_AT_FIRST: dict[str, Any] = {
    "container_name": "",
    "network_name": "",
    "interface": "",
    "host_interface": "",
    "mac": "",
    "ipv4": "",
    "ipv6": "",
    "gateway_ipv4": "",
    "gateway_ipv6": "",
    "gateway_priority": 0,
    "link_local": [],
    "names": [],
    "aliases": [],
    "links": [],
    "exposed": [],
    "ports": [],
    "driver_options": {},
    "pid": 0,
    "start_time": 0,
    "namespace": "",
}


class Endpoint:
    """One container on one network.

    Attributes:
        network, container: the ids of both.
        id: its own, 64 hexadecimal digits, new with each connection.
        container_name, network_name: the names of both when it was connected.
        interface: the name of its device in the container, such as ``eth0``.
        host_interface: the name of the device's other end on the host, or of the host's device that it lies upon.
        mac: its hardware address, such as ``02:42:0a:d2:00:02``.
        ipv4, ipv6: its addresses with the length of the subnet's prefix, such as ``10.210.0.2/20``; empty if none.
        gateway_ipv4, gateway_ipv6: what it can use for a default route; empty where there is none.
        gateway_priority: of several networks the one with the highest has the default route.
        link_local: further addresses that the user asked for.
        names: what it can be found by in the DNS: the container's name, short id and aliases.
        aliases: those of them that a user said.
        links: ``CONTAINER:ALIAS``, Docker's legacy links.
        exposed: the ports that containers with such a link to it use, "80/tcp".
        ports: what is published of it (`orlop.network.ports`).
        driver_options: what the user said to the driver for this container.
        pid, start_time: the container's first process, by which its namespace can be reached while it is the same.
        namespace: instead, the path of a file that the namespace is bound to; empty if it is not.
    """

    __slots__ = ("container", "id", "network", *_AT_FIRST)

    container_name: str
    network_name: str
    interface: str
    host_interface: str
    mac: str
    ipv4: str
    ipv6: str
    gateway_ipv4: str
    gateway_ipv6: str
    gateway_priority: int
    link_local: list[str]
    names: list[str]
    aliases: list[str]
    links: list[str]
    exposed: list[str]
    ports: list[dict[str, Any]]
    driver_options: dict[str, str]
    pid: int
    start_time: int
    namespace: str

    def __init__(self, network_id: str, container_id: str, endpoint_id: str, **fields: Any) -> None:
        self.network = network_id
        self.container = container_id
        self.id = endpoint_id
        for name, first in _AT_FIRST.items():
            value = fields.get(name, first)
            setattr(self, name, value.copy() if value is first and isinstance(first, (list, dict)) else value)

    @property
    def addresses(self) -> list[str]:
        """Its addresses of both versions, without prefixes."""
        return [each.partition("/")[0] for each in (self.ipv4, self.ipv6) if each]

    def fields(self) -> dict[str, Any]:
        """Everything by its name, for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Endpoint:
        """What `fields` wrote down."""
        said = dict(fields)
        return cls(said.pop("network"), said.pop("container"), said.pop("id"), **said)

    def write(self, place: Place) -> None:
        """Write it down, in place of what was there.

        Raises:
            OSError: there is no space.
        """
        directory = place.endpoints(self.network)
        aside = f"{directory}/.{self.container}.{os.getpid()}"
        data = json_text.dumps(self.fields()).encode()
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            try:
                while data:
                    data = data[os.write(descriptor, data) :]
            finally:
                os.close(descriptor)
            os.rename(aside, f"{directory}/{self.container}")
        except OSError:
            os.unlink(aside)
            raise


def remove(place: Place, network_id: str, container_id: str) -> None:
    """Take a container off a network; nothing happens if it is not on it."""
    try:
        os.unlink(f"{place.endpoints(network_id)}/{container_id}")
    except FileNotFoundError:
        return


def read(place: Place, network_id: str, container_id: str) -> Endpoint | None:
    """A container on a network; None if it is not on it."""
    try:
        with open(f"{place.endpoints(network_id)}/{container_id}", "rb", buffering=0) as file:
            text = file.read()
    except FileNotFoundError:
        return None
    try:
        return Endpoint.from_fields(json_text.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None  # damaged by hand; whoever repairs takes it away


def containers(place: Place, network_id: str) -> list[str]:
    """The ids of the containers that are on a network."""
    try:
        return [name for name in os.listdir(place.endpoints(network_id)) if name[0] != "."]
    except FileNotFoundError:
        return []


def on_network(place: Place, network_id: str) -> Iterator[Endpoint]:
    """Every container that is on a network."""
    for container_id in containers(place, network_id):
        found = read(place, network_id, container_id)
        if found is not None:
            yield found


def networks(place: Place) -> list[str]:
    """The ids of the networks that containers are on, or were until just now."""
    try:
        return [name for name in os.listdir(place.run_directory) if name[0] != "."]
    except FileNotFoundError:
        return []


def of_container(place: Place, container_id: str) -> list[Endpoint]:
    """A container's connections, in the order of its interfaces."""
    found = [read(place, network_id, container_id) for network_id in networks(place)]
    return sorted((each for each in found if each is not None), key=lambda each: (len(each.interface), each.interface))
