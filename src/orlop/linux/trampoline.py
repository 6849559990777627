"""A last step before exec that keeps the interpreter's own file out of a container's reach.

A container can execute ``/proc/self/exe``: what runs then is the file that made the exec call, and the
container may later open that file for writing through its ``exe`` link (CVE-2019-5736). If that is the host's Python, the
host is lost. So an interpreter that was not itself executed through a read-only mount (see `sealed`) first
executes this: a static program of some hundred bytes, in a sealed memory file that nobody can ever write,
whose only deed is to execute the real program.

It makes three system calls: it marks the report descriptor close-on-exec, executes ``argv[0]`` with the
arguments that follow, and, if that fails, writes the errno (4 bytes) to the report descriptor and exits. Executed once
more, as the container's ``/proc/self/exe``, it has no such descriptor and exits at once.
"""

from __future__ import annotations

import fcntl
import os

from orlop.errors import Unsupported
from orlop.linux import mount, number
from orlop.linux.call import MACHINE, address_of, buffer, syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_MFD_CLOEXEC = 1
_MFD_ALLOW_SEALING = 2
_MFD_EXEC = 0x10  # Linux 6.3; without it the kernel may be told to make memory files not executable
_F_ADD_SEALS = 1033
#: No more sealing, no shrinking, no growing, no writing from now on. (Plain F_SEAL_WRITE would also look for writes
#: under way, of which there are none, and takes 1.5 ms for it.) Linux 5.1.
_SEALS = 0x1 | 0x2 | 0x4 | 0x10

_BASE = 0x400000
_HEADERS = 64 + 56  # of ELF: the file's header and one program header


def _x86_64(report: int) -> bytes:
    return b"".join(
        (
            b"\x48\x89\xe3",  # mov rbx, rsp            ; argc, argv[0], argv[1] …
            b"\xbf" + report.to_bytes(4, "little"),  # mov edi, report
            b"\xbe\x02\x00\x00\x00",  # mov esi, F_SETFD
            b"\xba\x01\x00\x00\x00",  # mov edx, FD_CLOEXEC
            b"\xb8\x48\x00\x00\x00",  # mov eax, SYS_fcntl
            b"\x0f\x05",  # syscall
            b"\x85\xc0",  # test eax, eax
            b"\x75\x2e",  # jnz exit                ; not ours: we are somebody's /proc/self/exe
            b"\x48\x8b\x7b\x08",  # mov rdi, [rbx+8]        ; argv[0]: the program's path
            b"\x48\x8d\x73\x10",  # lea rsi, [rbx+16]       ; argv[1]: its arguments
            b"\x48\x8b\x0b",  # mov rcx, [rbx]          ; argc
            b"\x48\x8d\x54\xcb\x10",  # lea rdx, [rbx+rcx*8+16] ; the environment
            b"\xb8\x3b\x00\x00\x00",  # mov eax, SYS_execve
            b"\x0f\x05",  # syscall
            b"\xf7\xd8",  # neg eax                 ; the errno
            b"\x50",  # push rax
            b"\x48\x89\xe6",  # mov rsi, rsp
            b"\xbf" + report.to_bytes(4, "little"),  # mov edi, report
            b"\xba\x04\x00\x00\x00",  # mov edx, 4
            b"\xb8\x01\x00\x00\x00",  # mov eax, SYS_write
            b"\x0f\x05",  # syscall
            b"\xbf\xff\x00\x00\x00",  # exit: mov edi, 255
            b"\xb8\xe7\x00\x00\x00",  # mov eax, SYS_exit_group
            b"\x0f\x05",  # syscall
        )
    )


def _aarch64(report: int) -> bytes:
    def mov(register: int, value: int) -> int:  # movz xN, #value
        return 0xD2800000 | (value & 0xFFFF) << 5 | register

    svc = 0xD4000001
    words = (
        0x910003F3,  # mov x19, sp
        mov(0, report),
        mov(1, 2),  # F_SETFD
        mov(2, 1),  # FD_CLOEXEC
        mov(8, 25),  # fcntl
        svc,
        0xB50001E0,  # cbnz x0, exit         ; not ours: we are somebody's /proc/self/exe
        0xF9400660,  # ldr x0, [x19, #8]      ; argv[0]
        0x91004261,  # add x1, x19, #16       ; argv[1]
        0xF9400263,  # ldr x3, [x19]          ; argc
        0x8B030E62,  # add x2, x19, x3, lsl #3
        0x91004042,  # add x2, x2, #16        ; the environment
        mov(8, 221),  # execve
        svc,
        0xCB0003E0,  # neg x0, x0             ; the errno
        0xF81F0FE0,  # str x0, [sp, #-16]!
        0x910003E1,  # mov x1, sp
        mov(0, report),
        mov(2, 4),
        mov(8, 64),  # write
        svc,
        mov(0, 255),  # exit:
        mov(8, 94),  # exit_group
        svc,
    )
    return b"".join(word.to_bytes(4, "little") for word in words)


