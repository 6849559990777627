"""Doing what nobody waits for in a process of its own, which outlives the command that leaves it behind."""

from __future__ import annotations

import os

from orlop.errors import OrlopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_POLITE = 10  # nice(1): everything else comes first


def run(action: Callable[[], None]) -> None:
    """Begin ``action`` and return. It has no terminal and no standard streams; what it does not finish, another time.

    Only for what may be interrupted anywhere and is taken up again by the next command that comes by.
    """
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork() == 0:
            null = os.open("/dev/null", os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(null, stream)
            os.nice(_POLITE)
            action()
    except (OSError, OrlopError):
        return  # nobody is there to be told, and the next command tries again
    finally:
        os._exit(0)
