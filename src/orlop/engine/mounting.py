"""What is mounted in a container beside the file systems of the kernel: binds, volumes, memory, images.

``-v``, ``--mount``, ``--tmpfs``, ``--volumes-from`` and an image's volumes become one `Plan`, before anything is made:
OCI mounts, and what ``inspect`` tells of them in the words of Docker's API (``MountPoint``).
"""

from __future__ import annotations

import os

from orlop.engine import binds, container, volume_store, volumes
from orlop.engine.settings import Settings
from orlop.errors import InvalidArgument, NotFound, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from orlop.engine.location import Location
    from orlop.engine.users import User
    from orlop.storage.mounts import Mount

BIND, VOLUME, TMPFS, IMAGE = "bind", "volume", "tmpfs", "image"
#: The last id is 2**32 - 2 (user_namespaces(7)).
_IDS = (1 << 32) - 1


class NamedVolume:
    """A volume that the user named and a container is to have: it is made if it is not there.

    ``is_filled`` says that it begins as what the image has at ``destination``, if it is empty.
    """

    __slots__ = ("destination", "is_filled", "labels", "name", "options")

    def __init__(
        self, name: str, destination: str, *, is_filled: bool, labels: Mapping[str, str], options: Mapping[str, str]
    ) -> None:
        self.name = name
        self.destination = destination
        self.is_filled = is_filled
        self.labels = labels
        self.options = options


class Plan:
    """What is going to be mounted.

    Attributes:
        points: what `orlop inspect` shows.
        mounts: entries of the OCI configuration, without those of new volumes.
        made: the points of volumes without a name, which are made with the container.
        named: the volumes that have one.
        sources: directories of the host to make if they are not there.
        is_late: some of it can be found only when the container starts, each time anew.
    """

    __slots__ = ("_matched", "is_late", "made", "mounts", "named", "points", "sources")

    def __init__(self) -> None:
        self.points: list[dict[str, Any]] = []
        self.mounts: list[dict[str, Any]] = []
        self.made: list[dict[str, Any]] = []
        self.named: list[NamedVolume] = []
        self.sources: list[str] = []
        self.is_late = False
        self._matched: list[dict[str, Any]] = []

    def match_user(self, mount: dict[str, Any]) -> None:
        """Have the files of a mount belong to the container's user (`map_ids`)."""
        self._matched.append(mount)

    def map_ids(self, user: User) -> None:
        """Exchange the owner of each matched source and the container's user, once the sources are there.

        Raises:
            OSError: a source cannot be looked at.
        """
        for mount in self._matched:
            owner = os.stat(mount["source"])
            for name, outside, inside in (
                ("uidMappings", owner.st_uid, user.uid),
                ("gidMappings", owner.st_gid, user.gid),
            ):
                mount[name] = exchanged(outside, inside)
            mount["options"].append("idmap")


def exchanged(one: int, other: int) -> list[dict[str, int]]:
    """A mapping of all ids to themselves, but for two that stand for each other."""
    low, high = sorted((one, other))
    ranges = [(0, 0, low), (low, high, 1), (low + 1, low + 1, high - low - 1), (high, low, 1)]
    if low == high:
        ranges = [(0, 0, high), (high, high, 1)]
    ranges.append((high + 1, high + 1, _IDS - high - 1))
    return [{"containerID": inside, "hostID": outside, "size": size} for inside, outside, size in ranges if size > 0]


def plan(location: Location, settings: Settings) -> Plan:
    """Find out what is to be mounted; nothing is made.

    Raises:
        InvalidArgument: something cannot be mounted like that.
        NotFound: there is no container to take volumes from.
        Unsupported: it takes a right or a driver that is not there.
    """
    made = Plan()
    wanted = [*(binds.parse(text) for text in settings.binds), *map(_checked, settings.mounts)]
    for target, options in (settings.tmpfs or {}).items():
        path = binds.target_of(target, f'invalid tmpfs "{target}"')
        wanted.append({"Type": TMPFS, "Target": path, "Words": options.split(",") if options else []})
    taken: set[str] = set()
    for each in wanted:
        if each["Target"] in taken:
            raise InvalidArgument(f"duplicate mount point: {each['Target']}")
        taken.add(each["Target"])
    for text in settings.volumes_from:
        _inherit(made, location, text, taken)
    for each in wanted:
        _KINDS[each["Type"]](made, location, settings, each)
    made.made = volumes.plan(location, settings.volumes, taken)
    made.points += made.made
    volume_store.check_driver(settings.volume_driver)
    return made