#: Architecture → the number of its ELF machine, and its code.
_CODE = {"x86_64": (62, _x86_64), "aarch64": (183, _aarch64)}


def program(report: int) -> bytes:
    """The trampoline as an ELF file, with the number of its report descriptor compiled in.

    Raises:
        Unsupported: it has not been written for this machine's architecture.
    """
    if MACHINE not in _CODE:
        raise Unsupported(f"no trampoline for {MACHINE}; run through a sealed interpreter instead")
    if report > 0xFFFF:
        raise ValueError("report descriptor above 65535")
    elf_machine, code = _CODE[MACHINE]
    text = code(report)
    size = _HEADERS + len(text)

    def little(value: int, width: int) -> bytes:
        return value.to_bytes(width, "little")

    header = (
        b"\x7fELF\x02\x01\x01" + bytes(9)  # 64 bit, little endian, version 1
        + little(2, 2) + little(elf_machine, 2) + little(1, 4)  # an executable
        + little(_BASE + _HEADERS, 8) + little(64, 8) + little(0, 8)  # entry, program headers, sections
        + little(0, 4) + little(64, 2) + little(56, 2) + little(1, 2) + bytes(6)
    )  # fmt: skip
    segment = (
        little(1, 4) + little(5, 4)  # PT_LOAD, readable and executable
        + little(0, 8) + little(_BASE, 8) + little(_BASE, 8)
        + little(size, 8) + little(size, 8) + little(0x10000, 8)
    )  # fmt: skip
    return header + segment + text


def prepare(report: int) -> int:
    """Put the trampoline into a sealed memory file; returns its descriptor (close-on-exec)."""
    return sealed_file("orlop-trampoline", program(report))


def sealed_file(name: str, content: bytes) -> int:
    """A program in a memory file that nobody can write to any more; returns its descriptor (close-on-exec)."""
    try:
        descriptor = os.memfd_create(name, _MFD_CLOEXEC | _MFD_ALLOW_SEALING | _MFD_EXEC)
    except OSError:
        descriptor = os.memfd_create(name, _MFD_CLOEXEC | _MFD_ALLOW_SEALING)
    os.write(descriptor, content)
    fcntl.fcntl(descriptor, _F_ADD_SEALS, _SEALS)
    return descriptor


def execute(descriptor: int, path: str, arguments: Sequence[bytes], environment: Sequence[bytes]) -> None:
    """Execute ``path`` by way of a prepared trampoline; returns only by raising.

    ``environment`` is a list of ``NAME=value`` strings, passed on as they are, duplicates included.
    """
    execute_at(descriptor, (os.fsencode(path), *arguments), environment)


def execute_at(descriptor: int, arguments: Sequence[bytes], environment: Sequence[bytes]) -> None:
    """execveat(2) on a descriptor; returns only by raising."""
    keep: list[object] = []
    syscall(
        number.EXECVEAT,
        "execveat",
        None,
        descriptor,
        b"",
        _vector(arguments, keep),
        _vector(environment, keep),
        mount.AT_EMPTY_PATH,
    )


def execute_path(path: str, arguments: Sequence[bytes], environment: Sequence[bytes]) -> None:
    """execve(2) with the environment as a list, which ``os.execve`` would turn into a mapping."""
    keep: list[object] = []
    syscall(number.EXECVE, "execve", path, os.fsencode(path), _vector(arguments, keep), _vector(environment, keep))


def _vector(strings: Sequence[bytes], keep: list[object]) -> object:
    """A NULL-terminated array of pointers to strings; what it points to is added to ``keep``."""
    pointers = bytearray()
    for string in strings:
        view = buffer(bytearray(string + b"\0"))
        keep.append(view)
        pointers += address_of(view).to_bytes(8, "little")
    pointers += bytes(8)
    return buffer(pointers)
