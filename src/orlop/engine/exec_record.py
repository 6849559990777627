"""What is known of the commands that were executed in containers: ``<run root>/execs/<container>/<exec id>.json``.

Each is Docker's ``ExecInspect`` with the OCI process that is to be run, written by whoever prepares it and then by the
command's monitor, which can be reached at a control socket of the exec's id. Those that have ended are kept for a while,
for whoever asks how.
"""

from __future__ import annotations

import os
import time

from orlop.engine import container, control_socket, monitor_lock
from orlop.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.location import Location

#: Seconds that the record of a command is kept that has ended.
_KEPT = 300.0
#: Seconds in which whoever makes a socket certainly listens at it.
_SETTLING = 10.0
_ENDING = ".json"


def directory(location: Location, container_id: str) -> str:
    """Where the records of a container's commands are."""
    return f"{location.run_root}/execs/{container_id}"


def new(
    container_id: str, process: dict[str, Any], *, open_stdin: bool, privileged: bool, user: str, detach_keys: str = ""
) -> dict[str, Any]:
    """The record of a command that is to be executed."""
    words = process["args"]
    return {
        "ID": os.urandom(32).hex(),
        "ContainerID": container_id,
        "Running": False,
        "ExitCode": None,
        "Pid": 0,
        "OpenStdin": open_stdin,
        "OpenStdout": True,
        "OpenStderr": True,
        "CanRemove": False,
        "DetachKeys": detach_keys,
        "ProcessConfig": {
            "tty": process["terminal"],
            "entrypoint": words[0] if words else "",
            "arguments": words[1:],
            "privileged": privileged,
            "user": user,
        },
    }


def write(location: Location, record: dict[str, Any]) -> None:
    """Replace a record.

    Raises:
        OSError: it cannot be written.
    """
    path = f"{directory(location, record['ContainerID'])}/{record['ID']}{_ENDING}"
    try:
        container.write(path, record)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        container.write(path, record)


def read(location: Location, exec_id: str) -> dict[str, Any]:
    """A command's record as it was last written.

    Raises:
        NotFound: there is none, or it was forgotten.
    """
    if exec_id.isalnum():
        for container_id in _containers(location):
            record = container.read(f"{directory(location, container_id)}/{exec_id}{_ENDING}")
            if record is not None:
                return record
    raise NotFound(f"no such exec instance: {exec_id}")


def running(location: Location, container_id: str) -> list[str]:
    """The ids of the commands that run in a container."""
    ids = [name.removesuffix(_ENDING) for name in _names(directory(location, container_id)) if name.endswith(_ENDING)]
    return [exec_id for exec_id in ids if is_running(location, exec_id)]


def is_running(location: Location, exec_id: str) -> bool:
    """Whether somebody looks after the command."""
    client = control_socket.connect(location, exec_id)
    if client is None:
        return False
    client.close()
    return True


def sweep(location: Location, container_id: str) -> None:
    """Forget what ended long ago."""
    place = directory(location, container_id)
    for name in _names(place):
        path = f"{place}/{name}"
        try:
            if time.time() - os.stat(path).st_mtime > _KEPT and not is_running(location, name.removesuffix(_ENDING)):
                os.unlink(path)
        except FileNotFoundError:
            continue


def forget(location: Location, container_id: str) -> None:
    """Forget the commands of a container that is removed."""
    place = directory(location, container_id)
    for name in _names(place):
        try:
            os.unlink(f"{place}/{name}")
        except FileNotFoundError:
            continue
    try:
        os.rmdir(place)
    except OSError:
        return  # there was none, or a command has just ended; the next sweep takes it


def sweep_all(location: Location) -> None:
    """Forget the commands of containers that are gone, what was not written whole, and sockets of monitors that were killed."""
    place = f"{location.run_root}/execs"
    for name in _names(place):
        if name.startswith(container.PART):
            container.discard_unwritten(place, name)
    for container_id in _containers(location):
        if not os.path.isdir(f"{location.containers}/{container_id}"):
            forget(location, container_id)
    for name in _names(control_socket.directory(location)):
        # The socket of a container's monitor is looked after with that; a command's is listened at at once.
        is_forsaken = not os.path.exists(monitor_lock.path_of(location, name)) and _is_old(location, name)
        if is_forsaken and not is_running(location, name):
            control_socket.remove(location, name)


def _containers(location: Location) -> list[str]:
    """The containers of which there are records."""
    return [name for name in _names(f"{location.run_root}/execs") if name[0] != "."]


def _is_old(location: Location, name: str) -> bool:
    try:
        made = os.stat(f"{control_socket.directory(location)}/{name}").st_mtime
    except FileNotFoundError:
        return False
    return time.time() - made > _SETTLING


def _names(place: str) -> list[str]:
    try:
        return os.listdir(place)
    except FileNotFoundError:
        return []
