"""A compiled filter: what `install` loads and caches keep."""

from __future__ import annotations

#: seccomp(2): the call returns a descriptor on which a supervisor answers SCMP_ACT_NOTIFY.
FLAG_NEW_LISTENER = 1 << 3


class Program:
    """A BPF program and how to load it; never changed once made."""

    __slots__ = ("flags", "instructions", "unmatched")

    #: ``struct sock_filter[]`` in the machine's byte order, 8 bytes each.
    instructions: bytes
    #: ``SECCOMP_FILTER_FLAG_*`` for seccomp(2).
    flags: int
    #: Names in the profile that none of the covered architectures has.
    unmatched: tuple[str, ...]

    def __init__(self, instructions: bytes, flags: int, unmatched: tuple[str, ...] = ()) -> None:
        self.instructions = instructions
        self.flags = flags
        self.unmatched = unmatched

    @property
    def notify(self) -> bool:
        """Whether installing it returns a listener that somebody must serve."""
        return bool(self.flags & FLAG_NEW_LISTENER)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names in the profile that no architecture has: mistyped, or newer than orlop."""
        if not self.unmatched:
            return ()
        from orlop.linux.seccomp.numbers.every_name import NAMES

        return tuple(name for name in self.unmatched if name not in NAMES)

    def __len__(self) -> int:
        return len(self.instructions) // 8

    def __repr__(self) -> str:
        return f"Program({len(self)} instructions, flags={self.flags:#x})"
