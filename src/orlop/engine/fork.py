"""A container like another one: made of the same image, with the same settings, and with its files as they are now.

What is mounted is not copied. The fork has the same binds and the same volumes with names, so that both see one another's
changes there; in place of volumes that no user named it has new ones, which begin as those of a new container do. No
process is copied either: the fork is a container that was made and not yet started.
"""

from __future__ import annotations

import os
import shutil

from orlop import clock, json_text
from orlop.engine import (
    container,
    container_snapshots,
    events,
    image_store,
    names,
    rebasing,
    volume_store,
    volumes,
)
from orlop.errors import Conflict, InvalidArgument, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.location import Location

#: What the directory of a container has that a fork has too, each as it is or as a text in which the fork is named.
_FILES = ("resolv.conf", "hostname", "hosts", "init", "template.json")
_SHORT = 12
_LARGEST_FILE = 1 << 20


class Fork:
    """The new ``container``, and whether nothing could write to the files while they were copied."""

    __slots__ = ("container", "stood_still")

    def __init__(self, made: container.Container, *, stood_still: bool) -> None:
        self.container = made
        self.stood_still = stood_still


def fork(source: container.Container, name: str = "", snapshot: str = "") -> Fork:
    """Make a container like another one; its files are as those are now, or as in one of its snapshots.

    It stays when it ends, also if the other one is removed by ``--rm``.

    Raises:
        InvalidArgument: it can be no name.
        Conflict: the name is in use, or the container is restarting.
        NotFound: the container was removed, or has no such snapshot, or a volume of it was removed.
        Unsupported: its files are not a snapshot.
        OSError: the file system fails.
    """
    if name:
        names.validate(name)
    location = source.location
    location.prepare()
    with container_snapshots.held(source) as (record, runs):
        new_id = os.urandom(32).hex()
        aside = f"{location.containers}/{container.NEW}{new_id}"
        lock = container.begin(location.containers, aside)
        kept: list[int] = []
        try:
            try:
                name = _claim(location, name, new_id)
                layer = container_snapshots.find(record, snapshot) if snapshot else ""
                stood_still = _prepare_files(source, record, new_id, layer, runs=runs)
                made = _Copy(source, record, new_id, name, aside)
                made.take_volumes(kept)
                forked = made.publish()
            except BaseException:
                names.release(location.names, name, new_id)
                from orlop.engine import removal

                removal.clear(location, aside, new_id)
                _remove_files(location, new_id)
                raise
        finally:
            for each in kept:
                os.close(each)
            os.close(lock)
    events.emit(location, events.CONTAINER, "create", new_id, events.attributes(forked.record))
    return Fork(forked, stood_still=stood_still)


def _claim(location: Location, name: str, container_id: str) -> str:
    attempt = 0
    while True:
        wanted = name or names.generate(attempt)
        try:
            names.claim(location.names, wanted, container_id, location.containers)
        except Conflict:
            if name:
                raise
            attempt += 1
            continue
        return wanted


def _prepare_files(source: container.Container, record: dict[str, Any], new_id: str, layer: str, *, runs: bool) -> bool:
    """Make the fork's own snapshot. What it is upon is needed by the other container, which is held."""
    location = source.location
    snapshots = image_store.open_storage(location).snapshots
    if not layer and not container_snapshots.can_be_stacked(snapshots, source.id, runs=runs):
        return container_snapshots.duplicate(source, snapshots, new_id, runs=runs)
    if not layer:
        layer = container_snapshots.new_layer()
        rebasing.rebase(source, record, layer, commit=layer)
    rebasing.as_owner(location, lambda: rebasing.begin_as(snapshots, new_id, layer))
    return True


def _remove_files(location: Location, key: str) -> None:
    """Remove a snapshot of a fork that did not come to be; its record, which would tell of it, may not be there."""
    from orlop.engine import image_root

    image_root.remove(location, key)


