"""What a server asks to be told before it answers: the ``WWW-Authenticate`` header (RFC 9110, section 11.6.1)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_TOKEN = frozenset("!#$%&'*+-.^_`|~ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
_TOKEN68 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=")
#: More than any server has reason to say.
_LONGEST = 16 << 10


class Challenge:
    """One way to authenticate: its scheme, and its parameters, all names in lower case."""

    __slots__ = ("parameters", "scheme")

    def __init__(self, scheme: str, parameters: dict[str, str]) -> None:
        self.scheme = scheme
        self.parameters = parameters

    def __repr__(self) -> str:
        return f"Challenge({self.scheme!r}, {self.parameters!r})"


def parse(headers: Iterable[str]) -> list[Challenge]:
    """Read all challenges of an answer's headers, in the order in which they stand there.

    A header that is malformed gives the challenges before the mistake: what is left may still be of use.
    """
    found: list[Challenge] = []
    for header in headers:
        if len(header) <= _LONGEST:
            _Reader(header).read(found)
    return found


class _Reader:
    """Walks along one header. A comma separates parameters, and challenges too."""

    __slots__ = ("position", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def read(self, found: list[Challenge]) -> None:
        while True:
            self.skip(" \t,")
            word = self.token()
            if not word:
                return
            if found and self.at_equals():
                if not self.value_into(found[-1].parameters, word):
                    return
                continue
            found.append(Challenge(word.lower(), {}))
            if self.peek() not in (" ", "\t", ",", ""):
                return
            self.skip(" \t")
            self.skip_token68()

    def value_into(self, parameters: dict[str, str], name: str) -> bool:
        self.skip(" \t")
        self.position += 1  # the equals sign
        self.skip(" \t")
        value = self.quoted() if self.peek() == '"' else self.token()
        if value is None:
            return False
        parameters.setdefault(name.lower(), value)
        return True

    def at_equals(self) -> bool:
        rest = self.text[self.position :].lstrip(" \t")
        return rest.startswith("=")

    def peek(self) -> str:
        return self.text[self.position : self.position + 1]

    def skip(self, characters: str) -> None:
        while self.peek() and self.peek() in characters:
            self.position += 1

    def token(self) -> str:
        start = self.position
        while self.peek() and self.peek() in _TOKEN:
            self.position += 1
        return self.text[start : self.position]

    def quoted(self) -> str | None:
        made: list[str] = []
        position = self.position + 1
        while position < len(self.text):
            character = self.text[position]
            if character == '"':
                self.position = position + 1
                return "".join(made)
            if character == "\\":
                position += 1
                character = self.text[position : position + 1]
            made.append(character)
            position += 1
        return None

    def skip_token68(self) -> None:
        """Skip what schemes such as Negotiate say instead of parameters: base64 up to the next comma."""
        end = self.text.find(",", self.position)
        word = self.text[self.position : end if end >= 0 else len(self.text)].rstrip(" \t")
        if word and _TOKEN68.issuperset(word) and "=" not in word.rstrip("="):
            self.position += len(word)
