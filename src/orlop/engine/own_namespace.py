"""Being root of a user namespace with the calling user's id ranges.

An ordinary user's images and containers have files that belong to ids of /etc/subuid, which outside of such a
namespace the user may neither make nor touch, and overlays, which the user may mount only inside. `enter` takes
the whole command there; `run` only one action, in a child.
"""

from __future__ import annotations

import os

from orlop.engine import child, id_maps
from orlop.errors import OrlopError, Unsupported
from orlop.linux import credentials, namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_NEW = namespace.CLONE_NEWUSER | namespace.CLONE_NEWNS


def enter() -> None:
    """Become root of a new user namespace with a mount namespace of its own; root already is where it has to be.

    For commands that are about to end anyway: there is no way back, and what was read before (``os.geteuid``, the
    `Location`, which stays rootless) must be known already. Paths mean what they meant; what is mounted here nobody
    else sees, and it is gone with the last process in the namespace.

    Raises:
        Unsupported: this machine lets its users make no user namespaces, or newuidmap is missing.
        OrlopError: this process has several threads, or the ids could not be mapped.
    """
    if os.geteuid() == 0:
        return
    go_reader, go_writer = os.pipe()
    answer_reader, answer_writer = os.pipe()
    # The mapping is written from outside, by somebody with our user id in the namespace that we leave.
    mapper = os.fork()
    if mapper == 0:
        os.close(go_writer)
        _map(os.getppid(), go_reader, answer_writer)
    os.close(go_reader)
    os.close(answer_writer)
    try:
        _unshare()
        os.write(go_writer, b"1")
        message = os.read(answer_reader, 4096)
    finally:
        os.close(go_writer)
        os.close(answer_reader)
        _, status = os.waitpid(mapper, 0)
    if status:
        raise OrlopError(message.decode(errors="replace") or "the ids of a user namespace could not be mapped")
    credentials.set_group(0)
    credentials.set_user(0)


def run(action: Callable[[], None]) -> None:
    """Run ``action`` in a forked child that is root in a new user namespace.

    Raises:
        OrlopError: it failed there.
    """

    def act() -> None:
        enter()
        action()

    child.run(act)


def _unshare() -> None:
    try:
        namespace.unshare(_NEW)
    except OSError as error:
        if os.listdir("/proc/self/task")[1:]:
            raise OrlopError("a user namespace can only be entered by a process with one thread") from None
        raise Unsupported(
            f"this machine does not let user {os.geteuid()} make a user namespace ({error.strerror}); "
            "see user.max_user_namespaces and kernel.unprivileged_userns_clone of sysctl, or run orlop as root"
        ) from None


def _map(pid: int, go: int, answer: int) -> None:
    """The child's whole life: wait until ``pid`` is in its namespace, and map the ids there."""
    status = 1
    try:
        if os.read(go, 1):
            uid_maps, gid_maps = id_maps.of_this_user()
            namespace.map_users(pid, uid_maps, gid_maps, privileged=False)
            status = 0
    except Exception as error:  # noqa: BLE001 - a forked child must not return into the caller's code
        os.write(answer, str(error).encode(errors="replace")[:4000])
    finally:
        os._exit(status)
