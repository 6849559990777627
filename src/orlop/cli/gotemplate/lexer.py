"""From a template's text to tokens: `text/template`'s rules for actions, trimming and comments, and Go's for literals."""

from __future__ import annotations

from orlop.cli.gotemplate.mistake import Mistake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SPACE = " \t\r\n"
_KEYWORDS = ("block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with")
_SIMPLE = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92}
_CODED = {"x": 2, "u": 4, "U": 8}


class Token:
    """A piece of a template.

    ``kind`` is ``text``, ``open``, ``close``, ``space``, ``literal``, ``name``, ``field``, ``variable``, ``end of
    format``, or else the keyword or the sign itself; ``value`` is what a text, a literal or a name is.
    """

    __slots__ = ("kind", "position", "value")

    def __init__(self, kind: str, position: int, value: Any = None) -> None:
        self.kind = kind
        self.position = position
        self.value = value

    def __str__(self) -> str:
        """The token as messages name it."""
        if self.kind in ("literal", "name"):
            return f"{self.value!r}" if isinstance(self.value, str) else str(self.value)
        if self.kind == "field":
            return f".{self.value}"
        return {"open": "{{", "close": "}}", "variable": str(self.value)}.get(self.kind, self.kind)


def tokens(text: str, start: int = 0, *, escapes: bool = False) -> list[Token]:
    r"""All tokens from ``start`` on; the last is ``end of format``.

    With ``escapes``, ``\t`` and ``\n`` outside of actions are a tab and a new line.

    Raises:
        Mistake: an action, a comment or a literal does not end, or a character cannot be there.
    """
    found: list[Token] = []
    trims = False
    while True:
        opening = text.find("{{", start)
        end = len(text) if opening < 0 else opening
        plain = text[start:end]
        if escapes:
            plain = plain.replace("\\t", "\t").replace("\\n", "\n")
        if trims:
            plain = plain.lstrip(_SPACE)
        inside = opening + 2
        if opening >= 0 and text[inside : inside + 1] == "-" and text[inside + 1 : inside + 2] in tuple(_SPACE):
            plain = plain.rstrip(_SPACE)
            inside += 2
        if plain:
            found.append(Token("text", start, plain))
        if opening < 0:
            found.append(Token("end of format", len(text)))
            return found
        if text.startswith("/*", inside):
            start, trims = _comment(text, opening, inside)
        else:
            found.append(Token("open", opening))
            start, trims = _Action(text, opening, inside, found).read()


def _comment(text: str, opening: int, start: int) -> tuple[int, bool]:
    """Where the text goes on after a comment, and whether the space there is trimmed."""
    end = text.find("*/", start + 2)
    if end < 0:
        raise Mistake(opening, 'a comment without "*/}}"')
    after = end + 2
    if text.startswith("}}", after):
        return after + 2, False
    if text[after : after + 1] in tuple(_SPACE) and text.startswith("-}}", after + 1):
        return after + 4, True
    raise Mistake(after, 'expected "}}" after a comment\'s "*/"')


