"""Compiled seccomp filters, kept in memory by the launcher and in the run directory for everybody else."""

from __future__ import annotations

import os

from orlop.linux.seccomp.cache import Cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location


def kept(location: Location) -> Cache:
    """The filters of an engine."""
    directory = f"{location.run_root}/seccomp"
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        pass  # the cache itself checks whose it is
    return Cache(directory)


def warm(cache: Cache) -> None:
    """Have the filter ready that most containers use: the default profile with the default capabilities."""
    from orlop.engine import capabilities, seccomp_profile

    available = capabilities.available() if os.geteuid() == 0 else -1
    granted, _ = capabilities.choose((), (), privileged=False, available=available)
    cache.compile(seccomp_profile.default(granted))
