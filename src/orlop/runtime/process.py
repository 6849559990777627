"""From a privileged process in the right namespaces to the container's own program.

`init` and `exec` share this: resource limits, user, capabilities, working directory, and in what order they
are given up. The order is the security: what needs rights comes first, seccomp last (capabilities(7),
seccomp(2), runtime-spec config.md "Process").
"""

from __future__ import annotations

import _signal
import os
import stat
import sys

from orlop.errors import CommandNotExecutable, CommandNotFound, StepFailed
from orlop.linux import capability, credentials, mount, number, path, prctl, rlimit, trampoline
from orlop.linux.call import syscall
from orlop.runtime import executable
from orlop.runtime.step import step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.linux.seccomp import Program
    from orlop.runtime.channel import Channel

#: What libc keeps for itself, and leaves ignored in programs that posix_spawn(3) starts, so perhaps in us.
_LIBC_S_OWN = (32, 33)
_DEFAULT_ACTION = bytes(32)  # struct sigaction of the kernel, all zero: SIG_DFL
_SIGNAL_SET = 8
OOM_SCORE = "/proc/self/oom_score_adj"
_LARGEST_PASSWD = 1 << 20
_NULL = os.makedev(1, 3)
#: How a container's null device is opened to be a standard stream.
NULL_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC


def import_ahead(process: dict[str, Any], linux: dict[str, Any]) -> None:
    """Import what only some configurations need, while ``sys.path`` still means the host's files."""
    if linux.get("personality") or linux.get("memoryPolicy"):
        from orlop.linux import scheduling
    for name in ("scheduler", "ioPriority", "execCPUAffinity"):
        if process.get(name):
            from orlop.linux import scheduling  # noqa: F401


def forbid_imports() -> None:
    """From here on no import finds anything that is not loaded yet: the files it would look at are the container's.

    A container that puts a module at the path of the host's Python library must not get it run with our rights (CVE-2019-14271
    was this with a C library).
    """
    sys.meta_path.clear()


def limit(process: dict[str, Any]) -> None:
    """Set what needs rights but no identity: resource limits, scheduling, priorities."""
    for each in process.get("rlimits") or ():
        with step("set limit", each["type"]):
            rlimit.set_limit(each["type"], each["soft"], each["hard"])
    scheduler = process.get("scheduler")
    io_priority = process.get("ioPriority")
    if scheduler or io_priority:
        from orlop.linux import scheduling

        if scheduler:
            with step("set scheduler", scheduler["policy"]):
                scheduling.set_scheduler(
                    scheduler["policy"],
                    scheduler.get("flags") or [],
                    nice=scheduler.get("nice") or 0,
                    priority=scheduler.get("priority") or 0,
                    runtime=scheduler.get("runtime") or 0,
                    deadline=scheduler.get("deadline") or 0,
                    period=scheduler.get("period") or 0,
                )
        if io_priority:
            with step("set I/O priority", io_priority["class"]):
                scheduling.set_io_priority(io_priority["class"], io_priority.get("priority") or 0)


def set_oom_score(process: dict[str, Any]) -> None:
    """Write ``oomScoreAdj`` through the host's /proc, before the view of it is lost.

    Also before the process becomes another user: from then on its files in /proc belong to the host's root.
    """
    score = process.get("oomScoreAdj")
    if score is None:
        return
    with step("set oomScoreAdj in", OOM_SCORE):
        descriptor = os.open(OOM_SCORE, os.O_RDWR | os.O_CLOEXEC)
        try:
            # Writing the value it has already would need the same right as lowering it.
            if int(os.read(descriptor, 16)) != score:
                os.pwrite(descriptor, str(score).encode(), 0)
        finally:
            os.close(descriptor)


