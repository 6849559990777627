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

#: So many blocks from the beginning of a pool on, each behind the one before, are no holes.
_ENOUGH = 3

_filling: list[bytes] = []


def begin() -> None:
    """Fill the holes that there are."""
    for size in range(_LARGEST_BLOCK, _HEAD, -_STEP):
        length = size - _HEAD
        run = last = 0
        for _ in range(_MOST // size):
            block = bytes(length)
            _filling.append(block)
            place = id(block)
            is_next = run and place == last + size
            run = 1 if place % _POOL == _FIRST_BLOCK else run + 1 if is_next else 0
            last = place
            if run == _ENOUGH:
                break  # nobody had been in this pool
