"""Running the interpreter from a mount that nobody can write through.

A process's ``/proc/PID/exe`` carries the mount that it was executed through. From a detached, read-only
copy of the mount, the host's Python cannot be opened for writing by anyone who gets hold of that link, whatever their
rights (CVE-2019-5736). A warm launcher is executed this way once; every process forked from it is sealed too.

Where nobody hostile can see the interpreter before it turns into the container's program, a `trampoline` in between is
enough. Who enters a pid namespace with hostile processes in it is seen at once, and has to be sealed before.
The shared libraries that the interpreter loads are out of reach too but for who may follow the links in
``/proc/PID/map_files``: that takes CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE in the host's user namespace.
"""

from __future__ import annotations

import errno
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
        PermissionError: this user may not make the mount, and may not write the interpreter's file either.
        OSError: it did not work.
    """
    tree = _sealed_tree()
    entries = [os.fsencode(f"{name}={value}") for name, value in environment.items()]
    names = [os.fsencode(sys.executable), *(os.fsencode(argument) for argument in arguments)]
    trampoline.execute_at(tree, names, entries)


def ensure() -> None:
    """Go on in a sealed interpreter: returns if this one is, else starts the same command again in one that is.

    An ordinary user may not make the mount, and seldom needs it: root in that user's container is the user, who
    cannot write the system's interpreter in the first place. One who owns the interpreter can (pyenv, conda), and
    has the mount made by a child in a user and mount namespace of its own. The command itself stays in the
    namespaces that it is in: from a new user namespace it could neither join the user's containers nor map
    the user's subordinate ids.

    Raises:
        OSError: sealing did not work.
    """
    if is_sealed():
        return
    if os.environ.get(_MARK):
        raise OSError(errno.EROFS, "the sealed interpreter is not on a read-only mount", sys.executable)
    try:
        execute(sys.orig_argv[1:], {**os.environ, _MARK: "1"})
    except PermissionError:
        if _is_ours_to_write():
            raise


def _sealed_tree() -> int:
    """The interpreter's file on a detached read-only mount."""
    try:
        return _read_only_copy()
    except PermissionError:
        if not _is_ours_to_write():
            raise
        return _read_only_copy_by_child()


def _read_only_copy() -> int:
    tree = mount.clone(mount.AT_FDCWD, os.path.realpath("/proc/self/exe"))
    mount.set_attributes(tree, mount.MOUNT_ATTR_RDONLY)
    return tree


def _is_ours_to_write() -> bool:
    """Whether this user may write the interpreter's file, or give themselves the right to."""
    path = os.path.realpath("/proc/self/exe")
    return os.stat(path).st_uid == os.geteuid() or os.access(path, os.W_OK)


def _read_only_copy_by_child() -> int:
    """The mount, made in namespaces of a child, which has its descriptors in common with us."""
    from orlop.linux import clone, namespace  # hardly anybody gets here

    tree = os.open("/", os.O_PATH | os.O_CLOEXEC)  # a number that the child puts the mount under
    pid, descriptor = clone.clone(namespace.CLONE_NEWUSER | namespace.CLONE_NEWNS | clone.CLONE_FILES)
    if pid == 0:
        status = 1
        try:
            os.dup2(_read_only_copy(), tree, inheritable=False)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    os.close(descriptor)
    if status:
        os.close(tree)
        raise OSError(errno.EPERM, "cannot make the interpreter's file read-only in a user namespace", sys.executable)
    return tree
