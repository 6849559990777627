"""A container as the runtime knows it: a directory of state, from which its status is derived.

The directory ``<root>/<id>/`` is claimed with mkdir and serialised with flock on itself. It holds

``state.json``
    what was true when the container was created; replaced by rename, never edited
``config.json``
    the bundle's configuration as it was then
``cgroup.json``
    which cgroup is the container's: what whoever clears away an interrupted creation may remove
``start.sock``
    there while the container is created and not yet started

The status is never stored, because it would be wrong as soon as a process is killed. See
runtime-spec, runtime.md, "State".
"""

from __future__ import annotations

import fcntl
import os

from orlop import json_text
from orlop.errors import Conflict, InvalidArgument, NotFound, OrlopError
from orlop.linux import procfs
from orlop.runtime.step import step

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    from orlop.linux.cgroup import Group
    from orlop.runtime.cache_allocation import Allocation

STATE_FILE = "state.json"
CONFIG_FILE = "config.json"
CGROUP_FILE = "cgroup.json"
START_SOCKET = "start.sock"
#: Without these a record is none.
_REQUIRED = frozenset(["pid", "start_time", "cgroup"])

_ID_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-.")
_LONGEST_ID = 1024


def validate_id(container_id: str) -> None:
    """Check that an id is safe as a directory's name.

    Raises:
        InvalidArgument: it is empty, too long, ``.``, ``..`` or has a character other than letters, digits and ``_+-.``.
    """
    if not container_id:
        raise InvalidArgument("container id cannot be empty")
    if len(container_id) > _LONGEST_ID:
        raise InvalidArgument(f"container id cannot be longer than {_LONGEST_ID} characters")
    if container_id in (".", "..") or not _ID_CHARACTERS.issuperset(container_id):
        raise InvalidArgument(f"invalid container id format: {container_id!r}; use letters, digits and _ + - .")


class Lock:
    """The exclusive right to change a container; held until the ``with`` block ends or the process dies."""

    __slots__ = ("_descriptor",)

    def __init__(self, directory: str) -> None:
        while True:
            try:
                self._descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                raise NotFound(f'container "{os.path.basename(directory)}" does not exist') from None
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            if _is_same_file(self._descriptor, directory):
                return
            os.close(self._descriptor)  # removed, and perhaps made anew, while we waited

    @property
    def descriptor(self) -> int:
        """What holds the lock, and would in a child as well."""
        return self._descriptor

    def close(self) -> None:
        """Give the right up."""
        os.close(self._descriptor)

    def __enter__(self) -> Lock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _is_same_file(descriptor: int, path: str) -> bool:
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    here = os.fstat(descriptor)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


