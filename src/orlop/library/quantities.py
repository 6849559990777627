"""Numbers, or Docker's texts for them."""

from __future__ import annotations

from orlop import options
from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

_BILLION = 1_000_000_000


def size(name: str, value: int | str) -> int:
    """Bytes; ``name`` is the argument's.

    Raises:
        InvalidArgument: it is no size.
    """
    return _read(name, options.size, value) if isinstance(value, str) else _natural(name, value)


def limit(name: str, value: int | str) -> int:
    """A `size`, or -1 for none.

    Raises:
        InvalidArgument: it is neither.
    """
    return -1 if value in (-1, "-1") else size(name, value)


def most(name: str, value: int | str | None) -> int | None:
    """A `size` that is not to be exceeded; None for no limit.

    Raises:
        InvalidArgument: it is no size.
    """
    return None if value is None else size(name, value)


def processors(name: str, value: float | str) -> int:
    """Billionths of a processor, from a number of them.

    Raises:
        InvalidArgument: it is no number, or negative.
    """
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < _BILLION:
        raise InvalidArgument(f"{name}={value!r} must be a number of processors such as 1.5")
    return round(number * _BILLION)


def moment(name: str, value: float | datetime) -> int:
    """Nanoseconds since 1970, from seconds or a datetime, which without a time zone is local.

    Raises:
        InvalidArgument: it is neither.
    """
    if isinstance(value, int):
        return value * _BILLION
    if isinstance(value, float):
        return round(value * _BILLION)
    stamp = getattr(value, "timestamp", None)
    if stamp is None:
        raise InvalidArgument(f"{name} must be a datetime, or seconds since 1970, not {value!r}")
    seconds: float = stamp()
    return round(seconds * _BILLION)


def _natural(name: str, value: int) -> int:
    if value < 0:
        raise InvalidArgument(f"{name}={value!r} must not be negative")
    return value


def _read(name: str, read: Callable[[str], int], text: str) -> int:
    try:
        return read(text)
    except ValueError as error:
        raise InvalidArgument(f"{name}={text!r} {error}") from None
