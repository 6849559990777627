"""Which network a container has, by the word that its settings and its record have for it (``NetworkMode``).

Apart from `orlop.engine.networking`, so that a container which is on no network needs nothing of that.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

#: Modes in which a container is on no network of this engine's; nor is one that has another container's.
WITHOUT = ("none", "host")
#: Modes of an ordinary user's containers that have a network each: the programs that connect them
#: (`orlop.engine.user_network`), the better one first.
PASTA = "pasta"
SLIRP = "slirp4netns"
USERS = (PASTA, SLIRP)
#: What these programs make their devices with.
TUN = "/dev/net/tun"
_PROGRAMS = ("/usr/local/bin", "/usr/bin", "/bin")
#: The mode of a container that says nothing about its network, until it is made: see `chosen`.
DEFAULT = "default"
#: The environment variable that says which network containers have that name none.
VARIABLE = "ORLOP_NETWORK"

_JOINED = "container:"


def chosen(mode: str, *, rootless: bool, joins: bool = False) -> str:
    """The mode that is meant: who says nothing gets the network ``bridge``, or none where nothing would lead out of that.

    ``joins`` says that the container has namespaces of others: then an ordinary user cannot connect it.
    """
    if mode != DEFAULT:
        return mode
    return "bridge" if not rootless or (able() and not joins) else "none"


def able() -> str:
    """The better one of `USERS` that can be had here; empty if there is none."""
    found = [each for each in USERS if program(each)] if os.access(TUN, os.R_OK | os.W_OK) else []
    return found[0] if found else ""


def program(mode: str) -> str | None:
    """Where the program of one of `USERS` is; None if it is not installed."""
    paths = [f"{directory}/{mode}" for directory in _PROGRAMS]
    return next((path for path in paths if os.access(path, os.X_OK)), None)


def has_ports(record: Mapping[str, Any]) -> bool:
    """Whether ports of a container with this record can be published."""
    return record["HostConfig"]["NetworkMode"] in USERS or bool(wanted(record))


def is_connected(mode: str) -> bool:
    """Whether a container with this mode is on networks of its own."""
    return mode not in WITHOUT and not mode.startswith(_JOINED)


def wanted(record: Mapping[str, Any], *, everything: bool = False) -> dict[str, dict[str, Any]]:
    """The networks that a container with this record is to be on, by name, that of its mode first.

    What is asked for on each is Docker's ``EndpointSettings``. With ``everything`` the networks ``host`` and ``none``
    are among them.
    """
    mode = record["HostConfig"]["NetworkMode"]
    found = (record.get("NetworkSettings") or {}).get("Networks")
    if found is None:
        found = {} if mode.startswith(_JOINED) else {mode: {}}
    return {name: said for name, said in found.items() if everything or name not in (*WITHOUT, *USERS)}
