"""Which network a container has, by the word that its settings and its record have for it (``NetworkMode``).

Apart from `orlop.engine.networking`, so that a container which is on no network needs nothing of that.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

#: Modes in which a container is on no network of this engine's; nor is one that has another container's.
WITHOUT = ("none", "host")
#: The mode of a container that says nothing about its network, until it is made: see `chosen`.
DEFAULT = "default"
#: The environment variable that says which network containers have that name none.
VARIABLE = "ORLOP_NETWORK"

_JOINED = "container:"


def chosen(mode: str, *, rootless: bool) -> str:
    """The mode that is meant: who says nothing gets the network ``bridge``, and an ordinary user none."""
    if mode != DEFAULT:
        return mode
    return "none" if rootless else "bridge"


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
    return {name: said for name, said in found.items() if everything or name not in WITHOUT}
