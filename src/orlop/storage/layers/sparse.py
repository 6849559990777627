"""The maps of sparse files: which parts of them an archive has data for (GNU tar's manual, "Storing Sparse Files").

A map is an array with offset and length of each piece, alternately.
"""

from __future__ import annotations

from array import array

from orlop.storage.layers.limits import MOST_PIECES
from orlop.storage.layers.tar_number import decimal, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.storage.layers.stream import Stream

    Pieces = array[int]

_LONGEST_LINE = 20


def check(pieces: Pieces, size: int, stored: int) -> None:
    """Check a map against the file's size and the size of the data that the archive has.

    Raises:
        ValueError: a piece lies before the end of the one before or past the file's end, or there is more or less data.
    """
    end = total = 0
    for at in range(0, len(pieces), 2):
        offset, length = pieces[at], pieces[at + 1]
        if offset < end or length < 0 or offset + length > size:
            raise ValueError("a sparse file whose pieces overlap or lie outside")
        end = offset + length
        total += length
    if total != stored:
        raise ValueError("a sparse file with more or less data than its map says")


def from_text(text: bytes) -> Pieces:
    """The map of versions 0.0 and 0.1: decimal numbers with commas between.

    Raises:
        ValueError: it is malformed.
    """
    if text.count(b",") >= 2 * MOST_PIECES:
        raise ValueError("a sparse file with too many pieces")
    return _even(array("q", map(decimal, text.split(b","))) if text else array("q"))


def version_1(stream: Stream, stored: int) -> tuple[int, Pieces]:
    """Read the map of version 1.0: decimal lines at the beginning of the data, the first of which counts the pieces.

    Returns:
        how many bytes it took, and the map.

    Raises:
        ValueError: it is malformed.
    """
    rest = b""
    used = 0
    wanted = -1
    pieces = array("q")
    while wanted < 0 or len(pieces) < wanted:
        if used + 512 > stored:
            raise ValueError("a sparse file with a truncated map")
        lines = (rest + stream.read(512)).split(b"\n")
        used += 512
        rest = lines.pop()
        for line in lines:
            if wanted < 0:
                wanted = 2 * decimal(line)
                if not 0 <= wanted <= 2 * MOST_PIECES:
                    raise ValueError("a sparse file with too many pieces")
            elif len(pieces) < wanted:
                pieces.append(decimal(line))
            else:
                break  # the rest fills the block
        if len(rest) > _LONGEST_LINE and not 0 <= wanted <= len(pieces):
            raise ValueError("a sparse file with a malformed map")
    return used, pieces


def old_gnu(header: bytes, stream: Stream, stored: int) -> tuple[Pieces, int]:
    """Read the map of GNU tar's own format: four pieces in the header, then 21 in each block that follows it.

    Returns:
        the map and the file's size.

    Raises:
        ValueError: it is malformed.
    """
    pieces = array("q")
    _take(header, 386, 4, pieces)
    more = header[482]
    while more:
        if len(pieces) >= 2 * MOST_PIECES:
            raise ValueError("a sparse file with too many pieces")
        block = stream.read(512)
        _take(block, 0, 21, pieces)
        more = block[504]
    size = number(header[483:495])
    check(pieces, size, stored)
    return pieces, size


def _take(block: bytes, at: int, count: int, pieces: Pieces) -> None:
    for start in range(at, at + 24 * count, 24):
        if not block[start]:
            break  # the rest is not used
        pieces.append(number(block[start : start + 12]))
        pieces.append(number(block[start + 12 : start + 24]))


def _even(pieces: Pieces) -> Pieces:
    if len(pieces) % 2:
        raise ValueError("a sparse file with a malformed map")
    return pieces
