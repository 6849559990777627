"""A process between the runtime and init, for namespaces that only the children of whoever enters them are in.

Joining a pid or time namespace, and giving a new time namespace its offsets, must be done by init's parent;
and a user namespace is joined before the others can be. The stage does this, clones init as its own sibling
(CLONE_PARENT), so that the runtime is init's parent all the same, and ends.

Likewise a user namespace that is to be a child of another one than the runtime's own has to be made by somebody in that.
"""

from __future__ import annotations

import os

from orlop.errors import OrlopError
from orlop.linux import clone, namespace, pidfd, prctl
from orlop.runtime import channel as channels
from orlop.runtime import id_map, init, namespaces, process
from orlop.runtime.step import step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from orlop.runtime.setup import Setup

_KILL = 9
_OFFSETS = "/proc/self/timens_offsets"


def launch(setup: Setup, cgroup: int, map_users: Callable[[int], None]) -> tuple[int, int]:
    """Start init by way of a stage; returns init's pid and pidfd.

    ``map_users`` is called with the pid of the process that is in a new user namespace.

    Raises:
        OrlopError: what the stage could not do.
    """
    outer, inner = channels.pair()
    plan = setup.plan
    # A new user namespace must exist before a time namespace that is to belong to it; but whoever is in it can
    # no longer join the namespaces of others.
    early_user = plan.flags & namespace.CLONE_NEWUSER if not plan.joins else 0
    # Who is in another user namespace may no longer clone into the cgroup, but its children are born where it is.
    changes_user = "user" in plan.kinds
    pid, descriptor = clone.clone(early_user, cgroup=cgroup if changes_user else -1)
    if pid == 0:
        outer.close()
        _main(setup, inner, -1 if changes_user else cgroup, early_user)
    os.close(descriptor)
    inner.close()
    try:
        if early_user:
            map_users(pid)
            outer.send("mapped")
        answer = outer.receive()
        if answer is None:
            raise OrlopError("the process that joins the namespaces ended without a word")
        if answer[0]["kind"] == "error":
            raise channels.revive(answer[0])
        init_pid = int(answer[0]["pid"])
        init_descriptor = pidfd.open_process(init_pid)
        if plan.is_new("user") and not early_user:
            map_users(init_pid)
        return init_pid, init_descriptor
    finally:
        outer.close()
        os.waitpid(pid, 0)


def launch_below(setup: Setup, cgroup: int, parent: int) -> tuple[int, int]:
    """Start init in a new user namespace below ``parent``, a descriptor of another one; returns init's pid and pidfd.

    Its ids are mapped when this returns; who started it may look into it until init hears of that.

    Raises:
        OrlopError: what the stage could not do.
    """
    outer, inner = channels.pair()
    pid, descriptor = clone.clone(0, cgroup=cgroup)
    if pid == 0:
        outer.close()
        try:
            prctl.set_parent_death_signal(_KILL)
            init.let_go(setup)
            _run_below(setup, inner, parent)
        except BaseException as error:  # noqa: BLE001 - it ends this process, and is raised again in the runtime
            inner.send("error", **channels.describe(error))
        finally:
            os._exit(255)
    os.close(descriptor)
    inner.close()
    try:
        answer = outer.receive()
        if answer is None:
            raise OrlopError("the process that enters the user namespace ended without a word")
        if answer[0]["kind"] == "error":
            raise channels.revive(answer[0])
        return int(answer[0]["pid"]), answer[1][0]
    finally:
        outer.close()
        os.waitpid(pid, 0)


def _run_below(setup: Setup, inner: channels.Channel, parent: int) -> None:
    process.set_oom_score(setup.spec.get("process") or {})
    with step("join user namespace"):
        namespace.join(parent, namespace.CLONE_NEWUSER)
    namespaces.become_root()
    pid, descriptor = clone.clone(setup.plan.flags | clone.CLONE_PARENT)
    if pid == 0:
        inner.close()
        init.main(setup)
    linux = setup.spec["linux"]
    uids, gids = (
        id_map.below(linux.get(f"{kind}Mappings") or [], id_map.read(f"/proc/self/{kind}_map"))
        for kind in ("uid", "gid")
    )
    namespace.map_users(pid, uids, gids, privileged=True)
    inner.send("init", descriptors=(descriptor,), pid=pid)


def _main(setup: Setup, inner: channels.Channel, cgroup: int, early_user: int) -> None:
    try:
        prctl.set_parent_death_signal(_KILL)
        init.let_go(setup)
        _run(setup, inner, cgroup, early_user)
    except BaseException as error:  # noqa: BLE001 - it ends this process, and is raised again in the runtime
        inner.send("error", **channels.describe(error))
    finally:
        os._exit(255)


def _run(setup: Setup, inner: channels.Channel, cgroup: int, early_user: int) -> None:
    plan = setup.plan
    flags = plan.flags & ~early_user
    process.set_oom_score(setup.spec.get("process") or {})
    if early_user:
        if inner.receive() is None:
            return
        namespaces.become_root()
    if plan.time_offsets:
        flags &= ~namespace.CLONE_NEWTIME
        with step("make time namespace"):
            namespace.unshare(namespace.CLONE_NEWTIME)
        prctl.set_dumpable(True)  # else, as another user, we may not open what is our own; nobody can see us yet
        with step("write", _OFFSETS):
            file = os.open(_OFFSETS, os.O_WRONLY | os.O_CLOEXEC)
            os.write(file, plan.time_offsets.encode())
            os.close(file)
    prctl.set_dumpable(False)
    for each in plan.joins:
        namespaces.join([each])
        if each[0] == "user":
            namespaces.become_root()
    pid, descriptor = clone.clone(flags | clone.CLONE_PARENT, cgroup=cgroup)
    if pid == 0:
        inner.close()
        init.main(setup)
    os.close(descriptor)
    inner.send("init", pid=pid)
