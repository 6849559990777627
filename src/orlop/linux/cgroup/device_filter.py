"""Putting a device program on a version 2 cgroup (bpf(2), BPF_CGROUP_DEVICE).

Programs of others on the same cgroup stay: all of them must allow an access, with BPF_F_ALLOW_MULTI. Our
own is told from theirs by its name, and an update puts the new one in its place in one step (Linux 5.6).
"""

from __future__ import annotations

import errno
import os

from orlop.errors import Unsupported
from orlop.linux import number
from orlop.linux.call import address_of, buffer, syscall
from orlop.linux.cgroup import device_program
from orlop.linux.cgroup.devices import everything_allowed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.cgroup.devices import Rule

# linux/bpf.h
_PROG_LOAD, _PROG_ATTACH, _PROG_GET_FD_BY_ID, _OBJ_GET_INFO_BY_FD, _PROG_QUERY = 5, 8, 13, 15, 16
_PROG_TYPE_CGROUP_DEVICE = 15
_ATTACH_DEVICE = 6
_ALLOW_MULTI, _REPLACE = 2, 4
_ATTRIBUTE_SIZE = 72
_NAME = b"orlop_device"
_NAME_IN_ATTRIBUTES, _NAME_IN_INFO, _INFO_SIZE = 48, 64, 104
_MOST_PROGRAMS = 64  # BPF_CGROUP_MAX_PROGS


def apply(rules: list[Rule], directory: str, *, new: bool) -> None:
    """Make a cgroup's device accesses be decided by the rules.

    Raises:
        Unsupported: this kernel has no device programs.
        OSError: loading or attaching was refused; ``filename`` is the directory.
    """
    if new and everything_allowed(rules):
        return
    program = device_program.assemble(rules)
    cgroup = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        loaded = load(program, directory)
        try:
            old = -1 if new else _own_program(cgroup, directory)
            try:
                _attach(cgroup, loaded, old, directory)
            finally:
                if old >= 0:
                    os.close(old)
        finally:
            os.close(loaded)
    finally:
        os.close(cgroup)


def load(program: bytes, path: str) -> int:
    """Have the kernel verify a program; a descriptor (close-on-exec) of it. ``path`` is for the error.

    Raises:
        Unsupported: this kernel has no BPF, or no device programs.
        OSError: it was refused; EPERM without CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN.
    """
    instructions = bytearray(program)
    licence = bytearray(b"Apache-2.0\0")
    code, text = buffer(instructions), buffer(licence)
    attributes = bytearray(_ATTRIBUTE_SIZE)
    _put(attributes, 0, 4, _PROG_TYPE_CGROUP_DEVICE)
    _put(attributes, 4, 4, len(program) // device_program.INSTRUCTION_SIZE)
    _put(attributes, 8, 8, address_of(code))
    _put(attributes, 16, 8, address_of(text))
    attributes[_NAME_IN_ATTRIBUTES : _NAME_IN_ATTRIBUTES + len(_NAME)] = _NAME
    try:
        return _bpf(_PROG_LOAD, attributes, path)
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EINVAL):
            raise Unsupported(
                f"device rules cannot be enforced on {path}: this kernel has no BPF programs for cgroup devices "
                f"({os.strerror(error.errno)}; it needs CONFIG_CGROUP_BPF)"
            ) from error
        raise


def _attach(cgroup: int, program: int, old: int, path: str) -> None:
    attributes = bytearray(_ATTRIBUTE_SIZE)
    _put(attributes, 0, 4, cgroup)
    _put(attributes, 4, 4, program)
    _put(attributes, 8, 4, _ATTACH_DEVICE)
    _put(attributes, 12, 4, _ALLOW_MULTI if old < 0 else _ALLOW_MULTI | _REPLACE)
    _put(attributes, 16, 4, max(old, 0))
    _bpf(_PROG_ATTACH, attributes, path)


def programs(directory: str) -> list[int]:
    """The identifiers of the device programs attached to a cgroup itself.

    Raises:
        OSError: it cannot be asked.
    """
    cgroup = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _attached(cgroup, directory)
    finally:
        os.close(cgroup)


def _attached(cgroup: int, path: str) -> list[int]:
    identifiers = bytearray(4 * _MOST_PROGRAMS)
    view = buffer(identifiers)
    attributes = bytearray(_ATTRIBUTE_SIZE)
    _put(attributes, 0, 4, cgroup)
    _put(attributes, 4, 4, _ATTACH_DEVICE)
    _put(attributes, 16, 8, address_of(view))
    _put(attributes, 24, 4, _MOST_PROGRAMS)
    _bpf(_PROG_QUERY, attributes, path)
    count = int.from_bytes(attributes[24:28], "little")
    return [int.from_bytes(identifiers[4 * i : 4 * i + 4], "little") for i in range(count)]


def _own_program(cgroup: int, path: str) -> int:
    """A descriptor of the program that an earlier `apply` attached, or -1."""
    for identifier in _attached(cgroup, path):
        attributes = bytearray(_ATTRIBUTE_SIZE)
        _put(attributes, 0, 4, identifier)
        descriptor = _bpf(_PROG_GET_FD_BY_ID, attributes, path)
        if _name(descriptor, path) == _NAME:
            return descriptor
        os.close(descriptor)
    return -1


def _name(program: int, path: str) -> bytes:
    info = bytearray(_INFO_SIZE)
    view = buffer(info)
    attributes = bytearray(_ATTRIBUTE_SIZE)
    _put(attributes, 0, 4, program)
    _put(attributes, 4, 4, _INFO_SIZE)
    _put(attributes, 8, 8, address_of(view))
    _bpf(_OBJ_GET_INFO_BY_FD, attributes, path)
    return bytes(info[_NAME_IN_INFO : _NAME_IN_INFO + 16]).rstrip(b"\0")


def _put(attributes: bytearray, offset: int, size: int, value: int) -> None:
    attributes[offset : offset + size] = value.to_bytes(size, "little")


def _bpf(command: int, attributes: bytearray, path: str) -> int:
    view = buffer(attributes)
    result = syscall(number.BPF, "bpf", path, command, view, len(attributes))
    if command in (_PROG_LOAD, _PROG_GET_FD_BY_ID):
        os.set_inheritable(result, False)
    return result
