"""An image's name as the API's parameters have it: the repository and the tag, each for itself."""

from __future__ import annotations

from orlop.errors import InvalidReference
from orlop.images import reference


def named(repository: str, tag: str) -> str:
    """The name of both; ``tag`` may be empty, or a digest, and goes before a tag that ``repository`` has.

    Raises:
        InvalidReference: together they are none.
    """
    if not tag:
        return repository
    found = reference.parse(repository)
    if ":" in tag:
        return str(found.pinned(tag))
    if not reference.is_tag(tag):
        raise InvalidReference("invalid tag format")
    return str(found.tagged(tag))
