#!/usr/bin/env python3
"""Write the system call tables below ``src/orlop/linux/seccomp/numbers``.

Sources, all of them installed from Debian packages:

- libseccomp (``libseccomp2``, 2.5.4 when this was last run) for the architectures that it knows, asked number by number;
- the kernel's own headers of an architecture that it does not know, given as ``--headers m68k=DIR``,
  where DIR holds ``asm/unistd_32.h`` (``linux-libc-dev-m68k-cross``, ``linux-libc-dev-sh4-cross``);
- loongarch64 uses the kernel's generic table, as riscv64 does: it is riscv64's without what is particular to that;
- calls newer than these sources, which have one number everywhere, are listed below from the kernel's
  ``scripts/syscall.tbl``.

Run it as ``python3 scripts/make_syscall_numbers.py --headers m68k=DIR --headers sh=DIR``; without a
``--headers`` for an architecture its module is left as it is. `ruff format` finishes the modules.
"""

from __future__ import annotations

import argparse
import ctypes
import re
import textwrap
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "src" / "orlop" / "linux" / "seccomp" / "numbers"

#: Module name: (libseccomp's token, ranges of numbers that the architecture uses).
LIBSECCOMP = {
    "x86_64": (0xC000003E, [(0, 1024)]),
    "x86": (0x40000003, [(0, 1024)]),
    "x32": (0x4000003E, [(0x40000000, 1024)]),
    "arm": (0x40000028, [(0, 1024), (0x0F0000, 16)]),
    "aarch64": (0xC00000B7, [(0, 1024)]),
    "mips": (0x00000008, [(4000, 1000)]),
    "mips64": (0x80000008, [(5000, 1000)]),
    "mips64n32": (0xA0000008, [(6000, 1000)]),
    "ppc": (0x00000014, [(0, 1024)]),
    "ppc64": (0x80000015, [(0, 1024)]),
    "s390": (0x00000016, [(0, 1024)]),
    "s390x": (0x80000016, [(0, 1024)]),
    "parisc": (0x0000000F, [(0, 1024)]),
    "parisc64": (0x8000000F, [(0, 1024)]),
    "riscv64": (0xC00000F3, [(0, 1024)]),
}

#: Where an architecture's numbers begin, for those that do not begin at 0.
BASE = {"x32": 0x40000000, "mips": 4000, "mips64": 5000, "mips64n32": 6000}

#: Linux 5.17 to 6.18: one number on every architecture.
NEWER = {
    "set_mempolicy_home_node": 450,
    "cachestat": 451,
    "fchmodat2": 452,
    "map_shadow_stack": 453,
    "futex_wake": 454,
    "futex_wait": 455,
    "futex_requeue": 456,
    "statmount": 457,
    "listmount": 458,
    "lsm_get_self_attr": 459,
    "lsm_set_self_attr": 460,
    "lsm_list_modules": 461,
    "mseal": 462,
    "setxattrat": 463,
    "getxattrat": 464,
    "listxattrat": 465,
    "removexattrat": 466,
    "open_tree_attr": 467,
    "file_getattr": 468,
    "file_setattr": 469,
}

#: What one architecture alone has got since.
NEWER_HERE = {
    "x86_64": {"uretprobe": 335, "uprobe": 336},
    "riscv64": {"riscv_hwprobe": 258},
}

#: riscv64's calls that the other users of the generic table lack.
NOT_GENERIC = {"riscv_flush_icache", "riscv_hwprobe", "getrlimit", "setrlimit", "memfd_secret"}

HEADER = '''"""System call numbers of {arch}: each run of names is numbered from the number before it on.

Made by ``scripts/make_syscall_numbers.py`` from {source}; change it there.
"""

RUNS = (
{runs}
)
'''


def ask_libseccomp(token: int, ranges: list[tuple[int, int]]) -> dict[str, int]:
    """Every number of the ranges that libseccomp has a name for."""
    library = ctypes.CDLL("libseccomp.so.2")
    resolve = library.seccomp_syscall_resolve_num_arch
    resolve.restype = ctypes.c_char_p
    resolve.argtypes = [ctypes.c_uint32, ctypes.c_int]
    table = {}
    for first, count in ranges:
        for number in range(first, first + count):
            name = resolve(token, number)
            if name is not None:
                table[name.decode()] = number
    return table


def read_headers(directory: Path) -> dict[str, int]:
    """The calls that the kernel's header of a 32-bit architecture defines."""
    text = (directory / "asm" / "unistd_32.h").read_text()
    return {name: int(number) for name, number in re.findall(r"^#define __NR_(\w+)\s+(\d+)$", text, re.MULTILINE)}


def write(arch: str, table: dict[str, int], source: str) -> None:
    """Write one architecture's module, ordered by number."""
    base = BASE.get(arch, 0)
    for name, number in {**NEWER, **NEWER_HERE.get(arch, {})}.items():
        table.setdefault(name, base + number)
    runs: list[tuple[int, list[str]]] = []
    for name, number in sorted(table.items(), key=lambda item: (item[1], item[0])):
        # A number with two names begins a run of its own.
        if runs and number == runs[-1][0] + len(runs[-1][1]):
            runs[-1][1].append(name)
        else:
            runs.append((number, [name]))
    text = "\n".join(
        f"    ({first:#x}, {quoted(names)})," if base > 0xFFFF else f"    ({first}, {quoted(names)}),"
        for first, names in runs
    )
    (TARGET / f"{arch}.py").write_text(HEADER.format(arch=arch, source=source, runs=text))


def quoted(names: list[str]) -> str:
    """A run's names as one literal, wrapped for reading."""
    if len(names) < 4:
        return f'"{" ".join(names)}"'
    return '"""\n' + textwrap.fill(" ".join(names), 110, break_long_words=False, break_on_hyphens=False) + '\n"""'


def write_names() -> None:
    """Write the module that knows every name of every architecture."""
    names: set[str] = set()
    for path in sorted(TARGET.glob("*.py")):
        if path.stem not in ("__init__", "every_name"):
            module: dict[str, tuple[tuple[int, str], ...]] = {}
            exec(path.read_text(), module)  # a literal that this script wrote
            for _, run in module["RUNS"]:
                names.update(run.split())
    words = textwrap.fill(" ".join(sorted(names)), 110, break_long_words=False, break_on_hyphens=False)
    (TARGET / "every_name.py").write_text(
        '"""The name of every system call of every architecture, to tell a foreign name from a mistyped one.\n\n'
        'Made by ``scripts/make_syscall_numbers.py`` from the tables beside it; change it there.\n"""\n\n'
        f'_WORDS = """\n{words}\n"""\n\nNAMES = frozenset(_WORDS.split())\n',
    )


def main() -> None:
    """Ask each source for its architectures and write the modules."""
    parser = argparse.ArgumentParser(description="write orlop's system call tables")
    parser.add_argument("--headers", action="append", default=[], metavar="ARCH=DIR")
    arguments = parser.parse_args()
    TARGET.mkdir(exist_ok=True)
    for arch, (token, ranges) in LIBSECCOMP.items():
        write(arch, ask_libseccomp(token, ranges), "libseccomp's tables")
    generic = ask_libseccomp(*LIBSECCOMP["riscv64"])
    write("loongarch64", {k: v for k, v in generic.items() if k not in NOT_GENERIC}, "the kernel's generic table")
    for given in arguments.headers:
        arch, _, directory = given.partition("=")
        write(arch, read_headers(Path(directory)), "the kernel's headers")
    write_names()


if __name__ == "__main__":
    main()
