"""A process that only makes system calls: the ones that another process tells it to make.

Setting a container up means making some hundred system calls in its namespaces. A forked interpreter can make
them, but each page that it touches is copied, in both processes, which costs more than all the calls together,
and the interpreter itself comes within reach of the container. So what is cloned into the namespaces is
not an interpreter. It is a loop of some twenty machine instructions, the agent, which takes system calls from a
list in shared memory and writes their results beside them. What to call is decided outside, in Python.

Cloned with CLONE_VM it shares its creator's memory, and nothing is copied; without, only the list is shared. It
shares the file descriptors (CLONE_FILES) until it is told to unshare them, so what it opens can be used outside and
the other way round. It uses no stack and takes no signals: all are blocked. Its last call is the exec of the
container's program.

An operation is eighteen words::

    0       the system call's number
    1 - 6   addresses of the arguments' values: words 7 to 12 here, or another operation's word 13
    7 - 12  the values
    13      the result
    14      address of the operation to go on with
    15      the same if the result is an error
    16      the same if the result is 0
    17      nothing

The first two operations are always there: the agent waits for a list in the one, and says that it is done with it
in the other.
"""

from __future__ import annotations

import os
import select

import _signal

from orlop.errors import OrlopError, Unsupported
from orlop.linux import number
from orlop.linux.call import MACHINE, Buffer, address_of, contents, native_function
from orlop.linux.memory import Memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CLONE_VM = 0x00000100
_CLONE_FILES = 0x00000400
_CLONE_PIDFD = 0x00001000
_CLONE_CLEAR_SIGHAND = 0x100000000  # Linux 5.5
_CLONE_INTO_CGROUP = 0x200000000  # Linux 5.7

_WORD = 8
_OPERATION = 18  # words
_ARGUMENTS = 1
_VALUES = 7
_RESULT = 13
_NEXT = 14
_ON_ERROR = 15
_ON_ZERO = 16

_WAIT = 0
_REPORT = 1
_FIRST = 2
_MOST_OPERATIONS = 384
_CLONE_ARGUMENTS = 88
_DATA = _MOST_OPERATIONS * _OPERATION * _WORD
_ROOM = 1 << 16
_NOT_MADE = 1 << 62
_EVERY_SIGNAL = [number for number in range(1, _signal.NSIG) if number not in (32, 33)]  # those are libc's own

_X86_64 = (
    b"\x49\x89\xd0"  # mov r8, rdx                the first operation
    b"\xb8\xb3\x01\x00\x00"  # mov eax, 435               clone3(arguments, size)
    b"\x0f\x05"  # syscall
    b"\x48\x85\xc0"  # test rax, rax
    b"\x74\x01"  # jz agent
    b"\xc3"  # ret
    b"\x4c\x89\xc3"  # agent: mov rbx, r8
    b"\x48\x8b\x03"  # loop:  mov rax, [rbx]
    b"\x48\x8b\x7b\x08\x48\x8b\x3f"  # mov rdi, [rbx+8];  mov rdi, [rdi]
    b"\x48\x8b\x73\x10\x48\x8b\x36"  # mov rsi, [rbx+16]; mov rsi, [rsi]
    b"\x48\x8b\x53\x18\x48\x8b\x12"  # mov rdx, [rbx+24]; mov rdx, [rdx]
    b"\x4c\x8b\x53\x20\x4d\x8b\x12"  # mov r10, [rbx+32]; mov r10, [r10]
    b"\x4c\x8b\x43\x28\x4d\x8b\x00"  # mov r8, [rbx+40];  mov r8, [r8]
    b"\x4c\x8b\x4b\x30\x4d\x8b\x09"  # mov r9, [rbx+48];  mov r9, [r9]
    b"\x0f\x05"  # syscall
    b"\x48\x89\x43\x68"  # mov [rbx+104], rax
    b"\x48\x3d\x01\xf0\xff\xff"  # cmp rax, -4095
    b"\x73\x0b"  # jae error
    b"\x48\x85\xc0"  # test rax, rax
    b"\x74\x0c"  # jz zero
    b"\x48\x8b\x5b\x70"  # mov rbx, [rbx+112]
    b"\xeb\xba"  # jmp loop
    b"\x48\x8b\x5b\x78"  # error: mov rbx, [rbx+120]
    b"\xeb\xb4"  # jmp loop
    b"\x48\x8b\x9b\x80\x00\x00\x00"  # zero: mov rbx, [rbx+128]
    b"\xeb\xab"  # jmp loop
)

