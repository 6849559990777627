"""Reading the YAML that tools write for configuration: mappings, sequences and scalars, in blocks or in brackets.

That is YAML 1.2's core schema without anchors, tags, several documents and complex keys, each of which is refused.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", '"': '"', "\\": "\\", "/": "/", "e": "\x1b", " ": " "}
_WORDS = {"null": None, "~": None, "": None, "true": True, "false": False}


def loads(text: str) -> Any:
    """The value of a document.

    Raises:
        ValueError: it is damaged, or uses what is not read here; with the line's number.
    """
    lines: list[tuple[int, int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(("%", "---", "...")):
            if line.startswith("---") and lines:
                raise ValueError(f"line {number}: it has several documents")
            continue
        stripped = line.lstrip(" ")
        if stripped.startswith("\t"):
            raise ValueError(f"line {number}: a tab cannot indent")
        if stripped and not stripped.startswith("#"):
            lines.append((number, len(line) - len(stripped), stripped.rstrip()))
    reader = _Reader(lines)
    value = reader.block(-1)
    if reader.place < len(lines):
        raise ValueError(f"line {lines[reader.place][0]}: unexpected indentation")
    return value


class _Reader:
    """The lines of a document, each with its number, its indentation and its text; ``place`` is the next one."""

    def __init__(self, lines: list[tuple[int, int, str]]) -> None:
        self._lines = lines
        self.place = 0

    def block(self, beyond: int) -> Any:
        """The value in the lines that are indented by more than ``beyond``."""
        if self.place >= len(self._lines) or self._lines[self.place][1] <= beyond:
            return None
        number, indent, text = self._lines[self.place]
        if text == "-" or text.startswith("- "):
            return self._sequence(indent)
        if _key(text) is not None:
            return self._mapping(indent)
        self.place += 1
        return self._inline(number, indent, text)

    def _sequence(self, indent: int) -> list[Any]:
        found = []
        while self.place < len(self._lines):
            number, here, text = self._lines[self.place]
            if here != indent or not (text == "-" or text.startswith("- ")):
                break
            rest = text[1:].lstrip(" ")
            if not rest or rest.startswith("#"):
                self.place += 1
                found.append(self.block(indent))
            elif rest.startswith("- ") or _key(rest) is not None:
                # What follows the dash is a line of its own, indented to where it begins.
                self._lines[self.place] = (number, indent + len(text) - len(rest), rest)
                found.append(self.block(indent))
            else:
                self.place += 1
                found.append(self._inline(number, indent, rest))
        return found

    def _mapping(self, indent: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self.place < len(self._lines):
            number, here, text = self._lines[self.place]
            split = _key(text) if here == indent else None
            if split is None:
                break
            key, rest = split
            if key in found:
                raise ValueError(f"line {number}: the key {key} is there twice")
            self.place += 1
            if rest and not rest.startswith("#"):
                found[key] = self._inline(number, indent, rest)
                continue
            following = self._lines[self.place] if self.place < len(self._lines) else None
            if following is not None and following[1] == indent and following[2].startswith("-"):
                found[key] = self._sequence(indent)  # a sequence may stand as far left as its key
            else:
                found[key] = self.block(indent)
        return found

    def _inline(self, number: int, indent: int, text: str) -> Any:
        """A scalar, or a value in brackets, which may go on in the next lines."""
        if text[0] in "|>":
            return self._text(text, indent)
        if text[0] in "&*!%@`":
            raise ValueError(f"line {number}: {text[0]} is not read here")
        if text[0] in "[{":
            while True:
                try:
                    value, end = _flow(text, 0)
                except EOFError:
                    if self.place >= len(self._lines):
                        raise ValueError(f"line {number}: a bracket is not closed") from None
                    text += " " + self._lines[self.place][2]
                    self.place += 1
                    continue
                break
        elif text[0] in "\"'":
            value, end = _quoted(text, 0)
        else:
            return _plain(text.split(" #")[0].rstrip())
        if text[end:].strip() and not text[end:].lstrip().startswith("#"):
            raise ValueError(f"line {number}: unexpected text after the value")
        return value

    def _text(self, mark: str, indent: int) -> str:
        """A text of several lines, which end as they are (``|``) or fold (``>``)."""
        taken = []
        while self.place < len(self._lines) and self._lines[self.place][1] > indent:
            taken.append(self._lines[self.place])
            self.place += 1
        margin = min((each[1] for each in taken), default=0)
        parts = [" " * (each[1] - margin) + each[2] for each in taken]
        joined = ("\n" if mark[0] == "|" else " ").join(parts)
        return joined if mark[1:2] == "-" or not joined else joined + "\n"


def _key(text: str) -> tuple[str, str] | None:
    """A mapping's key and what follows it; None if the line is no ``key:``."""
    if text[0] in "\"'":
        try:
            key, end = _quoted(text, 0)
        except ValueError:
            return None
        rest = text[end:].lstrip(" ")
        return (key, rest[1:].lstrip(" ")) if rest[:1] == ":" and rest[1:2] in ("", " ") else None
    if text[0] in "[{|>&*!":
        return None
    place = text.find(": ")
    if place > 0 and " #" not in text[:place]:
        return text[:place].rstrip(), text[place + 2 :].lstrip(" ")
    if text.endswith(":") and len(text) > 1:
        return text[:-1].rstrip(), ""
    return None


