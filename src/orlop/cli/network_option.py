"""``--network`` in its long form, several times, and the options that say more of the first network."""

from __future__ import annotations

from orlop.errors import InvalidArgument
from orlop.network import subnet
from orlop.network.drivers import interface

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from orlop.engine.settings import Settings
    from orlop.options import Parsed

_MODES = ("none", "host")


def ipv4(text: str) -> str:
    """An IPv4 address."""
    return _of(subnet.IPV4, text, "IPv4")


def ipv6(text: str) -> str:
    """An IPv6 address, in its shortest form."""
    return _of(subnet.IPV6, text, "IPv6")


def address(text: str) -> str:
    """An address of either version, in its shortest form."""
    try:
        return subnet.write(*subnet.parse(text))
    except InvalidArgument:
        raise ValueError(f"{text} is not an ip address") from None


def _of(family: int, text: str, version: str) -> str:
    found = address(text)
    if subnet.parse(found)[0] != family:
        raise ValueError(f"{text} is not an {version} address")
    return found


def mac(text: str) -> str:
    """A hardware address."""
    try:
        return interface.parse_mac(text)
    except InvalidArgument:
        raise ValueError(f"{text} is not a valid mac address") from None


def read(said: Parsed, settings: Settings) -> None:
    """Put into the settings what a command line says of networks.

    Raises:
        InvalidArgument: options contradict each other, or cannot be right.
    """
    networks: dict[str, dict[str, Any]] = {}
    for text in said["network"]:
        name, wanted = parse(text)
        if name in networks:
            raise InvalidArgument(f'network "{name}" is specified multiple times')
        networks[name] = wanted
    settings.network = next(iter(networks), settings.network)
    if said.has_further:
        _add_options(said, settings.network, networks.setdefault(settings.network, {}))
    modes = [name for name in networks if name in _MODES or name.startswith("container:")]
    if modes and len(networks) > 1:
        raise InvalidArgument("conflicting options: cannot attach both user-defined and non-user-defined network-modes")
    if modes and networks[modes[0]]:
        raise InvalidArgument(f"conflicting options: nothing can be said of network mode {modes[0]}")
    if len(networks) > 1 or any(networks.values()):
        settings.networks = networks


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """A network's name and what is wanted of it: ``NAME``, or ``name=NAME,alias=…`` in fields with commas.

    Raises:
        InvalidArgument: a field is not known, or has a wrong value.
    """
    if "=" not in text:
        return text, {}
    import csv

    name = ""
    wanted: dict[str, Any] = {}
    for field in next(csv.reader([text]), []):
        key, equals, value = field.partition("=")
        if not equals:
            raise InvalidArgument(f"invalid field {field} in --network {text}: it must be KEY=VALUE")
        try:
            name = value if key == "name" else name
            if key != "name":
                _put(wanted, key, value)
        except ValueError as error:
            raise InvalidArgument(f"invalid field {field} in --network: {error}") from None
    if not name:
        raise InvalidArgument(f"network name/id is not specified in --network {text}")
    return name, wanted


def driver_options(texts: Sequence[str]) -> dict[str, str]:
    """What is said to a driver.

    Raises:
        InvalidArgument: a text is not ``KEY=VALUE``.
    """
    wanted: dict[str, Any] = {}
    for text in texts:
        try:
            _put(wanted, "driver-opt", text)
        except ValueError as error:
            raise InvalidArgument(f"invalid --driver-opt {text}: {error}") from None
    return dict(wanted.get("DriverOpts") or {})


def _put(wanted: dict[str, Any], key: str, value: str) -> None:
    if key == "alias":
        wanted.setdefault("Aliases", []).append(value)
    elif key == "ip":
        wanted.setdefault("IPAMConfig", {})["IPv4Address"] = ipv4(value)
    elif key == "ip6":
        wanted.setdefault("IPAMConfig", {})["IPv6Address"] = ipv6(value)
    elif key == "link-local-ip":
        wanted.setdefault("IPAMConfig", {}).setdefault("LinkLocalIPs", []).append(address(value))
    elif key == "mac-address":
        wanted["MacAddress"] = mac(value)
    elif key == "driver-opt":
        name, equals, option = value.partition("=")
        if not equals or not name:
            raise ValueError("invalid key value pair format in driver options")
        wanted.setdefault("DriverOpts", {})[name] = option
    elif key == "gw-priority":
        wanted["GwPriority"] = int(value)
    else:
        raise ValueError(f"unexpected key {key}")


#: Options that say of the first network what its long form can say as well.
_OPTIONS = {
    "network-alias": ("alias", "alias"),
    "ip": ("ip", "IPv4 address"),
    "ip6": ("ip6", "IPv6 address"),
    "link-local-ip": ("link-local-ip", "link-local IP addresses"),
    "mac-address": ("mac-address", "MAC address"),
}
_PLACES = {"alias": "Aliases", "mac-address": "MacAddress", "ip": "IPv4Address", "ip6": "IPv6Address"}


def _add_options(said: Parsed, name: str, wanted: dict[str, Any]) -> None:
    for option, (key, what) in _OPTIONS.items():
        if not said.given(option):
            continue
        place = _PLACES.get(key, "LinkLocalIPs")
        if place in wanted or place in (wanted.get("IPAMConfig") or {}):
            raise InvalidArgument(f"conflicting options: cannot specify both --{option} and per-network {what}")
        if name in _MODES or name.startswith("container:"):
            raise InvalidArgument(f"conflicting options: {option} and the network mode")
        for value in said[option] if isinstance(said[option], list) else [said[option]]:
            _put(wanted, key, value)