class prepared:  # noqa: N801 - used like a function, as contextlib's are
    """``with prepared(…):`` what a container is going to mount is there and stays, until its record says so.

    ``aside`` is the container's directory; the image is ``root_mounts``, a snapshot's, or what lies in ``directory``.

    Raises:
        OrlopError: something cannot be made or filled.
    """

    __slots__ = ("_held",)

    def __init__(
        self,
        location: Location,
        made: Plan,
        user: User,
        aside: str,
        root_mounts: Sequence[Mount],
        directory: str,
    ) -> None:
        self._held: list[int] = []
        for source in made.sources:
            binds.make_source(source)
        volumes.prepare(location, aside, made.made, root_mounts, directory)
        try:
            if made.named:
                from orlop.engine import volume_filling

                self._held = volume_filling.take(location, made.named)
                volume_filling.fill(location, aside, made.named, root_mounts, directory)
            made.map_ids(user)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> None:
        return

    def __exit__(self, *_exception: object) -> None:
        for descriptor in self._held:
            os.close(descriptor)


def _checked(mount: Mapping[str, Any]) -> dict[str, Any]:
    """A ``Mount`` object as the API has it, with a target that is a path in its shortest form."""
    kind = mount.get("Type") or VOLUME
    about = f'invalid mount config for type "{kind}"'
    if kind not in _KINDS:
        raise InvalidArgument(f"{about}: the types are {', '.join(_KINDS)}")
    if not mount.get("Target"):
        raise InvalidArgument(f"{about}: field Target must not be empty")
    for name, owner in (
        ("BindOptions", BIND),
        ("VolumeOptions", VOLUME),
        ("TmpfsOptions", TMPFS),
        ("ImageOptions", IMAGE),
    ):
        if mount.get(name) and kind != owner:
            raise InvalidArgument(f"{about}: field {name} must not be specified")
    if kind == BIND:
        source = mount.get("Source") or ""
        if not source:
            raise InvalidArgument(f"{about}: field Source must not be empty")
        if not source.startswith("/"):
            raise InvalidArgument(f"{about}: invalid mount path: '{source}' mount path must be absolute")
        if not (mount.get("BindOptions") or {}).get("CreateMountpoint") and not os.path.lexists(source):
            raise InvalidArgument(f"{about}: bind source path does not exist: {source}")
    if kind == TMPFS and mount.get("Source"):
        raise InvalidArgument(f"{about}: field Source must not be specified")
    if kind == IMAGE and not mount.get("Source"):
        raise InvalidArgument(f"{about}: field Source must not be empty")
    return {**mount, "Type": kind, "Target": binds.target_of(mount["Target"], about)}


def _bind(made: Plan, location: Location, _: Settings, mount: dict[str, Any]) -> None:
    wanted = mount.get("BindOptions") or {}
    propagation = wanted.get("Propagation") or "rprivate"
    if propagation not in binds.PROPAGATION:
        raise InvalidArgument(f'invalid mount config for type "bind": invalid propagation mode: {propagation}')
    recursion = "bind" if wanted.get("NonRecursive") else "rbind"
    source = os.path.normpath(mount["Source"])
    entry = {
        "destination": mount["Target"],
        "type": BIND,
        "source": source,
        "options": [recursion, propagation, *_write(mount, wanted)],
    }
    if wanted.get("CreateMountpoint"):
        made.sources.append(source)
    _add(made, location, mount, entry)
    made.points.append(
        {
            "Type": BIND,
            "Source": source,
            "Destination": mount["Target"],
            "Mode": mount.get("Mode", ""),
            "RW": not mount.get("ReadOnly"),
            "Propagation": propagation,
        }
    )


