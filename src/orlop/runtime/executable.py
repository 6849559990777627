"""Finding the program that a container is to run, with its own PATH and its own user's rights.

The wording of the errors is what engines look for to tell a missing program (127) from a forbidden one (126).
"""

from __future__ import annotations

import errno
import os
import stat

from orlop.errors import CommandNotExecutable, CommandNotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find(name: str, environment: Iterable[str]) -> str:
    """The path to execute for ``name``, as execvp(3) would find it, relative to the current directory.

    Raises:
        CommandNotFound: there is no such program.
        CommandNotExecutable: it is not a file, or may not be executed.
    """
    if "/" in name:
        problem = _problem(name)
        if problem == errno.ENOENT:
            raise CommandNotFound(f'exec: "{name}": stat {name}: no such file or directory')
        if problem:
            raise CommandNotExecutable(f'exec: "{name}": {_words(problem)}')
        return name
    denied = 0
    for path in candidates(name, environment):
        problem = _problem(path)
        if not problem:
            return path
        if problem == errno.EACCES:
            denied = problem
    if denied:
        raise CommandNotExecutable(f'exec: "{name}": permission denied')
    raise CommandNotFound(f'exec: "{name}": executable file not found in $PATH')


def candidates(name: str, environment: Iterable[str]) -> list[str]:
    """The paths at which execvp(3) would look for ``name``, in order."""
    if "/" in name:
        return [name]
    if not name:
        return []
    search = _DEFAULT_PATH
    for entry in environment:
        if entry.startswith("PATH="):
            search = entry[5:]
    return [f"{directory or '.'}/{name}" for directory in search.split(":")]


def failed(path: str, error_number: int) -> CommandNotFound | CommandNotExecutable:
    """What a failed execve of a file that `find` found means."""
    if error_number == errno.ENOENT:
        return CommandNotFound(f'exec: "{path}": no such file or directory: its interpreter is missing')
    return CommandNotExecutable(f'exec: "{path}": {_words(error_number)}')


def _words(error_number: int) -> str:
    return "permission denied" if error_number == errno.EACCES else os.strerror(error_number).lower()


def _problem(path: str) -> int:
    """Why ``path`` cannot be executed, as an errno; 0 if it can."""
    try:
        about = os.stat(path)
    except OSError as error:
        missing = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
        return errno.ENOENT if error.errno in missing else error.errno or errno.EACCES
    if not stat.S_ISREG(about.st_mode) or not os.access(path, os.X_OK, effective_ids=True):
        return errno.EACCES
    return 0
