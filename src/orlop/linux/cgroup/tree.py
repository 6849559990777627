"""Going through the cgroups below a cgroup, which a container may have made: as many, as deep and as long-named as it liked.

So there is no recursion, one directory is open at a time, and each is named relative to the one that contains it:
absolute paths may be longer than the kernel takes.
"""

from __future__ import annotations

import os

from orlop.linux.cgroup import file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Below:
    """One cgroup: its ``name`` in the directory that ``parent`` is open on until the next one is asked for.

    Attributes:
        path: for people; it may be too long for the kernel.
    """

    __slots__ = ("name", "parent", "path")

    def __init__(self, parent: int, name: str, path: str) -> None:
        self.parent = parent
        self.name = name
        self.path = path


def each_below(directory: str) -> Iterator[Below]:
    """The cgroups below a cgroup, each after those that it contains: the order in which to remove them."""
    try:
        here = os.open(directory, _DIRECTORY)
    except FileNotFoundError:
        return
    try:
        pending = [_children(here)]
        path = [directory]
        while True:
            if pending[-1]:
                name = pending[-1].pop()
                try:
                    below = os.open(name, _DIRECTORY, dir_fd=here)
                except FileNotFoundError:
                    continue  # it was removed meanwhile
                os.close(here)
                here = below
                pending.append(_children(here))
                path.append(name)
                continue
            pending.pop()
            if not pending:
                return
            above = os.open("..", _DIRECTORY, dir_fd=here)  # nobody can move a cgroup to another parent
            os.close(here)
            here = above
            name = path.pop()
            yield Below(here, name, f"{'/'.join(path)}/{name}")
    finally:
        os.close(here)


def pids_below(directory: str) -> list[int]:
    """The processes in the cgroups below a cgroup, without those in itself."""
    pids = []
    for below in each_below(directory):
        pids += file.pids_in(below.name, parent=below.parent)
    return pids


def _children(directory: int) -> list[str]:
    with os.scandir(directory) as entries:
        return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
