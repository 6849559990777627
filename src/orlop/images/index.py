"""``index.json``: which images there are and what they are called (OCI image-spec, image-layout.md).

The store of images is an OCI image layout, so this file is its index, and other tools read it too. Each entry is the
descriptor of a manifest. Its annotations hold the name, and what a list of images shows of each, so that listing a
thousand of them opens one file:

``org.opencontainers.image.ref.name``
    the image's whole name: ``docker.io/library/debian:bookworm`` or ``docker.io/library/debian@sha256:…``. An image
    with several names has as many entries, one without any name an entry without this annotation
``dev.orlop.image.id``
    the digest of its configuration
``dev.orlop.image.top``
    the chain ID of its layers, which is the name of its snapshot; empty for an image without layers
``dev.orlop.image.layers``
    the bytes that the files of each of its layers take, the lowest first
``dev.orlop.image.created``, ``dev.orlop.image.added``
    when it was made, and when it came here (RFC 3339)
``dev.orlop.image.index``
    the digest of the index that has the image's attestations (`orlop.images.attestations`); only if it has some

The file is replaced by rename, under a lock on ``index.lock``.
"""

from __future__ import annotations

import fcntl
import os

from orlop import json_text
from orlop.errors import OrlopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from orlop.images.manifest import Index, Manifest

INDEX_FILE = "index.json"
LOCK_FILE = "index.lock"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"

#: What comes before and after the entries, each of which has a line of its own.
_HEAD = f'{{"schemaVersion":2,"mediaType":"{INDEX_TYPE}","manifests":[\n'.encode()
_TAIL = b"\n]}\n"

NAME = "org.opencontainers.image.ref.name"
_ID = "dev.orlop.image.id"
_TOP = "dev.orlop.image.top"
_CREATED = "dev.orlop.image.created"
_LAYERS = "dev.orlop.image.layers"
_ADDED = "dev.orlop.image.added"
_INDEX = "dev.orlop.image.index"


class Entry:
    """One descriptor of the index: a manifest that is here, under one name or none.

    ``digest``, ``size`` and ``media_type`` are the manifest's; ``layers`` is the bytes of each layer's files. ``index`` is the
    digest of the index that has its attestations, or empty.
    """

    __slots__ = ("added", "created", "digest", "id", "index", "layers", "media_type", "name", "size", "top")

    def __init__(
        self,
        *,
        name: str,
        digest: str,
        size: int,
        media_type: str,
        id: str,  # noqa: A002 - Docker's word
        top: str,
        created: str,
        layers: list[int],
        added: str,
        index: str = "",
    ) -> None:
        self.name = name
        self.digest = digest
        self.size = size
        self.media_type = media_type
        self.id = id
        self.top = top
        self.created = created
        self.layers = layers
        self.added = added
        self.index = index

    @property
    def documents(self) -> list[str]:
        """The digests of the manifest, and of the index with its attestations."""
        return [self.digest, self.index] if self.index else [self.digest]

    def named(self, name: str) -> Entry:
        """The same image under another name; empty for none."""
        return Entry(
            name=name,
            digest=self.digest,
            size=self.size,
            media_type=self.media_type,
            id=self.id,
            top=self.top,
            created=self.created,
            layers=self.layers,
            added=self.added,
            index=self.index,
        )

    def with_manifest(self, manifest: Manifest, index: Index | None = None) -> Entry:
        """The same image under the same name, by another manifest of it, of which ``index`` has attestations."""
        made = self.named(self.name)
        made.digest = manifest.digest
        made.size = len(manifest.data)
        made.media_type = manifest.media_type
        made.index = index.digest if index is not None else ""
        return made

    def descriptor(self) -> dict[str, Any]:
        """The entry as it stands in the file."""
        annotations = {
            _ID: self.id,
            _TOP: self.top,
            _CREATED: self.created,
            _LAYERS: " ".join(str(size) for size in self.layers),
            _ADDED: self.added,
        }
        if self.index:
            annotations[_INDEX] = self.index
        if self.name:
            annotations[NAME] = self.name
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size, "annotations": annotations}


def read(directory: str) -> list[Entry]:
    """The entries of the layout in a directory; none if nothing was ever stored.

    Raises:
        OrlopError: the file is damaged.
    """
    path = f"{directory}/{INDEX_FILE}"
    try:
        with open(path, "rb", buffering=0) as file:
            text = file.readall()
    except FileNotFoundError:
        return []
    try:
        return [_entry(each) for each in json_text.loads(text)["manifests"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise OrlopError(
            f"the index of images {path} is damaged ({type(error).__name__}: {error}): "
            "'orlop system check --repair' sets it aside"
        ) from None


def find(directory: str, name: str) -> Entry | None:
    """The entry of a name, quickly also where there are thousands; None if there is none, or none that is found so.

    `write` puts each entry on a line of its own, so that one can be read without the others. A file that somebody else
    wrote is left to `read`.
    """
    try:
        with open(f"{directory}/{INDEX_FILE}", "rb", buffering=0) as file:
            text = file.readall()
    except FileNotFoundError:
        return None
    at = text.find(json_text.dumps({NAME: name})[1:-1].encode())
    if at < 0 or not text.startswith(_HEAD):
        return None
    line = text[text.rfind(b"\n", 0, at) + 1 : text.find(b"\n", at)]
    try:
        entry = _entry(json_text.loads(line.rstrip(b",")))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None  # `read` says what is wrong with it
    return entry if entry.name == name else None


def _entry(descriptor: dict[str, Any]) -> Entry:
    annotations = descriptor["annotations"]
    return Entry(
        name=annotations.get(NAME, ""),
        digest=descriptor["digest"],
        size=descriptor["size"],
        media_type=descriptor["mediaType"],
        id=annotations[_ID],
        top=annotations[_TOP],
        created=annotations[_CREATED],
        layers=[int(size) for size in annotations[_LAYERS].split()],
        added=annotations[_ADDED],
        index=annotations.get(_INDEX, ""),
    )


class Change:
    """A change of the index under its lock: ``with Change(directory) as change: change.entries = …; change.save()``."""

    __slots__ = ("_directory", "_lock", "entries")

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._lock = -1
        self.entries: list[Entry] = []

    def __enter__(self) -> Change:
        self._lock = os.open(f"{self._directory}/{LOCK_FILE}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            self.entries = read(self._directory)
        except BaseException:
            os.close(self._lock)
            raise
        return self

    def save(self) -> None:
        """Replace the file; it survives a loss of power."""
        write(self._directory, self.entries)

    def __exit__(self, *exception: object) -> None:
        os.close(self._lock)


def write(directory: str, entries: Iterable[Entry]) -> None:
    """Replace a layout's index. The caller has the lock, or the directory for itself."""
    lines = ",\n".join(json_text.dumps(each.descriptor()) for each in entries)
    # Always the same: one that was left by a killed process is replaced by the next.
    aside = f"{directory}/{INDEX_FILE}.new"
    try:
        with open(aside, "wb") as file:
            file.write(_HEAD + lines.encode() + _TAIL)
            file.flush()
            os.fdatasync(file.fileno())
        os.rename(aside, f"{directory}/{INDEX_FILE}")
        place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(place)
        finally:
            os.close(place)
    except OSError as error:
        from orlop.storage.ingest import failure

        raise failure(error, directory) from error


def discard_unwritten(directory: str) -> None:
    """Remove what somebody left who was killed while they wrote the index."""
    with Change(directory):
        try:
            os.unlink(f"{directory}/{INDEX_FILE}.new")
        except FileNotFoundError:
            pass  # somebody else was quicker