class Container:
    """One container below a state root."""

    __slots__ = ("_config", "directory", "id", "is_left_over", "record", "root")

    def __init__(self, root: str, container_id: str, record: dict[str, Any] | None) -> None:
        self.root = root
        self.id = container_id
        self.directory = f"{root}/{container_id}"
        #: What ``state.json`` says; None while the container is being created.
        self.record = record
        self._config: dict[str, Any] | None = None
        #: Whether the directory is what an interrupted creation left; see `claim`.
        self.is_left_over = False

    @classmethod
    def load(cls, root: str, container_id: str) -> Container:
        """Read a container's state.

        Raises:
            InvalidArgument: the id is malformed.
            NotFound: there is no such container.
        """
        validate_id(container_id)
        directory = f"{root}/{container_id}"
        try:
            with open(f"{directory}/{STATE_FILE}", "rb") as file:
                record = json_text.loads(file.read())
        except FileNotFoundError:
            if not os.path.isdir(directory):
                raise NotFound(f'container "{container_id}" does not exist') from None
            record = None
        except ValueError as error:
            raise OrlopError(f"container state {directory}/{STATE_FILE} is damaged: {error}") from None
        if record is not None and not (isinstance(record, dict) and record.keys() >= _REQUIRED):
            raise OrlopError(f"container state {directory}/{STATE_FILE} is damaged: it is no container's")
        return cls(root, container_id, record)

    @classmethod
    def claim(cls, root: str, container_id: str) -> tuple[Container, Lock]:
        """Make the state directory of a new container and lock it.

        A directory that an interrupted ``create`` left behind is taken over; ``is_left_over`` tells the caller to
        clear it away first.

        Raises:
            Conflict: a container with this id exists.
            InvalidArgument: the state root cannot be written to.
        """
        validate_id(container_id)
        directory = f"{root}/{container_id}"
        container = cls(root, container_id, None)
        try:
            os.makedirs(root, 0o711, exist_ok=True)
            os.mkdir(directory, 0o711)
        except FileExistsError:
            container.is_left_over = True
        except OSError as error:
            reason = (error.strerror or "").lower()
            hint = "name a directory of yours with --root, or set XDG_RUNTIME_DIR"
            raise InvalidArgument(f"make state directory {directory}: {reason}; {hint}") from None
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise Conflict(f'container "{container_id}" already exists') from None
        os.close(descriptor)
        lock = Lock(directory)
        if os.path.exists(f"{directory}/{STATE_FILE}"):
            lock.close()
            raise Conflict(f'container "{container_id}" already exists')
        return container, lock

    def config(self) -> dict[str, Any]:
        """The configuration that the container was created with."""
        if self._config is None:
            with open(f"{self.directory}/{CONFIG_FILE}", "rb") as file:
                self._config = json_text.loads(file.read())
        return self._config

    def save(self, name: str, value: object) -> None:
        """Write a file of the state directory, whole or not at all: aside, then renamed.

        Raises:
            StepFailed: it cannot be written.
        """
        where = f"{self.directory}/{name}"
        aside = f"{self.directory}/.{name}.{os.getpid()}"
        data = json_text.dumps(value).encode()
        with step("write", where):
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                while data:
                    data = data[os.write(descriptor, data) :]
            finally:
                os.close(descriptor)
            os.rename(aside, where)

    def write_record(self, record: dict[str, Any]) -> None:
        """Write ``state.json``, with which the container is there for everybody.

        Raises:
            StepFailed: it cannot be written.
        """
        self.save(STATE_FILE, record)
        self.record = record

    @property
    def pid(self) -> int:
        """The init process's id as the caller's namespace sees it; 0 while creating."""
        return int(self.record["pid"]) if self.record else 0

    @property
    def keyring(self) -> str:
        """The name of the session keyring that all its processes share.

        Whoever knows the name and has the same user id can join the keyring or make it first, so that the id will
        not do: part of it is random.
        """
        return str(self.record["keyring"]) if self.record and "keyring" in self.record else f"_ses.{self.id}"

    @property
    def start_socket(self) -> str:
        """The socket at which a created container's init waits for its start."""
        return f"{self.directory}/{START_SOCKET}"

    def alive(self) -> bool:
        """Whether the init process still runs (and is not another one with its number)."""
        if not self.record:
            return False
        process = procfs.stat(self.pid)
        return process is not None and process.state not in "ZX" and process.start_time == self.record["start_time"]

    def cgroup(self) -> Group:
        """The container's control group."""
        from orlop.linux import cgroup

        return cgroup.from_record(self.record["cgroup"] if self.record else {})

    def allocation(self) -> Allocation | None:
        """Its resctrl group, if its configuration or an update asked for one."""
        record = (self.record or {}).get("resctrl")
        if not record:
            return None
        from orlop.runtime import cache_allocation

        return cache_allocation.from_record(record)

    def status(self) -> str:
        """One of ``creating``, ``created``, ``running``, ``paused``, ``stopped``."""
        if not self.record:
            return "creating"
        if not self.alive():
            return "stopped"
        if self.cgroup().frozen:
            return "paused"
        return "created" if os.path.exists(self.start_socket) else "running"

    def state(self, status: str | None = None) -> dict[str, Any]:
        """The OCI state, as hooks get it on their standard input (runtime.md, "State")."""
        record = self.record or {}
        status = status or self.status()
        state = {
            "ociVersion": record.get("ociVersion", ""),
            "id": self.id,
            "pid": 0 if status == "stopped" else self.pid,
            "status": status,
            "bundle": record.get("bundle", ""),
            "rootfs": record.get("rootfs", ""),
            "created": record.get("created", ""),
        }
        if record.get("annotations"):
            state["annotations"] = record["annotations"]
        return state

    def state_with_owner(self) -> dict[str, Any]:
        """The OCI state and the name of the user who created the container, as ``state`` and ``list`` print it.

        Apart from `state`, because looking a user's name up takes longer than all the rest.
        """
        return {**self.state(), "owner": _user_name(os.stat(self.directory).st_uid)}

    def lock(self) -> Lock:
        """Wait for the exclusive right to change this container.

        Raises:
            NotFound: it was removed meanwhile.
        """
        return Lock(self.directory)

    def signal(self, number: int) -> None:
        """Send the init process a signal, never to another process that got its number.

        Raises:
            ProcessLookupError: it no longer runs.
        """
        from orlop.linux import pidfd

        descriptor = pidfd.open_process(self.pid)
        try:
            if not self.alive():
                raise ProcessLookupError(f"process {self.pid} has ended")
            pidfd.send_signal(descriptor, number)
        finally:
            os.close(descriptor)

    def connect(self, socket: _socket.socket) -> None:
        """Reach the init that waits for its start.

        Raises:
            FileNotFoundError, ConnectionRefusedError: none does.
        """
        directory = os.open(self.directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # By way of the descriptor: a socket's path is limited to 107 bytes.
            socket.connect(f"/proc/self/fd/{directory}/{START_SOCKET}")
        finally:
            os.close(directory)

    def empty(self) -> None:
        """Delete what is in the state directory. ``state.json`` goes last, so an interruption is repairable."""
        try:
            names = os.listdir(self.directory)
        except FileNotFoundError:
            return
        for name in sorted(names, key=lambda name: name == STATE_FILE):
            where = f"{self.directory}/{name}"
            try:
                os.unlink(where)
            except FileNotFoundError:
                continue
            except IsADirectoryError:  # `readiness` has one, with a socket at most
                for below in os.listdir(where):
                    os.unlink(f"{where}/{below}")
                os.rmdir(where)

    def remove(self) -> None:
        """Delete the state directory."""
        self.empty()
        try:
            os.rmdir(self.directory)
        except FileNotFoundError:
            return


def _user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def containers(root: str, damaged: Callable[[str], None]) -> list[Container]:
    """All containers below a state root, sorted by id; one that disappears meanwhile is left out.

    ``damaged`` is told of each whose state cannot be read, which is left out too.
    """
    try:
        names = sorted(os.listdir(root))
    except FileNotFoundError:
        return []
    found = []
    for name in names:
        try:
            found.append(Container.load(root, name))
        except (NotFound, InvalidArgument):
            continue
        except OrlopError as error:
            damaged(str(error))
        except NotADirectoryError:
            continue  # somebody else's file
    return found