_AARCH64 = b"".join(
    word.to_bytes(4, "little")
    for word in (
        0xAA0203E9,  # mov x9, x2                 the first operation
        0xD2803668,  # mov x8, #435               clone3(arguments, size)
        0xD4000001,  # svc #0
        0xB4000040,  # cbz x0, agent
        0xD65F03C0,  # ret
        0xAA0903F3,  # agent: mov x19, x9
        0xF9400268,  # loop:  ldr x8, [x19]
        *(0xF9400660, 0xF9400000),  # ldr x0, [x19, #8];  ldr x0, [x0]
        *(0xF9400A61, 0xF9400021),  # ldr x1, [x19, #16]; ldr x1, [x1]
        *(0xF9400E62, 0xF9400042),  # ldr x2, [x19, #24]; ldr x2, [x2]
        *(0xF9401263, 0xF9400063),  # ldr x3, [x19, #32]; ldr x3, [x3]
        *(0xF9401664, 0xF9400084),  # ldr x4, [x19, #40]; ldr x4, [x4]
        *(0xF9401A65, 0xF94000A5),  # ldr x5, [x19, #48]; ldr x5, [x5]
        0xD4000001,  # svc #0
        0xF9003660,  # str x0, [x19, #104]
        0xB13FFC1F,  # cmn x0, #4095
        0x54000082,  # b.cs error
        0xB40000A0,  # cbz x0, zero
        0xF9403A73,  # ldr x19, [x19, #112]
        0x17FFFFED,  # b loop
        0xF9403E73,  # error: ldr x19, [x19, #120]
        0x17FFFFEB,  # b loop
        0xF9404273,  # zero: ldr x19, [x19, #128]
        0x17FFFFE9,  # b loop
    )
)
_CODE = {"x86_64": _X86_64, "aarch64": _AARCH64}
_code: Memory | None = None


def _loop() -> int:
    """The address of the machine code, which is mapped once."""
    global _code
    if _code is None:
        if MACHINE not in _CODE:
            raise Unsupported(f"no agent has been written for {MACHINE}")
        code = Memory(len(_CODE[MACHINE]) + _WORD)
        code.octets[: len(_CODE[MACHINE])] = _CODE[MACHINE]
        code.make_executable()
        _code = code
    return _code.address


class Result:
    """What an operation of the list will have returned, as an argument of a later one."""

    __slots__ = ("address",)

    def __init__(self, address: int) -> None:
        self.address = address


class AgentEnded(OrlopError):
    """The agent ended before it had done what it was told. Its status is for its owner to wait for."""


