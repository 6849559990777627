"""Filters in the kernel: what really happens to a process that makes a call."""

from __future__ import annotations

import _thread
import array
import ctypes
import errno
import fcntl
import json
import os
import platform
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from orlop.engine import seccomp_profile
from orlop.linux import seccomp
from orlop.linux.call import libc_function, syscall
from orlop.linux.seccomp.action import ACTIONS, FLAGS
from orlop.linux.seccomp.listener import connect, send

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

x86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="speaks x86's machine language")

GETPPID = 110 if platform.machine() == "x86_64" else 173
NEWEST = 9999
PR_SET_NO_NEW_PRIVS = 38


def profile(name: str, action: str, **more: Any) -> dict[str, Any]:
    extra = {"errnoRet": more.pop("errnoRet")} if "errnoRet" in more else {}
    return {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [name], "action": action, **extra}], **more}


def fork(body: Callable[[], int]) -> int:
    """Start a child that runs ``body`` and exits with what it returns."""
    pid = os.fork()
    if pid:
        return pid
    try:
        code = body()
    except BaseException:  # noqa: BLE001 - a child must not return into pytest
        traceback.print_exc()
        code = 250
    os._exit(code)


def ended(pid: int) -> int:
    """A child's exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def confined(config: dict[str, Any], body: Callable[[], int]) -> int:
    """How a child ends that runs ``body`` under a filter."""

    def child() -> int:
        program = seccomp.compile(config)
        assert seccomp.install(program) == -1
        return body()

    return ended(fork(child))


def getppid() -> int:
    """The call's result, or the errno, negative."""
    try:
        return syscall(GETPPID, "getppid", None)
    except OSError as error:
        return -(error.errno or 0)


def test_errno_is_what_the_call_returns() -> None:
    assert confined(profile("getppid", "SCMP_ACT_ERRNO", errnoRet=95), lambda: -getppid()) == 95
    assert confined(profile("getppid", "SCMP_ACT_ERRNO"), lambda: -getppid()) == errno.EPERM


def test_an_errno_of_zero_pretends_success() -> None:
    assert confined(profile("getppid", "SCMP_ACT_ERRNO", errnoRet=0), getppid) == 0


@pytest.mark.parametrize("action", ["SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS"])
def test_killing_ends_the_process_with_sigsys(action: str) -> None:
    assert confined(profile("getppid", action), lambda: getppid() * 0) == -signal.SIGSYS


@pytest.mark.parametrize(
    ("action", "outcome"), [("SCMP_ACT_KILL_THREAD", 5), ("SCMP_ACT_KILL_PROCESS", -signal.SIGSYS)]
)
def test_of_several_threads_only_kill_process_ends_all(action: str, outcome: int) -> None:
    pidfd_open, pidfd_thread = 434, os.O_EXCL

    def body() -> int:
        go = _thread.allocate_lock()
        go.acquire()
        names: list[int] = []
        named = _thread.allocate_lock()
        named.acquire()

        def other() -> None:
            names.append(_thread.get_native_id())
            named.release()
            go.acquire()
            getppid()

        _thread.start_new_thread(other, ())
        named.acquire()
        thread = syscall(pidfd_open, "pidfd_open", None, names[0], pidfd_thread)
        go.release()
        select.select([thread], [], [], 20)
        return 5

    try:
        os.close(syscall(pidfd_open, "pidfd_open", None, _thread.get_native_id(), pidfd_thread))
    except OSError as error:
        pytest.skip(f"this kernel cannot wait for a thread: {error}")
    assert confined(profile("getppid", action), body) == outcome


def test_trap_raises_a_signal_that_can_be_handled() -> None:
    def body() -> int:
        seen: list[int] = []
        signal.signal(signal.SIGSYS, lambda number, _: seen.append(number))
        getppid()
        return 7 if seen == [signal.SIGSYS] else 8

    assert confined(profile("getppid", "SCMP_ACT_TRAP"), body) == 7


def test_log_lets_the_call_pass() -> None:
    parent = os.getpid()
    assert confined(profile("getppid", "SCMP_ACT_LOG"), lambda: int(getppid() != parent)) == 0


def test_trace_without_a_tracer_is_enosys() -> None:
    assert confined(profile("getppid", "SCMP_ACT_TRACE"), lambda: -getppid()) == errno.ENOSYS


def test_trace_tells_the_tracer_its_number() -> None:
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.restype = ctypes.c_long
    ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    trace_me, cont, set_options, get_event_message = 0, 7, 0x4200, 0x4201
    option_seccomp, option_exit_kill = 1 << 7, 1 << 20
    parent = os.getpid()

    def child() -> int:
        program = seccomp.compile(profile("getppid", "SCMP_ACT_TRACE", errnoRet=1234))
        ptrace(trace_me, 0, None, None)
        os.kill(os.getpid(), signal.SIGSTOP)
        seccomp.install(program)
        return int(getppid() != parent)

    pid = fork(child)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSTOPPED(status)
    assert ptrace(set_options, pid, None, option_seccomp | option_exit_kill) == 0
    assert ptrace(cont, pid, None, None) == 0
    _, status = os.waitpid(pid, 0)
    assert status >> 8 == signal.SIGTRAP | 7 << 8  # PTRACE_EVENT_SECCOMP
    message = ctypes.c_ulong()
    assert ptrace(get_event_message, pid, None, ctypes.addressof(message)) == 0
    assert message.value == 1234
    assert ptrace(cont, pid, None, None) == 0
    assert ended(pid) == 0


