"""The one door to the kernel: system calls and libc functions that ``os`` does not wrap.

Every call either succeeds or raises ``OSError`` (so ``FileNotFoundError``, ``PermissionError`` and the
others as usual), whose text starts with the call's name and whose ``filename`` is the path it concerned.

It stands on ``_ctypes`` rather than on ``ctypes``: the package on top costs 2.5 ms at each start of the
interpreter and adds nothing that is needed here. All arguments travel as machine words: integers,
``bytes`` (a pointer to them, NUL-terminated), ``None`` (a null pointer) or a ``Buffer``.
"""

from __future__ import annotations

import os
from _ctypes import Array, CFuncPtr, _SimpleCData, addressof, dlopen, dlsym, get_errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "MACHINE",
    "Buffer",
    "address_of",
    "buffer",
    "check",
    "function_at",
    "libc_function",
    "strerror",
    "syscall",
    "syscall_unlocked",
]

_FUNCFLAG_CDECL = 0x1
_FUNCFLAG_PYTHONAPI = 0x4  # keep the interpreter's lock: for calls that return twice
_FUNCFLAG_USE_ERRNO = 0x8

#: The machine's architecture, as ``uname -m`` names it.
MACHINE = os.uname().machine


class _Word(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "P"


class _Long(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "l"


class _Int(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "i"


class _Byte(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "c"


class _Syscall(CFuncPtr):
    _flags_ = _FUNCFLAG_CDECL | _FUNCFLAG_USE_ERRNO
    _restype_ = _Long
    _argtypes_ = (_Word,) * 7


class _SyscallUnlocked(CFuncPtr):
    _flags_ = _FUNCFLAG_CDECL | _FUNCFLAG_USE_ERRNO | _FUNCFLAG_PYTHONAPI
    _restype_ = _Long
    _argtypes_ = (_Word,) * 7


_libc = dlopen(None, 0)  # type: ignore[arg-type]  # this process itself, dlopen(3)
_syscall = _Syscall(dlsym(_libc, "syscall"))
_syscall_unlocked = _SyscallUnlocked(dlsym(_libc, "syscall"))

if TYPE_CHECKING:
    Buffer = Array[Any]
else:
    Buffer = Array

_buffer_types: dict[int, Any] = {}
_function_types: dict[int, Any] = {}


def strerror(errno: int) -> str:
    """The meaning of an errno, in words."""
    return os.strerror(errno)


def buffer(storage: bytearray) -> Buffer:
    """A view of ``storage`` that a system call can write to; pass it as an argument."""
    size = len(storage)
    buffer_type: Any = _buffer_types.get(size)
    if buffer_type is None:
        buffer_type = type(f"_Buffer{size}", (Array,), {"_length_": size, "_type_": _Byte})
        _buffer_types[size] = buffer_type
    view: Buffer = buffer_type.from_buffer(storage)
    return view


def address_of(view: Buffer) -> int:
    """Where a buffer lies in memory, for structures that point to it. Keep the buffer alive meanwhile."""
    return addressof(view)


def check(result: int, call: str, path: str | bytes | None = None) -> int:
    """Return ``result``, or raise the ``OSError`` that errno stands for if it is negative."""
    if result < 0:
        raise _error(get_errno(), call, path)
    return result


def _error(errno: int, call: str, path: str | bytes | None) -> OSError:
    text = f"{call}: {os.strerror(errno)}"
    if path is None:
        return OSError(errno, text)
    return OSError(errno, text, os.fsdecode(path))


def syscall(
    number: int,
    call: str,
    path: str | bytes | None,
    a: Any = 0,
    b: Any = 0,
    c: Any = 0,
    d: Any = 0,
    e: Any = 0,
    f: Any = 0,
) -> int:
    """Make system call ``number``; ``call`` and ``path`` are for the error's text.

    A call that a signal interrupts is made again, as PEP 475 does for ``os``.

    Raises:
        OSError: the kernel's errno, with the call's name and the path.
    """
    while True:
        result: int = _syscall(number, a, b, c, d, e, f)
        if result >= 0:
            return result
        errno = get_errno()
        if errno != 4:  # EINTR
            raise _error(errno, call, path)


def syscall_unlocked(number: int, call: str, a: Any = 0, b: Any = 0, c: Any = 0, d: Any = 0, e: Any = 0) -> int:
    """Like `syscall`, but without giving up the interpreter's lock: for clone3, which returns twice."""
    result: int = _syscall_unlocked(number, a, b, c, d, e, 0)
    if result < 0:
        raise _error(get_errno(), call, None)
    return result


def function_at(address: int) -> Any:
    """The function that lies there; it takes seven words, of which it may need fewer, and returns a ``long``."""
    return _SyscallUnlocked(address)


def libc_function(name: str, arguments: int) -> Any:
    """A libc function that takes ``arguments`` words and returns an ``int``; use with `check`."""
    function_type = _function_types.get(arguments)
    if function_type is None:
        function_type = type(
            f"_Function{arguments}",
            (CFuncPtr,),
            {
                "_flags_": _FUNCFLAG_CDECL | _FUNCFLAG_USE_ERRNO,
                "_restype_": _Int,
                "_argtypes_": (_Word,) * arguments,
            },
        )
        _function_types[arguments] = function_type
    return function_type(dlsym(_libc, name))
