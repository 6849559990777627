#!/usr/bin/env python3
"""Compile the programs without a C library below ``src/orlop`` for every machine that they are there for.

They are the thin client (``client``), and what makes lists of system calls (``linux/listed``).

The programs lie in the repository beside their source, so that installing orlop takes no compiler; a test compiles
them again and compares. That works with the compiler and the linker below alone, Debian 12's: ``gcc`` and
``gcc-aarch64-linux-gnu`` (each compiles for the other's machine where it is called by its whole name).

Run it as ``python3 scripts/make_programs.py`` after every change of a source.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "orlop"

#: Source: the name of its program, which ps(1) shows for the first, and options that the others are not compiled with.
PROGRAMS = {
    "client/client.c": ("orlop", ["-fno-pie"]),
    "linux/listed/executor.c": ("executor", ["-fno-pie", "-Wl,-z,norelro"]),
    "linux/listed/spawn.c": ("spawn", ["-fpie"]),  # it is mapped anywhere
}

#: Machine, as uname(2) calls it: the compiler's name.
COMPILERS = {"x86_64": "x86_64-linux-gnu-gcc", "aarch64": "aarch64-linux-gnu-gcc"}
COMPILER_VERSION = "12.2.0"
LINKER_VERSION = "2.40"

OPTIONS = [
    *("-std=c11", "-Os", "-Wall", "-Wextra", "-Werror"),
    *("-ffreestanding", "-fno-builtin", "-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fno-ident"),
    *("-fcf-protection=none", "-fomit-frame-pointer", "-ffunction-sections"),
    "-fno-tree-loop-distribute-patterns",  # it would make memcpy call itself
    *("-static", "-nostdlib", "-no-pie", "-Wl,--build-id=none,-z,noseparate-code,-z,noexecstack,--gc-sections,-s"),
]
#: Options that only one of the compilers knows.
_NOT_HERE = {"aarch64": ["-fcf-protection=none"]}


def program(source: str, machine: str) -> Path:
    """Where a machine's program lies."""
    return PACKAGE / Path(source).parent / machine / PROGRAMS[source][0]


def problem(machine: str) -> str:
    """Why the program cannot be made here as it was; empty if it can."""
    compiler = COMPILERS[machine]
    try:
        version = subprocess.run([compiler, "-dumpfullversion"], capture_output=True, text=True, check=True).stdout
        linker = subprocess.run([compiler, "-Wl,--version"], capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        return f"{compiler} is not installed"
    if version.strip() != COMPILER_VERSION or not linker.splitlines()[0].endswith(f" {LINKER_VERSION}"):
        return f"{compiler} is not version {COMPILER_VERSION} with a linker of version {LINKER_VERSION}"
    return ""


def compile_to(target: Path, source: str, machine: str) -> None:
    """Compile a source for a machine.

    Raises:
        subprocess.CalledProcessError: the compiler refuses it.
    """
    options = [each for each in (*OPTIONS, *PROGRAMS[source][1]) if each not in _NOT_HERE.get(machine, ())]
    subprocess.run([COMPILERS[machine], *options, "-o", target, PACKAGE / source], check=True)


def main() -> int:
    """Make every program anew."""
    for machine in COMPILERS:
        reason = problem(machine)
        if reason:
            print(f"{machine}: {reason}", file=sys.stderr)
            return 1
        for source in PROGRAMS:
            path = program(source, machine)
            path.parent.mkdir(exist_ok=True)
            compile_to(path, source, machine)
            print(f"{path}: {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
