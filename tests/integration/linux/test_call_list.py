"""Lists of system calls, made by a process that has no interpreter."""

from __future__ import annotations

import _socket
import errno
import os
import shutil
import signal
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orlop.linux import call_list, number
from orlop.linux.call_list import CallList

if TYPE_CHECKING:
    from collections.abc import Iterator

LISTED = Path(call_list.__file__).parent / "listed"
HERE = -100  # AT_FDCWD


class Listed:
    """A list that is being written, whose output can be read, and what it reports when it has ended."""

    def __init__(self) -> None:
        self.ours, self.theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
        self.reader, self.writer = os.pipe2(os.O_CLOEXEC)
        self.calls = CallList(self.theirs.fileno())

    def say(self, text: bytes) -> None:
        self.calls.do(number.WRITE, self.writer, text, len(text))

    def run(self) -> tuple[bytes, bytes, int]:
        """What was written, what was reported, and the exit status."""
        pid, pidfd = self.calls.spawn(0, kept=(self.theirs.fileno(), self.writer))
        os.close(pidfd)
        self.theirs.close()
        os.close(self.writer)
        self.writer = -1
        told = self.ours.recv(64)
        self.ours.close()
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with open(self.reader, "rb", closefd=False) as file:
            return file.read(), told, status

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()
        for descriptor in (self.reader, self.writer):
            if descriptor >= 0:
                os.close(descriptor)


@pytest.fixture
def listed() -> Iterator[Listed]:
    made = Listed()
    yield made
    made.close()


def end(calls: CallList) -> None:
    calls.do(number.EXIT_GROUP, 7)


def test_a_failure_is_reported_with_its_step(listed: Listed) -> None:
    listed.say(b"before")
    listed.calls.do(number.CHDIR, b"/nowhere")
    listed.say(b"after")
    output, told, status = listed.run()
    assert output == b"before"
    assert (int.from_bytes(told[:4], "little"), int.from_bytes(told[4:], "little")) == (1, errno.ENOENT)
    assert status == 255


def test_results_are_arguments_of_later_calls(listed: Listed, tmp_path: Path) -> None:
    file = listed.calls.call(number.OPENAT, HERE, os.fsencode(tmp_path / "made"), os.O_WRONLY | os.O_CREAT, 0o640)
    listed.calls.do(number.WRITE, file, b"text", 4)
    end(listed.calls)
    assert listed.run() == (b"", b"", 7)
    assert (tmp_path / "made").read_bytes() == b"text"


@pytest.mark.parametrize(("path", "said"), [(b"/", b"directory end"), (b"/etc/passwd", b"file end"), (b"/no", b"end")])
def test_what_is_expected_decides_what_is_skipped(listed: Listed, path: bytes, said: bytes) -> None:
    decide_and_say(listed.calls, listed.writer, path)
    end(listed.calls)
    assert listed.run() == (said, b"", 7)


def decide_and_say(calls: CallList, descriptor: int, path: bytes) -> None:
    about = calls.room(256)
    looked = calls.do(number.STATX, HERE, path, 0, 0x7FF, about)
    for kind, text in ((stat.S_IFDIR, b"directory "), (stat.S_IFREG, b"file ")):
        is_so = calls.check(calls.half(about, 28), 0o170000, kind)
        calls.do(number.WRITE, descriptor, text, len(text))
        calls.unless(is_so)
    calls.expect(looked, errno.ENOENT)
    calls.do(number.WRITE, descriptor, b"end", 3)


def test_the_program_at_the_end_has_no_signals_ignored_or_blocked(listed: Listed) -> None:
    listed.calls.do(number.DUP3, listed.writer, 1, 0)
    listed.calls.reset_signals()
    listed.calls.execute(listed.calls.place(b"/bin/grep"), [b"grep", b"-E", b"Sig(Blk|Ign)", b"/proc/self/status"], [])
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        output, told, status = listed.run()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert (told, status) == (b"", 0)
    assert {line.split()[1] for line in output.splitlines()} == {b"0" * 16}


def test_a_program_that_cannot_be_executed_is_reported_by_its_errno_alone(listed: Listed) -> None:
    listed.calls.execute(listed.calls.place(b"/nowhere"), [b"nowhere"], [])
    _, told, _ = listed.run()
    assert told == errno.ENOENT.to_bytes(4, "little")


def test_nobody_can_write_to_the_program(listed: Listed) -> None:
    listed.calls.do(number.RECVFROM, listed.theirs.fileno(), listed.calls.room(8), 1, 0, 0, 0)
    pid, pidfd = listed.calls.spawn(0, kept=(listed.theirs.fileno(),))
    try:
        with pytest.raises(OSError, match=r"Text file busy|Operation not permitted"):
            os.open(f"/proc/{pid}/exe", os.O_RDWR)
        open_there = os.listdir(f"/proc/{pid}/fd")
        assert str(listed.theirs.fileno()) in open_there
        assert not {str(listed.ours.fileno()), str(listed.reader), str(pidfd)} & set(open_there)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(pidfd)


def test_where_no_memory_file_can_be_executed_there_is_no_process(
    listed: Listed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "none").write_text("no program")
    monkeypatch.setattr(call_list, "sealed_file", lambda *_: os.open(tmp_path / "none", os.O_RDONLY | os.O_CLOEXEC))
    before = os.listdir("/proc/self/fd")
    with pytest.raises(PermissionError, match="execveat"):
        listed.calls.spawn(0)
    assert os.listdir("/proc/self/fd") == before


def test_the_interpreters_signal_mask_stays(listed: Listed) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    end(listed.calls)
    listed.run()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_the_executor_of_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    emulator = shutil.which("qemu-aarch64-static")
    if emulator is None:
        pytest.skip("needs qemu-aarch64-static (Debian's qemu-user-static)")
    monkeypatch.setattr(number, "STATX", 291)
    monkeypatch.setattr(number, "WRITE", 64)
    monkeypatch.setattr(number, "EXIT_GROUP", 94)
    calls = CallList(1)
    decide_and_say(calls, 1, b"/")
    calls.reset_signals()
    end(calls)
    program = tmp_path / "program"
    program.write_bytes(calls.program_upon((LISTED / "aarch64/executor").read_bytes()))
    program.chmod(0o755)
    done = subprocess.run([emulator, program], capture_output=True, check=False)
    assert (done.stdout, done.returncode) == (b"directory end", 7)