def receive_listener(server: socket.socket) -> tuple[dict[str, Any], int]:
    """What an agent gets: the state and the descriptor."""
    server.settimeout(20)
    connection, _ = server.accept()
    with connection:
        data, ancillary, _, _ = connection.recvmsg(1 << 16, socket.CMSG_SPACE(4 * 8))
        ((level, kind, content),) = ancillary
        assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
        descriptors = array.array("i", content)
        assert len(descriptors) == 1
        while more := connection.recv(1 << 16):
            data += more
    return json.loads(data), descriptors[0]


def answer(listener: int, expected: int, *, value: int = 0, error: int = 0) -> tuple[int, tuple[int, ...]]:
    """Wait for one call on the listener and answer it; returns who made it, with which arguments."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    assert poll.poll(20_000)
    request = bytearray(80)
    fcntl.ioctl(listener, 0xC0502100, request)  # SECCOMP_IOCTL_NOTIF_RECV
    identity, pid, _, number = struct.unpack_from("=QIIi", request)
    assert number == expected
    fcntl.ioctl(listener, 0xC0182101, struct.pack("=QqiI", identity, value, error, 0))  # _SEND
    return pid, struct.unpack_from("=6Q", request, 32)


@pytest.mark.parametrize("depth", ["", "d" * 120])
def test_notify_asks_the_agent_that_got_the_listener(tmp_path: Path, depth: str) -> None:
    path = tmp_path / depth / "agent.sock"
    path.parent.mkdir(exist_ok=True)
    server = socket.socket(socket.AF_UNIX)
    os.chdir(path.parent)  # binding has the same limit that connecting has
    server.bind("agent.sock")
    server.listen()
    config = profile(
        "getppid",
        "SCMP_ACT_NOTIFY",
        listenerPath=str(path),
        listenerMetadata="some data",
        flags=["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
    )

    def child() -> int:
        program = seccomp.compile(config)
        assert program.notify
        listener = seccomp.install(program)
        assert listener > 2
        assert not os.get_inheritable(listener)
        state = {"ociVersion": "1.0.2", "id": "box", "status": "creating", "pid": os.getpid(), "bundle": "/b"}
        send(connect(str(path)), listener, state, "some data")
        os.close(listener)
        assert getppid() == 4242
        assert syscall(GETPPID, "getppid", None, 11, 22) == 0
        return 3 if getppid() == -errno.EXDEV else 4

    pid = fork(child)
    with server:
        state, listener = receive_listener(server)
    assert state == {
        "ociVersion": "1.0.2",
        "fds": ["seccompFd"],
        "pid": pid,
        "metadata": "some data",
        "state": {"ociVersion": "1.0.2", "id": "box", "status": "creating", "pid": pid, "bundle": "/b"},
    }
    assert answer(listener, GETPPID, value=4242)[0] == pid
    assert answer(listener, GETPPID)[1][:2] == (11, 22)
    answer(listener, GETPPID, error=-errno.EXDEV)
    os.close(listener)
    assert ended(pid) == 3


def test_an_agent_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="connect to the seccomp agent") as caught:
        connect(str(tmp_path / "nobody"))
    assert caught.value.errno == errno.ENOENT
    assert caught.value.filename == str(tmp_path / "nobody")


def test_every_flag_can_be_set() -> None:
    assert confined(profile("getppid", "SCMP_ACT_ERRNO", flags=sorted(FLAGS)), lambda: -getppid()) == errno.EPERM


def test_arguments_are_compared_by_the_kernel_as_written() -> None:
    config = profile("getppid", "SCMP_ACT_ERRNO")
    config["syscalls"][0]["args"] = [
        {"index": 0, "op": "SCMP_CMP_EQ", "value": 0x100000005},
        {"index": 5, "op": "SCMP_CMP_GT", "value": 0xFFFFFFFF},
    ]

    def refused(first: int, last: int) -> bool:
        try:
            syscall(GETPPID, "getppid", None, first, 0, 0, 0, 0, last)
        except PermissionError:
            return True
        return False

    def body() -> int:
        cases = [(0x100000005, 1 << 32), (5, 1 << 32), (0x100000005, 0xFFFFFFFF), (0x200000005, 1 << 32)]
        return sum(refused(*case) << place for place, case in enumerate(cases))

    assert confined(config, body) == 0b0001


def enter_with_int_0x80(number: int) -> int:
    """Make a 32-bit x86 system call from a 64-bit process."""
    import mmap

    code = b"\xb8" + struct.pack("<I", number) + b"\xcd\x80\xc3"  # mov eax, number; int 0x80; ret
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return int(ctypes.CFUNCTYPE(ctypes.c_int)(address)())


@x86_64
def test_a_32_bit_call_cannot_go_round_a_64_bit_filter() -> None:
    config = profile("getppid", "SCMP_ACT_ERRNO")
    assert confined(config, lambda: enter_with_int_0x80(64) * 0) == -signal.SIGSYS


@x86_64
def test_a_32_bit_call_has_its_own_number_where_x86_is_listed() -> None:
    if ended(fork(lambda: int(enter_with_int_0x80(20) != os.getpid()))) != 0:
        pytest.skip("this kernel has no 32-bit system calls")
    config = profile("getppid", "SCMP_ACT_ERRNO", architectures=["SCMP_ARCH_X86"])
    assert confined(config, lambda: -enter_with_int_0x80(64)) == errno.EPERM
    # 110 is x86_64's getppid and x86's iopl.
    assert confined(config, lambda: int(enter_with_int_0x80(20) != os.getpid())) == 0


@x86_64
def test_the_x32_bit_cannot_go_round_a_64_bit_filter() -> None:
    config = profile("getppid", "SCMP_ACT_ERRNO")

    def body() -> int:
        try:
            syscall(0x40000000 | GETPPID, "getppid", None)
        except OSError as error:
            return error.errno or 0
        return 0

    assert confined(config, body) == -signal.SIGSYS
    config["architectures"] = ["SCMP_ARCH_X32"]
    assert confined(config, body) == errno.EPERM


def no_new_privileges() -> None:
    assert libc_function("prctl", 5)(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_a_user_without_privileges_needs_no_new_privs() -> None:
    program = seccomp.compile(profile("getppid", "SCMP_ACT_ERRNO"))

    def body() -> int:
        os.setresuid(65534, 65534, 65534)
        try:
            seccomp.install(program)
        except PermissionError as error:
            assert "no_new_privs or CAP_SYS_ADMIN" in str(error)
        else:
            return 100
        assert getppid() > 0
        no_new_privileges()
        assert seccomp.install(program) == -1
        return -getppid()

    assert ended(fork(body)) == errno.EPERM


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_installing_is_exactly_one_system_call(tmp_path: Path) -> None:
    script = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from orlop.linux import seccomp\n"
        "p = seccomp.compile({'defaultAction': 'SCMP_ACT_ALLOW'})\n"
        "os.getppid(); seccomp.install(p); os.getppid()\n"
    )
    log = tmp_path / "trace"
    source = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(seccomp.__file__ or ""))))
    subprocess.run(
        ["strace", "-o", log, sys.executable, "-I", "-S", "-c", script, source], check=True, capture_output=True
    )
    calls = [line.partition("(")[0] for line in log.read_text().splitlines()]
    first = calls.index("getppid")
    assert calls[first : first + 3] == ["getppid", "seccomp", "getppid"]


def test_the_default_profile_lets_programs_run_and_keeps_the_rest_from_them() -> None:
    program = seccomp.compile(seccomp_profile.default(["CAP_CHOWN"]))

    def attempt(number: int, *arguments: int) -> int:
        try:
            syscall(number, "call", None, *arguments)
        except OSError as error:
            return error.errno or 0
        return 0

    def body() -> int:
        seccomp.install(program)
        assert subprocess.check_output(["/bin/sh", "-c", "echo $((6 * 7)) | cat"]) == b"42\n"
        assert attempt(NEWEST) == errno.ENOSYS
        assert attempt(435, 0, 0) == errno.ENOSYS  # clone3
        assert attempt(425, 1, 0) == errno.EPERM  # io_uring_setup
        assert attempt(428, 0, 0) == errno.EPERM  # open_tree
        for family, allowed in ((socket.AF_INET, True), (socket.AF_UNIX, True), (38, False), (40, False)):
            try:
                socket.socket(family, socket.SOCK_STREAM).close()
            except PermissionError:
                assert not allowed
            except OSError:
                pass  # the kernel's own answer: the filter let it through
            else:
                assert allowed
        return 11

    assert ended(fork(body)) == 11


def test_this_kernel_supports_all_actions_and_flags() -> None:
    found = seccomp.supported()
    assert found["enabled"]
    assert found["actions"] == sorted(ACTIONS)
    assert found["supportedFlags"] == found["knownFlags"] == sorted(FLAGS)


@pytest.mark.skipif(shutil.which("runc") is None, reason="runc is not installed")
def test_what_runc_finds_supported_is_found_too() -> None:
    theirs = json.loads(subprocess.run(["runc", "features"], check=True, capture_output=True).stdout)
    ours = seccomp.supported()
    for key in ("actions", "operators", "archs"):
        assert set(theirs["linux"]["seccomp"][key]) <= set(ours[key])
