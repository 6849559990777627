"""A list of system calls, which a new process makes one after the other without an interpreter.

::

    calls = CallList(report)                         # a socket; nobody else may have it in the new process
    tree = calls.call(number.FSMOUNT, context, 1, 0)  # the result, for calls that come later
    pid, pidfd = calls.spawn(flags, kept=(report,))

What is made is a program: `listed/executor.c` with the list behind it, in a sealed memory file that nobody can ever write
(CVE-2019-5736; see `trampoline`). It is executed by a process that shares our memory until then, so that nothing of ours is copied,
and nothing of ours is in the new process (`listed/spawn.c`). In a start of a container, copying an interpreter's memory
and taking it apart again takes longer than the system calls.

The list has no loops and no conditions but this: a step that fails with an errno which is expected there skips what
`CallList.otherwise` says. Any other failure ends it: the number of the step and the errno, 4 bytes each, are sent to ``report``;
the errno alone where it is that of `CallList.execute`. The process then waits for a word, or the end, from there.
"""

from __future__ import annotations

import errno
import os
from _struct import Struct

from orlop.errors import Unsupported
from orlop.linux import clone, number
from orlop.linux.call import MACHINE, buffer, function_at, syscall
from orlop.linux.trampoline import sealed_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

#: The machines that there is an executor for.
MACHINES = ("x86_64", "aarch64")

_CHECK = 0xFFFF
_SIGNALS = 0xFFFE
_SET = 0xFFFD
_BOUND = 0xFFFC
_NUMBER, _REGISTER, _PLACE, _ROOM, _WORD, _HALF = range(6)

_STEP_SIZE = 64
#: For each number of arguments: the call; the result's register and the kinds of arguments, a byte each; the arguments.
_PACK = [Struct(f"<HQ6x{count}Q{8 * (6 - count)}x").pack for count in range(7)]
_EXPECTED_AT = 9
_SKIPPED_AT = 14
_ARGUMENTS_AT = 16
_WORD_BITS = (1 << 64) - 1
_PADDING = [bytes(size) for size in range(8)]
_HEAD = Struct("<IIQQ")
_REGISTERS = 256
_LIST_SIZE = _HEAD.size + 8 * _REGISTERS

_PROT_READ_EXEC = 0x1 | 0x4
_MAP_PRIVATE = 0x2
_PAGE = 4096

# Of ELF: where the header has the entry, the place of the table of sections, and the sizes and number of these.
_ENTRY_AT = 24
_SECTIONS_AT = 40
_SECTION_COUNT_AT = 60
_LOAD_WRITABLE = b"\1\0\0\0\6\0\0\0"
_LARGEST_PROGRAM = 1 << 16

#: Why a step that only decides something "fails".
_NOT_SO = errno.EDOM


class Value:
    """What a step's argument is, beside a number: a register, a place in the list's data, or what lies there."""

    __slots__ = ("kind", "number")

    def __init__(self, kind: int, at: int) -> None:
        self.kind = kind
        self.number = at


