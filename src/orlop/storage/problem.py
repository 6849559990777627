"""What a check of the store finds, and what it has to know to find it (`orlop.storage.check`)."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

#: How a user gets back what an image consists of.
AGAIN = "pull or load it again"

_REPAIR = "'orlop system check --repair' has it"


class Needed:
    """What images and containers need: who needs each of the ``blobs`` and ``snapshots``, as in "image debian:12"."""

    __slots__ = ("blobs", "snapshots")

    def __init__(self, blobs: Mapping[str, str], snapshots: Mapping[str, str]) -> None:
        self.blobs = blobs
        self.snapshots = snapshots


class Problem:
    """Something that is not as it should be.

    ``subject`` is what it is about ("blob sha256:…"), ``place`` the path where that is, ``what`` is wrong with it,
    ``user`` who needs it (may be empty), and ``remedy`` what was done about it if it is ``repaired``, or else what can
    be done. As a text it is all of them but the place.
    """

    __slots__ = ("place", "remedy", "repaired", "subject", "user", "what")

    def __init__(self, subject: str, place: str, what: str, remedy: str, *, user: str = "", repaired: bool) -> None:
        self.subject = subject
        self.place = place
        self.what = what
        self.user = user
        self.remedy = remedy
        self.repaired = repaired

    @classmethod
    def of(cls, subject: str, place: str, what: str, done: str, *, user: str = "", repaired: bool) -> Problem:
        """One that a repair ends, or has ended; ``done`` says how ("removed")."""
        remedy = done if repaired else f"{_REPAIR} {done}"
        if user:
            remedy = f"{remedy}; {AGAIN}"
        return cls(subject, place, what, remedy, user=user, repaired=repaired)

    def __str__(self) -> str:
        needed = f", and {self.user} needs it" if self.user else ""
        return f"{self.subject} {self.what}{needed}: {self.remedy}"

    def __repr__(self) -> str:
        return f"<Problem {self} ({self.place})>"


def reason(error: OSError) -> str:
    """The meaning of an error, as a part of a sentence."""
    text = os.strerror(error.errno or 0)
    return text[:1].lower() + text[1:]
