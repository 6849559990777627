"""What snapshots may be called, and the errors that are about their names."""

from __future__ import annotations

import os

from orlop.errors import Conflict, InvalidArgument, NotFound

_LONGEST = 200


def check(name: str) -> None:
    """Raise InvalidArgument for a name that can be none."""
    if not name or name[0] == "." or "/" in name or "\0" in name or len(os.fsencode(name)) > _LONGEST:
        raise InvalidArgument(f'"{name[:_LONGEST]}" cannot be the name of a snapshot')


def taken(name: str) -> Conflict:
    """What to raise for a name that exists."""
    return Conflict(f"a snapshot {name} exists already")


def not_found(name: str) -> NotFound:
    """What to raise for a name that does not exist."""
    return NotFound(f"no such snapshot: {name}")
