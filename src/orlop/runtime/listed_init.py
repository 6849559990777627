"""What `init` does for an ordinary container, as one list of system calls for a process without an interpreter.

A copy of an interpreter costs a start more than all of the container's mounts do. So where nothing is asked for that
needs a decision inside, no copy is made: the runtime writes a list here (`linux.call_list`), of the same steps in the same
order as in `init`, with which this is to be read side by side.

A list that does not get to the container's being ready is no error: whatever stood in its way, the runtime has `init` make
the container from the beginning, which finds another way or says what is wrong. Only what comes after the
start is told in words from here (`Listed.failure`).
"""

from __future__ import annotations

import os
import stat

from orlop import json_text
from orlop.errors import StepFailed
from orlop.linux import capability, cgroup, credentials, keyring, link, mount, namespace, number, prctl, rlimit
from orlop.linux.call import MACHINE
from orlop.linux.call_list import MACHINES, CallList
from orlop.runtime import channel as channels
from orlop.runtime import executable, listed_mounts, process
from orlop.runtime.devices import nodes
from orlop.runtime.listed_mounts import Lister, set_attributes
from orlop.runtime.setup import Setup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.linux.call_list import Value
    from orlop.linux.seccomp import Program
    from orlop.runtime.mounts import Mount
    from orlop.runtime.namespaces import NamespacePlan

_KILL = 9
_CLOEXEC = os.O_CLOEXEC
_FD_CLOEXEC = 1
_F_SETFD, _F_SETFL, _F_DUPFD_CLOEXEC = 2, 4, 1030
_ABOVE_STREAMS = 10
_MSG_NOSIGNAL = 0x4000
_AF_INET, _SOCK_DGRAM, _IFF_LOOPBACK = 2, 2, 8
_X_OK, _AT_EACCESS = 1, 0x200
_SECCOMP_SET_MODE_FILTER = 1
_LAST_CAPABILITY = 63
_EPERM, _ENOENT, _ENXIO, _EACCES, _EINVAL, _EROFS, _ENAMETOOLONG, _ENOTDIR, _ELOOP = 1, 2, 6, 13, 22, 30, 36, 20, 40
_LONGEST_PATH = 4096
_ALL_BITS = (1 << 64) - 1

#: What needs a decision inside, or is asked for too seldom to be listed.
_PROCESS_EXTRAS = (
    "terminal",
    "scheduler",
    "ioPriority",
    "execCPUAffinity",
    "apparmorProfile",
    "selinuxLabel",
)
_LINUX_EXTRAS = ("netDevices", "personality", "memoryPolicy", "intelRdt", "timeOffsets")


def is_ordinary(setup: Setup) -> bool:
    """Whether a list can do it. This is asked once all that lies outside has been opened."""
    plan = setup.plan
    linux = setup.spec.get("linux") or {}
    process_spec = setup.spec.get("process") or {}
    return (
        MACHINE in MACHINES
        and not (plan.staged or plan.joins or plan.is_new("user"))
        and plan.is_new("mount")
        and plan.is_new("pid")
        and setup.root_tree >= 0
        and setup.listener is None
        and setup.notify is None
        and not (setup.no_pivot or setup.preserve or setup.listen or setup.clones_inside or setup.waits_for_hooks)
        and not (setup.spec.get("hooks") or {}).get("startContainer")
        and not any(process_spec.get(name) for name in _PROCESS_EXTRAS)
        and not any(linux.get(name) for name in _LINUX_EXTRAS)
        and bool(process_spec.get("args"))
        and _has_home(setup, process_spec)
        and min(_kept(setup)) > 2  # with closed standard streams nothing is ordinary
        and all(node.parent == "/dev" for node in nodes(linux.get("devices") or []))
        and _has_new_dev(setup)
        and listed_mounts.can_be_masked(linux.get("maskedPaths") or ())
        and listed_mounts.are_ordinary(setup.mounts, setup.group if plan.new_cgroup else None)
    )


def _has_new_dev(setup: Setup) -> bool:
    on_dev = [each for each in setup.mounts if each.destination == "/dev"]
    return bool(on_dev) and all(each.kind == "tmpfs" and not each.options.bind for each in on_dev)


