"""Namespaces: their kinds, joining and leaving them, and the id mappings of user namespaces.

Sources: namespaces(7), setns(2), unshare(2), user_namespaces(7), time_namespaces(7).
"""

from __future__ import annotations

import os

from orlop.errors import StepFailed, Unsupported
from orlop.linux import number
from orlop.linux.call import syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CLONE_NEWTIME = 0x00000080
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

#: The runtime specification's word for a kind of namespace → clone flag.
FLAGS = {
    "user": CLONE_NEWUSER,
    "cgroup": CLONE_NEWCGROUP,
    "ipc": CLONE_NEWIPC,
    "uts": CLONE_NEWUTS,
    "network": CLONE_NEWNET,
    "pid": CLONE_NEWPID,
    "mount": CLONE_NEWNS,
    "time": CLONE_NEWTIME,
}

#: The specification's word → the file's name in /proc/PID/ns.
FILES = {
    "user": "user",
    "cgroup": "cgroup",
    "ipc": "ipc",
    "uts": "uts",
    "network": "net",
    "pid": "pid",
    "mount": "mnt",
    "time": "time",
}


def supported() -> list[str]:
    """The kinds that this kernel has."""
    return [kind for kind, file in FILES.items() if os.path.exists(f"/proc/self/ns/{file}")]


def join(descriptor: int, kind: int = 0, path: str | None = None) -> None:
    """Enter a namespace, or with a pidfd every namespace in ``kind`` at once (Linux 5.8).

    Joining a pid or time namespace concerns the children only.
    """
    syscall(number.SETNS, "setns", path, descriptor, kind)


def unshare(kinds: int) -> None:
    """Leave namespaces for new ones."""
    syscall(number.UNSHARE, "unshare", None, kinds)


def identity(path: str) -> tuple[int, int] | None:
    """What distinguishes the namespace that ``path`` names from all others; None if the kernel has no such kind."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _lines(mappings: list[dict[str, Any]]) -> str:
    return "".join(f"{each['containerID']} {each['hostID']} {each['size']}\n" for each in mappings)


def map_users(
    pid: int,
    uid_mappings: list[dict[str, Any]],
    gid_mappings: list[dict[str, Any]],
    *,
    privileged: bool,
) -> None:
    """Write the id mappings of the new user namespace that process ``pid`` is in.

    ``privileged`` says whether the caller may map any id; if not, the setuid programs newuidmap(1) and
    newgidmap(1) do it within the caller's ranges of /etc/subuid and /etc/subgid, unless only the caller's
    own id is mapped, which the kernel allows by itself once setgroups(2) is denied (CVE-2014-8989).

    Raises:
        StepFailed: a mapping is refused.
        Unsupported: newuidmap is needed and not installed.
    """
    if privileged:
        _write(f"/proc/{pid}/gid_map", _lines(gid_mappings))
        _write(f"/proc/{pid}/uid_map", _lines(uid_mappings))
        return
    if _is_own(gid_mappings, os.getegid()):
        _write(f"/proc/{pid}/setgroups", "deny")
        _write(f"/proc/{pid}/gid_map", _lines(gid_mappings))
    else:
        _map_by_program("newgidmap", pid, gid_mappings)
    if _is_own(uid_mappings, os.geteuid()):
        _write(f"/proc/{pid}/uid_map", _lines(uid_mappings))
    else:
        _map_by_program("newuidmap", pid, uid_mappings)


def _is_own(mappings: list[dict[str, Any]], own_id: int) -> bool:
    return len(mappings) == 1 and mappings[0]["size"] == 1 and mappings[0]["hostID"] == own_id


def _write(path: str, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StepFailed("write id mapping", path, error.strerror or "", error.errno or 0) from None


def _map_by_program(program: str, pid: int, mappings: list[dict[str, Any]]) -> None:
    path = _find(program)
    arguments = [program, str(pid)]
    for each in mappings:
        arguments += [str(each["containerID"]), str(each["hostID"]), str(each["size"])]
    reader, writer = os.pipe()
    try:
        child = os.posix_spawn(path, arguments, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, writer, 2)])
        os.close(writer)
        writer = -1
        text = os.read(reader, 4096).decode(errors="replace").strip()
        _, status = os.waitpid(child, 0)
    finally:
        os.close(reader)
        if writer >= 0:
            os.close(writer)
    if status:
        raise StepFailed("map ids with", program, text or f"exit status {os.waitstatus_to_exitcode(status)}")


def _find(program: str) -> str:
    for directory in ("/usr/bin", "/bin", "/usr/local/bin"):
        path = f"{directory}/{program}"
        if os.access(path, os.X_OK):
            return path
    raise Unsupported(f"{program} is not installed; mapping more than one's own id needs it (Debian package uidmap)")
