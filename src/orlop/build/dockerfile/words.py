"""An instruction's words as they were written, with their quotes."""

from __future__ import annotations

_BLANKS = " \t\r\n\v\f"


def split(text: str, escape: str) -> tuple[list[str], bool]:
    """Split a text at the blanks that are neither quoted nor escaped; says also whether all quotes are closed."""
    found: list[str] = []
    start, place, is_closed = -1, 0, True
    while place < len(text):
        character = text[place]
        if character in _BLANKS:
            if start >= 0:
                found.append(text[start:place])
                start = -1
            place += 1
            continue
        if start < 0:
            start = place
        if character == escape:
            place += 1
        elif character in "'\"":
            place = _closing(text, place, escape)
            is_closed = is_closed and place < len(text)
        place += 1
    if start >= 0:
        found.append(text[start:])
    return found, is_closed


def _closing(text: str, place: int, escape: str) -> int:
    """Where the quote that begins at ``place`` is closed; the text's length or more if it is not."""
    quote = text[place]
    place += 1
    while place < len(text) and text[place] != quote:
        place += 2 if quote == '"' and text[place] == escape else 1
    return place
