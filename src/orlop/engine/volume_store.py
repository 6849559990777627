"""Volumes that outlive containers: made, listed, described and removed, by name.

``<root>/volumes/<name>/`` has the directory ``_data``, which containers see, and ``volume.json``, Docker's words for
the volume; one that was made with a container and that no user named has no such record. It is prepared as
``.new-…``, published by one rename, and removed by first renaming it to ``.gone-…``. Whoever is making a container
with a volume holds a shared flock on the volume's directory until the container's record names it; whoever removes
the volume, or fills it for the first time, an exclusive one.
"""

from __future__ import annotations

import fcntl
import os

from orlop import clock
from orlop.engine import container, events
from orlop.errors import Conflict, InvalidArgument, NotFound, OrlopError, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from orlop.engine.location import Location

DATA = "_data"
RECORD_FILE = "volume.json"
DRIVER = "local"
#: The label of volumes that no user named.
ANONYMOUS = "com.docker.volume.anonymous"
_NEW = ".new-"
_GONE = ".gone-"
_OPTIONS = ("type", "o", "device")
_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_OTHERS = _FIRST | frozenset("_.-")


def check_name(name: str) -> None:
    """Refuse what cannot be a volume's name.

    Raises:
        InvalidArgument: as said.
    """
    if len(name) == 1:
        raise InvalidArgument(
            f"create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )
    if not name or name[0] not in _FIRST or not _OTHERS.issuperset(name) or len(name) > 255:
        raise InvalidArgument(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )


def create(
    location: Location,
    name: str = "",
    *,
    driver: str = "",
    labels: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Make a volume, or find the one of that name; what `inspect` tells of it. Without a name it gets one.

    Raises:
        InvalidArgument: the name or the options cannot be.
        Conflict: there is one of that name with other options.
        Unsupported: there is no such driver.
    """
    check_driver(driver)
    labels, options = dict(labels or {}), dict(options or {})
    check_options(options)
    if name:
        check_name(name)
    else:
        name = os.urandom(32).hex()
        labels[ANONYMOUS] = ""
    record = {
        "CreatedAt": clock.now(),
        "Driver": DRIVER,
        "Labels": labels or None,
        "Name": name,
        "Options": options or None,
        "Scope": "local",
    }
    location.prepare()
    if _publish(location, name, record):
        events.emit(location, events.VOLUME, "create", name, {"driver": DRIVER})
    known = find(location, name)
    if options and (known["Options"] or {}) != options:
        raise Conflict(f"create {name}: a volume with that name is there and has other options")
    return known


def _publish(location: Location, name: str, record: dict[str, Any]) -> bool:
    target = f"{location.volumes}/{name}"
    if os.path.isdir(target):
        return False
    try:
        os.mkdir(location.volumes, 0o700)
    except FileExistsError:
        pass  # not the first one
    aside = f"{location.volumes}/{_NEW}{os.urandom(8).hex()}"
    lock = container.begin(location.volumes, aside)
    try:
        os.mkdir(f"{aside}/{DATA}")
        os.chmod(f"{aside}/{DATA}", 0o755)
        container.write(f"{aside}/{RECORD_FILE}", record)
        os.rename(aside, target)
    except OSError:
        from orlop.engine import removal

        removal.remove_tree(aside)
        if os.path.isdir(target):
            return False  # somebody else was quicker
        raise
    finally:
        os.close(lock)
    return True


def check_driver(driver: str) -> None:
    """Refuse drivers other than our own.

    Raises:
        Unsupported: as said.
    """
    if driver not in ("", DRIVER):
        raise Unsupported(
            f'error looking up volume plugin {driver}: plugin "{driver}" not found; only "local" is there'
        )


def check_options(options: Mapping[str, str]) -> None:
    """Docker's rules for the options of the driver ``local``.

    Raises:
        InvalidArgument: one is not known, or another is missing.
    """
    for key in options:
        if key not in _OPTIONS:
            raise InvalidArgument(f'invalid option: "{key}": the driver "local" has type, o and device')
    if options.get("o") and not options.get("type"):
        raise InvalidArgument('missing required option: "type"')
    if options.get("type") and not options.get("device"):
        raise InvalidArgument('missing required option: "device"')
    if options.get("device") and not options.get("type"):
        raise InvalidArgument('missing required option: "type"')


def names(location: Location) -> list[str]:
    """The names of all volumes, in order."""
    try:
        return sorted(name for name in os.listdir(location.volumes) if name[0] != ".")
    except FileNotFoundError:
        return []


def find(location: Location, name: str) -> dict[str, Any]:
    """A volume, in the words of Docker's API.

    Raises:
        NotFound: there is none of that name.
    """
    directory = f"{location.volumes}/{name}"
    if not name or "/" in name or name[0] == "." or not os.path.isdir(directory):
        raise NotFound(f"get {name}: no such volume")
    record = container.read(f"{directory}/{RECORD_FILE}")
    if record is None:
        try:
            made = os.stat(f"{directory}/{DATA}").st_ctime_ns
        except FileNotFoundError:
            raise NotFound(f"get {name}: no such volume") from None
        record = {
            "CreatedAt": clock.text(made),
            "Driver": DRIVER,
            "Labels": {ANONYMOUS: ""},
            "Name": name,
            "Options": None,
            "Scope": "local",
        }
    return {**record, "Mountpoint": f"{directory}/{DATA}"}


def every(location: Location) -> Iterator[dict[str, Any]]:
    """All volumes."""
    for name in names(location):
        try:
            yield find(location, name)
        except NotFound:
            continue  # removed meanwhile


def is_anonymous(volume: Mapping[str, Any]) -> bool:
    """Whether no user named it."""
    return ANONYMOUS in (volume["Labels"] or {})


def users(location: Location) -> dict[str, list[str]]:
    """For each volume that containers have, their ids, those included that are being made.

    Raises:
        OrlopError: a container's record is damaged, so that it is not known what it has.
    """
    found: dict[str, list[str]] = {}
    try:
        entries = os.listdir(location.containers)
    except FileNotFoundError:
        return found
    for entry in entries:
        if entry.startswith((container.GONE, container.PART)):
            continue  # nobody sees it any more, or it is no directory
        record = container.read(f"{location.containers}/{entry}/{container.RECORD_FILE}")
        for each in (record or {}).get("Mounts", ()):
            if each["Type"] == "volume":
                found.setdefault(each["Name"], []).append(entry.rpartition("-")[2])
    return found


def remove(location: Location, name: str) -> None:
    """Remove a volume with what is in it.

    Raises:
        NotFound: there is none.
        Conflict: a container has it.
    """
    find(location, name)
    lock = hold(location, name, exclusive=True)
    try:
        used = users(location).get(name)
        if used:
            raise Conflict(f"remove {name}: volume is in use - [{', '.join(sorted(set(used)))}]")
        gone = f"{location.volumes}/{_GONE}{os.urandom(8).hex()}"
        os.rename(f"{location.volumes}/{name}", gone)
        events.emit(location, events.VOLUME, "destroy", name, {"driver": DRIVER})
        from orlop.engine import removal

        removal.remove_tree(gone)
    finally:
        os.close(lock)


def withdraw(location: Location, name: str, entry: str, target: str) -> None:
    """Move a volume that no user named to ``target``, where a container is being removed; not if another one has it.

    ``entry`` is the id of the container that goes.
    """
    try:
        if not is_anonymous(find(location, name)):
            return
        lock = hold(location, name, exclusive=True)
    except NotFound:
        return  # moved before, or never published
    try:
        if not set(users(location).get(name, ())) - {entry}:
            os.rename(f"{location.volumes}/{name}", target)
            events.emit(location, events.VOLUME, "destroy", name, {"driver": DRIVER})
    finally:
        os.close(lock)


def hold(location: Location, name: str, *, exclusive: bool = False) -> int:
    """Keep a volume from being removed; returns a descriptor to close when done.

    Raises:
        NotFound: there is none of that name.
    """
    path = f"{location.volumes}/{name}"
    while True:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFound(f"get {name}: no such volume") from None
        fcntl.flock(descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        try:
            if os.stat(path).st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        except FileNotFoundError:
            os.close(descriptor)
            raise NotFound(f"get {name}: no such volume") from None
        os.close(descriptor)  # removed, and another made in its place, while we waited


def sweep(location: Location) -> None:
    """Remove what preparations and removals left whose process was killed."""
    from orlop.engine import removal

    try:
        entries = os.listdir(location.volumes)
    except FileNotFoundError:
        return
    for entry in entries:
        if entry[0] != ".":
            continue
        lock = container.lock_abandoned(location.volumes, f"{location.volumes}/{entry}")
        if lock is None:
            continue
        try:
            removal.remove_tree(f"{location.volumes}/{entry}")
        except OrlopError:
            continue  # the next one tries again
        finally:
            os.close(lock)


def open_part(mountpoint: str, subpath: str) -> int:
    """Open what is in a volume (O_PATH); containers may change it meanwhile, so no link leads out of it.

    Raises:
        InvalidArgument: there is no such thing.
    """
    from orlop.linux import path

    root = os.open(mountpoint, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return path.open_in_root(root, subpath)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise InvalidArgument(f"cannot access path {subpath} below {mountpoint}: {reason}") from None
    finally:
        os.close(root)
