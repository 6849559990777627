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
    return words(time.time() - seconds(moment))


def seconds(moment: str) -> int:
    """Whole seconds from 1970 to an RFC 3339 moment in UTC; lists ask for this a thousand times.

    Raises:
        ValueError: it is no such moment.
    """
    year, month, day = int(moment[:4]), int(moment[5:7]), int(moment[8:10])
    # The year begins in March, which puts the leap day at its end: month m begins on its day (153 * m + 2) // 5.
    year -= month < 3
    days = year * 365 + year // 4 - year // 100 + year // 400 + (153 * ((month + 9) % 12) + 2) // 5 + day - 719469
    return days * 86400 + int(moment[11:13]) * 3600 + int(moment[14:16]) * 60 + int(moment[17:19])


def local(moment: str) -> str:
    """An RFC 3339 moment in UTC as Docker's lists show it: ``2026-01-02 03:04:05 +0100 CET``."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(seconds(moment)))


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
