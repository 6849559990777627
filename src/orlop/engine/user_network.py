"""The network of an ordinary user's container: a program of the user's passes on what the container sends and gets.

That is pasta (Debian's passt), or slirp4netns where pasta is not installed. It runs beside the container for as long as that
does, without any rights, and what the container sends comes from the user's own sockets. Nobody reaches the container but by
its published ports, which are the proxy's (`orlop.network.ports.proxy`).

``<run root>/user-networks/<container id>`` has the program's pid; whoever clears away after the container ends it.
"""

from __future__ import annotations

import _signal
import fcntl
import os

from orlop.engine import birth, network_files, network_mode, user_network_guard, user_sockets
from orlop.errors import OrlopError, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.container import Container
    from orlop.engine.location import Location
    from orlop.engine.publishing import Publication

_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
_INTERFACE = "eth0"
_LONGEST_MESSAGE = 4096
#: Descriptors of the programs: the namespaces, and where slirp4netns says that it is ready.
_USER, _NETWORK, _READY = 3, 4, 5
_ABOVE = 10
#: What pasta says where the machine has no default route.
_NO_ROUTE = ("routable interface", "interface not usable")


def check(mode: str) -> None:
    """Whether there is what this network takes.

    Raises:
        Unsupported: the program is not installed, or may not make devices.
    """
    if network_mode.program(mode) is None:
        raise Unsupported(f"--network {mode}: the program {mode} is not installed")
    if not os.access(network_mode.TUN, os.R_OK | os.W_OK):
        raise Unsupported(
            f"--network {mode}: {network_mode.TUN} may not be used: ask for it to be readable and writable"
        )


class Attachment:
    """The connection of a network namespace to the outside, on its way: `look`, `begin`, `finish`, `close`.

    ``path`` is where the program's pid is written down, ``interface`` the name of the device that it makes. It is ``guarded``
    if somebody hostile may send packets by that.
    """

    __slots__ = ("_errors", "_interface", "_is_guarded", "_mode", "_path", "_pid", "_ready", "namespaces")

    def __init__(self, path: str, mode: str, interface: str = _INTERFACE, *, guarded: bool = False) -> None:
        self._path = path
        self._interface = interface
        self._is_guarded = guarded
        self._mode = mode
        self._pid = 0
        self._errors = -1
        self._ready = -1
        #: The network namespace and, if it is another one than the caller's, the user namespace, opened.
        self.namespaces: list[int] = []

    def look(self, pid: int) -> None:
        """Open the namespaces of a process: of a container's first one.

        Raises:
            Unsupported: as `check`.
            OrlopError: that process may not be looked into.
        """
        check(self._mode)
        try:
            for kind in ("net", "user"):
                descriptor = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
                self.namespaces.append(descriptor)
        except OSError as error:
            raise OrlopError(f"cannot connect the container: {error.strerror}") from None

    def begin(self) -> None:
        """Start the program.

        Raises:
            OrlopError: it cannot be started.
        """
        if not self.namespaces:
            raise Unsupported(
                f"--network {self._mode}: a container that joins others cannot have it: use --network none"
            )
        os.makedirs(os.path.dirname(self._path), 0o700, exist_ok=True)
        try:
            self._errors = os.memfd_create(self._mode, os.MFD_CLOEXEC)
            self._start(*self.namespaces)
        except OSError as error:
            raise OrlopError(f"cannot connect the container: {error.strerror}") from None

    def _start(self, network: int, user: int = -1) -> None:
        program = network_mode.program(self._mode) or self._mode
        path = self._path
        passed = {_NETWORK: network} if user < 0 else {_NETWORK: network, _USER: user}
        if self._mode == network_mode.PASTA:
            words = ["pasta", "--config-net", "--quiet", "--stderr", "--no-map-gw", "--ns-ifname", self._interface]
            words += ["-t", "none", "-u", "none", "-T", "none", "-U", "none", "--pid", path]
            words += ["--netns", f"/proc/self/fd/{_NETWORK}"]
            words += ["--runas", "0"] if user < 0 else ["--userns", f"/proc/self/fd/{_USER}"]
            self._pid = _spawn(program, words, self._errors, passed)
            return
        words = [f"slirp4netns {path}", "--configure", "--mtu=65520", "--disable-host-loopback"]
        words += [f"--ready-fd={_READY}", *((f"--userns-path=/proc/self/fd/{_USER}",) if user >= 0 else ())]
        words += ["--netns-type=path", f"/proc/self/fd/{_NETWORK}", self._interface]
        self._ready, theirs = os.pipe2(os.O_CLOEXEC)
        try:
            self._pid = _spawn(program, words, self._errors, {**passed, _READY: theirs})
        finally:
            os.close(theirs)
        with open(path, "w", encoding="ascii") as file:
            file.write(f"{self._pid}\n")

    def finish(self) -> None:
        """Wait until the container is connected.

        Raises:
            OrlopError: the program failed, for the reason that it gives.
        """
        try:
            # The one stays, and says when it is ready; the other goes to the background.
            is_there = os.read(self._ready, 1) != b"" if self._ready >= 0 else os.waitpid(self._pid, 0)[1] == 0
            reason = "" if is_there else _reason(self._mode, self._errors)
        finally:
            for each in (self._ready, self._errors):
                if each >= 0:
                    os.close(each)
        if any(each in reason for each in _NO_ROUTE) and network_mode.program(network_mode.SLIRP):
            # Where nothing leads out of the machine there is no address that pasta could copy; the other one has its own.
            self._mode = network_mode.SLIRP
            self.begin()
            self.finish()
        elif reason:
            raise OrlopError(reason)
        elif self._is_guarded:
            user_network_guard.keep(self.namespaces, self._interface)

    def close(self) -> None:
        """Let go of the namespaces."""
        for each in self.namespaces:
            os.close(each)
        self.namespaces = []