class _Action:
    """What is between ``{{`` and ``}}``."""

    __slots__ = ("_found", "_opening", "_position", "_text")

    def __init__(self, text: str, opening: int, position: int, found: list[Token]) -> None:
        self._text = text
        self._opening = opening
        self._position = position
        self._found = found

    def read(self) -> tuple[int, bool]:
        """Where the text goes on, and whether the space there is trimmed."""
        text = self._text
        while self._position < len(text):
            position = self._position
            if text.startswith("}}", position):
                self._add("close", 2)
                return self._position, False
            character = text[position]
            if character in _SPACE:
                end = position
                while end < len(text) and text[end] in _SPACE:
                    end += 1
                if text.startswith("-}}", end):
                    self._position = end
                    self._add("close", 3)
                    return self._position, True
                self._add("space", end - position)
            else:
                self._token(character)
        raise Mistake(self._opening, '"{{" without "}}"')

    def _token(self, character: str) -> None:
        text = self._text
        position = self._position
        following = text[position + 1 : position + 2]
        if character in "|(),=":
            self._add(character, 1)
        elif character == ":" and following == "=":
            self._add(":=", 2)
        elif character in "\"`'":
            self._quoted(character)
        elif character in "0123456789" or (character in "+-." and following.isdecimal()):
            self._number()
        elif character == ".":
            name = self._word(position + 1)
            if name:
                self._add("field", 1 + len(name), name)
            else:
                self._add(".", 1)
        elif character == "$":
            name = self._word(position + 1)
            self._add("variable", 1 + len(name), "$" + name)
        else:
            name = self._word(position)
            if not name:
                raise Mistake(position, f"unexpected {character!r}")
            if name in ("true", "false"):
                self._add("literal", len(name), name == "true")
            else:
                self._add(name if name in _KEYWORDS else "name", len(name), name)

    def _add(self, kind: str, length: int, value: Any = None) -> None:
        self._found.append(Token(kind, self._position, value))
        self._position += length

    def _word(self, start: int) -> str:
        end = start
        while end < len(self._text) and (self._text[end].isalnum() or self._text[end] == "_"):
            end += 1
        return self._text[start:end]

    def _number(self) -> None:
        text = self._text
        end = self._position + 1
        while end < len(text) and (
            text[end].isalnum() or text[end] in "._" or (text[end] in "+-" and text[end - 1] in "eEpP")
        ):
            end += 1
        word = text[self._position : end]
        try:
            value = _number(word)
        except (ValueError, OverflowError):
            raise Mistake(self._position, f"{word} is not a number") from None
        self._add("literal", len(word), value)

    def _quoted(self, mark: str) -> None:
        start = self._position + 1
        end = start
        while end < len(self._text) and self._text[end] != mark:
            if mark != "`" and self._text[end] == "\n":
                break
            end += 2 if self._text[end] == "\\" and mark != "`" else 1
        if self._text[end : end + 1] != mark:
            raise Mistake(self._position, f"a literal without its closing {mark}")
        inside = self._text[start:end]
        value: str | int = inside
        if mark != "`":
            value = _unquoted(inside, mark, start)
        if mark == "'":
            if not isinstance(value, str) or len(value) != 1:
                raise Mistake(self._position, f"'{inside}' is not one character")
            value = ord(value)  # a character is a number in Go
        self._add("literal", end + 1 - self._position, value)


def _number(word: str) -> int | float:
    """A Go number: octal with a bare 0 in front, hexadecimal floating point, digits parted by ``_``."""
    digits = word.lstrip("+-").lower()
    hexadecimal = digits.startswith("0x")
    if "p" in digits if hexadecimal else any(mark in digits for mark in ".e"):
        return float.fromhex(word) if hexadecimal else float(word)
    octal = len(digits) > 1 and digits[0] == "0" and digits[1] in "01234567_"
    value = int(word, 8 if octal else 0)
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError("more than 64 bits")
    return value


def _unquoted(text: str, mark: str, start: int) -> str:
    """The text with Go's escapes resolved; ``start`` is where it stands in the template."""
    if "\\" not in text:
        return text
    result = bytearray()  # \xNN are bytes, which make characters only together
    place = 0
    while place < len(text):
        character = text[place]
        place += 1
        if character != "\\":
            result += character.encode()
            continue
        at = start + place - 1
        name = text[place]
        place += 1
        if name in _SIMPLE:
            result.append(_SIMPLE[name])
        elif name == mark:
            result += name.encode()
        elif name in _CODED or name in "01234567":
            place -= name not in _CODED
            length = _CODED.get(name, 3)
            digits = text[place : place + length]
            place += length
            result += _coded(digits, length, name, at)
        else:
            raise Mistake(at, f"\\{name} is not an escape that Go knows")
    try:
        return result.decode()
    except UnicodeDecodeError:
        raise Mistake(start - 1, "the escapes of this literal do not make UTF-8") from None


def _coded(digits: str, length: int, name: str, position: int) -> bytes:
    octal = name not in _CODED
    try:
        if len(digits) != length or not digits.isalnum():
            raise ValueError
        code = int(digits, 8 if octal else 16)
        if octal or name == "x":
            return bytes((code,))
        return chr(code).encode()
    except (ValueError, OverflowError):
        raise Mistake(position, f"\\{'' if octal else name} needs {length} digits of a character's code") from None
