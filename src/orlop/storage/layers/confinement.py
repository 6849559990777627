"""Where layers are unpacked: a forked process that sees nothing but the directory it writes to.

`unpack` does not leave its directory by its own care. This is the second wall, for the day when it, the interpreter or a
decompressor has a hole: the process is in a chroot, has none of the host's descriptors, no capability beyond those that
making files takes, gets no more by executing anything, and cannot import a module, which it would do from the layer's files
(CVE-2019-14271 was such a thing). It ends with its parent.
"""

from __future__ import annotations

import _signal
import fcntl
import os
import sys

from orlop.linux import capability, descriptors, prctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_CAPABILITIES = capability.mask(
    (
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_FOWNER",  # times, modes and attributes of files that were given away
        "CAP_FSETID",  # setgid for a group that is not ours
        "CAP_MKNOD",
        "CAP_SETFCAP",
    )
)
#: The report of a process that has not the right to confine itself.
NOT_PERMITTED = b"not permitted"
_MOST_REPORTED = 64 << 20
_ENDING = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP, _signal.SIGQUIT)


def run(work: Callable[[int, int], bytes], source: int, directory: int) -> tuple[bytes, int]:
    """Call ``work(source, directory)`` in such a process, whose root directory is ``directory``.

    All that ``work`` needs is imported before, and it raises nothing. The process is a fork, and its only thread is the
    one that called.

    Returns:
        what ``work`` returned, or `NOT_PERMITTED`, and the process's status as waitpid(2) gives it.

    Raises:
        OSError: there cannot be another process.
    """
    ours, theirs = os.pipe2(os.O_CLOEXEC)
    parent = os.getpid()
    try:
        # Not before its handlers are gone is the process to hear of an interrupt: what Python does after a fork would
        # tell of it on standard error.
        mask = _signal.pthread_sigmask(_signal.SIG_BLOCK, _ENDING)
        try:
            child = os.fork()
            if child == 0:
                _child(work, source, directory, theirs, parent, mask)
        finally:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)
            os.close(theirs)
        try:
            report = _read(ours)
        except BaseException:
            os.kill(child, _signal.SIGKILL)
            _wait(child)
            raise
        return report, _wait(child)
    finally:
        os.close(ours)


def _read(descriptor: int) -> bytes:
    parts = []
    size = 0
    while size < _MOST_REPORTED and (data := os.read(descriptor, 1 << 16)):
        parts.append(data)
        size += len(data)
    return b"".join(parts)


def _wait(child: int) -> int:
    try:
        return os.waitpid(child, 0)[1]
    except ChildProcessError:
        return 0  # whoever embeds us has waited for it, or ignores SIGCHLD


def _child(
    work: Callable[[int, int], bytes], source: int, directory: int, report: int, parent: int, mask: Collection[int]
) -> None:
    status = 1
    try:
        # The streams are replaced, wherever these are now.
        source, directory, report = (_above_streams(descriptor) for descriptor in (source, directory, report))
        try:
            _enter(source, directory, report, parent, mask)
            said = work(source, directory)
        except PermissionError:
            said = NOT_PERMITTED
        left = memoryview(said)
        while left:
            left = left[os.write(report, left) :]
        status = 0
    finally:
        os._exit(status)


def _enter(source: int, directory: int, report: int, parent: int, mask: Collection[int]) -> None:
    """Give up all that is not needed but the three descriptors."""
    prctl.set_parent_death_signal(_signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    prctl.set_name("orlop-unpack")
    _signal.set_wakeup_fd(-1)
    for signal in (*_ENDING, _signal.SIGCHLD):
        _signal.signal(signal, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for stream in range(3):
        os.dup2(null, stream)
    descriptors.close_all_but((0, 1, 2, source, directory, report))
    os.umask(0)
    # Relative paths and the import system see the layer from here on.
    sys.meta_path.clear()
    sys.path_hooks.clear()
    sys.path.clear()
    os.fchdir(directory)
    os.chroot(".")
    prctl.set_no_new_privileges()
    _, permitted, _ = capability.get()
    capability.set_all(permitted & _CAPABILITIES, permitted & _CAPABILITIES, 0)


def _above_streams(descriptor: int) -> int:
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
