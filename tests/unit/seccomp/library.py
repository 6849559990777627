"""libseccomp, to compare with."""

from __future__ import annotations

import ctypes
import os
import tempfile
from typing import Any

import pytest

from tests.unit.seccomp.reading import result_of

TOKENS = {
    "SCMP_ARCH_X86": 0x40000003,
    "SCMP_ARCH_X86_64": 0xC000003E,
    "SCMP_ARCH_X32": 0x4000003E,
    "SCMP_ARCH_AARCH64": 0xC00000B7,
    "SCMP_ARCH_ARM": 0x40000028,
    "SCMP_ARCH_RISCV64": 0xC00000F3,
    "SCMP_ARCH_MIPSEL": 0x40000008,
    "SCMP_ARCH_MIPSEL64": 0xC0000008,
    "SCMP_ARCH_MIPSEL64N32": 0xE0000008,
    "SCMP_ARCH_PPC64LE": 0xC0000015,
}
_OPERATORS = {
    "SCMP_CMP_NE": 1,
    "SCMP_CMP_LT": 2,
    "SCMP_CMP_LE": 3,
    "SCMP_CMP_EQ": 4,
    "SCMP_CMP_GE": 5,
    "SCMP_CMP_GT": 6,
    "SCMP_CMP_MASKED_EQ": 7,
}
_EEXIST = 17


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


def library() -> Any:
    try:
        loaded = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        pytest.skip("libseccomp is not installed")
    loaded.seccomp_init.restype = ctypes.c_void_p
    loaded.seccomp_init.argtypes = [ctypes.c_uint32]
    loaded.seccomp_release.argtypes = [ctypes.c_void_p]
    loaded.seccomp_release.restype = None
    loaded.seccomp_arch_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    loaded.seccomp_arch_remove.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    loaded.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
    loaded.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.POINTER(_Comparison),
    ]
    loaded.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
    return loaded


def compiled(config: dict[str, Any]) -> bytes:
    """The program that libseccomp makes when it is used as runc uses it, without runc's ENOSYS."""
    loaded = library()
    default = result_of(config["defaultAction"], config.get("defaultErrnoRet"))
    context = loaded.seccomp_init(default)
    assert context
    try:
        # libseccomp's own architecture is the machine's; these tests ask for others too, so it is put last.
        for name in config["architectures"]:
            assert loaded.seccomp_arch_add(context, TOKENS[name]) in (0, -_EEXIST)
        for rule in config["syscalls"]:
            result = result_of(rule["action"], rule.get("errnoRet"))
            if result == default:
                continue
            for name in rule["names"]:
                _add(loaded, context, result, name, rule.get("args") or [])
        with tempfile.TemporaryFile() as file:
            assert loaded.seccomp_export_bpf(context, file.fileno()) == 0
            return os.pread(file.fileno(), 1 << 20, 0)
    finally:
        loaded.seccomp_release(context)


def _add(loaded: Any, context: int, result: int, name: str, conditions: list[dict[str, Any]]) -> None:
    number = loaded.seccomp_syscall_resolve_name(name.encode())
    if number == -1:
        return
    made = [
        _Comparison(each["index"], _OPERATORS[each["op"]], each["value"], each.get("valueTwo", 0))
        for each in conditions
    ]
    together = len({each["index"] for each in conditions}) == len(conditions)
    for group in [made] if together else [[each] for each in made]:
        array = (_Comparison * len(group))(*group)
        assert loaded.seccomp_rule_add_array(context, result, number, len(group), array) in (0, -_EEXIST)