class CallList:
    """A list that is being written.

    Arguments of calls are numbers, values that earlier calls returned, or ``bytes``: a pointer to them, NUL-terminated.
    """

    __slots__ = ("_data", "_known", "_pointers", "_report", "_results", "_room", "_steps")

    def __init__(self, report: int) -> None:
        self._report = report
        self._steps: list[bytes] = []
        self._data = bytearray()
        self._known: dict[bytes, int] = {}
        self._pointers: list[tuple[int, Value]] = []
        self._results = 0
        self._room = 0

    def __len__(self) -> int:
        return len(self._steps)

    def do(self, call: int, *arguments: Any) -> int:
        """Make a system call. Returns the step's number."""
        return self._append(call, 0, arguments)

    def call(self, call: int, *arguments: Any) -> Value:
        """Make a system call. Returns its result, for later ones; 0 if the call failed as expected.

        Raises:
            Unsupported: the list has as many results as there can be.
        """
        register = self.variable()
        self._append(call, register.number, arguments)
        return register

    def variable(self) -> Value:
        """A register for `set`; 0 at first.

        Raises:
            Unsupported: there are no more.
        """
        self._results += 1
        if self._results == _REGISTERS:
            raise Unsupported(f"a list of system calls has {_REGISTERS} registers")
        return Value(_REGISTER, self._results)

    def set(self, register: Value, value: int | Value) -> None:
        """Give a register a value."""
        self._append(_SET, register.number, (value,))

    def check(self, value: Value, mask: int, wanted: int, error: int = _NOT_SO) -> int:
        """Fail with ``error`` unless ``value & mask == wanted``. Returns the step's number."""
        return self._append(_CHECK, 0, (value, mask, wanted, error))

    def expect(self, step: int, *errnos: int) -> None:
        """Let a step fail with one of these errnos; what comes next is then skipped up to here, the end of the list so far."""
        written = self._steps[step]
        skipped = len(self._steps) - step - 1
        expected = bytes(errnos).ljust(_SKIPPED_AT - _EXPECTED_AT, b"\0") + skipped.to_bytes(2, "little")
        self._steps[step] = written[:_EXPECTED_AT] + expected + written[_ARGUMENTS_AT:]

    def unless(self, step: int) -> None:
        """Skip what came since a `check` if that found something else."""
        self.expect(step, _NOT_SO)

    def fail(self, error: int = _NOT_SO) -> int:
        """Fail with ``error`` whatever is so. Returns the step's number, which `unless` may have skip something."""
        return self.check(Value(_NUMBER, 0), 0, 1, error)

    def reset_signals(self) -> None:
        """Ignore, catch and block none."""
        self._append(_SIGNALS, 0, ())

    def limit_bounding(self, kept: int) -> None:
        """As `capability.limit_bounding`, but that it fails if a capability cannot be dropped."""
        self._append(_BOUND, 0, (kept,))

    def place(self, data: bytes) -> Value:
        """A pointer to data, which is NUL-terminated."""
        at = self._known.get(data)
        return Value(_PLACE, self._keep(data) if at is None else at)

    def _keep(self, data: bytes) -> int:
        self._data += _PADDING[-len(self._data) % 8]
        at = self._known[data] = len(self._data)
        self._data += data
        self._data += b"\0"
        return at

    def room(self, size: int) -> Value:
        """A pointer to memory, all zero, for a call to write to."""
        at = self._room
        self._room += (size + 7) & ~7
        return Value(_ROOM, at)

    @staticmethod
    def word(room: Value, at: int = 0) -> Value:
        """The eight bytes that lie in a room when a step gets there."""
        return Value(_WORD, room.number + at)

    @staticmethod
    def half(room: Value, at: int = 0) -> Value:
        """The four bytes that lie in a room when a step gets there."""
        return Value(_HALF, room.number + at)

    def pointers(self, places: Iterable[Value | None]) -> Value:
        """A pointer to an array of pointers; None is a null pointer."""
        listed = list(places)
        self._data += bytes(-len(self._data) % 8)
        start = len(self._data)
        for index, each in enumerate(listed):
            if each is not None:
                self._pointers.append((start + 8 * index, each))
        self._data += bytes(8 * len(listed))
        return Value(_PLACE, start)

    def structure(self, data: bytes, pointer_at: int, pointed: Value) -> Value:
        """A pointer to a structure in which there is a pointer."""
        self._data += bytes(-len(self._data) % 8)
        start = len(self._data)
        self._data += data
        self._pointers.append((start + pointer_at, pointed))
        return Value(_PLACE, start)

    def execute(self, file: Value, arguments: Sequence[bytes], environment: Sequence[bytes]) -> None:
        """execve(2), the end of a list."""
        vectors = [self.pointers([*map(self.place, each), None]) for each in (arguments, environment)]
        self.do(number.EXECVE, file, *vectors)

    def _append(self, call: int, result: int, arguments: Sequence[Any]) -> int:
        kinds = result  # and a byte for the kind of each argument
        words = []
        shift = 8
        for each in arguments:
            if each.__class__ is int:
                words.append(each & _WORD_BITS)
            elif each.__class__ is bytes:
                kinds |= _PLACE << shift
                at = self._known.get(each)
                words.append(self._keep(each) if at is None else at)
            else:
                kinds |= each.kind << shift
                words.append(each.number)
            shift += 8
        self._steps.append(_PACK[len(words)](call, kinds, *words))
        return len(self._steps) - 1

    def program_upon(self, template: bytes) -> bytes:
        """An executor with this list behind it, as an ELF file; ``template`` is the executor alone."""
        segment = _writable_segment(template)
        at, address = (int.from_bytes(template[segment + there : segment + there + 8], "little") for there in (8, 16))
        data = _LIST_SIZE + _STEP_SIZE * len(self._steps)
        for where, pointed in self._pointers:
            self._data[where : where + 8] = (address + data + pointed.number).to_bytes(8, "little")
        self._data += bytes(-len(self._data) % 8)
        room = data + len(self._data)
        head = _HEAD.pack(len(self), self._report, data, room)
        sizes = room.to_bytes(8, "little") + (room + self._room).to_bytes(8, "little")
        # What comes behind the segment, the table of sections, is for linkers and left out.
        before = template[:_SECTIONS_AT] + bytes(8) + template[_SECTIONS_AT + 8 : _SECTION_COUNT_AT] + bytes(4)
        before += template[_SECTION_COUNT_AT + 4 : segment + 32] + sizes + template[segment + 48 : at]
        return b"".join((before, head, bytes(8 * _REGISTERS), *self._steps, self._data))

    def rehearse(self) -> None:
        """Make the program, and have nobody execute it."""
        self.program_upon(_load().template)

    def spawn(self, flags: int, *, cgroup: int = -1, kept: Sequence[int] = ()) -> tuple[int, int]:
        """Have a new process make the calls, with namespace flags as `clone.clone` has them.

        Of our descriptors it gets those in ``kept``, and what is not close-on-exec.

        Returns:
            its pid and its pidfd (close-on-exec).

        Raises:
            Unsupported: there is no executor for this machine.
            OSError: this machine does not let a memory file be executed, or there can be no such process.
        """
        loaded = _load()
        file = sealed_file("orlop-init", self.program_upon(loaded.template))
        try:
            pidfd_storage = bytearray(4)
            arguments = clone.arguments_of(flags | clone.CLONE_VM | clone.CLONE_VFORK, cgroup, buffer(pidfd_storage))
            numbers = b"".join(each.to_bytes(4, "little") for each in kept)
            pid = loaded.spawn(arguments, len(arguments), file, numbers, len(kept), 0, 0)
        finally:
            os.close(file)
        pidfd = int.from_bytes(pidfd_storage, "little")
        if pid < 0:
            if pidfd:
                os.close(pidfd)
            raise OSError(-pid, f"clone3 or execveat: {os.strerror(-pid)}")
        return pid, pidfd