def _has_home(setup: Setup, process_spec: dict[str, Any]) -> bool:
    """Whether HOME is known here already: set, or to be found in the root file system's own list of users."""
    if any(entry.startswith("HOME=") and entry != "HOME=" for entry in process_spec.get("env") or ()):
        return True
    is_root = not (process_spec.get("user") or {}).get("uid")
    return is_root and not any(each.destination in ("/etc", "/etc/passwd") for each in setup.mounts)


def _kept(setup: Setup) -> list[int]:
    """The descriptors that the list uses."""
    trees = [each.tree for each in setup.mounts if each.tree >= 0]
    return [setup.channel.descriptor, setup.root_tree, *setup.group_files, *trees]


class Listed:
    """A process that makes the calls of a list: its ``pid``, its ``pidfd``, and what a failure at its end means."""

    __slots__ = ("_ending", "pid", "pidfd")

    def __init__(self, setup: Setup, cgroup: int) -> None:
        """Start it.

        Raises:
            Unsupported, OSError: this machine does not let it.
        """
        writer = _Writer(setup)
        writer.write()
        kept = _kept(setup)
        if setup.streams != (0, 1, 2):
            kept += setup.streams
        self._ending = writer.ending
        self.pid, self.pidfd = writer.calls.spawn(setup.plan.flags, cgroup=cgroup, kept=kept)

    def failure(self, step: int, errno: int) -> StepFailed | None:
        """What it means that a step failed; None before the start."""
        what = call = ""
        for first, *words in self._ending:
            if step >= first:
                what, call = words
        return StepFailed(what, "", f"{call}: {os.strerror(errno)}", errno) if what else None


def rehearse(spec: dict[str, Any], plan: NamespacePlan, mounts: list[Mount], program: Program) -> None:
    """Write a list that nobody will carry out, for a configuration of which nothing was opened."""
    ours, theirs = channels.pair()
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    setup = Setup()
    setup.spec = spec
    setup.plan = plan
    setup.keyring = ""
    setup.root_path = "/"
    setup.root_tree = root
    setup.mounts = mounts
    for each in mounts:
        if each.options.bind:
            each.tree = os.dup(root)
    setup.group = cgroup.detect().group("/rehearsal")
    setup.group_files = [root]
    setup.channel = theirs
    setup.program = program
    setup.listener = setup.notify = None
    setup.streams = (root, root, root)
    setup.propagation = setup.preserve = setup.listen = 0
    setup.no_pivot = setup.no_new_keyring = setup.clones_inside = setup.waits_for_hooks = False
    if is_ordinary(setup):
        writer = _Writer(setup)
        writer.write()
        writer.calls.rehearse()
    for each in mounts:
        each.close()
    os.close(root)
    ours.close()
    theirs.close()


