"""Having what is allocated from now on lie together, in memory of its own.

Python's allocator fills the holes that freed objects have left first, and these are everywhere. In a process whose children
share its memory, each hole that a child fills is a page that it gets a copy of. So the launcher fills all holes itself,
once, and what its children allocate comes from new pages, one after the other.

See "Memory Management" in Python's C API (the pymalloc allocator), whose pools of blocks of one size these are.
"""

from __future__ import annotations

#: Blocks have multiples of this many bytes.
_STEP = 16
#: The largest that Python's own allocator gives out.
_LARGEST_BLOCK = 512
#: What a bytes object takes beside its bytes.
_HEAD = b"".__sizeof__()
#: How large, and so how aligned, pools are.
_POOL = 1 << 14
#: Where the first bytes object in a new pool is: behind the pool's own head.
_FIRST_BLOCK = 48
#: As many bytes are taken for one size at most, by an interpreter whose pools are different.
_MOST = 4 * _POOL

_filling: list[bytes] = []


def begin() -> None:
    """Fill the holes that there are."""
    for size in range(_LARGEST_BLOCK, _HEAD, -_STEP):
        length = size - _HEAD
        for _ in range(_MOST // size):
            block = bytes(length)
            _filling.append(block)
            if id(block) % _POOL == _FIRST_BLOCK:
                break  # nobody had been in this pool
