"""What the options before the command say: the state root, the log, and how privileges are seen."""

from __future__ import annotations

import os

from orlop.errors import InvalidArgument, OrlopError, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from orlop.options import Parsed
    from orlop.runtime.command.log import Log
    from orlop.runtime.container import Container

_STDOUT = 1
_DIRECTORY = "orlop-runtime"


class Invocation:
    """One call of `orlop-runtime`, as the commands see it."""

    __slots__ = ("_rootless", "_systemd_cgroup", "log", "no_pivot", "root")

    def __init__(self, said: Parsed, log: Log) -> None:
        self.root: str = os.path.abspath(said["root"]) if said["root"] else default_root()
        self.log = log
        self._rootless: bool | None = said["rootless"]
        self._systemd_cgroup: bool = said["systemd-cgroup"] or said["cgroup-manager"] == "systemd"
        self.no_pivot: bool = said["no-pivot"]

    def container(self, container_id: str) -> Container:
        """The container with this id.

        Raises:
            NotFound: there is none below the root.
        """
        from orlop.runtime.container import Container

        return Container.load(self.root, container_id)

    def for_each(self, pattern: str, do: Callable[[Container], None]) -> int:
        """Do something to all containers whose ids a regular expression matches somewhere.

        Returns:
            the exit code: what goes wrong with one is logged, and the others have their turn.
        """
        import re  # for people, who can wait for it

        from orlop.runtime.container import containers

        try:
            matches = re.compile(pattern).search
        except re.error as error:
            raise InvalidArgument(f"{pattern!r} is no regular expression: {error}") from None
        code = 0
        for each in containers(self.root, self.log.warning):
            if matches(each.id):
                try:
                    do(each)
                except OrlopError as error:
                    self.log.failure(str(error))
                    code = 1
        return code

    def rootless(self) -> bool:
        """Whether missing rights to cgroups are to be put up with: as the user said, else found out."""
        if self._rootless is None:
            return os.geteuid() != 0 or in_user_namespace()
        return self._rootless

    def systemd_cgroup(self) -> bool:
        """Whether cgroups are to be made by systemd.

        Raises:
            Unsupported: the user wants that and systemd does not run here.
        """
        # sd_booted(3) looks at this directory.
        if self._systemd_cgroup and not os.path.isdir("/run/systemd/system"):
            raise Unsupported("systemd not running on this host, cannot use --systemd-cgroup")
        return self._systemd_cgroup

    @staticmethod
    def write(text: str) -> None:
        """Print ``text`` to standard output, whatever the locale."""
        rest = text.encode("utf-8", "surrogateescape")
        while rest:
            rest = rest[os.write(_STDOUT, rest) :]


def in_user_namespace() -> bool:
    """Whether root here is not the machine's root (user_namespaces(7): the first one maps all ids to themselves)."""
    try:
        with open("/proc/self/uid_map", "rb", buffering=0) as file:
            return file.read().split() != [b"0", b"0", b"4294967295"]
    except FileNotFoundError:
        return False  # a kernel without user namespaces


def default_root() -> str:
    """Where state is kept unless ``--root`` says otherwise: in ``/run``, or in the user's own run directory."""
    own = os.environ.get("XDG_RUNTIME_DIR", "")
    # Root in a user namespace is some user whose engine set it up (podman leaves USER unset), or root who asked
    # for the namespace; to the latter /run is open.
    if own and (os.geteuid() != 0 or (os.environ.get("USER") != "root" and in_user_namespace())):
        return f"{own}/{_DIRECTORY}"
    return f"/run/{_DIRECTORY}"
