"""Making and removing the directories that are cgroups.

Parents that are missing are made as well and marked with an extended attribute, so that whoever leaves
one empty later, in whichever process, may remove it: a parent without the mark is somebody else's.
"""

from __future__ import annotations

import errno
import os

from orlop.errors import Conflict
from orlop.linux.cgroup import file
from orlop.linux.cgroup import path as path_rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.cgroup.layout import Hierarchy

_MARKS = ("user.orlop", "trusted.orlop")  # user attributes on cgroups exist since Linux 5.7
_NO_MARK = (errno.EOPNOTSUPP, errno.EPERM, errno.EACCES, errno.ENOSPC)
# Others may remove an empty parent just as we make the directory below it; each round some of them made progress.
_RACES = 1000
_FILLED_FROM_PARENT = ("cpuset.cpus", "cpuset.mems")


def make(hierarchy: Hierarchy, path: str, made: list[str]) -> None:
    """Make the cgroup ``path`` in one hierarchy, with the parents that are missing.

    What is made is appended to ``made``. A cgroup that is there already is taken over if it is empty. On
    version 1, cpuset's cpus and mems are copied down the path: a new directory there has none, and nothing
    could run in it.

    Raises:
        Conflict: the cgroup exists and has processes.
        OSError: mkdir failed; ``filename`` is the directory.
    """
    directory = hierarchy.directory(path)
    for _ in range(_RACES):
        try:
            os.mkdir(directory, 0o755)
            made.append(directory)
        except FileNotFoundError:
            _make_parents(hierarchy, path, made)
            continue
        except FileExistsError:
            require_empty(directory)
        if "cpuset" not in hierarchy.controllers:
            return
        try:
            _fill_cpuset(hierarchy, path)
            return
        except FileNotFoundError:
            continue
    raise OSError(errno.ENOENT, "mkdir: its parent is being removed over and over", directory)


def _make_parents(hierarchy: Hierarchy, path: str, made: list[str]) -> None:
    for parent in reversed(path_rules.parents(path)):
        directory = hierarchy.directory(parent)
        try:
            os.mkdir(directory, 0o755)
        except FileExistsError:
            continue
        except FileNotFoundError:
            return  # one above it was removed meanwhile: the caller tries again
        made.append(directory)
        mark(directory)


def mark(directory: str) -> None:
    """Note on a directory that it is ours to remove; a kernel that cannot leaves it unmarked."""
    for attribute in _MARKS:
        try:
            os.setxattr(directory, attribute, b"1")
            return
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in _NO_MARK:
                raise


def marked(directory: str) -> bool:
    """Whether `mark` was called on the directory, by whatever process."""
    for attribute in _MARKS:
        try:
            os.getxattr(directory, attribute)
            return True
        except OSError as error:
            if error.errno not in (*_NO_MARK, errno.ENODATA, errno.ENOENT):
                raise
    return False


def require_empty(directory: str) -> None:
    """Refuse a cgroup that has processes, also in cgroups below it.

    Raises:
        Conflict: it has.
    """
    from orlop.linux.cgroup import tree  # the directory is seldom there already

    pids = file.pids_in(directory) + tree.pids_below(directory)
    if pids:
        raise Conflict(f"cgroup {directory} is in use: it has {len(pids)} processes, among them {pids[0]}")


def _fill_cpuset(hierarchy: Hierarchy, path: str) -> None:
    for name in _FILLED_FROM_PARENT:
        _inherit(hierarchy, path, name, fresh=True)


def _inherit(hierarchy: Hierarchy, path: str, name: str, *, fresh: bool = False) -> str:
    target = f"{hierarchy.directory(path)}/{name}"
    value = file.read(target) if not fresh or path == "/" else ""
    if value or path == "/":
        return value
    value = _inherit(hierarchy, path.rpartition("/")[0] or "/", name)
    file.write(target, value)
    return value


def undo(made: list[str]) -> None:
    """Remove the directories that `make` made, the last first; what others use by now stays."""
    for directory in reversed(made):
        try:
            os.rmdir(directory)
        except OSError as error:
            if error.errno not in (errno.EBUSY, errno.ENOTEMPTY, errno.ENOENT):
                raise


def remove(hierarchy: Hierarchy, path: str) -> None:
    """Remove the cgroup ``path`` with all cgroups below it, then its parents that we made and that are empty.

    Raises:
        OSError: EBUSY if processes are still in it after a while; ``filename`` is the directory.
    """
    directory = hierarchy.directory(path)
    try:
        os.rmdir(directory)
    except FileNotFoundError:
        pass  # gone already; its parents may still be there
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        from orlop.linux.cgroup.removal import remove_busy

        remove_busy(directory)
    for parent in path_rules.parents(path):
        above = hierarchy.directory(parent)
        if not marked(above):
            return
        try:
            os.rmdir(above)
        except OSError as error:
            if error.errno in (errno.EBUSY, errno.ENOTEMPTY):
                return
            if error.errno != errno.ENOENT:
                raise
