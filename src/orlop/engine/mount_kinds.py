"""The kinds of what is mounted, each from one of Docker's ``Mount`` objects: binds, volumes, memory, images."""

from __future__ import annotations

import os

from orlop.engine import binds, volume_store
from orlop.engine.mount_plan import NamedVolume
from orlop.errors import InvalidArgument, NotFound, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from orlop.engine.location import Location
    from orlop.engine.mount_plan import Plan
    from orlop.engine.settings import Settings

BIND, VOLUME, TMPFS, IMAGE = "bind", "volume", "tmpfs", "image"


def checked(mount: Mapping[str, Any]) -> dict[str, Any]:
    """A ``Mount`` object as the API has it, with a target that is a path in its shortest form.

    Raises:
        InvalidArgument: its fields contradict each other, or one is missing.
    """
    kind = mount.get("Type") or VOLUME
    about = f'invalid mount config for type "{kind}"'
    if kind not in KINDS:
        raise InvalidArgument(f"{about}: the types are {', '.join(KINDS)}")
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
    if subpath:
        entry["subpath"] = subpath  # the runtime looks for it below the source, where no link leads out of that
    if known:
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
    """An image's files, read-only; what is written to them would belong to nobody."""
    from orlop.engine import image_store
    from orlop.images.store import ImageStore

    name = mount["Source"]
    storage = image_store.open_storage(location)
    try:
        image = ImageStore(storage).find(name)
    except NotFound:
        raise NotFound(f"no such image: {name}: pull it before it is mounted") from None
    if not image.top:
        raise InvalidArgument(f"the image {name} has no files that could be mounted")
    subpath = (mount.get("ImageOptions") or {}).get("Subpath") or ""
    if subpath and location.rootless:
        raise Unsupported(f"--mount of the image {name}: only root can mount a part of an image")
    if subpath.startswith("/") or ".." in subpath.split("/"):
        raise InvalidArgument(f'invalid mount config for type "image": invalid subpath: {subpath}')
    if not storage.snapshots.has(image.top):
        from orlop.engine import lost_snapshots

        lost_snapshots.restore(storage, image.manifest, image.id)
    destination = mount["Target"]
    files = storage.snapshots.mounts(image.top)[0].as_json()
    made.images.append({"Manifest": image.manifest, "Image": image.id, "Top": image.top, "Mount": files})
    made.mounts.append({**files, "destination": destination, "options": [*files["options"], "ro"]})
    made.is_late = made.is_late or bool(subpath)
    made.points.append(
        {
            "Type": IMAGE,
            "Name": name,
            "Source": image.id,
            "Destination": destination,
            "Mode": "",
            "RW": False,
            "Propagation": "",
            **({"Subpath": subpath} if subpath else {}),
        }
    )


#: For each type what adds a mount of it to a plan.
KINDS = {BIND: _bind, VOLUME: _volume, TMPFS: _tmpfs, IMAGE: _image}
