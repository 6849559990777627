"""Container names: claimed by creating a symbolic link, which only one process can do.

``<root>/names/<name>`` points to the id that has the name. A link whose container is gone is stale: the
next claim, or `repair`, takes it away.
"""

from __future__ import annotations

import fcntl
import os

from orlop.errors import Conflict, InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

_FIRST = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
_LATER = _FIRST | frozenset("_.-")

_ADJECTIVES = (
    "able", "agile", "amber", "ardent", "brave", "bright", "brisk", "calm", "candid", "clever", "coral", "crisp",
    "daring", "deft", "eager", "early", "earnest", "fair", "fleet", "fond", "frank", "gentle", "glad", "golden",
    "hardy", "honest", "humble", "jolly", "keen", "kind", "lively", "loyal", "lucid", "mellow", "merry", "mild",
    "modest", "nimble", "noble", "patient", "placid", "plucky", "polite", "proud", "quick", "quiet", "rapid",
    "ready", "salty", "serene", "sharp", "silver", "sober", "spry", "steady", "sturdy", "sunny", "swift", "tidy",
    "trim", "trusty", "vivid", "warm", "wise",
)  # fmt: skip
_SURNAMES = (
    "amundsen", "anson", "baffin", "banks", "baret", "barents", "beaufort", "bering", "bligh", "bougainville",
    "byron", "cabot", "chichester", "cook", "cousteau", "dampier", "davis", "drake", "earle", "elcano", "erikson",
    "fitzroy", "flinders", "franklin", "frobisher", "gama", "graham", "hanno", "harrison", "hood", "hudson",
    "humboldt", "jansz", "jeanne", "kane", "laperouse", "magellan", "mahan", "maury", "mercator", "nansen",
    "nelson", "parry", "peary", "polo", "pytheas", "quadra", "ross", "rossetti", "scoresby", "shackleton",
    "slocum", "tasman", "tharp", "torres", "tupaia", "urdaneta", "vancouver", "vespucci", "wallis", "weddell",
    "wilkes", "worsley", "zheng",
)  # fmt: skip


def validate(name: str) -> None:
    """Check a name that a user chose.

    Raises:
        InvalidArgument: it has other characters than Docker allows.
    """
    if len(name) < 2 or name[0] not in _FIRST or not _LATER.issuperset(name) or len(name) > 255:
        raise InvalidArgument(
            f'invalid container name "{name}": use two or more letters, digits and _ . -, the first a letter or digit'
        )


def generate(attempt: int = 0) -> str:
    """A name for a container that was given none; from the fourth attempt on with a number at its end."""
    first, second, number = os.urandom(3)
    name = f"{_ADJECTIVES[first % len(_ADJECTIVES)]}_{_SURNAMES[second % len(_SURNAMES)]}"
    return name if attempt < 3 else f"{name}{number}"


def claim(names: str, name: str, container_id: str, containers: str) -> None:
    """Give ``name`` to a container whose directory, published or still aside, exists.

    Raises:
        Conflict: another container has the name.
    """
    while True:
        try:
            os.symlink(container_id, f"{names}/{name}")
            return
        except FileExistsError:
            holder = holder_of(names, name)
        if holder is not None and not _take_stale(names, name, containers):
            raise Conflict(
                f'the container name "/{name}" is already in use by container "{holder}"; '
                "remove or rename that container to be able to reuse the name"
            )


def holder_of(names: str, name: str) -> str | None:
    """The id that has a name, or None."""
    try:
        return os.readlink(f"{names}/{name}")
    except OSError:
        return None  # no such name, or nothing that could be one


def release(names: str, name: str, container_id: str) -> bool:
    """Free a name; False if it does not belong to this container, or not any more."""
    if not name or holder_of(names, name) != container_id:
        return False
    try:
        os.unlink(f"{names}/{name}")
    except FileNotFoundError:
        return False
    return True


def sweep(names: str, containers: str, known: Collection[str] = ()) -> int:
    """Free the names of containers that are gone; returns how many names are left.

    ``known`` are containers that were there just now, which need not be looked for again.
    """
    left = 0
    for name in os.listdir(names):
        if name[0] != ".":
            left += holder_of(names, name) in known or not _take_stale(names, name, containers)
    return left


def exists(containers: str, container_id: str) -> bool:
    """Whether a container's directory is there, being prepared or published."""
    # In this order: it may be published between the two looks.
    return os.path.isdir(f"{containers}/.new-{container_id}") or os.path.isdir(f"{containers}/{container_id}")


def _take_stale(names: str, name: str, containers: str) -> bool:
    """Remove a name whose container is gone; False if the container is there."""
    holder = holder_of(names, name)
    if holder is not None and exists(containers, holder):
        return False
    # Two processes that saw the same stale name: the second must not remove the first one's new claim.
    lock = os.open(f"{names}/.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        holder = holder_of(names, name)
        if holder is not None:
            if exists(containers, holder):
                return False
            os.unlink(f"{names}/{name}")
        return True
    finally:
        os.close(lock)
