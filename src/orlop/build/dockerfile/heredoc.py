"""Here-documents: the lines after an instruction that belong to it, up to one that is the word after its ``<<``."""

from __future__ import annotations

import re

from orlop.build.dockerfile import words
from orlop.build.value import Value

_MARK = re.compile(r"(\d*)<<(-?)([^<].*)", re.DOTALL)


class Heredoc(Value):
    """One here-document.

    ``name`` is the word that ends it; ``expand`` says that variables in it are replaced, for the word has no quotes;
    ``chomp`` that tabs at the beginning of its lines do not count. ``content`` ends with an end of line, if it is not empty.
    """

    name: str
    expand: bool = True
    chomp: bool = False
    descriptor: int = 0
    content: str = ""

    @property
    def text(self) -> str:
        """The content as it is meant."""
        return re.sub(r"(?m)^\t+", "", self.content) if self.chomp else self.content


def marks(text: str, escape: str) -> list[Heredoc]:
    """The here-documents that a line begins, without their contents; none where its quotes are not closed."""
    found = []
    split, is_closed = words.split(text, escape)
    for word in split if is_closed else ():
        mark = parse_mark(word, escape)
        if mark is not None:
            found.append(mark)
    return found


def parse_mark(word: str, escape: str = "\\") -> Heredoc | None:
    """What ``<<NAME``, ``<<-NAME`` or ``<<"NAME"`` stands for; None if the word is something else."""
    match = _MARK.fullmatch(word)
    if match is None:
        return None
    rest = match[3]
    name, quoted, place = "", False, 0
    while place < len(rest):
        character = rest[place]
        if character in "'\"":
            end = rest.find(character, place + 1)
            if end < 0:
                return None
            name += rest[place + 1 : end]
            quoted, place = True, end + 1
        elif character == escape and place + 1 < len(rest):
            name += rest[place + 1]
            quoted, place = True, place + 2
        elif character in " \t\n":
            return None
        else:
            name += character
            place += 1
    if not name:
        return None
    return Heredoc(name, not quoted, bool(match[2]), int(match[1] or 0) if len(match[1]) < 9 else 0)
