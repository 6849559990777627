"""Kernel parameters (``linux.sysctl``): which namespace each belongs to, and where it is below ``/proc/sys``.

Only parameters that a namespace has to itself may be set: any other would change the whole machine.
"""

from __future__ import annotations

from orlop.errors import InvalidConfig

#: ipc_namespaces(7) and ipc/ipc_sysctl.c.
_IPC = (
    "auto_msgmni",
    "msg_next_id",
    "msgmax",
    "msgmnb",
    "msgmni",
    "sem",
    "sem_next_id",
    "shm_next_id",
    "shm_rmid_forced",
    "shmall",
    "shmmax",
    "shmmni",
)


def path_of(name: str) -> str:
    """The parameter's file below ``/proc/sys``: ``net.ipv4.ip_forward`` is ``net/ipv4/ip_forward``.

    As in sysctl(8), the first separator decides: after a slash first, dots are part of names
    (``net/ipv4/conf/eth0.1/forwarding``); after a dot first, slashes stand for them.

    Raises:
        InvalidConfig: the name leads elsewhere (``..``) or has an empty part.
    """
    dot, slash = name.find("."), name.find("/")
    if dot != -1 and (slash == -1 or dot < slash):
        path = name.replace("/", "\0").replace(".", "/").replace("\0", ".")
    else:
        path = name
    for part in path.split("/"):
        if part in ("", ".", ".."):
            raise InvalidConfig(f"linux.sysctl.{name} is no name of a kernel parameter")
    return path


def check(parameters: dict[str, str], namespaces: dict[str, str]) -> None:
    """Refuse what is not the container's own.

    Raises:
        InvalidConfig: a parameter of the whole machine, or of a namespace that the container shares.
    """
    for name in parameters:
        path = path_of(name)
        if path == "kernel/hostname":
            raise InvalidConfig(f"linux.sysctl.{name} is set by the field hostname instead")
        owner = _namespace(path)
        if owner == "":
            raise InvalidConfig(f"linux.sysctl.{name} belongs to the whole machine and cannot be set in a container")
        if owner not in namespaces:
            article = "an" if owner == "ipc" else "a"
            raise InvalidConfig(f"linux.sysctl.{name} needs {article} {owner} namespace in linux.namespaces")


def _namespace(path: str) -> str:
    """The type of namespace that has the parameter at ``path`` to itself, or ""."""
    if path.startswith("net/"):
        return "network"
    if path.startswith("fs/mqueue/"):
        return "ipc"
    if path.startswith("user/"):
        return "user"
    if path == "kernel/domainname":
        return "uts"
    if path.startswith("kernel/") and path[7:] in _IPC:
        return "ipc"
    return ""
