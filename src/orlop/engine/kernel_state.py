"""What the kernel says of a container's first process: the truth about how it is isolated, whatever was asked for."""

from __future__ import annotations

from orlop.errors import NotFound
from orlop.linux import capability, namespace
from orlop.runtime.container import Container as RuntimeContainer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from orlop.engine.container import Container
    from orlop.linux.cgroup import Group

_ESCAPES = (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\"))


class KernelState:
    """One process, read once.

    Attributes:
        pid: its number.
        shared: the kinds of namespaces, in the runtime specification's words, that are also ours, the caller's.
        bounding: names of the capabilities that any process in it can ever have.
        effective: those that it has.
        uid: its real user id, as this machine sees it.
        user_map: the first line of its ``uid_map``: its root's id outside, and how many ids there are.
        has_filter: whether a seccomp filter holds for it.
        no_new_privileges: whether no program that it executes can gain rights.
        mounts: where something is mounted, and whether one can write there, the topmost for each place.
        confinement: what a security module calls its profile; empty if there is none.
        group: its control group, or None.
    """

    __slots__ = (
        "bounding",
        "confinement",
        "effective",
        "group",
        "has_filter",
        "mounts",
        "no_new_privileges",
        "pid",
        "shared",
        "uid",
        "user_map",
    )

    def __init__(self, pid: int, group: Group | None) -> None:
        self.pid = pid
        self.group = group
        status = _status(pid)
        self.bounding = _names(status["CapBnd"])
        self.effective = _names(status["CapEff"])
        self.uid = int(status["Uid"].split()[0])
        self.has_filter = status.get("Seccomp", "0").strip() == "2"
        self.no_new_privileges = status.get("NoNewPrivs", "0").strip() == "1"
        self.user_map = _user_map(pid)
        self.shared = {kind for kind, file in namespace.FILES.items() if _is_ours(pid, file)}
        self.mounts = _mounts(pid)
        self.confinement = _first_line(f"/proc/{pid}/attr/current").rstrip("\0")


def read(target: Container) -> KernelState | None:
    """The state of a container that runs; None if it does not.

    Raises:
        PermissionError: it is not ours to look at.
    """
    try:
        inner = RuntimeContainer.load(target.location.runtime, target.id)
        found = KernelState(inner.pid, inner.cgroup() if inner.record is not None else None)
    except (NotFound, FileNotFoundError, ProcessLookupError):
        return None
    return found if inner.alive() else None  # so what was read is not another's who has got its number


def limit(group: Group | None, controller: str, names: Iterable[str]) -> str | None:
    """What the first of these files of a control group that is there says; None if there is none."""
    directory = group.directory(controller) if group is not None else None
    for name in names if directory else ():
        text = _first_line(f"{directory}/{name}")
        if text:
            return text
    return None


def _status(pid: int) -> dict[str, str]:
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        pairs = (line.partition(":") for line in file)
        return {key: value.strip() for key, _, value in pairs}


def _names(mask: str) -> list[str]:
    bits = int(mask, 16)
    return [name for number, name in enumerate(capability.NAMES) if bits >> number & 1]


def _user_map(pid: int) -> tuple[int, int]:
    words = _first_line(f"/proc/{pid}/uid_map").split()
    return (int(words[1]), int(words[2])) if len(words) == 3 else (0, 1 << 32)


def _is_ours(pid: int, file: str) -> bool:
    return namespace.identity(f"/proc/{pid}/ns/{file}") == namespace.identity(f"/proc/self/ns/{file}")


def _mounts(pid: int) -> dict[str, bool]:
    """The fifth and sixth field of each line of mountinfo (proc(5)), and the options of its file system after the dash."""
    found: dict[str, bool] = {}
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            before, _, after = line.rstrip("\n").partition(" - ")
            fields = before.split(" ")
            path = fields[4]
            for escaped, character in _ESCAPES:
                path = path.replace(escaped, character)
            found[path] = "ro" not in fields[5].split(",") and "ro" not in after.split(" ")[-1].split(",")
    return found


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readline().strip()
    except OSError:
        return ""  # this kernel has no such file, or it is not for us to see
