"""Times as clients give them: seconds since 1970, perhaps with a fraction, or what the command line takes."""

from __future__ import annotations

from orlop import filters
from orlop.errors import InvalidArgument


def moment(text: str) -> int | None:
    """Nanoseconds since 1970; None if nothing was said, or 0.

    Raises:
        InvalidArgument: it is no time.
    """
    if not text or text == "0":
        return None
    try:
        return filters.nanoseconds(text)
    except ValueError as error:
        raise InvalidArgument(f'invalid time "{text}": {error}') from None