def has_oom_score(score: int) -> bool:
    """Whether this process, and so its children, has that ``oomScoreAdj`` already."""
    descriptor = os.open(OOM_SCORE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return int(os.read(descriptor, 16)) == score
    finally:
        os.close(descriptor)


class Identity:
    """Who the program will be: its user, and what it may do once everything else is given up.

    Attributes:
        held: what this process has, as a mask of capabilities.
        effective, permitted, inheritable, ambient: what the program is to have.
        warnings: capabilities that were asked for and cannot be given here.
    """

    __slots__ = ("_process", "_user", "ambient", "effective", "held", "inheritable", "permitted", "warnings")

    def __init__(self, process: dict[str, Any]) -> None:
        self._process = process
        self._user = process.get("user") or {}
        self.held = 0
        self.effective = self.permitted = self.inheritable = self.ambient = 0
        self.warnings: list[str] = []

    def settle(self) -> int:
        """Find out which of the capabilities that are asked for this process can give; returns the bounding set."""
        wanted = self._process.get("capabilities") or {}
        _, self.held, _ = capability.get()
        bounding = self._limit(wanted, "bounding", self.held)
        self.permitted = self._limit(wanted, "permitted", self.held)
        self.effective = capability.mask(wanted.get("effective") or ()) & self.permitted
        # execve(2) hands inheritable capabilities on only to files that ask for them, within the bounding set.
        self.inheritable = capability.mask(wanted.get("inheritable") or ()) & self.permitted
        self.ambient = capability.mask(wanted.get("ambient") or ()) & self.permitted & self.inheritable
        return bounding

    def assume(self, *, keep: int = 0) -> None:
        """Become the user.

        Of the rights that the program will not have, only those in ``keep`` (a mask) stay, permitted but out of
        effect, until `shed`: what this process no longer holds cannot be taken from it.
        """
        bounding = self.settle()
        with step("drop bounding capabilities"):
            capability.limit_bounding(bounding)
        uid = self._user.get("uid") or 0
        gid = self._user.get("gid") or 0
        prctl.set_keep_capabilities(True)
        with step("set groups"):
            self._set_groups(self._user.get("additionalGids") or [], gid)
        with step("set group", str(gid)):
            credentials.set_group(gid)
        with step("set user", str(uid)):
            credentials.set_user(uid)
        prctl.set_keep_capabilities(False)
        # Changing ids made this process what /proc/sys/fs/suid_dumpable says.
        prctl.set_dumpable(False)
        os.umask(self._user.get("umask", 0o022))
        self.held &= self.permitted | keep
        self.hold_back()

    def raise_kept(self) -> None:
        """Put what was kept into effect, for a step that needs it."""
        capability.set_all(self.held, self.held, 0)

    def hold_back(self) -> None:
        """Have only the rights in effect that the program will have, with which files are seen as it will see them."""
        capability.set_all(self.effective, self.held, 0)

    def _limit(self, wanted: dict[str, Any], name: str, available: int) -> int:
        asked = capability.mask(wanted.get(name) or ())
        if asked & ~available:
            missing = " ".join(capability.names(asked & ~available))
            self.warnings.append(f"{name} capabilities that this machine does not have were dropped: {missing}")
        return asked & available

    @staticmethod
    def _set_groups(gids: list[int], own: int) -> None:
        try:
            credentials.set_groups(gids)
        except PermissionError:
            # In a user namespace whose setgroups is denied nobody can change groups, so there is nothing to give up;
            # and its own group is asked for by engines so that it cannot be given up (CVE-2022-36109).
            if set(gids) - {own} or (os.getgroups() != [] and not _setgroups_denied()):
                raise

    def shed(self, program: Program | None) -> int:
        """Give up everything that the program is not to have, and install its filter.

        Returns:
            the seccomp listener's descriptor, or -1.
        """
        no_new_privileges = bool(self._process.get("noNewPrivileges"))
        listener = -1
        if program is not None and not no_new_privileges:
            self.raise_kept()
            listener = _install(program)
        with step("set capabilities"):
            capability.set_all(self.effective, self.permitted, self.inheritable)
            capability.set_ambient(self.ambient)
        if no_new_privileges:
            prctl.set_no_new_privileges()
            if program is not None:
                listener = _install(program)
        return listener


def needed_for_filter(process: dict[str, Any], program: Program | None) -> int:
    """The capability that installing a seccomp filter takes where new privileges are not ruled out (seccomp(2))."""
    return 1 << capability.SYS_ADMIN if program is not None and not process.get("noNewPrivileges") else 0


def _setgroups_denied() -> bool:
    try:
        descriptor = os.open("/proc/self/setgroups", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # no /proc in this container: the kernel's answer stands
        return False
    try:
        # What is at /proc may be the image's own directory, and say whatever the image likes.
        return mount.statfs_type(descriptor) == mount.PROC_SUPER_MAGIC and os.read(descriptor, 16).strip() == b"deny"
    finally:
        os.close(descriptor)


def _install(program: Program) -> int:
    from orlop.linux import seccomp

    with step("install seccomp filter"):
        return seccomp.install(program)


def enter_directory(root: int, directory: str) -> None:
    """Change to the working directory, which must lie in the container.

    It is opened below the root through no magic link, so ``/proc/self/fd/N`` of a descriptor that leads outside is
    refused (CVE-2024-21626).
    """
    try:
        descriptor = path.open_in_root(root, directory, os.O_PATH | os.O_DIRECTORY)
        try:
            os.fchdir(descriptor)
        finally:
            os.close(descriptor)
        os.getcwd()  # fails for a directory that the root no longer leads to, because it was moved away meanwhile
    except OSError as error:
        reason = (error.strerror or "").partition(": ")[2] or error.strerror or ""
        raise StepFailed(
            f'chdir to cwd ("{directory}") set in config.json failed', "", reason.lower(), error.errno or 0
        ) from None


def environment(process: dict[str, Any], root: int) -> list[str]:
    """The program's environment; HOME is added from the container's passwd file if it is not set, or empty.

    Of two variables with one name the later one counts: getenv(3) would find the first.
    """
    entries = list({entry.partition("=")[0]: entry for entry in process.get("env") or ()}.values())
    if not any(entry.startswith("HOME=") and entry != "HOME=" for entry in entries):
        entries = [entry for entry in entries if entry != "HOME="]
        entries.append(f"HOME={_home(root, (process.get('user') or {}).get('uid') or 0)}")
    return entries


def _home(root: int, uid: int) -> str:
    try:
        descriptor = path.open_in_root(root, "etc/passwd", os.O_RDONLY | os.O_NONBLOCK)
    except OSError:  # an image without users
        return "/"
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return "/"
        text = os.read(descriptor, _LARGEST_PASSWD).decode(errors="surrogateescape")
    finally:
        os.close(descriptor)
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) >= 6 and fields[2] == str(uid) and fields[5].startswith("/"):
            return fields[5]
    return "/"


def redirect(streams: tuple[int, int, int]) -> None:
    """Make three descriptors the standard streams, once the container's root is entered."""
    if streams != (0, 1, 2):
        copies = [os.dup(stream) for stream in streams]  # first away from 0 to 2, which may be among the sources
        for descriptor, copy in enumerate(copies):
            os.dup2(copy, descriptor)
            os.close(copy)
    _use_null_device_of_container()


def _use_null_device_of_container() -> None:
    """Where a standard stream is the host's null device, open the container's instead.

    Through a descriptor of the host's, root in a container without a user namespace could change its mode and
    owner for the whole machine (fchmod(2)). A container without a null device gets one that is nowhere else.
    """
    for descriptor in (0, 1, 2):
        if is_open_null(descriptor):
            own = _open_null_device()
            if own < 0:
                return
            os.dup2(own, descriptor)
            os.set_blocking(descriptor, True)
            os.close(own)


def _open_null_device() -> int:
    """The container's ``/dev/null``, or one on a file system of its own; -1 where a user namespace forbids to make it."""
    try:
        own = os.open("/dev/null", NULL_FLAGS)
    except OSError:
        own = -1
    if own >= 0:
        if is_null(own):
            return own
        os.close(own)
    try:
        alone = mount.new("tmpfs", "tmpfs", data=("nr_blocks=1", "nr_inodes=2"))
    except PermissionError:  # in a user namespace, whose root has no rights over the host's device either
        return -1
    try:
        os.mknod("null", stat.S_IFCHR, _NULL, dir_fd=alone)
        os.chmod("null", 0o666, dir_fd=alone)
        return os.open("null", NULL_FLAGS, dir_fd=alone)
    except PermissionError:
        return -1
    finally:
        os.close(alone)


def is_open_null(descriptor: int) -> bool:
    """Whether a standard stream is a null device; the caller may have closed it."""
    try:
        return is_null(descriptor)
    except OSError:
        return False


def is_null(descriptor: int) -> bool:
    """Whether this is a null device."""
    about = os.fstat(descriptor)
    return stat.S_ISCHR(about.st_mode) and about.st_rdev == _NULL


def give_streams(uid: int, gid: int) -> None:
    """Make the user the owner of terminals, pipes and sockets that are its standard streams, so it can reopen them.

    Ordinary files that the caller redirected to are left to their owner.
    """
    for descriptor in (0, 1, 2):
        group = group_of_stream(descriptor, uid, gid)
        if group >= 0:
            try:
                os.fchown(descriptor, uid, group)
            except OSError:
                # An id that is not mapped here, or a stream that is not ours to give: it can still be used as it is.
                continue


def group_of_stream(descriptor: int, uid: int, gid: int) -> int:
    """Which group a stream that is to be given to the user is to have; -1 if it is to stay whose it is."""
    try:
        about = os.fstat(descriptor)
    except OSError:  # closed by the caller
        return -1
    kind = stat.S_IFMT(about.st_mode)
    if about.st_uid == uid:
        return -1
    if kind in (stat.S_IFIFO, stat.S_IFSOCK):
        return about.st_gid
    return gid if kind == stat.S_IFCHR and os.isatty(descriptor) else -1


def reset_signals() -> None:
    """Ignore and block nothing, whatever the interpreter ignores or a caller in the background of a shell does."""
    for each in range(1, _signal.NSIG):
        if _signal.getsignal(each) == _signal.SIG_IGN:
            _signal.signal(each, _signal.SIG_DFL)
    for reserved in _LIBC_S_OWN:
        syscall(number.RT_SIGACTION, "rt_sigaction", None, reserved, _DEFAULT_ACTION, None, _SIGNAL_SET)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


def close_others(first: int, keep: tuple[int, ...] = ()) -> None:
    """Close every descriptor from ``first`` up but those in ``keep``: nothing of the host leaks (CVE-2024-21626)."""
    for descriptor in sorted(set(keep)):
        if descriptor >= first:
            os.closerange(first, descriptor)
            first = descriptor + 1
    os.closerange(first, 1 << 30)


def prepare_jump(channel: Channel, *, sealed: bool) -> int:
    """The trampoline's descriptor, or -1 for a sealed interpreter, which needs none.

    To be made before the seccomp filter is installed, which may forbid memory files.
    """
    return -1 if sealed else trampoline.prepare(channel.descriptor)


def status_of(error: BaseException) -> int:
    """The exit status of a process that did not turn into its program, as a shell says it."""
    if isinstance(error, CommandNotFound):
        return 127
    return 126 if isinstance(error, CommandNotExecutable) else 255


def execute(
    file: str, arguments: list[str], entries: list[str], channel: Channel, *, first_closed: int, jump: int
) -> None:
    """Run the program; returns only by raising what the kernel said. ``jump`` is from `prepare_jump`.

    Descriptors from ``first_closed`` up are closed now, not by the exec itself, which would still resolve paths
    such as ``/proc/self/fd/7`` with them. The channel's end tells the runtime that it worked.
    """
    argument_bytes = [os.fsencode(argument) for argument in arguments]
    entry_bytes = [os.fsencode(entry) for entry in entries]
    report = channel.descriptor
    if jump < 0:
        close_others(first_closed, (report,))
        try:
            trampoline.execute_path(file, argument_bytes, entry_bytes)
        except OSError as error:
            raise executable.failed(file, error.errno or 0) from None
    os.set_inheritable(report, True)
    close_others(first_closed, (report, jump))
    with step("execute trampoline"):
        trampoline.execute(jump, file, argument_bytes, entry_bytes)
