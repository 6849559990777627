"""Reaching the launcher, and starting one where there is none."""

from __future__ import annotations

import _socket
import os
import sys

import orlop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location

_LONGEST_SOCKET_PATH = 107
_EVERY_DESCRIPTOR = (1 << 31) - 1
_FIRST = 3  # the descriptor on which a new launcher finds its first request
#: With these, and no variables of the caller's, only code of ours is read.
_FLAGS = ("-I", "-S", "-c")
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


def package() -> str:
    """Where this orlop lies: a launcher of another copy does not serve us."""
    return os.path.normpath(os.path.dirname(orlop.__file__))


def connect(location: Location) -> _socket.socket | None:
    """A connection to the running launcher; None if there is none."""
    path = f"{location.run_root}/launcher.sock"
    client = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    directory = -1
    try:
        if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
            directory = os.open(location.run_root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            path = f"/proc/self/fd/{directory}/launcher.sock"
        client.connect(path)
    except OSError:
        client.close()
        return None
    finally:
        if directory >= 0:
            os.close(directory)
    return client


def send(client: _socket.socket, request: bytes) -> None:
    """Send a request with the proof of where we are: descriptors of our user, mount and network namespaces."""
    descriptors = [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in ("user", "mnt", "net")]
    try:
        packed = b"".join(each.to_bytes(4, sys.byteorder) for each in descriptors)
        client.sendmsg([request], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)], _socket.MSG_NOSIGNAL)
    finally:
        for each in descriptors:
            os.close(each)


def pair() -> tuple[_socket.socket, _socket.socket]:
    """A connection whose other end a new launcher, or a monitor of our own, is given."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    return _socket.socket(fileno=ours.detach()), _socket.socket(fileno=theirs.detach())


def spawn(location: Location, first: _socket.socket | None = None, *, listen: bool = True) -> None:
    """Leave a launcher behind, in a session of its own; ``first`` is a connection with a request on it.

    Returns before the launcher is ready.
    """
    if len(os.listdir("/proc/self/task")) > 1:
        _spawn_apart(location, first, listen=listen)
        return
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    status = 1
    try:
        os.setsid()
        if os.fork() == 0:
            _become(location, first, listen=listen)
        status = 0
    finally:
        os._exit(status)


def _spawn_apart(location: Location, first: _socket.socket | None, *, listen: bool) -> None:
    """`spawn` from a process with several threads.

    What one of them is doing at the time, a fork leaves half done for ever (fork(2)). So a program of its own, which is
    started without a fork, does it.
    """
    code = (
        f"import sys; sys.path.append({os.path.dirname(package())!r})\n"
        "from orlop.engine import launch\n"
        f"launch.relay({location.root!r}, {location.run_root!r}, {location.rootless}, {first is not None}, {listen})"
    )
    actions = [(os.POSIX_SPAWN_DUP2, first.fileno(), _FIRST)] if first is not None else []
    pid = os.posix_spawn(sys.executable, [sys.executable, *_FLAGS, code], _ENVIRONMENT, file_actions=actions)
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return  # somebody else has waited for it, such as a handler of the caller's for SIGCHLD


def relay(root: str, run_root: str, rootless: bool, has_first: bool, listen: bool) -> None:
    """What the program of `_spawn_apart` does."""
    from orlop.engine.location import Location

    first = _socket.socket(fileno=_FIRST) if has_first else None
    spawn(Location(root, run_root, rootless=rootless), first, listen=listen)


def _become(location: Location, first: _socket.socket | None, *, listen: bool) -> None:
    if first is not None:
        os.dup2(first.fileno(), _FIRST, inheritable=True)
    detach_from_caller(_FIRST if first is not None else -1)
    first_descriptor = _FIRST if first is not None else -1
    execute(
        "from orlop.cli.warm import main\n"
        f"import os; os._exit(main({location.root!r}, {location.run_root!r}, {first_descriptor}, {listen}))"
    )


def execute(code: str) -> None:
    """Become an interpreter that executes ``code``, which finds this package, and nothing of the caller's environment."""
    arguments = [*_FLAGS, f"import sys; sys.path.append({os.path.dirname(package())!r})\n{code}"]
    from orlop.linux import sealed

    try:
        sealed.execute(arguments, _ENVIRONMENT)
    except OSError:
        # An ordinary user may not make the mount, and does not need it: see `sealed.ensure`. The runtime
        # takes its other way of keeping the interpreter out of a container's reach.
        os.execve(sys.executable, [sys.executable, *arguments], _ENVIRONMENT)


def detach_from_caller(*keep: int) -> None:
    """Let go of the caller's standard streams, directory and descriptors, but for ``keep``, of which negative ones are none."""
    os.chdir("/")
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor, inheritable=True)
    first = 3
    for descriptor in sorted(keep):
        if descriptor >= first:
            os.closerange(first, descriptor)
            first = descriptor + 1
    os.closerange(first, _EVERY_DESCRIPTOR)
