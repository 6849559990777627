"""Output as a container writes it, in pieces of any size, made into lines for a log."""

from __future__ import annotations

#: A line longer than this is written in several records, the last of which ends the line, as Docker does.
LONGEST = 16 << 10


class Lines:
    """Splits each stream into lines; what is no whole line yet waits for its end, up to `LONGEST`."""

    __slots__ = ("_partial",)

    def __init__(self) -> None:
        self._partial: dict[str, bytes] = {}

    def whole(self, stream: str, data: bytes) -> bytes:
        """The lines that are whole now, if none is too long; else nothing, and `split` has to be asked for them."""
        if self._partial.get(stream):
            data = self._partial[stream] + data
        end = data.rfind(b"\n") + 1
        if not _are_short(data, end) or len(data) - end >= LONGEST:
            self._partial[stream] = data
            return b""
        self._partial[stream] = data[end:]
        return data[:end]

    def split(self, stream: str) -> list[tuple[bytes, bool]]:
        """The records that can be written of what waits: text, and whether the line ends with it."""
        *lines, rest = self._partial.pop(stream, b"").split(b"\n")
        records = []
        for line in lines:
            whole = len(line) // LONGEST * LONGEST
            records += [(line[at : at + LONGEST], False) for at in range(0, whole, LONGEST)]
            records.append((line[whole:], True))
        while len(rest) >= LONGEST:
            records.append((rest[:LONGEST], False))
            rest = rest[LONGEST:]
        self._partial[stream] = rest
        return records

    def waits(self, stream: str) -> bool:
        """Whether `split` has anything to split."""
        partial = self._partial.get(stream, b"")
        return len(partial) >= LONGEST or b"\n" in partial

    def rest(self) -> list[tuple[str, bytes]]:
        """What never became whole lines, by stream."""
        rest = [(stream, text) for stream, text in self._partial.items() if text]
        self._partial = {}
        return rest


def _are_short(data: bytes, end: int) -> bool:
    """Whether no line that ends before ``end`` is longer than `LONGEST`."""
    at = 0
    while end - at > LONGEST:
        found = data.rfind(b"\n", at, at + LONGEST + 1)
        if found < 0:
            return False
        at = found + 1
    return True
