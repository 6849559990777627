"""What is in force of a container's networks, in the words of Docker's API (``NetworkSettings``)."""

from __future__ import annotations

from orlop.engine import network_mode, ports
from orlop.errors import OrlopError
from orlop.network import endpoint, inside, record, store
from orlop.network.endpoint import Endpoint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from orlop.engine.container import Container
    from orlop.network.place import Place


def describe(target: Container, state: Mapping[str, Any]) -> dict[str, Any]:
    """A container's ``NetworkSettings``; ``state`` is its state.

    Raises:
        NotFound: it was removed meanwhile.
    """
    place = target.location.networks
    wanted = network_mode.wanted(target.record, everything=True)
    found = {each.network: each for each in endpoint.of_container(place, target.id)} if state["Running"] else {}
    networks = {name: _network(place, name, said, found) for name, said in wanted.items()}
    first = networks.get(record.BRIDGE) or _settings({}, "", None)
    return {
        "Bridge": "",
        "SandboxID": target.id if state["Running"] else "",
        "SandboxKey": f"/proc/{state['Pid']}/ns/net" if state["Running"] else "",
        "Ports": ports.settings(target, is_running=state["Running"]),
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        **{key: first[key] for key in _FLAT},
        "Networks": networks,
    }


#: What is told of the default network once more, for clients of before there were others.
_FLAT = (
    "EndpointID",
    "Gateway",
    "GlobalIPv6Address",
    "GlobalIPv6PrefixLen",
    "IPAddress",
    "IPPrefixLen",
    "IPv6Gateway",
    "MacAddress",
)


def _network(place: Place, name: str, said: Mapping[str, Any], found: Mapping[str, Endpoint]) -> dict[str, Any]:
    try:
        network_id = store.find(place, name).id
    except (OrlopError, OSError):
        network_id = ""  # it was removed since; or never was there, and the disk is full
    return _settings(said, network_id, found.get(network_id))


def _settings(said: Mapping[str, Any], network_id: str, found: Endpoint | None) -> dict[str, Any]:
    made = found or Endpoint("", "", "")
    ipv4, _, prefix_ipv4 = made.ipv4.partition("/")
    ipv6, _, prefix_ipv6 = made.ipv6.partition("/")
    return {
        "IPAMConfig": said.get("IPAMConfig") or None,
        "Links": said.get("Links") or None,
        "Aliases": said.get("Aliases") or None,
        "MacAddress": made.mac or said.get("MacAddress") or "",
        "DriverOpts": said.get("DriverOpts") or None,
        "GwPriority": said.get("GwPriority") or 0,
        "NetworkID": network_id,
        "EndpointID": made.id,
        "Gateway": made.gateway_ipv4.replace(inside.ON_LINK, ""),
        "IPAddress": ipv4,
        "IPPrefixLen": int(prefix_ipv4 or 0),
        "IPv6Gateway": made.gateway_ipv6.replace(inside.ON_LINK, ""),
        "GlobalIPv6Address": ipv6,
        "GlobalIPv6PrefixLen": int(prefix_ipv6 or 0),
        "DNSNames": [*made.names, *(each for each in made.aliases if each not in made.names)] or None,
    }
