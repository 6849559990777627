"""Who has a port of the host: a container of this engine, one of another engine, or a program.

Of a container the file of what it has published tells; those of other engines are found by their monitors, which have
their locks open. Programs are found by what the kernel lists in /proc/net (proc(5)) and by the descriptors of processes.
"""

from __future__ import annotations

import os

from orlop.engine import container, monitor_lock
from orlop.engine.location import Location
from orlop.errors import Conflict, OrlopError
from orlop.network.ports import published
from orlop.network.ports.claims import Taken
from orlop.network.ports.specification import SCTP, TCP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from orlop.network.ports.published import Published

_LISTENS = "0A"  # TCP_LISTEN, in include/net/tcp_states.h


def explain(location: Location, taken: Taken) -> Conflict:
    """The error that names who has the port."""
    wanted = taken.wanted
    if taken.holder:
        return Conflict(str(taken))
    holder = (
        _own(location, wanted)
        or _of_another_engine(location, wanted)
        or _program(wanted)
        or "another program of the host"
    )
    return Conflict(str(Taken(wanted, holder)))


def is_passing(location: Location, taken: Taken) -> bool:
    """Whether a port may just be being given back, by the proxy or by who clears away: nobody is known who has it."""
    if taken.holder or _own(location, taken.wanted):
        return False
    program = _program(taken.wanted)
    return not program or program.startswith("orlop-")


def _own(location: Location, wanted: Published) -> str:
    for container_id in published.containers(location.networks):
        if _has(location, container_id, wanted) and monitor_lock.is_held(location, container_id):
            return _container(location, container_id)
    return ""


def _has(location: Location, container_id: str, wanted: Published) -> bool:
    in_force = published.read(location.networks, container_id)
    return in_force is not None and not in_force.is_over and any(each.overlaps(wanted) for each in in_force.ports)


def _container(location: Location, container_id: str) -> str:
    try:
        return f"container {container.Container(location, container_id).name} ({container_id[:12]})"
    except OrlopError:
        return f"container {container_id[:12]}"


def _of_another_engine(location: Location, wanted: Published) -> str:
    for pid in _processes():
        if _text(f"/proc/{pid}/comm") != "orlop-monitor" or not _shares_our_network(pid):
            continue
        for target in _descriptors(pid):
            run_root, _, rest = target.rpartition("/monitors/")
            if not run_root or len(rest) != container.ID_LENGTH:
                continue
            there = Location(location.root, run_root, rootless=location.rootless)
            there = Location(monitor_lock.root_of(there, rest), run_root, rootless=location.rootless)
            if there.root and _has(there, rest, wanted):
                return f"{_container(there, rest)} of the engine in {there.root}"
    return ""


def _program(wanted: Published) -> str:
    inodes = _inodes(wanted)
    if not inodes:
        return ""
    places = [(inodes.index(each), int(pid)) for pid in _processes() for each in _descriptors(pid) if each in inodes]
    if not places:
        return ""
    _, pid = min(places)
    return f"{_text(f'/proc/{pid}/comm') or 'a program'} (process {pid}) of the host"


def _inodes(wanted: Published) -> list[str]:
    """What links to sockets with the port read like, of those first that listen."""
    if wanted.protocol == SCTP:
        return []
    listening: list[str] = []
    others: list[str] = []
    for name in (wanted.protocol, f"{wanted.protocol}6"):
        for line in _text(f"/proc/net/{name}").splitlines()[1:]:
            words = line.split()
            if int(words[1].rpartition(":")[2], 16) == wanted.number and words[9] != "0":
                listens = wanted.protocol != TCP or words[3] == _LISTENS
                (listening if listens else others).append(f"socket:[{words[9]}]")
    return listening + others


def _shares_our_network(pid: str) -> bool:
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino == os.stat("/proc/self/ns/net").st_ino
    except OSError:
        return False


def _processes() -> Iterator[str]:
    return (name for name in os.listdir("/proc") if name.isdigit())


def _descriptors(pid: str) -> Iterator[str]:
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return  # somebody else's, or it is gone
    for name in names:
        try:
            yield os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue


def _text(path: str) -> str:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.readall().decode(errors="replace").strip()
    except OSError:
        return ""
