"""What a template may call: `text/template`'s own functions, and those that Docker adds.

Each is a Python function and how many arguments it takes, the most being absent where there is no limit. ``and`` and
``or`` are not here, since they evaluate no more of their arguments than they need (`orlop.cli.gotemplate.expressions`).
A function raises `Unfit` if it cannot be applied to its arguments.
"""

from __future__ import annotations

from orlop.cli.gotemplate.mistake import Unfit
from orlop.cli.gotemplate.values import json_of, kind, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    #: The function, the fewest and the most arguments that it takes.
    Function = tuple[Callable[..., Any], int, int | None]

#: Functions that Go has and orlop has not.
REFUSED = ("call", "js")

_HTML = {'"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;", "\0": "\ufffd"}
_UNRESERVED = "-_.~"


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise Unfit(f"expected a string, found a value of type {kind(value)}")
    return value


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Unfit(f"expected a whole number, found a value of type {kind(value)}")
    return value


def _bytes(text: str) -> bytes:
    """What Go counts and cuts a string by; bytes that are not text came here as PEP 383 has it."""
    return text.encode(errors="surrogateescape")


def _split(text: object, separator: object) -> list[str]:
    parted = _string(separator)
    return _string(text).split(parted) if parted else list(_string(text))


def _join(values: object, separator: object) -> str:
    if values is not None and not isinstance(values, (list, tuple)):
        raise Unfit(f"expected a list, found a value of type {kind(values)}")
    return _string(separator).join(plain(each) for each in values or ())


def _title(text: object) -> str:
    result = []
    before = " "
    for character in _string(text):
        result.append(character if before.isalnum() or before == "_" else character.upper())
        before = character
    return "".join(result)


def _pad(text: object, before: object, after: object) -> str:
    """Spaces on both sides of a text, but none where there is no text."""
    padded = " " * _integer(before) + _string(text) + " " * _integer(after)
    return padded if text else ""


def _truncate(text: object, length: object) -> str:
    """At most so many bytes, as in Docker, though never a part of a character."""
    if _integer(length) < 0:
        raise Unfit(f"expected a length, found {length}")
    return _bytes(_string(text))[: _integer(length)].decode(errors="ignore")


def _length(value: object) -> int:
    if isinstance(value, str):
        return len(_bytes(value))
    if value is None or isinstance(value, (list, tuple, dict)):
        return len(value or ())
    raise Unfit(f"a value of type {kind(value)} has no length")


def _index(value: object, *keys: object) -> object:
    for key in keys:
        value = _element(value, key)
    return value


def _element(value: object, key: object) -> object:
    if isinstance(value, dict) or (value is None and isinstance(key, str)):
        members = value or {}
        if _string(key) in members:
            return members[key]
        # Go answers with the type's own nothing. What type a map has only shows in what it holds.
        return "" if all(isinstance(each, str) for each in members.values()) else None
    place = _integer(key)
    sequence: Any = _bytes(value) if isinstance(value, str) else value
    if not isinstance(sequence, (list, tuple, bytes)):
        raise Unfit(f"a value of type {kind(value)} has no elements")
    if not 0 <= place < len(sequence):
        raise Unfit(f"there is no element {place} among {len(sequence)}")
    return sequence[place]


def _slice(value: object, *bounds: object) -> object:
    sequence: Any = _bytes(value) if isinstance(value, str) else value
    if not isinstance(sequence, (list, tuple, bytes)):
        raise Unfit(f"a value of type {kind(value)} cannot be sliced")
    if len(bounds) == 3 and isinstance(value, str):
        raise Unfit("a string is sliced with two numbers at most")
    places = [_integer(each) for each in bounds]
    low = places[0] if places else 0
    limit = places[2] if len(places) > 2 else len(sequence)
    high = places[1] if len(places) > 1 else limit
    if not 0 <= low <= high <= limit <= len(sequence):
        raise Unfit(f"there is no part {':'.join(map(str, places))} of {len(sequence)} elements")
    part = sequence[low:high]
    if not isinstance(part, bytes):
        return part
    try:
        return part.decode()
    except UnicodeDecodeError:
        raise Unfit("would cut a character in two") from None


def _basic(value: object) -> str:
    name = kind(value)
    if name in ("list", "map", "method"):
        raise Unfit(f"a value of type {name} cannot be compared")
    return name


def _equal(first: object, *others: object) -> bool:
    name = _basic(first)
    for other in others:
        if name != _basic(other) and "nil" not in (name, _basic(other)):
            raise Unfit(f"{name} and {_basic(other)} cannot be compared")
    return any(_basic(other) == name and first == other for other in others)


def _less(first: Any, second: Any) -> bool:
    names = {_basic(first), _basic(second)}
    if len(names) > 1 or names & {"bool", "nil"}:
        raise Unfit(f"{_basic(first)} and {_basic(second)} have no order")
    return bool(first < second)


def _print(*values: object) -> str:
    """fmt.Sprint: a space between two values that are both no strings."""
    parts: list[str] = []
    for place, value in enumerate(values):
        if place and not isinstance(value, str) and not isinstance(values[place - 1], str):
            parts.append(" ")
        parts.append(plain(value))
    return "".join(parts)


def _println(*values: object) -> str:
    return " ".join(map(plain, values)) + "\n"


def _printf(format_: object, *values: object) -> str:
    from orlop.cli.gotemplate.printf import format_text

    return format_text(_string(format_), values)


def _html(*values: object) -> str:
    return "".join(_HTML.get(each, each) for each in _print(*values))


def _urlquery(*values: object) -> str:
    result = []
    for byte in _bytes(_print(*values)):
        character = chr(byte)
        plain_one = character.isascii() and (character.isalnum() or character in _UNRESERVED)
        result.append(character if plain_one else "+" if character == " " else f"%{byte:02X}")
    return "".join(result)


FUNCTIONS: dict[str, Function] = {
    "eq": (_equal, 2, None),
    "ge": (lambda first, second: not _less(first, second), 2, 2),
    "gt": (lambda first, second: not _less(first, second) and not _equal(first, second), 2, 2),
    "html": (_html, 0, None),
    "index": (_index, 1, None),
    "join": (_join, 2, 2),
    "json": (json_of, 1, 1),
    "le": (lambda first, second: _less(first, second) or _equal(first, second), 2, 2),
    "len": (_length, 1, 1),
    "lower": (lambda text: _string(text).lower(), 1, 1),
    "lt": (_less, 2, 2),
    "ne": (lambda first, second: not _equal(first, second), 2, 2),
    "not": (lambda value: not value, 1, 1),
    "pad": (_pad, 3, 3),
    "print": (_print, 0, None),
    "printf": (_printf, 1, None),
    "println": (_println, 0, None),
    "slice": (_slice, 1, 4),
    "split": (_split, 2, 2),
    "title": (_title, 1, 1),
    "truncate": (_truncate, 2, 2),
    "upper": (lambda text: _string(text).upper(), 1, 1),
    "urlquery": (_urlquery, 0, None),
}

#: In the header of a table these leave the header as it is.
HEADER_FUNCTIONS: dict[str, Function] = FUNCTIONS | {
    name: (lambda text, *_: text, least, most)
    for name, (_, least, most) in FUNCTIONS.items()
    if name in ("json", "title", "lower", "upper", "truncate")
}
