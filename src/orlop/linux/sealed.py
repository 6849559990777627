"""Running the interpreter from a mount that nobody can write through.

A process's ``/proc/PID/exe`` carries the mount that it was executed through. From a detached, read-only
copy of the mount, the host's Python cannot be opened for writing by anyone who gets hold of that link, whatever their
rights (CVE-2019-5736). A warm launcher is executed this way once; every process forked from it is sealed too.
"""

from __future__ import annotations

import os
import sys

from orlop.linux import mount, trampoline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MARK = "ORLOP_SEALED_EXE"


def is_sealed() -> bool:
    """Whether this process's own executable lies on a read-only mount."""
    try:
        return bool(os.statvfs("/proc/self/exe").f_flag & os.ST_RDONLY)
    except OSError:  # no /proc: assume the worse
        return False


def execute(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Execute the running interpreter anew, sealed, with ``arguments`` after its name; returns only by raising.

    Raises:
        OSError: the mount cannot be made: it needs CAP_SYS_ADMIN in the mount namespace's user namespace.
    """
    tree = mount.clone(mount.AT_FDCWD, os.path.realpath("/proc/self/exe"))
    mount.set_attributes(tree, mount.MOUNT_ATTR_RDONLY)
    entries = [os.fsencode(f"{name}={value}") for name, value in environment.items()]
    names = [os.fsencode(sys.executable), *(os.fsencode(argument) for argument in arguments)]
    trampoline.execute_at(tree, names, entries)


def ensure() -> None:
    """Go on in a sealed interpreter: returns if this one is, else starts the same command again in one that is.

    An ordinary user gets the right to make the mount from a user namespace of its own, which it must already be in;
    without it the interpreter's file is not writable by the container's root either, unless that user owns it.

    Raises:
        OSError: sealing did not work.
    """
    if is_sealed():
        return
    if os.environ.get(_MARK):
        raise OSError(30, "the sealed interpreter is not on a read-only mount", sys.executable)
    execute(sys.orig_argv[1:], {**os.environ, _MARK: "1"})
