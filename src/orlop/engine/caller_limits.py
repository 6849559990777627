"""What else is to be alike where somebody does much work in a caller's place: how much of the machine it may take."""

from __future__ import annotations

import os
import resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.caller import Caller

#: The limits of setrlimit(2), but the one on real-time scheduling without sleep, which kernels may lack.
_LIMITS = range(15)


def adopt(caller: Caller) -> None:
    """Take over a caller's resource limits, its priority and its processors, being in its cgroup already.

    Raises:
        OSError: we may not have what it has, or its cgroup is another one.
    """
    with open("/proc/self/cgroup", "rb") as file:
        if file.read() != caller.about("cgroup"):
            raise PermissionError("another cgroup")
    pid = caller.pid
    os.sched_setaffinity(0, os.sched_getaffinity(pid))
    os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, pid))
    for which in _LIMITS:
        theirs = resource.prlimit(pid, which)
        try:
            if theirs != resource.getrlimit(which):
                resource.setrlimit(which, theirs)
        except ValueError as error:  # a hard limit above ours
            raise PermissionError(str(error)) from None
