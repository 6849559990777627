"""JSON in and out, without the start-up cost of the ``json`` package.

``json`` imports ``re`` for its pure-Python fallback, which costs more than reading a container's
whole configuration. The scanner and the encoder themselves are C code in ``_json`` and need neither.
"""

from __future__ import annotations

from _json import encode_basestring, make_encoder, make_scanner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_WHITESPACE = " \t\n\r"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its members, which must all have different names."""
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for position, name in enumerate(names) if name in names[:position])
        raise ValueError(f"the JSON object has more than one {dumps(repeated[:80])}")
    return members


class _Context:
    """What the C scanner reads its settings from."""

    strict = True
    object_hook = None
    object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None
    parse_float = float
    parse_int = int
    memo: dict[str, str] = {}

    @staticmethod
    def parse_constant(name: str) -> Any:
        raise ValueError(f"{name} is not a JSON value")


class _StrictContext(_Context):
    object_pairs_hook = staticmethod(_unique)


_scan = make_scanner(_Context())  # type: ignore[arg-type]  # it reads attributes, whatever has them
_scan_strictly = make_scanner(_StrictContext())  # type: ignore[arg-type]  # likewise


def _refuse(value: object) -> Any:
    raise TypeError(f"cannot be written as JSON: {type(value).__name__}")


_encoders: dict[int | None, Any] = {}


def loads(text: bytes | str, *, unique_keys: bool = False) -> Any:
    """Parse one JSON document.

    ``unique_keys`` refuses an object that names a member twice, which every reader is free to understand differently
    (RFC 8259, section 4).

    Raises:
        ValueError: the text is not JSON, or something follows the document.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    start = 0
    end = len(text)
    while start < end and text[start] in _WHITESPACE:
        start += 1
    try:
        value, stop = _scan_strictly(text, start) if unique_keys else _scan(text, start)
    except (StopIteration, ValueError, SystemError):
        # 3.13's scanner raises SystemError unless `json` is loaded; `json` also words the error well.
        import json

        hook = _unique if unique_keys else None
        try:
            return json.loads(text, parse_constant=_Context.parse_constant, object_pairs_hook=hook)
        except RecursionError:
            raise ValueError("JSON nested too deeply") from None
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None
    while stop < end and text[stop] in _WHITESPACE:
        stop += 1
    if stop != end:
        raise ValueError(f"text after the JSON document at character {stop}")
    return value


def dumps(value: object) -> str:
    """Write a value as compact JSON, on one line.

    Bytes of file names and arguments that are no UTF-8 (surrogates, `os.fsdecode`) are escaped, so that the text can be
    encoded, and `loads` makes the same of it.
    """
    encoder = _encoders.get(None)
    if encoder is None:
        encoder = make_encoder({}, _refuse, encode_basestring, None, ":", ",", False, False, False)
        _encoders[None] = encoder
    text = "".join(encoder(value, 0))
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def pretty(value: object, indent: int = 2) -> str:
    """Write a value as indented JSON, for people and files that people read."""
    return _indented(value, "\n", " " * indent)


def _indented(value: object, line: str, step: str) -> str:
    inner = line + step
    if isinstance(value, dict) and value:
        parts = [f"{dumps(str(key))}: {_indented(item, inner, step)}" for key, item in value.items()]
        return "{" + inner + f",{inner}".join(parts) + line + "}"
    if isinstance(value, (list, tuple)) and value:
        parts = [_indented(item, inner, step) for item in value]
        return "[" + inner + f",{inner}".join(parts) + line + "]"
    return dumps(value)
