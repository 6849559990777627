"""The processes of a container, as the host sees them."""

from __future__ import annotations

import os

from orlop.errors import InvalidArgument, NotFound, OrlopError
from orlop.runtime.kill import has_own_pid_namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from orlop.runtime.container import Container


def pids(container: Container) -> list[int]:
    """The ids of the container's processes, lowest first; none if it has ended.

    They are those in its cgroup. Where it has none, because the user may not make any, they are those in its
    pid namespace, and if that is not its own either, only the init process is known.
    """
    group = container.cgroup()
    if group.hierarchies:
        return sorted(group.pids(recursive=True)) if group.exists else []
    if not container.alive():
        return []
    return _in_namespace_of(container.pid) if has_own_pid_namespace(container) else [container.pid]


def _in_namespace_of(init: int) -> list[int]:
    namespace = _namespace(init)
    found = [int(name) for name in os.listdir("/proc") if name.isdigit() and _namespace(int(name)) == namespace]
    return sorted(found) if namespace else [init]


def _namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""  # it ended, or is another user's and so not in this container


def table(container: Container, options: Sequence[str] = ()) -> str:
    """What ``ps`` prints with ``options`` (default ``-ef``), less the lines of other processes.

    Raises:
        NotFound: the machine has no ``ps``.
        InvalidArgument: the options leave out the column PID.
        OrlopError: ``ps`` failed.
    """
    import subprocess  # a command for people: start-up time is not what counts

    command = ["ps", *(options or ("-ef",))]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603
    except FileNotFoundError:
        raise NotFound("cannot list processes: the program ps is not installed (Debian: procps)") from None
    if done.returncode:
        raise OrlopError(f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()}")
    header, *lines = done.stdout.splitlines() or [""]
    columns = header.split()
    if "PID" not in columns:
        raise InvalidArgument(f"cannot find the column PID in what '{' '.join(command)}' prints")
    place = columns.index("PID")
    ours = {str(pid) for pid in pids(container)}
    shown = [line for line in lines if len(fields := line.split()) > place and fields[place] in ours]
    return "".join(f"{line}\n" for line in (header, *shown))
