"""How much a layer may be, so that a small archive cannot fill a disk, a memory or a file system's table of inodes.

Space
    A file that says that it is larger than what is free on the target's file system is refused before a byte of it is
    written. The kernel's own refusal (ENOSPC, EDQUOT) is an error of the same kind.
Size
    With `Limits.size` the uncompressed archive has at most so many bytes; 0 is no limit but the disk.
Compression
    What has come out may be `Limits.ratio` times what went in. Below `Limits.always` bytes, or a quarter of what was free
    where that is less, it may be any multiple: many small honest layers are almost only zeros. deflate can reach 1,032
    times and zstd far more, where file systems of distributions have 2 to 5.
Entries
    `Limits.entries`, with the directories that are only made because something is in them.
Headers
    An extended header or a long name has at most 1 MiB, as in Go's reader; a sparse file at most 1,048,576 pieces.
"""

from __future__ import annotations


class Limits:
    """What one layer may be; see the module's text."""

    __slots__ = ("always", "entries", "ratio", "size")

    def __init__(self, *, entries: int = 4_000_000, size: int = 0, ratio: int = 200, always: int = 4 << 30) -> None:
        self.entries = entries
        self.size = size
        self.ratio = ratio
        self.always = always


DEFAULT = Limits()

#: Bytes of an extended header, a long name, or a sparse file's map.
LARGEST_HEADER = 1 << 20
#: Pieces of data in a sparse file.
MOST_PIECES = 1 << 20
#: Directories that a layer does not name, and directories that hide what is below, each; they are kept in memory.
MOST_MARKS = 250_000