class _Loaded:
    """The machine's executor, and the function that spawns, which lies in our memory."""

    __slots__ = ("spawn", "template")

    def __init__(self) -> None:
        directory = f"{os.path.dirname(__file__)}/listed/{MACHINE}"
        try:
            self.template = _read(f"{directory}/executor")
            file = os.open(f"{directory}/spawn", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise Unsupported(f"system calls cannot be listed on {MACHINE}: there is no program for it") from None
        try:
            entry = int.from_bytes(os.pread(file, 8, _ENTRY_AT), "little") % _PAGE
            address = syscall(number.MMAP, "mmap", directory, 0, _PAGE, _PROT_READ_EXEC, _MAP_PRIVATE, file, 0)
        finally:
            os.close(file)
        self.spawn: Any = function_at(address + entry)


def _read(path: str) -> bytes:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(file, _LARGEST_PROGRAM)
    finally:
        os.close(file)


_loaded: list[_Loaded] = []


def prepare() -> bool:
    """Have in memory what lists need, for processes that are forked from this one; False if none can be made here."""
    if MACHINE not in MACHINES:
        return False
    try:
        _load()
    except (OSError, Unsupported):  # on a file system, say, of which nothing may be executed
        return False
    return True


def _load() -> _Loaded:
    if not _loaded:
        _loaded.append(_Loaded())
    return _loaded[0]


def _writable_segment(template: bytes) -> int:
    """Where the header of the program's writable segment lies, the one with the list."""
    first = int.from_bytes(template[32:40], "little")
    count = int.from_bytes(template[56:58], "little")
    for index in range(count):
        at = first + 56 * index
        if template[at : at + 8] == _LOAD_WRITABLE:
            return at
    raise Unsupported("the program for lists of system calls has no place for one")
