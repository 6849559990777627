"""Variables in a Dockerfile's words: quotes are taken away, and ``$name`` and ``${name…}`` replaced.

``${name:-word}`` is the word where the variable is unset or empty, ``${name:+word}`` where it is neither, and
``${name:?word}`` an error; without the colon, empty is as good as set. ``${name#pattern}`` and ``##`` cut the shortest and
the longest match off at the beginning, ``%`` and ``%%`` at the end, ``${name/pattern/word}`` and ``//`` replace one
and all. Single quotes keep everything as it is, double quotes everything but variables and escapes.
"""

from __future__ import annotations

from orlop.build.dockerfile import pattern
from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

#: Variables can double what they hold with every line of a Dockerfile: this many characters are enough for anybody.
LONGEST = 1 << 20
_DEEPEST = 100
_BLANKS = " \t\n\r\v\f"
#: Parameters of a shell that have no value here.
_SPECIAL = "@*#?-$!0123456789"


class Expanded:
    """The ``words`` that came of a text, and the names of variables in it that have no value."""

    __slots__ = ("undefined", "words")

    def __init__(self, words: list[str], undefined: list[str]) -> None:
        self.words = words
        self.undefined = undefined


def word(text: str, variables: Mapping[str, str], escape: str = "\\") -> tuple[str, list[str]]:
    """A text as one word, whatever blanks are in it, and the names of variables in it that have no value.

    Raises:
        InvalidArgument: a quote or a brace is not closed, a modifier is not known, ``?`` refuses, or too much comes of it.
    """
    expansion = _Expansion(text, variables, escape)
    made = expansion.run("")
    return made, expansion.undefined


def document(text: str, variables: Mapping[str, str]) -> tuple[str, list[str]]:
    """A here-document, as a shell has it: quotes mean themselves, and a backslash only takes ``$`` and itself their meaning.

    Raises:
        InvalidArgument: as `word`.
    """
    expansion = _Expansion(text, variables, "\\", is_document=True)
    return expansion.run(""), expansion.undefined


def words(text: str, variables: Mapping[str, str], escape: str = "\\") -> Expanded:
    """A text split at the blanks that are not quoted, those in the values of variables included.

    Raises:
        InvalidArgument: as `word`.
    """
    expansion = _Expansion(text, variables, escape)
    expansion.run("")
    return Expanded(expansion.words(), expansion.undefined)