class _Writer:
    """Writes the list of one container. Its methods bear the names of those of `init` and `process`."""

    __slots__ = ("_channel", "_linux", "_process", "_setup", "_user", "calls", "ending")

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._channel = setup.channel.descriptor
        self._process: dict[str, Any] = setup.spec.get("process") or {}
        self._linux: dict[str, Any] = setup.spec.get("linux") or {}
        self._user: dict[str, Any] = self._process.get("user") or {}
        self.calls = CallList(self._channel)
        #: Steps, and what is begun with them, as `StepFailed` says it, by which call.
        self.ending: list[tuple[int, str, str]] = []

    def write(self) -> None:
        """All of it."""
        setup, calls = self._setup, self.calls
        self._prctl(prctl.PR_SET_PDEATHSIG, _KILL)
        self._prctl(prctl.PR_SET_NAME, b"orlop-init")
        self._join()
        self._prctl(prctl.PR_SET_DUMPABLE, 0)
        calls.do(number.SETSID)
        self._set_names()
        lister = Lister(calls, setup.root_tree)
        self._build_root(lister)
        self._protect(lister)
        self._enter(setup.root_tree)
        self._redirect(lister)
        self._close_others()
        self._become(lister)

    def _prctl(self, option: int, a: int | bytes = 0, b: int = 0) -> int:
        return self.calls.do(number.PRCTL, option, a, b, 0, 0)

    def _join(self) -> None:
        calls = self.calls
        score = self._process.get("oomScoreAdj")
        if score is not None and not process.has_oom_score(score):
            text = str(score).encode()
            file = calls.call(number.OPENAT, mount.AT_FDCWD, process.OOM_SCORE.encode(), os.O_WRONLY | _CLOEXEC, 0)
            calls.do(number.WRITE, file, text, len(text))
        for tasks in self._setup.group_files:
            calls.do(number.WRITE, tasks, b"0", 1)
        if self._setup.plan.new_cgroup:
            calls.do(number.UNSHARE, namespace.CLONE_NEWCGROUP)

    def _set_names(self) -> None:
        spec, calls = self._setup.spec, self.calls
        for call, name in ((number.SETHOSTNAME, "hostname"), (number.SETDOMAINNAME, "domainname")):
            if spec.get(name):
                text = spec[name].encode()
                calls.do(call, text, len(text))
        if self._setup.plan.is_new("network"):
            control = calls.call(number.SOCKET, _AF_INET, _SOCK_DGRAM | _CLOEXEC, 0)
            request = b"lo".ljust(16, b"\0") + (_IFF_LOOPBACK | link.IFF_UP).to_bytes(2, "little") + bytes(22)
            calls.do(number.IOCTL, control, link.SIOCSIFFLAGS, request)

    def _build_root(self, lister: Lister) -> None:
        setup, calls = self._setup, self.calls
        private = setup.propagation in (mount.MS_PRIVATE, mount.MS_UNBINDABLE)
        isolated = setup.propagation if setup.propagation in (mount.MS_PRIVATE, mount.MS_SLAVE) else mount.MS_SLAVE
        set_attributes(calls, mount.AT_FDCWD, mount.attribute_words(0, 0, isolated), where="/", recursive=True)
        detached = mount.attribute_words(0, 0, mount.MS_PRIVATE if private else mount.MS_SLAVE)
        set_attributes(calls, setup.root_tree, detached, recursive=True)
        flags = os.O_PATH | os.O_DIRECTORY | _CLOEXEC
        place = calls.call(number.OPENAT, mount.AT_FDCWD, os.fsencode(setup.root_path), flags, 0)
        lister.attach(setup.root_tree, place)
        for each in setup.mounts:
            if each.tree >= 0 and setup.propagation != mount.MS_SHARED:
                set_attributes(calls, each.tree, detached, recursive=True)
        for each in setup.mounts:
            lister.make(each, setup.group)
        lister.populate(self._linux.get("devices") or [])
        directory = self._process.get("cwd") or "/"
        if directory != "/":
            lister.open_in_root(directory, os.O_PATH | os.O_DIRECTORY)
        if self._linux.get("sysctl"):
            lister.write_sysctls(self._linux["sysctl"])
        lister.finish()

    def _protect(self, lister: Lister) -> None:
        lister.protect(self._linux.get("readonlyPaths") or ())
        lister.mask(self._linux.get("maskedPaths") or ())
        if (self._setup.spec.get("root") or {}).get("readonly"):
            set_attributes(self.calls, self._setup.root_tree, mount.attribute_words(mount.MOUNT_ATTR_RDONLY))

    def _enter(self, root: int) -> None:
        calls, propagation = self.calls, self._setup.propagation
        calls.do(number.FCHDIR, root)
        calls.do(number.PIVOT_ROOT, b".", b".")
        calls.do(number.UMOUNT2, b".", mount.MNT_DETACH)
        calls.do(number.CHDIR, b"/")
        if propagation in (mount.MS_SHARED, mount.MS_UNBINDABLE, mount.MS_PRIVATE):
            set_attributes(calls, root, mount.attribute_words(0, 0, propagation))

    def _redirect(self, lister: Lister) -> None:
        calls, streams = self.calls, self._setup.streams
        if streams != (0, 1, 2):
            copies = [calls.call(number.FCNTL, stream, _F_DUPFD_CLOEXEC, _ABOVE_STREAMS) for stream in streams]
            for stream, copy in enumerate(copies):
                calls.do(number.DUP3, copy, stream, 0)
        nulls = [at for at, stream in enumerate(streams) if process.is_open_null(stream)]
        if nulls:  # they are to be the container's, not the host's
            own = calls.call(number.OPENAT, mount.AT_FDCWD, b"/dev/null", process.NULL_FLAGS, 0)
            lister.look(own)
            calls.check(lister.half(listed_mounts.MODE_AT), 0o170000, stat.S_IFCHR)
            calls.check(lister.word(listed_mounts.DEVICE_AT), _ALL_BITS, listed_mounts.NULL_DEVICE)
            for at in nulls:
                calls.do(number.DUP3, own, at, 0)
                calls.do(number.FCNTL, at, _F_SETFL, os.O_RDWR)

    def _close_others(self) -> None:
        if self._channel > 3:
            self.calls.do(number.CLOSE_RANGE, 3, self._channel - 1, 0)
        self.calls.do(number.CLOSE_RANGE, self._channel + 1, 0xFFFFFFFF, 0)

    def _become(self, lister: Lister) -> None:
        setup, calls, process_spec = self._setup, self.calls, self._process
        for each in process_spec.get("rlimits") or ():
            pair = rlimit.pair_of(each["soft"], each["hard"])
            calls.do(number.PRLIMIT64, 0, rlimit.NUMBERS[each["type"]], pair, 0)
        if not setup.no_new_keyring:
            ring = calls.call(number.KEYCTL, keyring.KEYCTL_JOIN_SESSION_KEYRING, setup.keyring.encode())
            joined = len(calls) - 1
            calls.expect(calls.do(number.KEYCTL, keyring.KEYCTL_SETPERM, ring, keyring.PERMISSIONS), *keyring.WITHOUT)
            calls.expect(joined, *keyring.WITHOUT)
        self._give_streams()
        root = calls.call(number.OPENAT, mount.AT_FDCWD, b"/", os.O_PATH | os.O_DIRECTORY | _CLOEXEC, 0)
        identity = process.Identity(process_spec)
        self._assume(identity)
        self._enter_directory(lister, root)
        arguments = process_spec["args"]
        entries = process.environment(process_spec, setup.root_tree)
        file = self._find(lister, arguments[0], entries)
        calls.reset_signals()
        self._prctl(prctl.PR_SET_PDEATHSIG, 0)
        self._close_others()
        self._await_start(identity.warnings)
        self._shed(identity)
        calls.do(number.FCNTL, self._channel, _F_SETFD, _FD_CLOEXEC)
        calls.execute(file, [os.fsencode(each) for each in arguments], [os.fsencode(each) for each in entries])

    def _give_streams(self) -> None:
        uid, gid = self._user.get("uid") or 0, self._user.get("gid") or 0
        for at, stream in enumerate(self._setup.streams):
            group = process.group_of_stream(stream, uid, gid)
            if group >= 0:
                self.calls.expect(self.calls.do(number.FCHOWN, at, uid, group), _EPERM, _EACCES, _EINVAL, _EROFS)

    def _assume(self, identity: process.Identity) -> None:
        calls, user = self.calls, self._user
        bounding = identity.settle()
        calls.limit_bounding(bounding)
        self._prctl(prctl.PR_SET_KEEPCAPS, 1)
        gids = user.get("additionalGids") or []
        calls.do(number.SETGROUPS, len(gids), credentials.array_of(gids))
        gid, uid = user.get("gid") or 0, user.get("uid") or 0
        calls.do(number.SETRESGID, gid, gid, gid)
        calls.do(number.SETRESUID, uid, uid, uid)
        self._prctl(prctl.PR_SET_KEEPCAPS, 0)
        self._prctl(prctl.PR_SET_DUMPABLE, 0)
        calls.do(number.UMASK, user.get("umask", 0o022))
        identity.held &= identity.permitted | process.needed_for_filter(self._process, self._setup.program)
        self._set_capabilities(identity.effective, identity.held, 0)

    def _set_capabilities(self, effective: int, permitted: int, inheritable: int) -> None:
        words = capability.words_of(effective, permitted, inheritable)
        self.calls.do(number.CAPSET, capability.HEADER, words)

    def _enter_directory(self, lister: Lister, root: Value) -> None:
        calls = self.calls
        directory = lister.open_in_root(self._process.get("cwd") or "/", os.O_PATH | os.O_DIRECTORY, root=root)
        calls.do(number.FCHDIR, directory)
        where = calls.room(_LONGEST_PATH)
        calls.do(number.GETCWD, where, _LONGEST_PATH)
        calls.check(calls.half(where), 0xFF, ord("/"), _ENOENT)  # else it cannot be reached from the root

    def _find(self, lister: Lister, name: str, entries: list[str]) -> Value:
        """As `executable.find`; returns what has the path."""
        calls = self.calls
        file = calls.variable()
        found = []
        for candidate in executable.candidates(name, entries):
            place = calls.place(os.fsencode(candidate))
            looked = calls.do(number.STATX, mount.AT_FDCWD, place, 0, listed_mounts.STATX_BASIC, lister.statx)
            is_file = calls.check(lister.half(listed_mounts.MODE_AT), 0o170000, stat.S_IFREG)
            access = calls.do(number.FACCESSAT2, mount.AT_FDCWD, place, _X_OK, _AT_EACCESS)
            calls.set(file, place)
            found.append(calls.fail())
            calls.expect(looked, _ENOENT, _ENOTDIR, _EACCES, _ENAMETOOLONG, _ELOOP)
            calls.unless(is_file)
            calls.expect(access, _EACCES)
        calls.fail(_ENOENT)
        for step in found:
            calls.unless(step)
        return file

    def _await_start(self, warnings: list[str]) -> None:
        calls = self.calls
        ready = json_text.dumps({"kind": "ready", "warnings": warnings}).encode()
        calls.do(number.SENDTO, self._channel, ready, len(ready), _MSG_NOSIGNAL, 0, 0)
        room = calls.room(8)
        heard = calls.call(number.RECVFROM, self._channel, room, 1, 0, 0, 0)
        is_over = calls.check(heard, _ALL_BITS, 0)
        calls.do(number.EXIT_GROUP, 255)  # the runtime is gone, and with it the reason to live
        calls.unless(is_over)

    def _shed(self, identity: process.Identity) -> None:
        no_new_privileges = bool(self._process.get("noNewPrivileges"))
        if not no_new_privileges and self._setup.program is not None:
            self._say("set up the container", "capset")
            self._set_capabilities(identity.held, identity.held, 0)
            self._install()
        self._say("set capabilities", "capset")
        self._set_capabilities(identity.effective, identity.permitted, identity.inheritable)
        self._say("set capabilities", "prctl PR_CAP_AMBIENT")
        self._prctl(prctl.PR_CAP_AMBIENT, prctl.PR_CAP_AMBIENT_CLEAR_ALL)
        for each in range(_LAST_CAPABILITY + 1):
            if identity.ambient >> each & 1:
                self._prctl(prctl.PR_CAP_AMBIENT, prctl.PR_CAP_AMBIENT_RAISE, each)
        if no_new_privileges:
            self._say("set up the container", "prctl PR_SET_NO_NEW_PRIVS")
            self._prctl(prctl.PR_SET_NO_NEW_PRIVS, 1)
            if self._setup.program is not None:
                self._install()

    def _install(self) -> None:
        program = self._setup.program
        if program is None:
            return
        self._say("install seccomp filter", "seccomp")
        instructions = self.calls.place(program.instructions)
        # struct sock_fprog: a count, padding, a pointer
        header = self.calls.structure(len(program).to_bytes(8, "little") + bytes(8), 8, instructions)
        self.calls.do(number.SECCOMP, _SECCOMP_SET_MODE_FILTER, program.flags, header)

    def _say(self, what: str, call: str) -> None:
        self.ending.append((len(self.calls), what, call))
