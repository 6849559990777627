"""Carrying out a whole command in a child of the launcher, which has everything loaded already.

A command's own work takes a few milliseconds, starting an interpreter and importing orlop twice as many. So where a
launcher is at its door, ``bin/orlop`` executes a tiny program instead of an interpreter (``orlop/client/client.c``). It
connects to a second socket of the launcher's, and a child that waits there becomes like it (`orlop.engine.caller`),
does what the command is to do, and tells it the exit status. Signals go to the child, which leads a process group for
that; if the client is killed, so is the child.

It says `_BEGUN` before it does anything; whoever it does not serve just sees it go, and becomes an interpreter. So does who
hears `_NOT_MINE`: a command that reads from a terminal wants to be a job of that terminal's shell.
"""

from __future__ import annotations

import _signal
import _socket
import fcntl
import gc
import os
import sys
import termios

from orlop.engine import launcher

# isort: split
# What monitors use lies together now (see `launcher`).
from orlop import cli
from orlop.cli import attachment, exec, inspect, kill, logs, ps, rm, run, start, stop, wait  # noqa: A004
from orlop.engine import birth, caller, launch, location, repair
from orlop.errors import OrlopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from orlop.options import Parsed

#: What a command would import late otherwise.
PRELOADED = (attachment, exec, inspect, kill, logs, ps, repair, rm, run, start, stop, wait)

#: Machines that there is a client for.
MACHINES = ("x86_64", "aarch64")

#: What the client is told: a kind, and a number of four bytes, little endian.
_BEGUN = b"b"
_DONE = b"d"
_NOT_MINE = b"n"

#: How many words come before the command's own: the interpreter, its options, and ``bin/orlop``.
_OWN = 3
#: Seconds that a connected caller may take to say what it wants.
_PATIENCE = 1.0
#: Paths that mean something else in another process.
_OWN_PATHS = ("/dev/fd", "/dev/std", "/dev/tty", "/proc/self", "/proc/thread-self")
#: Options of commands that read what is typed.
_TYPING = ("interactive", "tty", "attach")
#: What stands for standard input in the place of a file.
_STDIN = "-"

#: fcntl(2), F_SETSIG.
_F_SETSIG = 10
#: In what termios(3) has of a terminal.
_LOCAL_FLAGS = 3
#: The exit status of an interpreter that cannot write what it has left to write.
_UNWRITTEN = 120
_GC_THRESHOLD = 50_000


class NotMine(BaseException):
    """The command wants a process of the client's own. Nothing has been done yet."""


def main(root: str, run_root: str, first: int, listen: bool) -> int:
    """Be a launcher that carries out commands too; see `orlop.engine.launcher.main`."""
    commands = Commands(run_root) if os.uname().machine in MACHINES else None
    return launcher.main(root, run_root, first, listen, commands)


class Commands:
    """Commands at a door, the launcher's second one if it has no other ``name``.

    ``adopt`` has who carries out a command take over more of the caller's, which is given with its process id; it raises
    OSError if that cannot be.
    """

    __slots__ = ("_adopt", "_run_root", "_surroundings", "name")

    def __init__(
        self, run_root: str, name: str = "commands", adopt: Callable[[caller.Caller], None] | None = None
    ) -> None:
        #: The socket's name. It tells which client is for this machine, so that a shell needs no uname(1).
        self.name = f"{name}-{os.uname().machine}.sock"
        self._run_root = run_root
        self._adopt = adopt
        self._surroundings = caller.own_surroundings()

    def serve(self, connection: _socket.socket, has_changed: Callable[[], bool]) -> int:
        """Carry out a command for who has connected, in a child that then ends; returns the child's exit status."""
        if _user(connection) != os.geteuid():
            return birth.FAILED
        try:
            connection.settimeout(_PATIENCE)
            client = caller.Caller(connection)
            connection.settimeout(None)
            theirs = client.surroundings()
            if theirs is None or theirs.differ_from(self._surroundings) or not _can_serve(client):
                return birth.FAILED
            if self._adopt is not None:
                self._adopt(client)
            client.become(theirs)
        except (OSError, ValueError):
            return birth.FAILED
        interpreter, _, program = client.words[:_OWN]
        if not _is_ours(interpreter) or not self._is_of_this_engine():
            return birth.FAILED
        if has_changed() or not _is_our_package(program):
            return birth.OUTDATED
        try:
            _begin(connection)
            status = _carry_out(program, client.words[_OWN:])
        except NotMine:
            _tell(connection, _NOT_MINE)
        except BrokenPipeError:
            return birth.FAILED  # the client has gone
        else:
            _let_go()
            _tell(connection, _DONE, status)
        return birth.STARTED

    def _is_of_this_engine(self) -> bool:
        """Whether the command, whose environment is ours by now, means the engine that the launcher belongs to."""
        try:
            return location.locate().run_root == self._run_root
        except OrlopError:
            return False


