"""A client's JSON, with Docker's words for what is wrong with it."""

from __future__ import annotations

from orlop import json_text
from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: What our parser says that it expects, and what Docker's says it looks for.
_EXPECTED = (
    ("Expecting value", "looking for beginning of value"),
    ("Expecting property name", "looking for beginning of object key string"),
    ("Expecting ':'", "after object key"),
    ("Expecting ','", "after object key:value pair"),
)
_KINDS = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}


def read(data: bytes | str) -> Any:
    """One document, and nothing behind it.

    Raises:
        InvalidArgument: it is not JSON.
    """
    try:
        return json_text.loads(data)
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"invalid JSON: it is not UTF-8: {error.reason}") from None
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(_words(data if isinstance(data, str) else data.decode(), error)) from None


def wrong(value: object, wanted: str) -> InvalidArgument:
    """That a value is of another type than is ``wanted``."""
    return InvalidArgument(f"invalid JSON: json: cannot unmarshal {_KINDS.get(type(value), 'null')} into Go {wanted}")


def _words(text: str, error: Exception) -> str:
    said = str(error)
    if said.startswith("text after the JSON document"):
        return "unexpected content after JSON"
    place = getattr(error, "pos", None)
    looked_for = next((words for expected, words in _EXPECTED if said.startswith(expected)), "")
    if place is None or not looked_for:
        return f"invalid JSON: {said}"
    if not text[place:].strip():
        return "invalid JSON: unexpected EOF"
    return f"invalid JSON: invalid character '{text[place]}' {looked_for}"
