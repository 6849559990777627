"""Doing what nobody waits for in a process of its own, which outlives the command that leaves it behind."""

from __future__ import annotations

import os

from orlop.errors import OrlopError
from orlop.linux import descriptors, prctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_POLITE = 10  # nice(1): everything else comes first


def run(name: str, action: Callable[[], None]) -> None:
    """Begin ``action`` in a process of that ``name``, and return.

    It has no terminal, and nothing that the caller has open. Only for what may be interrupted anywhere and is taken up
    again by the next command that comes by.
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
            descriptors.close_all_but((0, 1, 2))  # locks above all, and the ends of others' pipes
            prctl.set_name(name)
            os.nice(_POLITE)
            action()
    except (OSError, OrlopError):
        return  # nobody is there to be told, and the next command tries again
    finally:
        os._exit(0)