class _Expansion:
    __slots__ = ("_at", "_depth", "_escape", "_is_document", "_length", "_pieces", "_text", "_variables", "undefined")

    def __init__(self, text: str, variables: Mapping[str, str], escape: str, *, is_document: bool = False) -> None:
        self._text = text
        self._is_document = is_document
        self._variables = variables
        self._escape = escape
        self._at = 0
        self._depth = 0
        self._length = 0
        #: What was found at the outermost level, and whether its blanks are quoted.
        self._pieces: list[tuple[str, bool]] = []
        self.undefined: list[str] = []

    def words(self) -> list[str]:
        found: list[str] = []
        current: list[str] = []
        is_open = False
        for piece, quoted in self._pieces:
            if quoted:
                current.append(piece)
                is_open = True
                continue
            start = 0
            for place, character in enumerate(piece):
                if character not in _BLANKS:
                    is_open = True
                    continue
                if is_open:
                    current.append(piece[start:place])
                    found.append("".join(current))
                    current.clear()
                    is_open = False
                start = place + 1
            current.append(piece[start:])
        if is_open:
            found.append("".join(current))
        return found

    def run(self, stops: str) -> str:
        """What comes before one of ``stops``, which itself is left; an empty ``stops`` is the end of the text."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise InvalidArgument(f"variables are nested more than {_DEEPEST} deep")
        made: list[str] = []
        outermost = self._depth == 1
        while (character := self._peek()) and (not stops or character not in stops):
            if outermost and self._is_document and character != "$":
                piece, quoted = self._document_text(), True
            elif character == "'":
                piece, quoted = self._single(), True
            elif character == '"':
                piece, quoted = self._double(), True
            elif character == "$":
                piece, quoted = self._variable(), False
            elif character == self._escape:
                self._at += 1
                piece, quoted = self._next(), True
            else:
                piece, quoted = self._plain(stops), False
            self._count(piece)
            made.append(piece)
            if outermost:
                self._pieces.append((piece, quoted))
        if stops and not self._peek():
            raise InvalidArgument(f"unexpected end of {self._quoted()}: expected {stops[-1]}")
        self._depth -= 1
        return "".join(made)

    def _document_text(self) -> str:
        start = self._at
        if self._text[start] == "\\":
            self._at += 2
            return (
                self._text[start + 1 : start + 2]
                if self._text[start + 1 : start + 2] in "$\\"
                else self._text[start : start + 2]
            )
        while (character := self._peek()) and character not in "$\\":
            self._at += 1
        return self._text[start : self._at]

    def _plain(self, stops: str) -> str:
        ends = f"'\"${self._escape}{stops}"
        start = self._at
        while (character := self._peek()) and character not in ends:
            self._at += 1
        return self._text[start : self._at]

    def _single(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise InvalidArgument(f"unexpected end of {self._quoted()}: expected a closing single quote")
        piece, self._at = self._text[self._at + 1 : end], end + 1
        return piece

    def _double(self) -> str:
        self._at += 1
        made: list[str] = []
        while (character := self._next()) != '"':
            if not character:
                raise InvalidArgument(f"unexpected end of {self._quoted()}: expected a closing double quote")
            if character == "$":
                self._at -= 1
                piece = self._variable()
                self._count(piece)
                made.append(piece)
            elif character == self._escape and self._peek() in ('"', "$", self._escape):
                made.append(self._next())
            else:
                made.append(character)
        return "".join(made)

    def _variable(self) -> str:
        self._at += 1  # the dollar sign
        if self._peek() != "{":
            name = self._name()
            return self._value(name) or "" if name else "$"
        self._at += 1
        name = self._name()
        if not name:
            found = f"{self._peek()!r} was found" if self._peek() else "it ends there"
            raise InvalidArgument(
                f"bad substitution in {self._quoted()}: expected a variable's name after ${{, {found}"
            )
        operator = self._next()
        if operator == "}":
            return self._value(name) or ""
        if not operator:
            raise InvalidArgument(f"unexpected end of {self._quoted()}: expected }}")
        return self._modified(name, operator)

    def _modified(self, name: str, operator: str) -> str:
        colon = operator == ":"
        if colon:
            operator = self._next()
        if not operator or operator not in ("+-?" if colon else "+-?#%/"):
            raise InvalidArgument(
                f"unsupported modifier {':' if colon else ''}{operator} in {self._quoted()}: "
                "expected one of :- :+ :? - + ? # ## % %% / //"
            )
        if operator in "#%/":
            return self._cut(name, operator)
        meant = self.run("}")
        self._at += 1
        value = self._variables.get(name)
        is_set = bool(value) if colon else value is not None
        if operator == "-":
            return (value or "") if is_set else meant
        if operator == "+":
            return meant if is_set else ""
        if not is_set:
            default = "is not allowed to be empty" if colon and value is not None else "is not allowed to be unset"
            raise InvalidArgument(f"{name}: {meant or default}")
        return value or ""

    def _cut(self, name: str, operator: str) -> str:
        twice = self._peek() == operator
        if twice:
            self._at += 1
        meant = self._pattern("/}" if operator == "/" else "}")
        replacement = ""
        if operator == "/" and self._peek() == "/":
            self._at += 1
            replacement = self.run("}")
        self._at += 1
        value = self._value(name) or ""
        if operator == "#":
            return pattern.without_prefix(value, meant, longest=twice)
        if operator == "%":
            return pattern.without_suffix(value, meant, longest=twice)
        return pattern.replaced(value, meant, replacement, every=twice)

    def _pattern(self, stops: str) -> str:
        """A pattern, whose escapes are its own (`pattern`)."""
        made: list[str] = []
        while (character := self._peek()) and character not in stops:
            if character == self._escape:
                self._at += 1
                made += ("\\", self._next())
            elif character == "$":
                made.append(self._variable())
            elif character in "'\"":
                quoted = self._single() if character == "'" else self._double()
                made += (f"\\{each}" if each in "*?\\" else each for each in quoted)
            else:
                self._at += 1
                made.append(character)
        if not self._peek():
            raise InvalidArgument(f"unexpected end of {self._quoted()}: expected {stops[-1]}")
        return "".join(made)

    def _value(self, name: str) -> str | None:
        value = self._variables.get(name)
        if value is None and name not in self.undefined:
            self.undefined.append(name)
        return value

    def _name(self) -> str:
        start = self._at
        first = self._peek()
        if first and first in _SPECIAL:
            self._at += 1
            return first
        while (character := self._peek()) and (character == "_" or (character.isascii() and character.isalnum())):
            self._at += 1
        return self._text[start : self._at]

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        character = self._peek()
        self._at += 1
        return character

    def _count(self, piece: str) -> None:
        self._length += len(piece)
        if self._length > LONGEST:
            raise InvalidArgument(
                f"more than {LONGEST} characters come of {self._quoted()} when its variables are replaced"
            )

    def _quoted(self) -> str:
        return repr(self._text if len(self._text) <= 80 else f"{self._text[:80]}…")