def attachment(location: Location, container_id: str, mode: str) -> Attachment:
    """The connection of a container, which `release` ends."""
    return Attachment(_path(location, container_id), mode, guarded=True)


class UserConnection:
    """All that connects a container of an ordinary user's, at its start: network, names and ports."""

    __slots__ = ("_attachment", "_target")

    def __init__(self, target: Container, mode: str) -> None:
        self._target = target
        self._attachment = attachment(target.location, target.id, mode)

    def look(self, pid: int) -> None:
        """See `Attachment.look`."""
        self._attachment.look(pid)

    def begin(self, _pid: int) -> None:
        """Begin, while the container's first process is making its mounts.

        Raises:
            OrlopError: as `Attachment.begin`.
        """
        self._attachment.begin()

    def finish(self, publication: Publication | None, pid: int) -> dict[str, int]:
        """Wait until all is there; the descriptors that the container's monitor has to hold.

        Raises:
            OrlopError: as `Attachment.finish` and `orlop.engine.user_sockets.open_for`.
        """
        self._attachment.finish()
        ends = {}
        ends[birth.NAMES], ends[birth.NAMES_TCP] = user_sockets.open_for(pid, self._attachment.namespaces[::-1])
        self._attachment.close()
        network_files.at_start(self._target.directory, self._target.record, (), ())
        if publication is not None:
            ends.update(publication.put_in_force((), pid))
        return ends


def attach_again(location: Location, container_id: str) -> None:
    """Connect a container that runs whose program was killed."""
    from orlop.engine import container

    target = container.Container(location, container_id)
    try:
        mode, pid = str(target.record["HostConfig"]["NetworkMode"]), int(target.state()["Pid"])
        if pid:
            made = attachment(location, container_id, mode)
            try:
                made.look(pid)
                made.begin()
                made.finish()
            finally:
                made.close()
    except (OSError, OrlopError):
        return  # it has just ended; or the next command tries again


def release(location: Location, container_id: str) -> None:
    """End a container's network; nothing happens if it has none."""
    path = _path(location, container_id)
    pid = running(path)
    if pid:
        try:
            os.kill(pid, _signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has just ended
    try:
        os.unlink(path)
        os.rmdir(_directory(location))
    except OSError:
        return  # it had none, or others have


def is_attached(location: Location, container_id: str) -> bool:
    """Whether the program that connects a container is there."""
    return bool(running(_path(location, container_id)))


def containers(location: Location) -> list[str]:
    """The ids of the containers that have such a network, or had until a crash."""
    try:
        return os.listdir(_directory(location))
    except FileNotFoundError:
        return []


def _directory(location: Location) -> str:
    return f"{location.run_root}/user-networks"


def _path(location: Location, container_id: str) -> str:
    return f"{_directory(location)}/{container_id}"


def running(path: str) -> int:
    """The pid of the program that is noted at a path; 0 if it is gone."""
    try:
        with open(path, "rb", buffering=0) as file:
            pid = int(file.readall())
        with open(f"/proc/{pid}/cmdline", "rb", buffering=0) as file:
            is_it = path.encode() in file.readall()
    except (OSError, ValueError):
        return 0
    return pid if is_it else 0


def _spawn(program: str, words: list[str], errors: int, passed: dict[int, int]) -> int:
    """Start a program; ``passed`` are descriptors by the numbers that they have there."""
    # None of them may lie where another is going to.
    aside = {number: fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, _ABOVE) for number, each in passed.items()}
    try:
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
            (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_RDWR, 0),
            (os.POSIX_SPAWN_DUP2, errors, 2),
            *((os.POSIX_SPAWN_DUP2, each, number) for number, each in aside.items()),
        ]
        # Python ignores this signal, and pasta takes it for an error that it is ignored already.
        own = (_signal.SIGPIPE,)
        return os.posix_spawn(program, words, _ENVIRONMENT, file_actions=actions, setsid=True, setsigdef=own)
    finally:
        for each in aside.values():
            os.close(each)


def _reason(name: str, errors: int) -> str:
    text = os.pread(errors, _LONGEST_MESSAGE, 0).decode(errors="replace")
    lines = [line for line in text.splitlines() if line and "syslog" not in line]
    return f"{name} cannot connect the container: {lines[-1] if lines else 'it does not say why'}"
