"""Go's fmt.Sprintf for the values that templates have.

Verbs: ``%v``; ``%s``, ``%q``, ``%x``, ``%X`` for strings; ``%d``, ``%b``, ``%o``, ``%O``, ``%x``, ``%X``, ``%c``, ``%q``,
``%U`` for whole numbers; ``%e``, ``%E``, ``%f``, ``%F``, ``%g``, ``%G`` for others; ``%t`` for booleans; with the flags
``-``, ``+``, ``#``, ``0`` and space, a width and a precision, which may be ``*``. In a list or a map a verb is meant for each
element. Where Go prints a complaint such as ``%!d(string=a)`` into the text, this is an error.
"""

from __future__ import annotations

from orlop.cli.gotemplate.mistake import Unfit
from orlop.cli.gotemplate.values import kind, number, plain, quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_WIDEST = 1_000_000  # as Go has it
_INTEGER = {"d": "d", "b": "b", "o": "o", "x": "x", "X": "X", "v": "d"}
_PREFIX = {"b": "0b", "o": "0", "O": "0o", "x": "0x", "X": "0X"}


class _Verb:
    """One conversion: what is between ``%`` and the letter, and the letter."""

    __slots__ = ("flags", "letter", "precision", "width")

    def __init__(self) -> None:
        self.flags = ""
        self.width = 0
        self.precision: int | None = None
        self.letter = ""

    def padded(self, text: str, *, number: bool = False) -> str:
        """The text in its width; zeros go between a number's sign and its digits."""
        if "-" in self.flags:
            return f"{text:<{self.width}}"
        if "0" in self.flags:
            sign = text[:1] if number and text[:1] in ("+", "-", " ") else ""
            return sign + text[len(sign) :].rjust(self.width - len(sign), "0")
        return f"{text:>{self.width}}"


def format_text(format_: str, arguments: tuple[object, ...]) -> str:
    """The format with its arguments.

    Raises:
        Unfit: a verb is not known or not for its argument, or there are too few or too many arguments.
    """
    parts: list[str] = []
    rest = iter(arguments)
    place = 0
    while True:
        percent = format_.find("%", place)
        if percent < 0:
            parts.append(format_[place:])
            break
        parts.append(format_[place:percent])
        verb = _Verb()
        place = _read(format_, percent + 1, verb, rest)
        if verb.letter == "%":
            parts.append("%")
            continue
        parts.append(_convert(verb, _next(rest, verb.letter)))
    if list(rest):
        raise Unfit("more arguments than the format has verbs")
    return "".join(parts)


def _next(rest: Iterator[object], letter: str) -> object:
    for value in rest:
        return value
    raise Unfit(f"no argument for %{letter}")


def _read(format_: str, place: int, verb: _Verb, rest: Iterator[object]) -> int:
    """Read one conversion from behind its percent sign; the place behind it."""
    while format_[place : place + 1] in tuple("+-# 0"):
        verb.flags += format_[place]
        place += 1
    width, place = _count(format_, place, rest)
    if width is not None and width < 0:
        verb.flags += "-"
    verb.width = abs(width or 0)
    if format_[place : place + 1] == ".":
        precision, place = _count(format_, place + 1, rest)
        verb.precision = max(precision or 0, 0)
    verb.letter = format_[place : place + 1]
    if not verb.letter:
        raise Unfit("the format ends in a verb")
    if verb.letter not in "vsqxXdboOcUeEfFgGt%":
        raise Unfit(f"%{verb.letter} is not one of the verbs that orlop knows")
    return place + 1


def _count(format_: str, place: int, rest: Iterator[object]) -> tuple[int | None, int]:
    if format_[place : place + 1] == "*":
        value = _next(rest, "*")
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _WIDEST:
            raise Unfit(f"* needs a number of at most {_WIDEST}")
        return value, place + 1
    end = place
    while format_[end : end + 1].isdecimal():
        end += 1
    if end == place:
        return None, place
    count = int(format_[place:end]) if end - place <= 7 else _WIDEST + 1
    if count > _WIDEST:
        raise Unfit(f"a width or precision of more than {_WIDEST}")
    return count, end


