"""The patterns of ``${name#pattern}`` and its like: ``*`` is any text, ``?`` any character, a backslash takes their meaning away.

All places in a pattern that a text may have come to are the bits of one number, so that no pattern takes long.
"""

from __future__ import annotations

_MANY, _ANY = object(), object()


class Pattern:
    """A pattern that was read."""

    __slots__ = ("_any", "_end", "_letters", "_many", "_tokens")

    def __init__(self, tokens: list[object]) -> None:
        self._tokens = tokens
        #: Bit n: token n matches this letter, any letter, or any text.
        self._letters: dict[object, int] = {}
        self._any = self._many = 0
        for place, token in enumerate(tokens):
            bit = 1 << place
            if token is _MANY:
                self._many |= bit
            elif token is _ANY:
                self._any |= bit
            else:
                self._letters[token] = self._letters.get(token, 0) | bit
        self._end = 1 << len(tokens)

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Read a pattern; of several ``*`` in a row one counts."""
        tokens: list[object] = []
        place = 0
        while place < len(text):
            letter = text[place]
            if letter == "\\" and place + 1 < len(text):
                place += 1
                tokens.append(text[place])
            elif letter == "*":
                if not tokens or tokens[-1] is not _MANY:
                    tokens.append(_MANY)
            else:
                tokens.append(_ANY if letter == "?" else letter)
            place += 1
        return cls(tokens)

    def reversed(self) -> Pattern:
        """The pattern of the same texts read backwards."""
        return Pattern(self._tokens[::-1])

    def ends(self, text: str, start: int = 0, *, anywhere: bool = False) -> list[int]:
        """Where matches that begin at ``start`` may end, ascending; with ``anywhere`` those that begin later count too."""
        found = []
        begun = self._skip(1)
        places = begun
        if places & self._end:
            found.append(start)
        for place in range(start, len(text)):
            letters = self._letters.get(text[place], 0)
            places = self._skip(((places & (letters | self._any)) << 1) | (places & self._many))
            if anywhere:
                places |= begun
            if places & self._end:
                found.append(place + 1)
            if not places:
                break
        return found

    def _skip(self, places: int) -> int:
        """Pass ``*``, which may stand for nothing. There are no two in a row."""
        return places | ((places & self._many) << 1)


def without_prefix(value: str, pattern: str, *, longest: bool) -> str:
    """``value`` without what matches at its beginning."""
    ends = Pattern.parse(pattern).ends(value)
    return value[ends[-1 if longest else 0] :] if ends else value


def without_suffix(value: str, pattern: str, *, longest: bool) -> str:
    """``value`` without what matches at its end."""
    ends = Pattern.parse(pattern).reversed().ends(value[::-1])
    return value[: len(value) - ends[-1 if longest else 0]] if ends else value


def replaced(value: str, pattern: str, replacement: str, *, every: bool) -> str:
    """``value`` with the first match, or every one, replaced; each is as long as it can be and not empty."""
    compiled = Pattern.parse(pattern)
    # Where a match begins is found from behind, once for the whole text.
    starts = [len(value) - end for end in compiled.reversed().ends(value[::-1], anywhere=True)]
    made = []
    done = 0
    for start in reversed(starts):
        if start < done or start == len(value):
            continue
        ends = compiled.ends(value, start)
        if not ends or ends[-1] == start:
            continue
        made += [value[done:start], replacement]
        done = ends[-1]
        if not every:
            break
    made.append(value[done:])
    return "".join(made)
