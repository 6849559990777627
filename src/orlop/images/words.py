"""Words of a Dockerfile's instruction: split at blanks, quotes and backslashes taken away, variables replaced.

As in a shell, single quotes keep everything and double quotes everything but variables and backslashes. What a
variable holds is never split into further words.
"""

from __future__ import annotations

from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_BLANKS = " \t\n"
#: What a backslash still quotes between double quotes.
_QUOTABLE = '"$\\'


def split_words(text: str, variables: Mapping[str, str]) -> list[str]:
    """The words of ``text``; a variable that does not exist is empty.

    Raises:
        InvalidArgument: a quote or a brace is not closed, or a substitution is of another kind.
    """
    return _Scanner(text, variables).words()


class _Scanner:
    __slots__ = ("_at", "_text", "_variables")

    def __init__(self, text: str, variables: Mapping[str, str]) -> None:
        self._text = text
        self._at = 0
        self._variables = variables

    def words(self) -> list[str]:
        found: list[str] = []
        while True:
            while self._peek() and self._peek() in _BLANKS:
                self._at += 1
            if not self._peek():
                return found
            found.append(self._until(_BLANKS))

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        character = self._peek()
        self._at += 1
        return character

    def _until(self, stops: str) -> str:
        """What comes before one of ``stops`` that is not quoted; it itself is left."""
        word = ""
        while (character := self._peek()) and character not in stops:
            self._at += 1
            if character == "'":
                word += self._single()
            elif character == '"':
                word += self._double()
            elif character == "\\":
                word += self._next()
            elif character == "$":
                word += self._variable()
            else:
                word += character
        return word

    def _single(self) -> str:
        end = self._text.find("'", self._at)
        if end < 0:
            raise self._unclosed("'")
        quoted, self._at = self._text[self._at : end], end + 1
        return quoted

    def _double(self) -> str:
        word = ""
        while (character := self._next()) != '"':
            if not character:
                raise self._unclosed('"')
            if character == "\\" and self._peek() and self._peek() in _QUOTABLE:
                word += self._next()
            elif character == "$":
                word += self._variable()
            else:
                word += character
        return word

    def _variable(self) -> str:
        if self._peek() != "{":
            name = self._name()
            return self._variables.get(name, "") if name else "$"
        self._at += 1
        name = self._name()
        value = self._variables.get(name, "")
        character = self._next()
        if name and character == "}":
            return value
        operator = self._next() if character == ":" else ""
        if not name or operator not in ("-", "+") or not operator:
            raise InvalidArgument(
                f"unsupported substitution in {self._text!r}: use ${{NAME}}, ${{NAME:-word}} or ${{NAME:+word}}"
            )
        word = self._until("}")
        if self._next() != "}":
            raise self._unclosed("{")
        if operator == "-":
            return value or word
        return word if value else ""

    def _name(self) -> str:
        start = self._at
        while (character := self._peek()) and (character == "_" or (character.isascii() and character.isalnum())):
            self._at += 1
        return self._text[start : self._at]

    def _unclosed(self, mark: str) -> InvalidArgument:
        return InvalidArgument(f"{mark} is not closed in {self._text!r}")
