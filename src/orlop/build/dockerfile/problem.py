"""Where in a Dockerfile something is, and how that is shown to whoever wrote it."""

from __future__ import annotations

from orlop.build.value import Value
from orlop.errors import InvalidDockerfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

#: Lines that are shown before and after those that are meant.
_AROUND = 2
#: Of an instruction with more lines than that, the beginning is shown.
_MOST_LINES = 12
_WIDEST = 160


class Span(Value):
    """The lines of an instruction, counted from 1, both included."""

    first: int
    last: int

    def __str__(self) -> str:
        return str(self.first)


class Source(Value):
    """A Dockerfile's text: ``name`` is what errors call it, ``lines`` have no ends of line."""

    name: str
    lines: tuple[str, ...]

    def excerpt(self, span: Span) -> str:
        """The lines of a span with those around them, the span's own underlined, for a terminal."""
        if not any(line.strip() for line in self.lines):
            return "1 |\n  | ^"  # there is nothing to show
        last = min(span.last, span.first + _MOST_LINES - 1)
        low, high = max(span.first - _AROUND, 1), min(last + _AROUND, len(self.lines))
        width = len(str(high))
        shown = []
        for number in range(low, high + 1):
            text = _printable(self.lines[number - 1])
            shown.append(f"{number:>{width}} | {text}".rstrip())
            stripped = text.strip()
            if span.first <= number <= last and stripped:
                shown.append(f"{'':>{width}} | {' ' * (len(text) - len(text.lstrip()))}{'^' * len(stripped)}")
        return "\n".join(shown)

    def problem(self, span: Span, message: str) -> InvalidDockerfile:
        """The error that something is wrong there."""
        return InvalidDockerfile(f"{self.name}:{span.first}: {message}", line=span.first, excerpt=self.excerpt(span))


def suggestion(word: str, known: Sequence[str]) -> str:
    """`` (did you mean X?)`` for the word of ``known`` that differs least, if one is near; else nothing."""
    best, least = "", 3 if len(word) > 3 else 2
    for each in known:
        if each and abs(len(each) - len(word)) < least and len(word) <= 64:
            far = _distance(word.lower(), each.lower())
            if far < least:
                best, least = each, far
    return f" (did you mean {best}?)" if best else ""


def _distance(one: str, other: str) -> int:
    """How many letters are to be added, dropped, replaced, or swapped with their neighbour (Damerau and Levenshtein)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for place, letter in enumerate(one, 1):
        above, row = row, [place]
        for column, against in enumerate(other, 1):
            cost = min(above[column] + 1, row[-1] + 1, above[column - 1] + (letter != against))
            if before and column > 1 and letter == other[column - 2] and one[place - 2] == against:
                cost = min(cost, before[column - 2] + 1)
            row.append(cost)
        before = above
    return row[-1]


def _printable(text: str) -> str:
    """A line without what a terminal would obey, tabs as blanks."""
    shown = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text.expandtabs(4))
    return shown if len(shown) <= _WIDEST else f"{shown[: _WIDEST - 1]}…"
