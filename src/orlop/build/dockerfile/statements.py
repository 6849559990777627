"""Lines become statements: comments go, continued lines are joined, flags and here-documents are taken off.

What a statement's words mean is not known here yet (`orlop.build.dockerfile.parser`).
"""

from __future__ import annotations

from orlop import json_text
from orlop.build.dockerfile import directives, heredoc
from orlop.build.dockerfile.problem import Source, Span
from orlop.build.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.build.dockerfile.directives import Directives
    from orlop.build.dockerfile.heredoc import Heredoc

#: The largest Dockerfile that is read, in bytes.
LARGEST = 4 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BLANKS = " \t\r\v\f"
_WITH_DOCUMENTS = ("ADD", "COPY", "RUN")


class Statement(Value):
    """One instruction as text.

    ``keyword`` is as it was written, ``flags`` are the words that begin with ``--``, without their quotes; ``rest`` is
    everything else in one line, ``comments`` are what the comment right before it says.
    """

    keyword: str
    flags: tuple[str, ...]
    rest: str
    span: Span
    documents: tuple[Heredoc, ...] = ()
    comments: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The instruction in capitals."""
        return self.keyword.upper()


class Text(Value):
    """A Dockerfile that was read: its statements, and the lines where a continuation has an empty line."""

    source: Source
    directives: Directives
    statements: tuple[Statement, ...]
    empty_continuations: tuple[Span, ...]


def split(data: bytes, name: str) -> Text:
    """Read a Dockerfile that errors call ``name``.

    Raises:
        InvalidDockerfile: a directive is wrong, a here-document has no end, or the file is too large or no text.
    """
    head = Source(name, ())
    if len(data) > LARGEST:
        raise head.problem(Span(1, 1), f"is larger than the {LARGEST >> 20} MiB that a Dockerfile may have")
    text = data.removeprefix(_BYTE_ORDER_MARK).decode("utf-8", "surrogateescape")
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    source = Source(name, tuple(line.removesuffix("\r") for line in lines))
    at = text.find("\0")
    if at >= 0:
        number = text.count("\n", 0, at) + 1
        raise source.problem(Span(number, number), "has a NUL byte, so it is no Dockerfile")
    return _Splitter(source, lines).run()


class _Splitter:
    __slots__ = ("_directives", "_empty", "_lines", "_next", "_source")

    def __init__(self, source: Source, lines: list[str]) -> None:
        self._source = source
        self._lines = lines  # with the carriage returns, which are a here-document's own
        self._directives = directives.read(source)
        self._next = self._directives.lines
        self._empty: list[Span] = []

    def run(self) -> Text:
        statements: list[Statement] = []
        comments: list[str] = []
        while self._next < len(self._lines):
            line = self._source.lines[self._next].strip(_BLANKS)
            if line.startswith("#"):
                comments.append(line[1:].strip(_BLANKS))
                self._next += 1
            elif not line:
                comments.clear()
                self._next += 1
            else:
                statements.append(self._statement(tuple(comments)))
                comments.clear()
        return Text(self._source, self._directives, tuple(statements), tuple(self._empty))

    def _statement(self, comments: tuple[str, ...]) -> Statement:
        first = self._next + 1
        text = self._join()
        span = Span(first, self._next)
        keyword, rest = _first_word(text)
        flags, rest = _take_flags(rest.strip(_BLANKS), self._directives.escape)
        statement = Statement(keyword, flags, rest, span, (), comments)
        documents = self._documents(statement)
        if not documents:
            return statement
        return statement.replace(documents=documents, span=Span(first, self._next))

    def _join(self) -> str:
        """The next logical line; continued lines keep the blanks that they begin with."""
        pieces = []
        text, continues = self._cut(self._source.lines[self._next].lstrip(_BLANKS))
        pieces.append(text)
        self._next += 1
        empty_since = 0
        while continues and self._next < len(self._lines):
            line = self._source.lines[self._next]
            self._next += 1
            bare = line.strip(_BLANKS)
            if bare.startswith("#"):
                continue
            if not bare:
                empty_since = empty_since or self._next
                continue
            if empty_since:
                self._empty.append(Span(empty_since, empty_since))
                empty_since = 0
            text, continues = self._cut(line)
            pieces.append(text)
        return "".join(pieces)

    def _cut(self, line: str) -> tuple[str, bool]:
        """A line without its continuation character, and whether it has one; two of them are an escaped one."""
        bare, escape = line.rstrip(" \t"), self._directives.escape
        if not bare.endswith(escape) or bare.endswith(escape * 2):
            return line, False
        return bare[:-1], True

    def _documents(self, statement: Statement) -> tuple[Heredoc, ...]:
        if "<<" not in statement.rest:
            return ()
        escape, span = self._directives.escape, statement.span
        if statement.name == "ONBUILD":
            statement = inner(statement, escape)
        if statement.name not in _WITH_DOCUMENTS or _is_array(statement.rest):
            return ()
        return tuple(self._read(mark, span) for mark in heredoc.marks(statement.rest, escape))

    def _read(self, mark: Heredoc, span: Span) -> Heredoc:
        content: list[str] = []
        while self._next < len(self._lines):
            line = self._source.lines[self._next]
            whole = self._lines[self._next]
            self._next += 1
            if (line.lstrip("\t") if mark.chomp else line) == mark.name:
                return mark.replace(content="".join(content))
            content.append(whole + "\n")
        raise self._source.problem(span, f"unterminated heredoc: expected a line with {mark.name} alone")


def inner(statement: Statement, escape: str) -> Statement:
    """The statement that follows the keyword of another (``ONBUILD``)."""
    keyword, rest = _first_word(statement.rest)
    flags, rest = _take_flags(rest.strip(_BLANKS), escape)
    return statement.replace(keyword=keyword, flags=flags, rest=rest)


def _first_word(text: str) -> tuple[str, str]:
    for place, character in enumerate(text):
        if character in _BLANKS:
            return text[:place], text[place:].strip(_BLANKS)
    return text, ""


def _take_flags(text: str, escape: str) -> tuple[tuple[str, ...], str]:
    """The flags at the beginning of a text, and what follows. ``--`` alone ends them and is dropped."""
    flags: list[str] = []
    place = 0
    while text.startswith("--", place):
        word: list[str] = []
        quote = ""
        while place < len(text):
            character = text[place]
            if quote:
                if character == quote:
                    quote = ""
                    place += 1
                    continue
            elif character in _BLANKS:
                break
            elif character in "'\"":
                quote = character
                place += 1
                continue
            if character == escape:
                place += 1
                if place == len(text):
                    break
                character = text[place]
            word.append(character)
            place += 1
        while place < len(text) and text[place] in _BLANKS:
            place += 1
        if word == ["-", "-"]:
            break
        flags.append("".join(word))
    return tuple(flags), text[place:]


def _is_array(text: str) -> bool:
    try:
        return json_array(text) is not None
    except TypeError:
        return True  # of something wrong, which the parser says


def json_array(text: str) -> list[str] | None:
    """The strings of a JSON array; None if the text is something else, which then means itself.

    Raises:
        TypeError: it is an array of something else than strings.
    """
    text = text.strip(_BLANKS)
    if not text.startswith("["):
        return None
    try:
        value = json_text.loads(text)
    except (ValueError, RecursionError):
        return None
    if not all(type(each) is str for each in value):
        raise TypeError("only strings may be in the array of an instruction")
    return list(value)
