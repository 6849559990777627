"""The one context that there is: Docker's client can have many, each a daemon; orlop is on this machine only."""

from __future__ import annotations

from orlop.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.location import Location

DEFAULT = "default"


def check(name: str) -> None:
    """Whether it is that one.

    Raises:
        NotFound: as said.
    """
    if name != DEFAULT:
        raise NotFound(f'context "{name}": not found: there is only "{DEFAULT}", which is this machine')


def endpoint(location: Location) -> str:
    """Where other programs reach this engine while ``orlop serve`` runs."""
    return f"unix://{location.run_root}/docker.sock"


def describe(location: Location) -> dict[str, Any]:
    """What ``context inspect`` shows."""
    return {
        "Name": DEFAULT,
        "Metadata": {},
        "Endpoints": {"docker": {"Host": endpoint(location), "SkipTLSVerify": False}},
        "TLSMaterial": {},
        "Storage": {"MetadataPath": "<IN MEMORY>", "TLSPath": "<IN MEMORY>"},
    }
