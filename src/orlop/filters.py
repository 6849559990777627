"""``--filter KEY=VALUE``, which Docker's listing and pruning commands have.

A command has a table that says for each key how a value becomes a test of an object::

    FILTERS = {
        "dangling": filters.flag(lambda image: image.dangling),
        "label": filters.label(lambda image: image.labels),
        "until": filters.until(lambda image: image.created),
    }
    wanted = filters.read(said["filter"], FILTERS)
    shown = [image for image in images if wanted(image)]

An object is wanted if it passes for every key that was given. Several values of one key are alternatives, except that
an object must have all labels, and none of those that it must not have (``label!``).
"""

from __future__ import annotations

from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    #: Makes a test out of a value's text; raises ``ValueError`` with the reason if the value cannot be one.
    Filter = Callable[[str], Callable[[Any], bool]]

_ALL_OF = ("label", "label!")


class Wanted:
    """The test that all filters of a command line together are; ``keys`` are those that were given."""

    __slots__ = ("_tests", "keys")

    def __init__(self, tests: Mapping[str, Sequence[Callable[[Any], bool]]]) -> None:
        self.keys = frozenset(tests)
        self._tests = tuple((all if key in _ALL_OF else any, tuple(each)) for key, each in tests.items())

    def __call__(self, candidate: Any) -> bool:
        """Whether an object is wanted."""
        return all(combine(test(candidate) for test in tests) for combine, tests in self._tests)


def read(words: Sequence[str], known: Mapping[str, Filter]) -> Wanted:
    """What the user gave to ``--filter``, each word one use of it.

    Raises:
        InvalidArgument: a word is not ``KEY=VALUE``, its key is not known, or its value is wrong for it.
    """
    tests: dict[str, list[Callable[[Any], bool]]] = {}
    for word in words:
        key, equals, value = word.partition("=")
        key = key.strip().lower()
        if not equals:
            raise InvalidArgument(f"invalid filter '{word}': must be KEY=VALUE")
        if key not in known:
            raise InvalidArgument(f"invalid filter '{key}': must be one of {', '.join(sorted(known))}")
        try:
            tests.setdefault(key, []).append(known[key](value.strip()))
        except ValueError as error:
            raise InvalidArgument(f"invalid filter '{word}': {error}") from None
    return Wanted(tests)


def same(of: Callable[[Any], object], *choices: str) -> Filter:
    """Objects for which ``of`` is the value, which must be one of the choices if there are any."""

    def make(text: str) -> Callable[[Any], bool]:
        if choices and text not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return lambda candidate: str(of(candidate)) == text

    return make


def prefix(of: Callable[[Any], str]) -> Filter:
    """Objects for which ``of`` begins with the value, as an ID may be shortened."""
    return lambda text: lambda candidate: of(candidate).startswith(text)


def contains(of: Callable[[Any], Sequence[str]]) -> Filter:
    """Objects for which ``of`` has the value among others."""
    return lambda text: lambda candidate: text in of(candidate)


def number(of: Callable[[Any], int | None]) -> Filter:
    """Objects for which ``of`` is the number."""

    def make(text: str) -> Callable[[Any], bool]:
        from orlop.options import integer

        wanted = integer(text)
        return lambda candidate: of(candidate) == wanted

    return make


def flag(of: Callable[[Any], bool]) -> Filter:
    """Objects for which ``of`` is what ``true`` or ``false`` says."""

    def make(text: str) -> Callable[[Any], bool]:
        from orlop.options import boolean

        wanted = boolean(text)
        return lambda candidate: of(candidate) is wanted

    return make


def pattern(of: Callable[[Any], str]) -> Filter:
    """Objects in whose ``of`` the regular expression, which mostly is a part of a name, is found."""

    def make(text: str) -> Callable[[Any], bool]:
        if text.replace("-", "").replace("_", "").isalnum():
            return lambda candidate: text in of(candidate)
        import re  # only what is not a plain word pays for it

        try:
            compiled = re.compile(text)
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from None
        return lambda candidate: compiled.search(of(candidate)) is not None

    return make


def label(of: Callable[[Any], Mapping[str, str] | None]) -> Filter:
    """Objects that have a label: ``label=KEY`` with any value, ``label=KEY=VALUE`` with this."""

    def make(text: str) -> Callable[[Any], bool]:
        key, equals, value = text.partition("=")
        if equals:
            return lambda candidate: (of(candidate) or {}).get(key) == value
        return lambda candidate: key in (of(candidate) or {})

    return make


def without_label(of: Callable[[Any], Mapping[str, str] | None]) -> Filter:
    """Objects that do not have a label: ``label!=KEY``, ``label!=KEY=VALUE``."""
    having = label(of)

    def make(text: str) -> Callable[[Any], bool]:
        has = having(text)
        return lambda candidate: not has(candidate)

    return make


def until(of: Callable[[Any], str]) -> Filter:
    """Objects whose time ``of``, RFC 3339 in UTC, is before a `moment`."""

    def make(text: str) -> Callable[[Any], bool]:
        from orlop import ago

        end = moment(text)
        return lambda candidate: ago.seconds(of(candidate)) < end

    return make


def moment(text: str) -> float:
    """Seconds since 1970 for a time that a user gives; see `nanoseconds`.

    Raises:
        ValueError: it is none.
    """
    return nanoseconds(text) / 1e9


def nanoseconds(text: str) -> int:
    """Nanoseconds since 1970 for a time that a user gives: seconds since 1970, a date, or how long ago (``24h``).

    Dates are RFC 3339, in parts if need be: ``2024-05-01``, ``2024-05-01T10:00``; without a zone they are local time.

    Raises:
        ValueError: it is none of these.
    """
    import datetime as dt
    import time

    from orlop.options import duration

    whole, _, fraction = text.partition(".")
    if whole.isdecimal() and (not fraction or fraction.isdecimal()):
        return int(whole) * 1_000_000_000 + int(fraction.ljust(9, "0")[:9])
    try:
        return time.time_ns() - duration(text)
    except ValueError:
        pass  # then it is a date
    try:
        then = dt.datetime.fromisoformat(text)
        # By whole seconds: a float has not all the digits.
        seconds = int(then.replace(microsecond=0).timestamp())
    except (ValueError, OverflowError):
        raise ValueError("must be a date such as 2024-05-01T10:00, seconds since 1970, or a time ago: 24h") from None
    date, _, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))] if "T" in date or " " in date else ""
    return seconds * 1_000_000_000 + int(digits.ljust(9, "0")[:9])
