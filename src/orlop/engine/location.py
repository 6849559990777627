"""Where an engine keeps its state.

Two directories, so that what must not survive a reboot lies on a file system that does not:

``root``
    containers and their names: ``/var/lib/orlop``, or ``$XDG_DATA_HOME/orlop`` for an ordinary user
``run_root``
    locks, sockets and the runtime's state: ``/run/orlop``, or ``$XDG_RUNTIME_DIR/orlop``

``ORLOP_ROOT`` and ``ORLOP_RUN_ROOT`` move them; any number of engines live side by side.
"""

from __future__ import annotations

import os
import stat

from orlop.engine import whereabouts
from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from orlop.network.place import Place

#: Nobody else may look into state: a layer may hold a setuid program that the host has since repaired
#: (CVE-2021-41091).
_PRIVATE = 0o700
_WRITABLE_BY_OTHERS = 0o022


class Location:
    """One engine's directories. Making the value touches nothing; `prepare` makes the directories."""

    __slots__ = ("root", "rootless", "run_root")

    def __init__(self, root: str, run_root: str, *, rootless: bool) -> None:
        self.root = root
        self.run_root = run_root
        #: Whether the engine is an ordinary user's.
        self.rootless = rootless

    @property
    def containers(self) -> str:
        """One directory per container."""
        return f"{self.root}/containers"

    @property
    def names(self) -> str:
        """One symbolic link per name, to the id that has it."""
        return f"{self.root}/names"

    @property
    def volumes(self) -> str:
        """One directory per volume."""
        return f"{self.root}/volumes"

    @property
    def mount_points(self) -> str:
        """What is below every container's image (`orlop.engine.mount_points`)."""
        return f"{self.root}/mount-points"

    @property
    def snapshots(self) -> str:
        """The storage drivers' directories; there once an image was."""
        return f"{self.root}/snapshots"

    @property
    def running(self) -> str:
        """One directory per container that has a monitor."""
        return f"{self.run_root}/containers"

    @property
    def runtime(self) -> str:
        """The OCI runtime's state root."""
        return f"{self.run_root}/runtime"

    @property
    def networks(self) -> Place:
        """Where the networks are."""
        from orlop.network.place import Place

        return Place(f"{self.root}/networks", f"{self.run_root}/networks", rootless=self.rootless)

    def prepare(self) -> None:
        """Make the directories that are missing.

        Raises:
            OSError: a directory cannot be made.
            OrlopError: the state was copied or moved here, and a record in it is damaged.
            InvalidArgument: the run directory belongs to somebody else, who could put sockets there.
        """
        if os.path.isdir(self.names):
            whereabouts.check(self)
        else:
            for directory in (self.root, self.containers, self.names):
                _make(directory)
            whereabouts.note(self)
        if not os.path.isdir(self.running):
            for directory in (self.run_root, self.running):
                _make(directory)
        _check_owner(self.run_root)


def _make(directory: str) -> None:
    parent = os.path.dirname(directory)
    if not os.path.isdir(parent):
        os.makedirs(parent, 0o755, exist_ok=True)
    try:
        os.mkdir(directory, _PRIVATE)
    except FileExistsError:
        return


def _check_owner(directory: str) -> None:
    status = os.lstat(directory)
    if status.st_uid != os.geteuid() or not stat.S_ISDIR(status.st_mode) or status.st_mode & _WRITABLE_BY_OTHERS:
        raise InvalidArgument(
            f"the run directory {directory} is not a directory that only uid {os.geteuid()} can write to: "
            "name another with --run-root"
        )


def locate(
    root: str | None = None, run_root: str | None = None, environment: Mapping[str, str] | None = None
) -> Location:
    """The engine that these options and the environment mean; an option counts before the environment.

    Raises:
        InvalidArgument: an ordinary user without a home directory named none, or somebody else has made the
            place in /tmp that stands in for a missing XDG_RUNTIME_DIR.
    """
    variables = os.environ if environment is None else environment
    user = os.geteuid()
    rootless = user != 0
    root = root or variables.get("ORLOP_ROOT")
    if not root:
        root = _user_root(variables) if rootless else "/var/lib/orlop"
    run_root = run_root or variables.get("ORLOP_RUN_ROOT")
    if not run_root:
        run_root = _user_run_root(variables, user) if rootless else "/run/orlop"
    return Location(os.path.abspath(root), os.path.abspath(run_root), rootless=rootless)


def _user_root(variables: Mapping[str, str]) -> str:
    data = variables.get("XDG_DATA_HOME")
    if not data:
        home = variables.get("HOME")
        if not home:
            raise InvalidArgument("neither HOME nor XDG_DATA_HOME is set; name the state directory with --root")
        data = f"{home}/.local/share"
    return f"{data}/orlop"


def _user_run_root(variables: Mapping[str, str], user: int) -> str:
    directory = variables.get("XDG_RUNTIME_DIR")
    if directory:
        return f"{directory}/orlop"
    # Without a session there is only /tmp, where anybody could have been before us.
    directory = f"/tmp/orlop-run-{user}"
    try:
        os.mkdir(directory, _PRIVATE)
    except FileExistsError:
        _check_owner(directory)
    return f"{directory}/orlop"
