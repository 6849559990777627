"""Values as Go's templates see and print them: strings, numbers, booleans, nil, lists and maps."""

from __future__ import annotations

import math

from orlop import json_text
from orlop.cli.gotemplate import docker_fields
from orlop.cli.gotemplate.mistake import Unfit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_ESCAPES = {
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", '"': '\\"', "\\": "\\\\",
}  # fmt: skip


#: What is printed for a value that is not there.
NO_VALUE = "<no value>"


class Method:
    """A field that takes arguments: ``{{.Label "key"}}``. JSON leaves it out."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function


class Row(dict[str, "Any"]):
    """One object of a list. Docker's client makes its JSON itself, with the escapes for HTML that it turns off elsewhere."""

    __slots__ = ()


def kind(value: object) -> str:
    """What Go would call a value's type; in messages."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "float"
    if isinstance(value, str):
        return "string"
    if isinstance(value, dict):
        return "map"
    return "method" if isinstance(value, Method) else "list"


def text_of(value: object) -> str:
    """What ``{{.}}`` prints: ``%v``, and ``<no value>`` where there is none."""
    return NO_VALUE if value is None else plain(value)


def plain(value: object) -> str:
    """What ``%v`` prints: lists as ``[a b]``, structs as ``{a b}``, maps as ``map[key:value]`` with their keys in order."""
    if isinstance(value, str):
        return value
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, dict):
        return _plain_members(value)
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(map(plain, value)) + "]"
    return str(value)


def _plain_members(value: dict[str, Any]) -> str:
    struct = docker_fields.struct_of(value)
    if struct is not None:
        fields, missing = struct
        texts = (_plain_member(field, value[field]) if field in value else missing[field] for field in fields)
        return "{" + " ".join(texts) + "}"
    is_set = value and not any(member != {} for member in value.values())  # in Go a map to empty structs: exposed ports
    texts = (f"{key}:{'{}' if is_set else _plain_member(key, value[key])}" for key in sorted(value))
    return "map[" + " ".join(texts) + "]"


def _plain_member(name: str, value: object) -> str:
    if value is not None:
        return plain(value)
    if name.endswith(("/tcp", "/udp", "/sctp")):
        return "[]"  # a port that is not published
    return docker_fields.NOTHING.get(name, "<nil>")


def number(value: float, lowest: int = -4, highest: int = 6) -> str:
    """A floating-point number with as few digits as tell it from all others, as Go's ``%g`` prints it.

    It has an exponent if that is below ``lowest``, or not below ``highest``.
    """
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    digits = next(count for count in range(17) if count == 16 or float(f"{value:.{count}e}") == value)
    scientific = f"{value:.{digits}e}"
    exponent = int(scientific.partition("e")[2])
    if lowest <= exponent < highest:
        return f"{value:.{max(digits - exponent, 0)}f}"
    return scientific


def quote(text: str) -> str:
    """A Go string literal, as ``%q`` prints it; whatever is not printable is escaped."""
    if text.isprintable() and not _ESCAPES.keys() & set(text):
        return f'"{text}"'
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def json_of(value: object) -> str:
    """What ``{{json .}}`` prints: Go's encoding/json without its escapes for HTML, which Docker turns off.

    Members keep their order, as those of a Go struct do; those of a `Row` are a Go map's.

    Raises:
        Unfit: a number is infinite or not a number.
    """
    if isinstance(value, Row):
        value = dict(sorted(value.items()))
        return json_of(value).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    text = _json(value) if _is_special(value) else json_text.dumps(value)
    if text.isascii():
        return text
    return "".join(f"\\u{ord(each):04x}" if each in "\u2028\u2029" else each for each in text)


def _is_byte(character: str) -> bool:
    """Whether a character stands for a byte that is not text (PEP 383)."""
    return "\ud800" <= character <= "\udfff"


def _is_special(value: object) -> bool:
    """Whether a value has something in it that `json_text` writes in another way than Go, or not at all."""
    if isinstance(value, dict):
        return any(map(_is_special, (*value, *value.values())))
    if isinstance(value, (list, tuple)):
        return any(map(_is_special, value))
    if isinstance(value, str):
        return not value.isascii() and any(map(_is_byte, value))
    return isinstance(value, (float, Method))


def _json(value: object) -> str:
    if isinstance(value, dict):
        members = ((key, member) for key, member in value.items() if not isinstance(member, Method))
        return "{" + ",".join(f"{_json(key)}:{_json(member)}" for key, member in members) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_json, value)) + "]"
    if isinstance(value, float):
        text = number(value, -6, 21)
        if text.lstrip("+-").isalpha():
            raise Unfit(f"{text} is not a JSON value")
        return text.replace("e-0", "e-")
    if isinstance(value, str):
        return '"' + "".join("\\ufffd" if _is_byte(each) else json_text.dumps(each)[1:-1] for each in value) + '"'
    return json_text.dumps(value)
