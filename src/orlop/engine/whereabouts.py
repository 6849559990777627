"""Whether a state directory is what it was when it was used last, and where.

``<root>/whereabouts`` is a symbolic link that leads nowhere: its text is the inode number of the root directory and its path.
Where it says something else, somebody has copied the state, perhaps while it was being written, or moved it, and
`orlop.engine.moving` puts right what that means.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location

_NAME = "whereabouts"


def note(location: Location) -> None:
    """Write down where the state is now, the first time or after a move."""
    path, aside = f"{location.root}/{_NAME}", f"{location.root}/.{_NAME}-{os.getpid()}"
    os.symlink(_now(location.root), aside)
    os.rename(aside, path)


def noted(location: Location) -> tuple[int, str]:
    """The inode number and the path that are written down; 0 and nothing if none are."""
    try:
        number, _, path = os.readlink(f"{location.root}/{_NAME}").partition(" ")
    except FileNotFoundError:
        return 0, ""
    return int(number), path


def check(location: Location) -> None:
    """Put right what a copy or a move of the state has left wrong; nearly always there is nothing to do.

    Raises:
        Conflict: it is a copy, and the containers of the original run in the same run directory.
        OrlopError: a record is damaged.
    """
    try:
        if os.readlink(f"{location.root}/{_NAME}") == _now(location.root):
            return
    except FileNotFoundError:
        pass  # the state of an engine that did not write it down yet, or never used
    if not _is_same(*noted(location), location.root):
        from orlop.engine import moving

        moving.settle(location)


def _is_same(number: int, path: str, root: str) -> bool:
    """Whether it is the same directory by another path, under which it can be used as well."""
    try:
        there = os.stat(path)
    except OSError:
        return False
    return there.st_ino == number and os.path.samestat(there, os.stat(root))


def _now(root: str) -> str:
    return f"{os.stat(root).st_ino} {root}"