class _Copy:
    """A container's record and configuration, changed to be another's."""

    __slots__ = ("_aside", "_id", "_location", "_made", "_name", "_record", "_source", "_words")

    def __init__(self, source: container.Container, record: dict[str, Any], new_id: str, name: str, aside: str) -> None:
        self._source = source
        self._location = source.location
        self._id = new_id
        self._name = name
        self._aside = aside
        self._record = record
        self._made: list[dict[str, Any]] = []
        #: Texts in its files that stand for the other container, and what stands for this one.
        self._words = {source.id: new_id}
        if record["Config"]["Hostname"] == source.id[:_SHORT]:
            self._words[source.id[:_SHORT]] = new_id[:_SHORT]

    def take_volumes(self, kept: list[int]) -> None:
        """Have the volumes stay that it shares, by descriptors that are added to ``kept``; make those that it has alone."""
        for point in self._record.get("Mounts") or ():
            if point["Type"] != volumes.VOLUME:
                continue
            if volume_store.is_anonymous(volume_store.find(self._location, point["Name"])):
                new_name = os.urandom(32).hex()
                self._words[point["Name"]] = new_name
                source = str(point["Source"]).replace(point["Name"], new_name)
                self._made.append({**point, "Name": new_name, "Source": source})
            else:
                kept.append(volume_store.hold(self._location, point["Name"]))
        volumes.prepare(self._location, self._aside, self._made, self._image_mounts(), "")

    def publish(self) -> container.Container:
        """Write everything, and have it appear."""
        aside, source = self._aside, self._source.directory
        os.mkdir(f"{aside}/rootfs", 0o755)
        for name in _FILES:
            if name == "init":
                if os.path.exists(f"{source}/init"):
                    shutil.copy2(f"{source}/init", f"{aside}/init")
            else:
                self._copy_text(f"{source}/{name}", f"{aside}/{name}")
        config = container.read(f"{source}/config.json")
        if config is None:
            raise NotFound(f"no such container: {self._source.id[:_SHORT]}")
        container.write(f"{aside}/config.json", json_text.loads(self._changed(json_text.dumps(config))))
        published = f"{self._location.containers}/{self._id}"
        record = self._new_record()
        container.write(f"{aside}/{container.RECORD_FILE}", record)
        volumes.publish(self._location, aside, self._made)
        os.rename(aside, published)
        return container.Container(self._location, self._id, record)

    def _new_record(self) -> dict[str, Any]:
        record: dict[str, Any] = json_text.loads(self._changed(json_text.dumps(self._record)))
        for name in ("Snapshots", "Base"):
            record.pop(name, None)
        record["Name"] = self._name
        record["Created"] = clock.now()
        record["HostConfig"]["AutoRemove"] = False
        snapshots = image_store.open_storage(self._location).snapshots
        record["RootMounts"] = rebasing.root_mounts(container.Container(self._location, self._id), snapshots)
        parent = snapshots.info(self._id).parent
        if parent != record["Top"]:
            record["Base"] = parent
        return record

    def _copy_text(self, source: str, target: str) -> None:
        try:
            with open(source, encoding="utf-8", errors="surrogateescape") as file:
                text = file.read(_LARGEST_FILE + 1)
        except FileNotFoundError:
            return  # not every container has each
        if len(text) > _LARGEST_FILE:  # what the container can write to, it may have filled
            raise InvalidArgument(
                f"container {self._record['Name']} cannot be forked: its {os.path.basename(source)} has more than "
                f"{_LARGEST_FILE} characters"
            )
        mode = 0o600 if target.endswith(".json") else 0o644
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            os.fchmod(descriptor, mode)
            container.write_all(descriptor, self._changed(text).encode(errors="surrogateescape"))
        finally:
            os.close(descriptor)

    def _changed(self, text: str) -> str:
        for old, new in self._words.items():
            text = text.replace(old, new)
        return text

    def _image_mounts(self) -> list[Any]:
        """What shows the image alone, whose files new volumes begin with."""
        if not self._record["Top"]:
            return []
        return image_store.open_storage(self._location).snapshots.mounts(self._record["Top"])
