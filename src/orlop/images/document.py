"""Reading JSON documents that strangers wrote, such as manifests and image configurations, field by field.

As for every reader written in Go a ``null`` is an absent field, and unknown fields are left alone. A field of a wrong
type is an error that names the field.
"""

from __future__ import annotations

from orlop import json_text
from orlop.errors import InvalidImage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LARGEST = (1 << 63) - 1


def parse(data: bytes, what: str, limit: int) -> dict[str, Any]:
    """Parse a document that must be an object; ``what`` it is begins the error's sentence.

    Raises:
        InvalidImage: it is larger than ``limit`` bytes, not JSON of real characters, not an object, or names a field
            twice.
    """
    if len(data) > limit:
        raise InvalidImage(f"{what} is {len(data)} bytes long: at most {limit} are read")
    try:
        document = json_text.loads(data, unique_keys=True)
        if b"\\u" in data:
            _check_characters(document)
    except ValueError as error:
        raise InvalidImage(f"{what} is not JSON that can be trusted: {_first_line(error)}") from None
    if type(document) is not dict:
        raise InvalidImage(f"{what} is not a JSON object")
    return document


def _check_characters(document: Any) -> None:
    """Raise ValueError for half of a surrogate pair, a character that nothing can store."""
    values = [document]
    for value in values:  # which grows
        if isinstance(value, str):
            value.encode()
        elif isinstance(value, dict):
            values += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            values += value


def _first_line(error: ValueError) -> str:
    text = str(error).partition("\n")[0][:200]
    return text[:1].lower() + text[1:] if not text.startswith("JSON") else text


def text(document: dict[str, Any], key: str, what: str) -> str:
    """A field that is a string, or empty if it is absent.

    Raises:
        InvalidImage: it is something else.
    """
    value = document.get(key)
    if value is None:
        return ""
    if type(value) is not str:
        raise InvalidImage(f"{key} of {what} is not a string")
    return value


def integer(document: dict[str, Any], key: str, what: str) -> int | None:
    """A field that is a whole number of 64 bits, or None if it is absent.

    Raises:
        InvalidImage: it is something else.
    """
    value = document.get(key)
    if value is None:
        return None
    if type(value) is float and value.is_integer():
        value = int(value)  # some tools write all numbers as floats
    if type(value) is not int or not -_LARGEST <= value <= _LARGEST:
        raise InvalidImage(f"{key} of {what} is not a whole number of 64 bits")
    return value


def boolean(document: dict[str, Any], key: str, what: str) -> bool:
    """A field that is true or false; false if it is absent.

    Raises:
        InvalidImage: it is something else.
    """
    value = document.get(key)
    if value is None:
        return False
    if type(value) is not bool:
        raise InvalidImage(f"{key} of {what} is neither true nor false")
    return value


def strings(document: dict[str, Any], key: str, what: str) -> list[str]:
    """A field that is an array of strings; empty if it is absent.

    Raises:
        InvalidImage: it is something else.
    """
    value = document.get(key)
    if value is None:
        return []
    if type(value) is not list or not all(type(item) is str for item in value):
        raise InvalidImage(f"{key} of {what} is not an array of strings")
    return value


def string_map(document: dict[str, Any], key: str, what: str) -> dict[str, str]:
    """A field that is an object whose values are strings; empty if it is absent. A null is an empty string.

    Raises:
        InvalidImage: it is something else.
    """
    value = document.get(key)
    if value is None:
        return {}
    if type(value) is not dict or not all(item is None or type(item) is str for item in value.values()):
        raise InvalidImage(f"{key} of {what} is not an object of strings")
    return {name: item or "" for name, item in value.items()}


def names(document: dict[str, Any], key: str, what: str) -> list[str]:
    """The keys of a field that is a set, which Go writes as an object of empty objects; empty if it is absent.

    Raises:
        InvalidImage: it is something else.
    """
    value = document.get(key)
    if value is None:
        return []
    if type(value) is not dict:
        raise InvalidImage(f"{key} of {what} is not an object")
    return list(value)


def mapping(document: dict[str, Any], key: str, what: str) -> dict[str, Any] | None:
    """A field that is an object, or None if it is absent.

    Raises:
        InvalidImage: it is something else.
    """
    value = document.get(key)
    if value is not None and type(value) is not dict:
        raise InvalidImage(f"{key} of {what} is not an object")
    return value


def mappings(document: dict[str, Any], key: str, what: str) -> list[dict[str, Any]]:
    """A field that is an array of objects; empty if it is absent.

    Raises:
        InvalidImage: it is something else.
    """
    value = document.get(key)
    if value is None:
        return []
    if type(value) is not list or not all(type(item) is dict for item in value):
        raise InvalidImage(f"{key} of {what} is not an array of objects")
    return value
