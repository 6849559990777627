"""What is listed: lines of a log, paths that were changed, steps of an image, what a search or a check found."""

from __future__ import annotations


class Difference:
    """A ``path`` that is ``added``, ``modified`` or ``deleted`` in comparison with the image: its ``kind``."""

    __slots__ = ("kind", "path")

    def __init__(self, path: str, kind: str) -> None:
        self.path = path
        self.kind = kind

    def __repr__(self) -> str:
        return f"Difference({self.path!r}, {self.kind!r})"


class LogEntry:
    """One line of a log, or a part of a long one: its ``data``, the ``stream`` it came from, and its ``time`` (RFC 3339)."""

    __slots__ = ("data", "stream", "time")

    def __init__(self, stream: str, data: bytes, time: str) -> None:
        self.stream = stream
        self.data = data
        self.time = time

    def __repr__(self) -> str:
        return f"LogEntry({self.stream!r}, {self.data!r}, {self.time!r})"


class Step:
    """One step of making an image: when it was ``created``, ``created_by`` what, a ``comment``, and its layer's ``size``."""

    __slots__ = ("comment", "created", "created_by", "size")

    def __init__(self, created: str, created_by: str, comment: str, size: int) -> None:
        self.created = created
        self.created_by = created_by
        self.comment = comment
        self.size = size

    def __repr__(self) -> str:
        return f"Step({self.created_by!r}, {self.size})"


class Repository:
    """What a registry's search found: its ``name`` and ``description``; ``stars`` is -1 where nobody counts them."""

    __slots__ = ("description", "is_official", "name", "stars")

    def __init__(self, name: str, description: str, stars: int, is_official: bool) -> None:
        self.name = name
        self.description = description
        self.stars = stars
        self.is_official = is_official

    def __repr__(self) -> str:
        return f"<Repository {self.name}>"


class Problem:
    """Something in the engine's storage that is not as it should be, in a ``text``, and whether it is ``repaired`` now."""

    __slots__ = ("repaired", "text")

    def __init__(self, text: str, repaired: bool) -> None:
        self.text = text
        self.repaired = repaired

    def __repr__(self) -> str:
        return f"<Problem {self.text}>"