def _convert(verb: _Verb, value: object) -> str:
    letter = verb.letter
    if isinstance(value, dict):
        members = (f"{_convert(verb, key)}:{_convert(verb, value[key])}" for key in sorted(value))
        return "map[" + " ".join(members) + "]"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(_convert(verb, each) for each in value) + "]"
    if "#" in verb.flags and (letter in "vsgG" or (isinstance(value, str) and letter != "q")):
        raise Unfit(f"%#{letter} is not one of the verbs that orlop knows")
    if isinstance(value, bool) and letter in "tv":
        return verb.padded(plain(value))
    if isinstance(value, int) and not isinstance(value, bool):
        if letter in "dboOxXv":
            return _integer(verb, value)
        if letter in "cqU":
            return _character(verb, value)
    if isinstance(value, float) and letter in "eEfFgGv":
        return _float(verb, value)
    if isinstance(value, str) and letter in "sqxXv":
        return _string(verb, value)
    if value is None and letter == "v":
        return verb.padded("<nil>")
    raise Unfit(f"%{letter} cannot print a value of type {kind(value)}")


def _sign(verb: _Verb, text: str) -> str:
    if text.startswith("-"):
        return text
    return "+" + text if "+" in verb.flags and verb.letter != "v" else " " + text if " " in verb.flags else text


def _integer(verb: _Verb, value: int) -> str:
    letter = verb.letter
    digits = format(abs(value), _INTEGER.get(letter, "o"))
    if verb.precision is not None:
        digits = "" if verb.precision == 0 and value == 0 else digits.rjust(verb.precision, "0")
    if letter == "O" or ("#" in verb.flags and letter in _PREFIX):
        digits = _PREFIX[letter] + digits
    if verb.precision is not None:
        verb.flags = verb.flags.replace("0", "")
    return verb.padded(_sign(verb, ("-" if value < 0 else "") + digits), number=True)


def _character(verb: _Verb, value: int) -> str:
    if not 0 <= value <= 0x10FFFF or 0xD800 <= value < 0xE000:  # these are halves of UTF-16
        raise Unfit(f"{value} is not a character")
    character = chr(value)
    if verb.letter == "U":
        shown = f" '{character}'" if "#" in verb.flags and character.isprintable() else ""
        return verb.padded(f"U+{value:04X}{shown}")
    if verb.letter == "c":
        return verb.padded(character)
    inside = {"'": "\\'", '"': '"'}.get(character) or quote(character)[1:-1]
    return verb.padded(f"'{inside}'")


def _float(verb: _Verb, value: float) -> str:
    letter = "g" if verb.letter == "v" else verb.letter
    if letter in "gG" and verb.precision is None:
        text = number(value)
        text = text.upper() if letter == "G" else text
    else:
        text = f"{value:.{6 if verb.precision is None else verb.precision}{letter}}"
    return verb.padded(_sign(verb, text), number=True)


def _string(verb: _Verb, value: str) -> str:
    letter = verb.letter
    if letter in "xX":
        data = value.encode(errors="surrogateescape")[: verb.precision]
        text = data.hex(" ") if " " in verb.flags else data.hex()
        return verb.padded(text.upper() if letter == "X" else text)
    text = value if verb.precision is None else value[: verb.precision]
    if letter != "q":
        return verb.padded(text)
    if "#" in verb.flags and "`" not in text and all(each.isprintable() or each == "\t" for each in text):
        return verb.padded(f"`{text}`")
    quoted = quote(text)
    if "+" in verb.flags and not quoted.isascii():
        quoted = "".join(each if each.isascii() else _ascii(each) for each in quoted)
    return verb.padded(quoted)


def _ascii(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
