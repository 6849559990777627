"""``.dockerignore``: which files of a context are not in it.

A pattern is matched against the whole path below the context's root, and what it matches is left out with everything
below; ``!`` takes a later pattern's matches in again, the last pattern that says something about a path counts. ``*`` and
``?`` stop at slashes, ``**`` does not, ``[a-z]`` is a set, a backslash takes meaning away. Lines are cleaned as paths are, a
slash at the beginning does not count, and ``#`` begins a comment in the first column only.
"""

from __future__ import annotations

import posixpath
import re
from functools import lru_cache

from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FILE = ".dockerignore"
#: The largest file of patterns that is read, in bytes.
LARGEST = 1 << 20
_BYTE_ORDER_MARK = "\ufeff"


def read(data: bytes, name: str = FILE) -> list[str]:
    """The patterns of a file.

    Raises:
        InvalidArgument: the file is too large.
    """
    if len(data) > LARGEST:
        raise InvalidArgument(f"{name} is larger than {LARGEST >> 20} MiB: it is no list of patterns")
    found = []
    for line in data.decode("utf-8", "surrogateescape").removeprefix(_BYTE_ORDER_MARK).split("\n"):
        if line.startswith("#"):
            continue
        pattern = line.strip()
        is_exception = pattern.startswith("!")
        if is_exception:
            pattern = pattern[1:].strip()
        if not pattern:
            continue
        pattern = posixpath.normpath(pattern)
        if len(pattern) > 1:
            pattern = pattern.lstrip("/")
        found.append(f"!{pattern}" if is_exception else pattern)
    return found


class Rule:
    """One pattern: what it matches is left out, or taken in again if it ``is_exception``."""

    __slots__ = ("_expression", "_literal", "is_exception", "pattern")

    def __init__(self, text: str) -> None:
        self.is_exception = text.startswith("!")
        pattern = text[1:] if self.is_exception else text
        self.pattern = pattern
        plain = not any(mark in pattern for mark in "*?[\\")
        self._literal = pattern if plain else ""
        self._expression = None if plain else expression(pattern)

    def matches(self, path: str) -> bool:
        """Whether it matches this very path."""
        return path == self._literal if self._expression is None else self._expression.fullmatch(path) is not None

    def may_match_below(self, directory: str) -> bool:
        """Whether something below a directory may match; true unless it is plain that nothing can."""
        first = re.split(r"[*?\[\\]", self.pattern, maxsplit=1)[0]
        return first.startswith(f"{directory}/") or f"{directory}/".startswith(first)


class Ignored:
    """What a list of patterns leaves out. With no pattern, nothing."""

    __slots__ = ("_exceptions", "_rules")

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._rules = [Rule(each) for each in patterns]
        self._exceptions = [rule for rule in self._rules if rule.is_exception]

    def __bool__(self) -> bool:
        return bool(self._rules)

    def matched_by(self, path: str, parent: Sequence[bool]) -> list[bool]:
        """For each rule whether it speaks of a path, itself or through a directory above, whose list ``parent`` is."""
        return [(bool(parent) and parent[place]) or rule.matches(path) for place, rule in enumerate(self._rules)]

    def is_out(self, matched: Sequence[bool]) -> bool:
        """Whether a path with these matches is left out."""
        for place in range(len(self._rules) - 1, -1, -1):
            if matched[place]:
                return not self._rules[place].is_exception
        return False

    def may_be_in_below(self, directory: str) -> bool:
        """Whether an exception may take in something below a directory that is left out."""
        return any(rule.may_match_below(directory) for rule in self._exceptions)

    def leaves_out(self, path: str) -> bool:
        """Whether a path is left out; a walk is quicker with `matched_by`."""
        if not self._rules:
            return False
        matched: list[bool] = []
        parts = path.split("/")
        for end in range(1, len(parts) + 1):
            matched = self.matched_by("/".join(parts[:end]), matched)
        return self.is_out(matched)


@lru_cache(maxsize=1024)
def expression(pattern: str) -> re.Pattern[str]:
    """The regular expression of a pattern, whose time grows with a path's length and not with a power of it.

    Of what stands between two stars the first match is as good as any other, so none but the last star of a pattern, and
    its last ``**``, ever has to be tried again: all others are atomic groups.

    Raises:
        InvalidArgument: a set is not closed, or a backslash ends the pattern.
    """
    sections = _sections(pattern)
    made = [_section(sections[0], is_last=len(sections) == 1)]
    for place, section in enumerate(sections[1:], 2):
        if place < len(sections):
            made.append(f"(?>(?:.*?/)??{_section(section, is_last=False)})")
        elif section == [""]:
            made.append(".*")
        else:
            made.append(f"(?:.*/)?{_section(section, is_last=True)}")
    try:
        return re.compile("".join(made), re.DOTALL)
    except re.error:
        raise InvalidArgument(f"invalid pattern '{pattern}': a set of characters in it cannot be") from None


def _section(pieces: list[str], *, is_last: bool) -> str:
    """The expression of texts with a star between each two."""
    made = [pieces[0]]
    for place, piece in enumerate(pieces[1:], 2):
        made.append(f"[^/]*{piece}" if is_last and place == len(pieces) else f"(?>[^/]*?{piece})")
    return "".join(made)


def _sections(pattern: str) -> list[list[str]]:
    """A pattern split at each ``**``, and that at each ``*``: the expressions of what is between."""
    sections = [[""]]
    place = 0
    while place < len(pattern):
        letter = pattern[place]
        place += 1
        if letter == "*":
            if pattern[place : place + 1] != "*":
                sections[-1].append("")
                continue
            while pattern[place : place + 1] == "*":
                place += 1
            if pattern[place : place + 1] == "/":
                place += 1
            sections.append([""])
            continue
        if letter == "?":
            text = "[^/]"
        elif letter == "[":
            place, text = _set(pattern, place)
        elif letter == "\\":
            if place == len(pattern):
                raise InvalidArgument(f"invalid pattern '{pattern}': a backslash ends it")
            text = re.escape(pattern[place])
            place += 1
        else:
            text = re.escape(letter)
        sections[-1][-1] += text
    return sections


def _set(pattern: str, place: int) -> tuple[int, str]:
    """A set of characters, up to its bracket, as a regular expression has it."""
    made = ["["]
    if pattern[place : place + 1] == "^":
        made.append("^")
        place += 1
    start = place
    while place < len(pattern) and (pattern[place] != "]" or place == start):
        letter = pattern[place]
        if letter == "\\":
            place += 1
            letter = pattern[place : place + 1]
            made.append(re.escape(letter))
        elif letter == "-" and place > start:
            made.append("-")
        else:
            made.append(re.escape(letter))
        place += 1
    if place >= len(pattern):
        raise InvalidArgument(f"invalid pattern '{pattern}': [ is not closed")
    made.append("]")
    return place + 1, "".join(made)
