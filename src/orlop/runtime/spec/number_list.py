"""Lists of processors and memory nodes as the kernel writes them: ``0-3,7``."""

from __future__ import annotations

from orlop.errors import InvalidConfig

#: More than any kernel is built for (CONFIG_NR_CPUS reaches 8192); keeps ``0-4294967295`` from filling memory.
_BEYOND = 1 << 16


def parse(text: str, where: str) -> list[int]:
    """The numbers of a list, ascending, each once; an empty text is an empty list.

    Raises:
        InvalidConfig: it is no such list; the message starts with ``where``.
    """
    numbers: set[int] = set()
    if text.strip(" "):
        for part in text.split(","):
            first, dash, last = part.partition("-")
            start = _number(first, text, where)
            stop = _number(last, text, where) if dash else start
            if stop < start:
                raise InvalidConfig(f"{where} {text!r} has a range that ends before it starts")
            numbers.update(range(start, stop + 1))
    return sorted(numbers)


def _number(word: str, text: str, where: str) -> int:
    word = word.strip(" ")
    if not (word.isascii() and word.isdigit()):
        raise InvalidConfig(f"{where} {text!r} is no list of numbers like 0-3,7")
    if len(word) > 9 or int(word) >= _BEYOND:
        raise InvalidConfig(f"{where} {text!r} has a number above {_BEYOND - 1}")
    return int(word)
