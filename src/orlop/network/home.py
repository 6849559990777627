"""Where the devices of networks are: with root where root is, with an ordinary user in a namespace of the engine's own.

That is one network namespace for each engine, below a user namespace of the user's, and a process that holds both
(`orlop.engine.network_holder`). What is done to networks is then done by a child that enters them: it is root there, and by
the same code as the machine's own. The containers' user namespaces are children of that one, so that it may put the other
ends of devices into theirs.

``<run root>/networks/.home`` has, while anybody needs it:

    holder          the holder's pid and start time
    program         the pid of the program that connects it to the outside
    users/<id>      one file per container whose namespaces are below it
"""

from __future__ import annotations

import os

from orlop.linux import namespace, pidfd, procfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.network.place import Place

HOLDER = "holder"
_ENDED = "ZX"


def directory(place: Place) -> str:
    """Where all that is noted."""
    return f"{place.run_directory}/.home"


def holder(place: Place) -> int:
    """The pid of who holds the namespaces; 0 if nobody does."""
    try:
        with open(f"{directory(place)}/{HOLDER}", "rb", buffering=0) as file:
            pid, start_time = (int(word) for word in file.read(64).split())
    except (FileNotFoundError, ValueError):
        return 0
    status = procfs.stat(pid)
    return pid if status is not None and status.start_time == start_time and status.state not in _ENDED else 0


def enter(pid: int) -> None:
    """Be where the networks are that a process holds, and root there; for a child with one thread.

    Raises:
        OSError: it has just ended.
    """
    process = pidfd.open_process(pid)
    try:
        kinds = namespace.CLONE_NEWNET
        if namespace.identity(f"/proc/{pid}/ns/user") != namespace.identity("/proc/self/ns/user"):
            kinds |= namespace.CLONE_NEWUSER
        namespace.join(process, kinds)
    finally:
        os.close(process)
