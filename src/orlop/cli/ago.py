"""How long ago something was, in Docker's words."""

from __future__ import annotations

import time

_STEPS = (
    (60, 1, "second"),
    (3600, 60, "minute"),
    (48 * 3600, 3600, "hour"),
    (14 * 86400, 86400, "day"),
    (60 * 86400, 7 * 86400, "week"),
    (2 * 365 * 86400, 30 * 86400, "month"),
)


def since(moment: str) -> str:
    """The time that passed since an RFC 3339 moment in UTC, such as ``5 minutes``."""
    import calendar

    then = calendar.timegm(time.strptime(moment[:19], "%Y-%m-%dT%H:%M:%S"))
    return words(time.time() - then)


def words(seconds: float) -> str:
    """A length of time: ``Less than a second``, ``About a minute``, ``3 hours``."""
    if seconds < 1:
        return "Less than a second"
    if 60 <= seconds < 120:
        return "About a minute"
    if 3600 <= seconds < 7200:
        return "About an hour"
    for limit, unit, name in _STEPS:
        if seconds < limit:
            count = int(seconds // unit)
            return f"{count} {name}" + ("" if count == 1 else "s")
    return f"{int(seconds // (365 * 86400))} years"