def _user(connection: _socket.socket) -> int:
    credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    return int.from_bytes(credentials[4:8], sys.byteorder)


def _can_serve(client: caller.Caller) -> bool:
    """Whether nobody would notice that another process carries the command out."""
    locale = client.variable("LC_ALL") or client.variable("LC_CTYPE") or client.variable("LANG")
    if locale not in ("", "C", "POSIX") and "utf8" not in locale.lower().replace("-", ""):
        return False  # its words and its output have another encoding than ours
    if len(client.words) < _OWN or any(path in word for word in client.words[_OWN:] for path in _OWN_PATHS):
        return False
    # Only a job of the terminal's own session can be stopped for writing in the background.
    return not (os.isatty(client.stdout) and termios.tcgetattr(client.stdout)[_LOCAL_FLAGS] & termios.TOSTOP)


def _is_ours(interpreter: str) -> bool:
    if "/" not in interpreter:
        for directory in os.get_exec_path():
            if os.access(f"{directory}/{interpreter}", os.X_OK):
                interpreter = f"{directory}/{interpreter}"
                break
    return os.path.normpath(os.path.abspath(interpreter)) == os.path.normpath(sys.executable)


def _is_our_package(program: str) -> bool:
    """Whether ``bin/orlop`` at this path would have found the package that we have loaded."""
    above = program.rpartition("/")[0] + "/.."
    libraries = "lib/python{}.{}".format(*sys.version_info[:2])
    for place in (f"{libraries}/site-packages", "src", f"{libraries}/dist-packages", "lib/python3/dist-packages"):
        try:
            return os.path.samefile(f"{above}/{place}/orlop", launch.package())
        except FileNotFoundError:
            continue
    return False


def _begin(connection: _socket.socket) -> None:
    """Tell the client that the command is under way, who does it, and end with it from now on.

    Raises:
        BrokenPipeError: it has gone.
    """
    pid = os.getpid()
    os.setpgid(0, 0)
    # The only thing that still happens on this connection is its end.
    fcntl.fcntl(connection, fcntl.F_SETOWN, pid)
    fcntl.fcntl(connection, _F_SETSIG, _signal.SIGKILL)
    fcntl.fcntl(connection, fcntl.F_SETFL, os.O_ASYNC)
    descriptor = os.pidfd_open(pid)
    packed = descriptor.to_bytes(4, sys.byteorder)
    connection.sendmsg(
        [_BEGUN, pid.to_bytes(4, "little")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)], _socket.MSG_NOSIGNAL
    )
    os.close(descriptor)


def _tell(connection: _socket.socket, kind: bytes, number: int = 0) -> None:
    try:
        connection.send(kind + number.to_bytes(4, "little"), _socket.MSG_NOSIGNAL)
    except OSError:
        return  # the client has gone, and will not know


def _carry_out(program: str, words: list[str]) -> int:
    """What ``bin/orlop`` does with its words; returns the exit status.

    Raises:
        NotMine: nothing was done.
    """
    sys.argv = [program, *words]
    gc.set_threshold(_GC_THRESHOLD)
    gc.enable()
    try:
        status = cli.main(words, before=_look_at)
        _flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 141  # whoever read our output has had enough
    except OSError as error:
        sys.stderr.write(f"orlop: the output could not be written: {error.strerror}\n")
        return _UNWRITTEN
    except Exception:  # noqa: BLE001 - as the interpreter does with what nobody caught
        sys.excepthook(*sys.exc_info())
        return 1
    return status & 0xFF


def _look_at(said: Parsed) -> None:
    """Leave a command to the client that is going to read from a terminal.

    Raises:
        NotMine: it is.
    """
    reads = any(said.given(option) for option in _TYPING) or _STDIN in (*said.arguments, *_files(said))
    if reads and os.isatty(0):
        raise NotMine


def _files(said: Parsed) -> list[str]:
    """The files that a command was given as what it is to read."""
    return [said["file"]] if said.given("file") else []


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()


def _let_go() -> None:
    """Close what was the client's before it ends: nobody expects anything of it to be in use after that."""
    os.chdir("/")
    os.closerange(0, 3)
