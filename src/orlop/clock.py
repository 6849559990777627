"""Moments as Docker writes them: RFC 3339 in UTC with nanoseconds."""

from __future__ import annotations

import time

#: What Docker shows for something that has not happened yet.
NEVER = "0001-01-01T00:00:00Z"


def text(nanoseconds: int) -> str:
    """A moment, given in nanoseconds since 1970, such as ``2026-01-02T03:04:05.678901234Z``."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09d}Z"


def now() -> str:
    """This moment."""
    return text(time.time_ns())


def in_utc(moment: str) -> str:
    """A moment of RFC 3339 in whatever zone, in UTC; empty if it is not one, as in a document of strangers."""
    import datetime as dt

    try:
        then = dt.datetime.fromisoformat(moment)
        return then.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0") if then.tzinfo else ""
    except (ValueError, OverflowError):
        return ""
