"""What the runtime hands to a container's first process."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Sequence
    from typing import Any

    from orlop.linux.cgroup import Group
    from orlop.linux.seccomp import Program
    from orlop.runtime.channel import Channel
    from orlop.runtime.mounts import Mount
    from orlop.runtime.namespaces import NamespacePlan


class Setup:
    """Everything that init needs, prepared by the runtime while it still saw the host.

    Attributes:
        spec: the configuration.
        keyring: the name of its session keyring.
        plan: the namespaces.
        root_path, root_tree: the root file system's directory, and its detached copy (-1 without a mount namespace).
        root_mounts: what the root file system is made of, if it is not what is in that directory.
        mounts: with the sources of bind mounts opened.
        propagation: MS_* type of ``rootfsPropagation``, or 0.
        group, group_files: the cgroup, and the files to join it with.
        channel: init's end.
        listener: the socket on which a created container waits for its start; None if the channel says it.
        program, notify: the seccomp filter, and the connected socket of its ``listenerPath``.
        streams: standard input, output and error.
        preserve, listen: how many descriptors from 3 up stay open, and how many of them are activated sockets.
        clones_inside: whether init has to make or copy the root and the bind mounts' sources itself.
        sealed: whether the interpreter's file is out of reach, so that no trampoline is needed.
        runtimes_own: descriptors that the runtime alone may hold, so that their end is its end: its side of the channel
            and the container's lock.
        waits_for_hooks: whether the runtime runs hooks once the mounts are made.
    """

    __slots__ = (
        "channel",
        "clones_inside",
        "group",
        "group_files",
        "keyring",
        "listen",
        "listener",
        "mounts",
        "no_new_keyring",
        "no_pivot",
        "notify",
        "plan",
        "preserve",
        "program",
        "propagation",
        "root_mounts",
        "root_path",
        "root_tree",
        "runtimes_own",
        "sealed",
        "spec",
        "streams",
        "waits_for_hooks",
    )

    spec: dict[str, Any]
    plan: NamespacePlan
    root_path: str
    root_tree: int
    root_mounts: Sequence[dict[str, Any]]
    mounts: list[Mount]
    propagation: int
    group: Group
    group_files: list[int]
    keyring: str
    channel: Channel
    listener: _socket.socket | None
    program: Program | None
    notify: _socket.socket | None
    streams: tuple[int, int, int]
    preserve: int
    listen: int
    no_pivot: bool
    no_new_keyring: bool
    clones_inside: bool
    sealed: bool
    runtimes_own: tuple[int, ...]
    waits_for_hooks: bool