def _plain(text: str) -> Any:
    lowered = (
        text if text in ("~", "") else text.lower() if text in (text.lower(), text.capitalize(), text.upper()) else text
    )
    if lowered in _WORDS:
        return _WORDS[lowered]
    digits = text[1:] if text[:1] in "+-" else text
    if digits.isascii() and digits.isdigit():
        return int(text)
    for prefix, base in (("0x", 16), ("0o", 8)):
        if text.startswith(prefix):
            try:
                return int(text[2:], base)
            except ValueError:
                return text
    whole, dot, fraction = digits.partition(".")
    if dot and (whole + fraction).isascii() and (whole + fraction).isdigit():
        return float(text)
    return text


def _quoted(text: str, start: int) -> tuple[str, int]:
    """A text in quotes, and the place after it."""
    quote = text[start]
    found = []
    place = start + 1
    while place < len(text):
        character = text[place]
        if quote == "'" and text[place : place + 2] == "''":
            found.append("'")
            place += 2
        elif character == quote:
            return "".join(found), place + 1
        elif quote == '"' and character == "\\":
            place = _escape(text, place + 1, found)
        else:
            found.append(character)
            place += 1
    raise ValueError("a quote is not closed")


def _escape(text: str, place: int, found: list[str]) -> int:
    letter = text[place : place + 1]
    length = {"x": 2, "u": 4, "U": 8}.get(letter)
    if length:
        found.append(chr(int(text[place + 1 : place + 1 + length], 16)))
        return place + 1 + length
    if letter not in _ESCAPES:
        raise ValueError(f"the escape \\{letter} is not known")
    found.append(_ESCAPES[letter])
    return place + 1


def _flow(text: str, place: int) -> tuple[Any, int]:
    """A value within brackets, and the place after it; EOFError if the text ends before."""
    place = _skip(text, place)
    if text[place] in "\"'":
        return _quoted(text, place)
    if text[place] in "[{":
        closing = "]" if text[place] == "[" else "}"
        listed: list[Any] = []
        named: dict[str, Any] = {}
        place = _skip(text, place + 1)
        while text[place] != closing:
            value, place = _flow(text, place)
            place = _skip(text, place)
            if closing == "}":
                if text[place] != ":":
                    raise ValueError("a mapping in brackets has no value for a key")
                named[str(value)], place = _flow(text, place + 1)
                place = _skip(text, place)
            else:
                listed.append(value)
            if text[place] == ",":
                place = _skip(text, place + 1)
            elif text[place] != closing:
                raise ValueError("a comma is missing between brackets")
        return (listed if closing == "]" else named), place + 1
    start = place
    while place < len(text) and text[place] not in ",]}" and text[place : place + 2] not in (": ", ":"):
        place += 1
    return _plain(text[start:place].strip()), place


def _skip(text: str, place: int) -> int:
    while place < len(text) and text[place] == " ":
        place += 1
    if place >= len(text):
        raise EOFError
    return place