class Agent:
    """One agent, from its clone to its exec.

    Operations are collected with `add` and made with `run`; `syscall` makes one at once, with the same arguments as
    `orlop.linux.call.syscall`, for which it can stand in (`orlop.linux.call.acting`).

    Attributes:
        pid, pidfd: the process; -1 until `clone`. The descriptor is the owner's to close.
    """

    __slots__ = ("_calls", "_done", "_floor", "_go", "_memory", "_outputs", "_poll", "_used", "pid", "pidfd")

    def __init__(self, room: int = 0) -> None:
        """Prepare the list; ``room`` is how many bytes of arguments there will be at once beyond the ordinary."""
        self._memory = Memory(_DATA + _ROOM + room, shared=True)
        self._used = _DATA
        self._calls: list[tuple[str, str | bytes | None]] = []
        self._outputs: list[tuple[Buffer, int, int]] = []
        self._go = os.eventfd(0, os.EFD_CLOEXEC)
        self._done = os.eventfd(0, os.EFD_CLOEXEC)
        self._poll = select.poll()
        self.pid = -1
        self.pidfd = -1
        one = self._copy((1).to_bytes(_WORD, "little"))
        scratch = self._copy(bytes(_WORD))
        self._write(_WAIT, number.READ, (self._go, scratch, _WORD), self._operation(_WAIT), self._operation(_WAIT))
        self._write(_REPORT, number.WRITE, (self._done, one, _WORD), self._operation(_WAIT), self._operation(_WAIT))
        self._floor = self._used

    @property
    def descriptors(self) -> tuple[int, int]:
        """What the agent needs open in order to be told anything."""
        return self._go, self._done

    def clone(self, flags: int, *, cgroup: int = -1) -> None:
        """Start the agent, born in a cgroup v2 directory if that is given.

        Raises:
            OSError: clone3 was refused.
        """
        pidfd_at = self._copy(bytes(_WORD))
        words = [0] * (_CLONE_ARGUMENTS // _WORD)
        words[0] = flags | _CLONE_FILES | _CLONE_PIDFD | _CLONE_CLEAR_SIGHAND
        words[1] = pidfd_at
        words[4] = _signal.SIGCHLD
        if cgroup >= 0:
            words[0] |= _CLONE_INTO_CGROUP
            words[10] = cgroup
        arguments = self._copy(b"".join(word.to_bytes(_WORD, "little") for word in words))
        start = native_function(_loop(), 3)
        before = _signal.pthread_sigmask(_signal.SIG_SETMASK, _EVERY_SIGNAL)
        try:
            pid = start(arguments, _CLONE_ARGUMENTS, self._operation(_WAIT))
        finally:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, before)
        if pid < 0:
            raise OSError(-pid, f"clone3: {os.strerror(-pid)}")
        self.pid = pid
        offset = pidfd_at - self._memory.address
        self.pidfd = int.from_bytes(self._memory.octets[offset : offset + 4], "little")
        self._poll.register(self._done, select.POLLIN)
        self._poll.register(self.pidfd, select.POLLIN)
        self._used = self._floor

    def add(
        self,
        system_call: int,
        call: str,
        path: str | bytes | None,
        *arguments: Any,
        optional: bool = False,
    ) -> Result:
        """Put an operation at the list's end; with ``optional`` an error does not end the list."""
        index = _FIRST + len(self._calls)
        if index >= _MOST_OPERATIONS:
            raise OrlopError("too many operations for one list")
        self._calls.append((call, path))
        following = self._operation(index + 1)
        on_error = following if optional else self._operation(_REPORT)
        self._write(index, system_call, arguments, following, on_error)
        return Result(self._operation(index) + _RESULT * _WORD)

    def run(self) -> None:
        """Have the list made, and forget it; `value` tells results until the next `add`.

        Raises:
            OSError: of the first operation that failed and was not optional; those after it were not made.
            AgentEnded: the agent is gone.
        """
        self._send()
        self._await()
        calls, self._calls = self._calls, []
        self._used = self._floor
        outputs, self._outputs = self._outputs, []
        last = self._memory.words[(_FIRST + len(calls) - 1) * _OPERATION + _RESULT]
        if last == _NOT_MADE or -4096 < last < 0:
            self._raise_first_error(calls)
        for buffer, offset, size in outputs:
            contents(buffer)[:] = self._memory.octets[offset : offset + size]

    def _send(self) -> None:
        end = _FIRST + len(self._calls) - 1
        self._memory.words[end * _OPERATION + _NEXT] = self._operation(_REPORT)
        if self._memory.words[end * _OPERATION + _ON_ERROR] == self._operation(end + 1):
            self._memory.words[end * _OPERATION + _ON_ERROR] = self._operation(_REPORT)
        self._memory.words[_WAIT * _OPERATION + _NEXT] = self._operation(_FIRST)
        os.eventfd_write(self._go, 1)

    def _await(self) -> None:
        for descriptor, _ in self._poll.poll():
            if descriptor == self._done:
                os.eventfd_read(self._done)
                return
        raise AgentEnded(f"process {self.pid} ended while it was set up")

    def _raise_first_error(self, calls: list[tuple[str, str | bytes | None]]) -> None:
        """The last operation that was made is the one that ended the list, unless an optional one was last of all."""
        words = self._memory.words
        for index in range(len(calls) - 1, -1, -1):
            at = (_FIRST + index) * _OPERATION
            result = words[at + _RESULT]
            if result == _NOT_MADE:
                continue
            if result < 0 and not (index == len(calls) - 1 and words[at + _NEXT] == words[at + _ON_ERROR]):
                call, path = calls[index]
                text = f"{call}: {os.strerror(-result)}"
                raise OSError(-result, text) if path is None else OSError(-result, text, os.fsdecode(path))
            return

    def value(self, result: Result) -> int:
        """What an operation returned; negative errno if it was optional and failed."""
        return self._memory.words[(result.address - self._memory.address) // _WORD]

    def syscall(
        self,
        system_call: int,
        call: str,
        path: str | bytes | None,
        *arguments: Any,
    ) -> int:
        """Have one system call made now.

        Raises:
            OSError: its errno, as `orlop.linux.call.syscall`.
            AgentEnded: the agent is gone.
        """
        result = self.add(system_call, call, path, *arguments)
        self.run()
        return self.value(result)

    def close(self) -> None:
        """Let go of the list and the means to talk; the agent must have executed its program, or ended."""
        os.close(self._go)
        os.close(self._done)
        self._memory.free()

    def _operation(self, index: int) -> int:
        return self._memory.address + index * _OPERATION * _WORD

    def _write(self, index: int, system_call: int, arguments: tuple[Any, ...], following: int, on_error: int) -> None:
        words = self._memory.words
        at = index * _OPERATION
        here = self._memory.address + at * _WORD
        words[at] = system_call
        for position in range(6):
            argument = arguments[position] if position < len(arguments) else 0
            if type(argument) is Result:
                words[at + _ARGUMENTS + position] = argument.address
                continue
            words[at + _ARGUMENTS + position] = here + (_VALUES + position) * _WORD
            words[at + _VALUES + position] = self._encode(argument)
        words[at + _RESULT] = _NOT_MADE
        words[at + _NEXT] = following
        words[at + _ON_ERROR] = on_error

    def _encode(self, argument: Any) -> int:
        if type(argument) is int:
            return argument
        if type(argument) is bytes:
            return self._copy(argument + b"\0")
        if argument is None:
            return 0
        if isinstance(argument, Buffer):
            view = contents(argument)
            address = self._copy(view)
            self._outputs.append((argument, address - self._memory.address, len(view)))
            return address
        return int(argument)

    def _copy(self, data: bytes | memoryview) -> int:
        offset = self._used
        size = len(data)
        if offset + size > self._memory.size:
            raise OrlopError("the arguments of a system call are too long")
        self._memory.octets[offset : offset + size] = data
        self._used = (offset + size + 7) & ~7
        return self._memory.address + offset
