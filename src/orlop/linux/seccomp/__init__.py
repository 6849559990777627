"""System call filters: the specification's ``linux.seccomp`` object becomes a BPF program in the kernel.

::

    program = seccomp.compile(config["linux"]["seccomp"])
    listener = seccomp.install(program)      # in the process that is to be confined; one system call

A filter with SCMP_ACT_NOTIFY has a listener, which goes to its agent by way of `orlop.linux.seccomp.listener`.

`compile` needs the tables of system call numbers and is best done once per profile; see `orlop.linux.seccomp.cache`
for keeping programs. Everything beyond `Program` and `install` is imported when first called.

How a profile is read, which is how runc and libseccomp read it:

- A rule whose action is the default action says nothing, and is skipped.
- A rule without ``args`` decides its system call alone, whatever rules with ``args`` stand before or after it;
  of two such rules the first decides.
- Among rules with ``args`` the first that matches decides, and every one of them is tried. libseccomp merges them
  into one tree: which of two overlapping ones decides depends on its shape, and some that match are not found.
- All conditions of one rule must hold. If two of them concern the same argument, each is a rule of its own, so that
  any of them suffices: an accident of runc's history that profiles rely on.
- ``SCMP_CMP_MASKED_EQ`` holds when ``arg & value == valueTwo & value``. On 32-bit architectures (x32 among them)
  only the lower halves of values and arguments are compared.
- Names that an architecture lacks are skipped there; `Program.unknown` lists those that no architecture has.
- The machine's own architecture is always covered. A system call of one that the profile does not list, or an x32
  call where x32 is not listed, kills the thread.
- Where one entry serves many calls (``socketcall`` and ``ipc`` on x86, s390, ppc, mips, m68k and sh), a rule for such
  a call covers it there too. Conditions cannot be checked through the pointer that this entry takes: a rule
  with ``args`` that forbids more than the default then forbids the call whole; one that permits more is not extended.
- If the default action refuses, system calls newer than the newest that the profile names get ENOSYS instead, so
  that programs try an older one; not so if the default is to allow, log or trace, or to return ENOSYS itself.
- No ``flags`` at all means ``SECCOMP_FILTER_FLAG_SPEC_ALLOW``, as in runc; an empty list means none.

Sources: seccomp(2), ``Documentation/userspace-api/seccomp_filter.rst`` and the runtime specification's ``config-linux.md``.
"""

from __future__ import annotations

from orlop.linux.seccomp.install import install
from orlop.linux.seccomp.program import Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["Program", "compile", "install", "supported"]


def compile(config: Mapping[str, Any], machine: str | None = None) -> Program:  # noqa: A001 - as re.compile
    """Compile a ``linux.seccomp`` object for ``machine`` (as ``uname -m`` says it; default: this one).

    Raises:
        InvalidConfig: the object breaks the specification, or the program is longer than the kernel takes.
        Unsupported: the machine has no system call table here.
    """
    from orlop.linux.seccomp.compiler import compile_config

    return compile_config(config, machine)


def supported() -> dict[str, Any]:
    """What this kernel can do, as the ``linux.seccomp`` object of the ``features`` document."""
    from orlop.linux.seccomp.support import probe

    return probe()
