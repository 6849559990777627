"""The process that holds the namespaces in which an ordinary user's networks are, and does nothing else."""

from __future__ import annotations

import _signal
import os
import select

from orlop.engine import id_maps, launch, monitor
from orlop.errors import OrlopError, Unsupported
from orlop.linux import credentials, link, namespace, pidfd, prctl, procfs
from orlop.network.ports import disguise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST_MESSAGE = 4000
#: Milliseconds that a killed process may take to end.
_PATIENCE = 5000
_NEW = namespace.CLONE_NEWUSER | namespace.CLONE_NEWNET


def start(note: Callable[[int, int], None], below: int = -1) -> None:
    """Start it. ``note`` writes its pid and its start time down; if that does not come about, it ends.

    ``below`` is a descriptor of the user namespace that its network namespace is to belong to, -1 for a new one.

    Raises:
        OrlopError: the namespaces cannot be made.
        Unsupported: this machine lets its users make none.
    """
    reader, writer = os.pipe()
    go_reader, go_writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(go_writer)
        _live(below, writer, go_reader)
    os.close(writer)
    os.close(go_reader)
    try:
        # Who is in the new user namespace can be nobody there before its ids are mapped, from outside.
        answer = os.read(reader, 1) if below < 0 else b"+"
        if answer == b"+":
            if below < 0:
                uid_maps, gid_maps = id_maps.of_this_user()
                namespace.map_users(child, uid_maps, gid_maps, privileged=False)
            os.write(go_writer, b"+")
            answer = b""
        answer += os.read(reader, _LONGEST_MESSAGE)
        status = procfs.stat(child)
        if answer != b"+" or status is None:
            raise Unsupported(
                "this machine does not let its users have networks of their own: "
                f"{answer.decode(errors='replace') or 'no namespaces can be made'}; see user.max_user_namespaces and "
                "kernel.unprivileged_userns_clone of sysctl"
            )
        note(child, status.start_time)
        os.write(go_writer, b"+")
    except BaseException:
        try:
            os.kill(child, _signal.SIGKILL)
            os.waitpid(child, 0)
        except (ProcessLookupError, ChildProcessError):
            pass  # it has ended by itself
        raise
    finally:
        os.close(reader)
        os.close(go_writer)


def _live(below: int, answer: int, go: int) -> None:
    """The child's whole life."""
    try:
        os.setsid()
        launch.detach_from_caller(answer, go, below)
        monitor.set_name("orlop-network")
        for number in (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP, _signal.SIGQUIT):
            _signal.signal(number, _signal.SIG_DFL)
        if below >= 0:
            namespace.join(below, namespace.CLONE_NEWUSER)
            os.close(below)
            namespace.unshare(namespace.CLONE_NEWNET)
        else:
            namespace.unshare(_NEW)
            os.write(answer, b"+")
        if not os.read(go, 1):
            return
        credentials.set_group(0)
        credentials.set_user(0)
        prctl.set_dumpable(True)  # so that the user's other processes may enter
        link.set_up("lo")
        try:
            disguise.prepare()
        except OSError:
            pass  # a kernel that lacks what it takes: then containers see the proxy where they would see its clients
        os.write(answer, b"+")
        os.close(answer)
        if not os.read(go, 1):
            return  # who started us was killed before that was written down
        while True:
            _signal.pause()
    except (OSError, OrlopError) as error:
        os.write(answer, str(error).encode(errors="replace")[:_LONGEST_MESSAGE])
    finally:
        os._exit(1)


def end(pid: int) -> None:
    """Kill it, or a program beside it, and wait until that has ended; nothing happens if there is none."""
    if not pid:
        return
    try:
        process = pidfd.open_process(pid)
    except ProcessLookupError:
        return
    try:
        pidfd.send_signal(process, _signal.SIGKILL)
        poll = select.poll()
        poll.register(process, select.POLLIN)
        poll.poll(_PATIENCE)
        os.waitpid(pid, os.WNOHANG)
    except (ProcessLookupError, ChildProcessError):
        return  # it ended by itself, or is somebody else's to wait for
    finally:
        os.close(process)
