"""The id mapping of an ordinary user's containers.

Root in the container is the user outside; the ids above it are the ranges that the administrator gave the
user in /etc/subuid and /etc/subgid (subuid(5)), written by newuidmap(1). Without ranges only root is mapped.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NEWUIDMAP = ("/usr/bin/newuidmap", "/bin/newuidmap", "/usr/local/bin/newuidmap")


def of_this_user() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The OCI ``uidMappings`` and ``gidMappings`` for containers of the calling user."""
    user = os.geteuid()
    group = os.getegid()
    uids = gids = None
    if any(os.access(path, os.X_OK) for path in _NEWUIDMAP):
        name = _name_of(user)
        uids = _ranges("/etc/subuid", name, user)
        gids = _ranges("/etc/subgid", name, user)
    if not uids or not gids:  # newgidmap denies what the user's own group file does not allow
        uids = gids = []
    return mapping(user, uids), mapping(group, gids)


def mapping(own: int, ranges: list[tuple[int, int]]) -> list[dict[str, Any]]:
    """Root is ``own``; then the ranges (first id, count) one after the other from 1 on."""
    lines = [{"containerID": 0, "hostID": own, "size": 1}]
    inside = 1
    for first, count in ranges:
        lines.append({"containerID": inside, "hostID": first, "size": count})
        inside += count
    return lines


def parse(text: str, name: str, user: int) -> list[tuple[int, int]]:
    """The ranges that a subuid(5) file gives a user, who is named there by name or number."""
    found = []
    for line in text.splitlines():
        fields = line.strip().split(":")
        if len(fields) == 3 and fields[0] in (name, str(user)) and fields[1].isdigit() and fields[2].isdigit():
            found.append((int(fields[1]), int(fields[2])))
    return [each for each in found if each[1] > 0]


def _ranges(path: str, name: str, user: int) -> list[tuple[int, int]]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return parse(file.read(), name, user)
    except FileNotFoundError:
        return []


def _name_of(user: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return ""
