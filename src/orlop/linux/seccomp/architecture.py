"""Architectures: what distinguishes their system calls in ``struct seccomp_data``."""

from __future__ import annotations

from orlop.errors import InvalidConfig, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

#: Set in the number of every x32 call, whose AUDIT_ARCH is x86_64's.
X32_BIT = 0x40000000


class Architecture:
    """One architecture: its AUDIT_ARCH (``linux/audit.h``), width, byte order and table."""

    __slots__ = ("audit", "big", "multiplexed", "name", "private", "table", "wide")

    def __init__(
        self,
        name: str,
        audit: int,
        table: str,
        *,
        wide: bool,
        big: bool = False,
        multiplexed: bool = False,
        private: int = 0,
    ) -> None:
        self.name = name
        self.audit = audit
        #: The module of `orlop.linux.seccomp.numbers` with its numbers.
        self.table = table
        #: Arguments are compared as 64 bits.
        self.wide = wide
        #: The first half of a 64-bit argument is the high one.
        self.big = big
        #: Sockets and System V IPC may go through ``socketcall`` and ``ipc``.
        self.multiplexed = multiplexed
        #: Where a second range of numbers begins that grows apart from the first; 0 if there is none.
        self.private = private

    def numbers(self) -> dict[str, int]:
        """The table, by name; made once."""
        found = _tables.get(self.table)
        if found is None:
            module = __import__(f"orlop.linux.seccomp.numbers.{self.table}", None, None, ("RUNS",))
            found = {}
            for first, run in module.RUNS:
                names = run.split()
                found.update(zip(names, range(first, first + len(names)), strict=True))
            _tables[self.table] = found
        return found


_tables: dict[str, dict[str, int]] = {}

_ALL = (
    Architecture("SCMP_ARCH_X86", 0x40000003, "x86", wide=False, multiplexed=True),
    Architecture("SCMP_ARCH_X86_64", 0xC000003E, "x86_64", wide=True),
    Architecture("SCMP_ARCH_X32", 0xC000003E, "x32", wide=False),
    Architecture("SCMP_ARCH_ARM", 0x40000028, "arm", wide=False, private=0x0F0000),
    Architecture("SCMP_ARCH_AARCH64", 0xC00000B7, "aarch64", wide=True),
    Architecture("SCMP_ARCH_LOONGARCH64", 0xC0000102, "loongarch64", wide=True),
    Architecture("SCMP_ARCH_M68K", 0x00000004, "m68k", wide=False, big=True, multiplexed=True),
    Architecture("SCMP_ARCH_MIPS", 0x00000008, "mips", wide=False, big=True, multiplexed=True),
    Architecture("SCMP_ARCH_MIPS64", 0x80000008, "mips64", wide=True, big=True),
    Architecture("SCMP_ARCH_MIPS64N32", 0xA0000008, "mips64n32", wide=False, big=True),
    Architecture("SCMP_ARCH_MIPSEL", 0x40000008, "mips", wide=False, multiplexed=True),
    Architecture("SCMP_ARCH_MIPSEL64", 0xC0000008, "mips64", wide=True),
    Architecture("SCMP_ARCH_MIPSEL64N32", 0xE0000008, "mips64n32", wide=False),
    Architecture("SCMP_ARCH_PPC", 0x00000014, "ppc", wide=False, big=True, multiplexed=True),
    Architecture("SCMP_ARCH_PPC64", 0x80000015, "ppc64", wide=True, big=True, multiplexed=True),
    Architecture("SCMP_ARCH_PPC64LE", 0xC0000015, "ppc64", wide=True, multiplexed=True),
    Architecture("SCMP_ARCH_S390", 0x00000016, "s390", wide=False, big=True, multiplexed=True),
    Architecture("SCMP_ARCH_S390X", 0x80000016, "s390x", wide=True, big=True, multiplexed=True),
    Architecture("SCMP_ARCH_SH", 0x4000002A, "sh", wide=False, multiplexed=True),
    Architecture("SCMP_ARCH_SHEB", 0x0000002A, "sh", wide=False, big=True, multiplexed=True),
    Architecture("SCMP_ARCH_PARISC", 0x0000000F, "parisc", wide=False, big=True),
    Architecture("SCMP_ARCH_PARISC64", 0x8000000F, "parisc64", wide=True, big=True),
    Architecture("SCMP_ARCH_RISCV64", 0xC00000F3, "riscv64", wide=True),
)
ARCHITECTURES = {architecture.name: architecture for architecture in _ALL}

_OF_MACHINE = {
    "x86_64": "SCMP_ARCH_X86_64",
    "i686": "SCMP_ARCH_X86",
    "aarch64": "SCMP_ARCH_AARCH64",
    "armv7l": "SCMP_ARCH_ARM",
    "armv8l": "SCMP_ARCH_ARM",
    "riscv64": "SCMP_ARCH_RISCV64",
    "loongarch64": "SCMP_ARCH_LOONGARCH64",
    "ppc64le": "SCMP_ARCH_PPC64LE",
    "ppc64": "SCMP_ARCH_PPC64",
    "s390x": "SCMP_ARCH_S390X",
}


def native(machine: str) -> Architecture:
    """The architecture of a machine, as ``uname -m`` names it.

    Raises:
        Unsupported: none that is known here.
    """
    name = _OF_MACHINE.get(machine)
    if name is None:
        raise Unsupported(f"seccomp filters cannot be made for {machine}: its system calls are not known")
    return ARCHITECTURES[name]


def covered(config: Mapping[str, Any], machine: str) -> list[Architecture]:
    """The architectures that a filter is for: the machine's own first, then those of the profile.

    Raises:
        InvalidConfig: an architecture that the specification does not have.
        Unsupported: the machine's own is not known.
    """
    chosen = [native(machine)]
    names = config.get("architectures") or []
    if not isinstance(names, list):
        raise InvalidConfig("linux.seccomp.architectures is not a list")
    for name in names:
        architecture = ARCHITECTURES.get(name) if isinstance(name, str) else None
        if architecture is None:
            raise InvalidConfig(f"linux.seccomp.architectures: unknown architecture {name!r}")
        if architecture not in chosen:
            chosen.append(architecture)
    return chosen
