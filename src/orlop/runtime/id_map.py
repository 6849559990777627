"""Id mappings of user namespaces within one another: what a mapping to the host's ids is to those of a namespace between.

Source: user_namespaces(7), "User and group ID mappings".
"""

from __future__ import annotations

from orlop.errors import InvalidConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def read(path: str) -> list[tuple[int, int, int]]:
    """The lines of a ``uid_map``: the first id inside, the first outside, and how many."""
    with open(path, encoding="ascii") as file:
        found = []
        for line in file:
            inside, outside, size = (int(word) for word in line.split())
            found.append((inside, outside, size))
        return found


def below(mappings: list[dict[str, Any]], between: list[tuple[int, int, int]]) -> list[dict[str, Any]]:
    """OCI mappings whose ``hostID`` are ids of the namespace ``between`` in place of the host's.

    Raises:
        InvalidConfig: that namespace does not have all of them.
    """
    found = []
    for each in mappings:
        inside, host, left = int(each["containerID"]), int(each["hostID"]), int(each["size"])
        while left:
            part = next((line for line in between if line[1] <= host < line[1] + line[2]), None)
            if part is None:
                raise InvalidConfig(f"id {host} of the host is not among those of the networks' user namespace")
            size = min(left, part[1] + part[2] - host)
            found.append({"containerID": inside, "hostID": part[0] + host - part[1], "size": size})
            inside, host, left = inside + size, host + size, left - size
    return found
