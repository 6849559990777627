"""Anonymous memory by address (mmap(2)), for what other processes or the processor itself will read."""

from __future__ import annotations

from _ctypes import Array, _SimpleCData

from orlop.linux import number
from orlop.linux.call import syscall

_PROT_READ, _PROT_WRITE, _PROT_EXEC = 1, 2, 4
_MAP_SHARED, _MAP_PRIVATE, _MAP_ANONYMOUS = 0x01, 0x02, 0x20


class _Byte(_SimpleCData):  # type: ignore[misc, type-arg]
    _type_ = "c"


class Memory:
    """A mapping of its own.

    Attributes:
        address, size: where it lies, and how many bytes it has.
        octets: its content as bytes to read and assign slices of.
        words: the same as signed 64-bit integers.
    """

    __slots__ = ("_view", "address", "octets", "size", "words")

    def __init__(self, size: int, *, shared: bool = False) -> None:
        """Map ``size`` bytes, rounded up to words; with ``shared``, children see later changes and the other way round."""
        self.size = (size + 7) & ~7
        flags = (_MAP_SHARED if shared else _MAP_PRIVATE) | _MAP_ANONYMOUS
        self.address = syscall(number.MMAP, "mmap", None, 0, self.size, _PROT_READ | _PROT_WRITE, flags, -1, 0)
        layout = type("_Mapping", (Array,), {"_length_": self.size, "_type_": _Byte})
        self._view = layout.from_address(self.address)
        self.octets = memoryview(self._view).cast("B")
        self.words = self.octets.cast("q")

    def make_executable(self) -> None:
        """From now on it can be executed, and not written."""
        syscall(number.MPROTECT, "mprotect", None, self.address, self.size, _PROT_READ | _PROT_EXEC)

    def free(self) -> None:
        """Unmap it; nothing may use its address any more."""
        self.words.release()
        self.octets.release()
        syscall(number.MUNMAP, "munmap", None, self.address, self.size)