def _write(mount: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Read-only is so for what is mounted below too, as with Docker, unless it is asked not to be."""
    if not mount.get("ReadOnly"):
        return ["rw"]
    if wanted.get("NonRecursive") or wanted.get("ReadOnlyNonRecursive"):
        return ["ro"]
    return ["ro", "rro"]


def _add(made: Plan, location: Location, mount: Mapping[str, Any], entry: dict[str, Any]) -> None:
    made.mounts.append(entry)
    if not mount.get("IDMap"):
        return
    if mount["IDMap"] != binds.MATCH_USER:
        raise InvalidArgument(
            f'invalid idmap "{mount["IDMap"]}" of {mount["Target"]}: only {binds.MATCH_USER} is known'
        )
    if location.rootless:
        raise Unsupported(f"the mount at {mount['Target']}: only root can map the ids of a mount")
    made.match_user(entry)


def _volume(made: Plan, location: Location, settings: Settings, mount: dict[str, Any]) -> None:
    wanted = mount.get("VolumeOptions") or {}
    driver = wanted.get("DriverConfig") or {}
    volume_store.check_driver(driver.get("Name") or settings.volume_driver)
    name = mount.get("Source") or ""
    if not name:
        name = os.urandom(32).hex()
    volume_store.check_name(name)
    options = driver.get("Options") or {}
    volume_store.check_options(options)
    labels = dict(wanted.get("Labels") or {})
    if not mount.get("Source"):
        labels[volume_store.ANONYMOUS] = ""
    try:
        known = volume_store.find(location, name)["Options"] or {}
    except NotFound:
        known = options
    subpath = wanted.get("Subpath") or ""
    if subpath.startswith("/") or ".." in subpath.split("/"):
        raise InvalidArgument(f'invalid mount config for type "volume": invalid subpath: {subpath}')
    destination = mount["Target"]
    made.named.append(
        NamedVolume(
            name,
            destination,
            is_filled=not (wanted.get("NoCopy") or subpath or known),
            labels=labels,
            options=options,
        )
    )
    source = f"{location.volumes}/{name}/{volume_store.DATA}"
    entry = {
        "destination": destination,
        "type": BIND,
        "source": source,
        "options": ["rbind", "rprivate", "ro" if mount.get("ReadOnly") else "rw"],
    }
    if subpath or known:
        made.is_late = True
    _add(made, location, mount, entry)
    made.points.append(
        {
            "Type": VOLUME,
            "Name": name,
            "Source": source,
            "Destination": destination,
            "Driver": volume_store.DRIVER,
            "Mode": mount.get("Mode", ""),
            "RW": not mount.get("ReadOnly"),
            "Propagation": "",
            **({"Subpath": subpath} if subpath else {}),
        }
    )


def _tmpfs(made: Plan, _: Location, __: Settings, mount: dict[str, Any]) -> None:
    wanted = mount.get("TmpfsOptions") or {}
    words = list(mount.get("Words") or ())
    words += ["=".join(option) for option in wanted.get("Options") or ()]
    if wanted.get("SizeBytes"):
        words.append(f"size={wanted['SizeBytes']}")
    if wanted.get("Mode"):
        words.append(f"mode={wanted['Mode']:o}")
    if mount.get("ReadOnly"):
        words.append("ro")
    check_tmpfs(words)
    destination = mount["Target"]
    made.mounts.append(
        {
            "destination": destination,
            "type": TMPFS,
            "source": TMPFS,
            "options": ["noexec", "nosuid", "nodev", "rprivate", *words],
        }
    )
    if "Words" not in mount:  # Docker shows those of --mount only
        made.points.append(
            {
                "Type": TMPFS,
                "Source": "",
                "Destination": destination,
                "Mode": "",
                "RW": "ro" not in words,
                "Propagation": "",
            }
        )


_TMPFS_FLAGS = frozenset(
    [
        "defaults",
        "ro",
        "rw",
        "suid",
        "nosuid",
        "dev",
        "nodev",
        "exec",
        "noexec",
        "sync",
        "async",
        "dirsync",
        "remount",
        "mand",
        "nomand",
        "atime",
        "noatime",
        "diratime",
        "nodiratime",
        "bind",
        "rbind",
        "unbindable",
        "runbindable",
        "private",
        "rprivate",
        "shared",
        "rshared",
        "slave",
        "rslave",
        "relatime",
        "norelatime",
        "strictatime",
        "nostrictatime",
        "tmpcopyup",
    ]
)
_TMPFS_VALUES = ("size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol", "huge")


def check_tmpfs(words: Iterable[str]) -> None:
    """Refuse what tmpfs does not know, before anything is made.

    Raises:
        InvalidArgument: as said.
    """
    for word in words:
        key, equals, value = word.partition("=")
        if word not in _TMPFS_FLAGS and not (equals and value and key in _TMPFS_VALUES):
            raise InvalidArgument(f'invalid tmpfs option "{word}"')


def _image(made: Plan, location: Location, _: Settings, mount: dict[str, Any]) -> None:
    raise Unsupported('mounts of type "image" are not supported yet')


_KINDS = {BIND: _bind, VOLUME: _volume, TMPFS: _tmpfs, IMAGE: _image}


def _inherit(made: Plan, location: Location, text: str, taken: set[str]) -> None:
    """``--volumes-from CONTAINER[:ro|rw]``: its volumes and binds, but where the user mounts something else."""
    name, _, mode = text.partition(":")
    if mode not in ("", "ro", "rw", "z", "Z"):
        raise InvalidArgument(f"invalid volumes-from specification '{text}': invalid mode: {mode}")
    donor = container.find(location, name)
    for point in donor.record.get("Mounts") or ():
        if point["Type"] not in (BIND, VOLUME) or point["Destination"] in taken:
            continue
        taken.add(point["Destination"])
        mount = {
            "Type": point["Type"],
            "Source": point["Name"] if point["Type"] == VOLUME else point["Source"],
            "Target": point["Destination"],
            "Mode": point["Mode"],
            "ReadOnly": mode == "ro" or not point["RW"],
        }
        if point["Type"] == VOLUME:
            mount["VolumeOptions"] = {"NoCopy": True, "Subpath": point.get("Subpath", "")}
        else:
            mount["BindOptions"] = {"Propagation": point["Propagation"]}
        _KINDS[point["Type"]](made, location, Settings(), mount)
