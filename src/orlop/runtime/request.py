"""What somebody asks to be created."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from orlop.linux.seccomp.cache import Cache


class Request:
    """What to create: the arguments of ``orlop-runtime create``.

    Attributes:
        root: the directory of all containers' state.
        id, bundle: the container's id and the absolute path of its bundle.
        config: the configuration's file, relative to the bundle.
        console_socket, pid_file: paths, or empty.
        pidfd_socket: a socket that is sent the init process's pidfd once the container is created, or empty.
        notify_socket: where somebody waits to hear that the program is ready (sd_notify(3)), or empty.
        preserve_fds: how many descriptors from 3 up the program gets beside its standard streams.
        listen_fds: how many of them are sockets that it is told about as systemd would (sd_listen_fds(3)).
        stdio: what its standard streams are, unless it has a terminal.
        rootless: the runtime lacks privileges, and cgroups that it may not use are done without.
        restartable: this process may execute its own command line anew, in a sealed interpreter, before it has
            done anything (`orlop.linux.sealed`).
        filters: seccomp filters that the caller keeps compiled, or None to compile anew.
        root_mounts: what the root file system is made of, as `orlop.storage.mounts.Mount.as_json` writes it, where it
            is not simply the directory that the configuration names. That directory is then only the place where the
            mount is attached, in the container's mount namespace: nobody else sees it, and it ends with the container.
        trees: detached mounts by the destinations of the bind mounts whose sources they are, where no path leads to these;
            they stay the caller's.
        connect: called with the pid of the container's first process as soon as that has its namespaces, while it makes
            its mounts; what it does to the network namespace is done when the program starts. If it raises, there is no
            container.
        look: called before that with the pid, while the one who started the container may still look into that process: an
            ordinary user may not any more once it is root of its user namespace. Not called where the namespaces of
            others are to be joined first.
        parent: a descriptor of the user namespace that the container's own becomes a child of, so that whoever has rights in
            that one has them over the container's namespaces too; -1 if it is the runtime's own. No other namespaces can
            be joined then.
    """

    __slots__ = (
        "bundle",
        "config",
        "connect",
        "console_socket",
        "filters",
        "id",
        "listen_fds",
        "look",
        "no_new_keyring",
        "no_pivot",
        "notify_socket",
        "parent",
        "pid_file",
        "pidfd_socket",
        "preserve_fds",
        "restartable",
        "root",
        "root_mounts",
        "rootless",
        "stdio",
        "systemd_cgroup",
        "trees",
    )

    def __init__(
        self,
        *,
        root: str,
        id: str,  # noqa: A002 - the specification's word
        bundle: str,
        config: str = "config.json",
        console_socket: str = "",
        pid_file: str = "",
        pidfd_socket: str = "",
        notify_socket: str = "",
        no_pivot: bool = False,
        no_new_keyring: bool = False,
        preserve_fds: int = 0,
        listen_fds: int = 0,
        stdio: tuple[int, int, int] = (0, 1, 2),
        rootless: bool = False,
        systemd_cgroup: bool = False,
        restartable: bool = False,
        filters: Cache | None = None,
        root_mounts: Sequence[dict[str, Any]] = (),
        connect: Callable[[int], None] | None = None,
        look: Callable[[int], None] | None = None,
        trees: Mapping[str, int] | None = None,
        parent: int = -1,
    ) -> None:
        self.root = root
        self.id = id
        self.bundle = bundle
        self.config = config
        self.console_socket = console_socket
        self.pid_file = pid_file
        self.pidfd_socket = pidfd_socket
        self.notify_socket = notify_socket
        self.no_pivot = no_pivot
        self.no_new_keyring = no_new_keyring
        self.preserve_fds = preserve_fds
        self.listen_fds = listen_fds
        self.stdio = stdio
        self.rootless = rootless
        self.systemd_cgroup = systemd_cgroup
        self.restartable = restartable
        self.filters = filters
        self.root_mounts = root_mounts
        self.connect = connect
        self.look = look
        self.trees = trees
        self.parent = parent
