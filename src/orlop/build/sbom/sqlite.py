"""Reading all rows of a table in a SQLite file (sqlite.org, "Database File Format").

A file of an image may have been made to break whoever reads it, so none of SQLite's own code sees it: there are no views,
triggers or expressions here, pages are read one by one, and none of them twice.
"""

from __future__ import annotations

import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Field = int | bytes | None

_MAGIC = b"SQLite format 3\0"
_INTERIOR, _LEAF = 5, 13
#: The most pages that are read, and the most bytes of one row.
_MOST_PAGES = 500_000
_LARGEST_ROW = 8 << 20
_DEEPEST = 40


class NotReadableError(Exception):
    """The file is no database, or is damaged."""


class Database:
    """An open file."""

    __slots__ = ("_descriptor", "_pages", "_read", "_size", "_usable")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        head = os.pread(descriptor, 100, 0)
        if len(head) < 100 or not head.startswith(_MAGIC):
            raise NotReadableError("no SQLite file")
        size = struct.unpack_from(">H", head, 16)[0]
        self._size = 65536 if size == 1 else size
        if self._size < 512 or self._size & (self._size - 1) or head[20] > self._size - 480:
            raise NotReadableError("invalid page size")
        if struct.unpack_from(">I", head, 56)[0] not in (0, 1):
            raise NotReadableError("not in UTF-8")
        self._usable = self._size - head[20]
        self._pages = os.fstat(descriptor).st_size // self._size
        self._read = 0

    def rows(self, table: str) -> Iterator[list[Field]]:
        """The rows of a table, each the values of its columns: numbers, texts and blobs as bytes; none if there is no such table.

        Raises:
            NotReadableError: the file is damaged.
        """
        for row in self._walk(1):
            # type, name, tbl_name, rootpage, sql
            if len(row) >= 4 and row[0] == b"table" and row[1] == table.encode() and isinstance(row[3], int):
                yield from self._walk(row[3])
                return

    def _walk(self, root: int) -> Iterator[list[Field]]:
        seen: set[int] = set()
        waiting = [(root, 0)]
        while waiting:
            number, depth = waiting.pop()
            if number in seen or depth > _DEEPEST:
                raise NotReadableError("its pages go round")
            seen.add(number)
            page = self._page(number)
            at = 100 if number == 1 else 0
            try:
                kind, _, count, _, _ = struct.unpack_from(">BHHHB", page, at)
                if kind == _LEAF:
                    for cell in struct.unpack_from(f">{count}H", page, at + 8):
                        yield self._row(page, cell)
                elif kind == _INTERIOR:
                    cells = struct.unpack_from(f">{count}H", page, at + 12)
                    children = [struct.unpack_from(">I", page, cell)[0] for cell in cells]
                    children.append(struct.unpack_from(">I", page, at + 8)[0])
                    waiting += [(child, depth + 1) for child in reversed(children)]
                else:
                    raise NotReadableError("a page is of another kind")
            except (struct.error, IndexError):
                raise NotReadableError("a page is damaged") from None

    def _page(self, number: int) -> bytes:
        self._read += 1
        if not 0 < number <= self._pages or self._read > _MOST_PAGES:
            raise NotReadableError("a page is not there")
        return os.pread(self._descriptor, self._size, (number - 1) * self._size)

    def _row(self, page: bytes, at: int) -> list[Field]:
        length, at = _number(page, at)
        _, at = _number(page, at)  # the row's own number
        if length > _LARGEST_ROW:
            raise NotReadableError("a row is too large")
        most = self._usable - 35
        here = length
        if length > most:
            least = (self._usable - 12) * 32 // 255 - 23
            here = least + (length - least) % (self._usable - 4)
            here = least if here > most else here
        data = bytearray(page[at : at + here])
        if here < length:
            following = struct.unpack_from(">I", page, at + here)[0]
            while len(data) < length:
                more = self._page(following)
                following = struct.unpack_from(">I", more)[0]
                data += more[4 : self._usable][: length - len(data)]
        return _fields(bytes(data))


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable length, and where it ends."""
    value = 0
    for place in range(9):
        byte = data[at + place]
        if place == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            return value, at + place + 1
    raise AssertionError


def _fields(data: bytes) -> list[Field]:
    end, at = _number(data, 0)
    body = end
    found: list[Field] = []
    while at < end:
        kind, at = _number(data, at)
        if kind == 0:
            found.append(None)
        elif kind in (8, 9):
            found.append(kind - 8)
        elif kind < 8:
            size = (0, 1, 2, 3, 4, 6, 8, 8)[kind]
            found.append(int.from_bytes(data[body : body + size], "big", signed=True))
            body += size
        else:
            size = (kind - 12) // 2 if kind >= 12 else 0
            found.append(data[body : body + size])
            body += size
    return found
