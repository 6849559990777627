"""The networks of an engine: made, found, listed and removed, as files that any number of processes use at once.

A network is a directory that appears by one rename. Whoever makes or removes one holds a lock on all of them, which the
kernel takes away from who is killed; a name that points nowhere, and a directory that was being made, are then what is
left, and mean nothing.
"""

from __future__ import annotations

import fcntl
import os

from orlop import clock, json_text
from orlop.errors import Conflict, InvalidArgument, NotFound, OrlopError
from orlop.network import endpoint, record
from orlop.network.record import ID_LENGTH, Network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from orlop.network.place import Place

#: The names of the networks that every engine has.
PREDEFINED = (record.BRIDGE, record.HOST, record.NONE)

_NEW = ".new-"
_LOCK = ".lock"
_TO = "../"  # what names are links to is beside their directory
_FIRST = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
_LATER = _FIRST | frozenset("_.-")
_HEXADECIMAL = frozenset("0123456789abcdef")


def validate_name(name: str) -> None:
    """Check a name that a user chose for a network.

    Raises:
        InvalidArgument: it has other characters than Docker allows.
    """
    if not name or name[0] not in _FIRST or not _LATER.issuperset(name) or len(name) > 128:
        raise InvalidArgument(
            f'invalid network name "{name}": use letters, digits and _ . -, the first a letter or digit, at most 128'
        )


def ids(place: Place) -> list[str]:
    """The ids of all networks, without those that every engine has until they are needed."""
    try:
        return [name for name in os.listdir(place.directory) if len(name) == ID_LENGTH]
    except FileNotFoundError:
        return []


def read(place: Place, network_id: str) -> Network | None:
    """A network by its id; None if it is gone.

    Raises:
        OrlopError: its record is damaged.
    """
    path = place.record(network_id)
    try:
        with open(path, "rb", buffering=0) as file:
            text = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return Network.from_fields(json_text.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise OrlopError(f"the record {path} is damaged: {error}") from None


def every(place: Place) -> Iterator[Network]:
    """All networks, those that every engine has among them, by their names.

    Raises:
        OrlopError: a record is damaged.
    """
    ensure_predefined(place)
    found = [read(place, network_id) for network_id in ids(place)]
    yield from sorted((each for each in found if each is not None), key=lambda each: each.name)


def find(place: Place, wanted: str) -> Network:
    """The network that a user means: by its id, its name, or the beginning of its id.

    Raises:
        NotFound: there is none.
        InvalidArgument: the beginning of an id fits more than one.
        OrlopError: its record is damaged.
    """
    found = _find(place, wanted)
    if found is None:
        # Who looks for one without addresses causes none to be chosen.
        missing = (wanted,) if wanted in (record.HOST, record.NONE) else PREDEFINED
        if ensure_predefined(place, missing):
            found = _find(place, wanted)
    if found is None:
        raise NotFound(f"network {wanted} not found")
    return found


def _find(place: Place, wanted: str) -> Network | None:
    if not wanted or not _LATER.issuperset(wanted) or wanted[0] not in _FIRST:
        return None
    if len(wanted) == ID_LENGTH:
        found = read(place, wanted)
        if found is not None:
            return found
    try:
        found = read(place, os.readlink(f"{place.names}/{wanted}").removeprefix(_TO))
    except OSError:
        found = None
    if found is not None or not _HEXADECIMAL.issuperset(wanted):
        return found
    fitting = [each for each in ids(place) if each.startswith(wanted)]
    if len(fitting) > 1:
        raise InvalidArgument(f"network {wanted} is ambiguous ({len(fitting)} matches found based on ID prefix)")
    return read(place, fitting[0]) if fitting else None


def ensure_predefined(place: Place, names: Sequence[str] = PREDEFINED) -> bool:
    """Make the networks that every engine has, or some of them; False if that was done before.

    Raises:
        OrlopError: no subnet is left for the default network.
    """
    if all(os.path.isdir(f"{place.names}/{name}") for name in names):
        return False
    from orlop.network import predefined

    predefined.make(place, names)
    return True


class Changing:
    """The right to make and to remove networks, until it is closed; for ``with``."""

    __slots__ = ("_lock", "_place")

    def __init__(self, place: Place) -> None:
        self._place = place
        os.makedirs(place.names, 0o700, exist_ok=True)
        self._lock = os.open(f"{place.directory}/{_LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def __enter__(self) -> Changing:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)

    def networks(self) -> list[Network]:
        """All that there are."""
        found = [read(self._place, network_id) for network_id in ids(self._place)]
        return [each for each in found if each is not None]

    def is_free(self, name: str) -> bool:
        """Whether no network has a name."""
        return not os.path.isdir(f"{self._place.names}/{name}")

    def publish(self, network: Network) -> None:
        """Write a network down; it is there from then on.

        Raises:
            Conflict: another has its name.
        """
        place = self._place
        self._clear_away()
        if not self.is_free(network.name):
            raise Conflict(f"network with name {network.name} already exists")
        if not network.created:
            network.created = clock.now()
        aside = f"{place.directory}/{_NEW}{network.id}"
        os.mkdir(aside, 0o700)
        _write(f"{aside}/network.json", network)
        os.symlink(_TO + network.id, f"{place.names}/{network.name}")
        os.rename(aside, f"{place.directory}/{network.id}")

    def replace(self, network: Network) -> None:
        """Write down what has changed of a network that is there.

        Raises:
            OSError: there is no space.
        """
        path = self._place.record(network.id)
        _write(f"{path}.new", network)
        os.rename(f"{path}.new", path)

    def check_unused(self, network: Network, runs: Callable[[str], bool]) -> None:
        """Whether a network can be removed.

        Raises:
            Conflict: a running container is on it.
        """
        there = [each for each in endpoint.on_network(self._place, network.id) if runs(each.container)]
        if there:
            names = ", ".join(f'name:"{each.container_name}" id:"{each.container[:12]}"' for each in there)
            raise Conflict(
                f"error while removing network: network {network.name} has active endpoints ({names}): "
                "disconnect the containers or stop them first"
            )

    def withdraw(self, network: Network) -> None:
        """Have a network be no more."""
        place = self._place
        gone = f"{place.directory}/{_NEW}{network.id}"
        os.rename(f"{place.directory}/{network.id}", gone)
        os.unlink(f"{place.names}/{network.name}")
        _remove(gone)

    def _clear_away(self) -> None:
        """Remove what those left who were killed."""
        place = self._place
        for entry in os.listdir(place.directory):
            if entry.startswith(_NEW):
                _remove(f"{place.directory}/{entry}")
        for name in os.listdir(place.names):
            if not os.path.isdir(f"{place.names}/{name}"):
                os.unlink(f"{place.names}/{name}")


def _write(path: str, network: Network) -> None:
    data = json_text.dumps(network.fields()).encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)


def _remove(directory: str) -> None:
    for name in os.listdir(directory):
        os.unlink(f"{directory}/{name}")
    os.rmdir(directory)
