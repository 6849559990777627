"""Fields as Debian's control files and Python's metadata have them: ``Name: value``, and more of it on lines that begin with a space."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def read(text: str) -> Iterator[dict[str, str]]:
    """Each paragraph; of a field only its first line, names in small letters. The first of several of one name counts."""
    fields: dict[str, str] = {}
    for line in text.split("\n"):
        if not line.strip():
            if fields:
                yield fields
                fields = {}
        elif line[0] not in " \t":
            name, colon, value = line.partition(":")
            if colon:
                fields.setdefault(name.strip().lower(), value.strip())
    if fields:
        yield fields


def first(text: str) -> dict[str, str]:
    """The fields of the first paragraph; none if there is none."""
    return next(read(text), {})
