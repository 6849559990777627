"""The images that are here: found by name, listed, named, and forgotten.

An image is a manifest in the blob store whose configuration and layers are there too and whose layers are unpacked
as snapshots. Its ID is the digest of its configuration, as with Docker. It exists as long as the index names it
(`orlop.images.index`), or a container uses it; what nothing needs any more `orlop.images.removal` takes away.
"""

from __future__ import annotations

from orlop.errors import Conflict, NotFound
from orlop.images import index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orlop.images.config import ImageConfig
    from orlop.images.index import Entry
    from orlop.images.manifest import Index, Manifest
    from orlop.storage.store import Storage

_HEXADECIMAL = frozenset("0123456789abcdef")


class Image:
    """One image: ``id``, ``manifest`` (its digest), ``top`` (its snapshot's name, or empty), and its ``names``.

    ``names`` are whole references, those with a tag first; `tags` and `digests` are the two kinds. ``index`` is the digest of
    the index that has its attestations, or empty.
    """

    __slots__ = ("_entries", "_storage", "created", "id", "index", "layers", "manifest", "media_type", "names", "top")

    def __init__(self, storage: Storage, entries: Sequence[Entry]) -> None:
        first = entries[0]
        self._storage = storage
        self._entries = entries
        self.id = first.id
        self.manifest = first.digest
        self.index = first.index
        self.media_type = first.media_type
        self.top = first.top
        self.created = first.created
        self.layers = first.layers
        self.names = sorted((each.name for each in entries if each.name), key=lambda name: ("@" in name, name))

    @property
    def size(self) -> int:
        """The bytes that its files take, unpacked; ``layers`` has those of each layer."""
        return sum(self.layers)

    @property
    def tags(self) -> list[str]:
        """The names that have a tag."""
        return [name for name in self.names if "@" not in name]

    @property
    def digests(self) -> list[str]:
        """The names that have a digest: where the image was pulled from or pushed to."""
        return [name for name in self.names if "@" in name]

    @property
    def added(self) -> str:
        """When the image came here (RFC 3339)."""
        return self._entries[0].added

    @property
    def manifests(self) -> set[str]:
        """The digests of all manifests that mean this image, more than one if its layers were compressed anew, and of the indexes with its attestations."""
        return {digest for each in self._entries for digest in each.documents}

    @property
    def config(self) -> ImageConfig:
        """Its configuration, read anew.

        Raises:
            NotFound: the blob is gone: somebody removed the image meanwhile.
        """
        from orlop.images.config import ImageConfig

        return ImageConfig.parse(self._storage.blobs.read(self.id), f"the configuration of image {self.id[7:19]}")

    def read_manifest(self) -> Manifest:
        """Its manifest, read anew.

        Raises:
            NotFound: the blob is gone: somebody removed the image meanwhile.
        """
        from orlop.images.manifest import Manifest

        return Manifest.parse(self._storage.blobs.read(self.manifest), self.media_type)

    def read_index(self) -> Index | None:
        """The index that has its attestations, read anew; None if it has none.

        Raises:
            NotFound: the blob is gone: somebody removed the image meanwhile.
        """
        if not self.index:
            return None
        from orlop.images.manifest import Index

        return Index.parse(self._storage.blobs.read(self.index))

    @property
    def entry(self) -> Entry:
        """An entry of the index that means it."""
        return self._entries[0]


class ImageStore:
    """The images of one engine. Making the value touches nothing."""

    __slots__ = ("_directory", "storage")

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._directory = storage.blobs.directory

    def images(self) -> list[Image]:
        """All images, the newest first."""
        by_id: dict[str, list[Entry]] = {}
        for entry in index.read(self._directory):
            by_id.setdefault(entry.id, []).append(entry)
        found = [Image(self.storage, entries) for entries in by_id.values()]
        found.sort(key=lambda image: image.created, reverse=True)
        return found

    def find(self, wanted: str) -> Image:
        """The image that a user means: by name, by ID, or by the beginning of its ID.

        Raises:
            NotFound: there is none.
            Conflict: the beginning of an ID fits more than one.
            InvalidReference: it cannot be a name.
        """
        entries = index.read(self._directory)
        identifier = wanted.removeprefix("sha256:")
        if len(identifier) == 64 and _HEXADECIMAL.issuperset(identifier):
            found = [each for each in entries if each.id == f"sha256:{identifier}"]
            if found:
                return Image(self.storage, found)
        elif not wanted.startswith("sha256:"):
            for name in _meanings(wanted):
                for each in entries:
                    if each.name == name:
                        return self._whole(entries, each)
        if identifier and _HEXADECIMAL.issuperset(identifier):
            fitting = {each.id for each in entries if each.id.startswith(f"sha256:{identifier}")}
            if len(fitting) == 1:
                return Image(self.storage, [each for each in entries if each.id in fitting])
            if fitting:
                raise Conflict(f"the ID prefix {wanted} fits {len(fitting)} images: use more of it")
        raise NotFound(f"no such image: {wanted}")

    def resolve(self, wanted: str) -> Image:
        """The image that a user means, as `find`, but perhaps without its other names: quick among thousands.

        Raises:
            NotFound, Conflict, InvalidReference: as `find`.
        """
        if not wanted.startswith("sha256:") and not (len(wanted) == 64 and _HEXADECIMAL.issuperset(wanted)):
            for name in _meanings(wanted):
                entry = index.find(self._directory, name)
                if entry is not None:
                    return Image(self.storage, [entry])
        return self.find(wanted)

    def _whole(self, entries: Iterable[Entry], chosen: Entry) -> Image:
        """The image of one entry: that entry first, so that its manifest counts."""
        others = [each for each in entries if each.id == chosen.id and each is not chosen]
        return Image(self.storage, [chosen, *others])

    def publish(self, entry: Entry, names: Sequence[str]) -> Image:
        """Make an image visible whose blobs and snapshots are there, held by the caller's lease.

        Each name that another image has is taken from it. Without names the image gets none, and keeps those that it has.
        """
        with index.Change(self._directory) as change:
            for name in names or ("",):
                _put(change, entry.named(name))
            change.save()
            chosen = next(each for each in reversed(change.entries) if each.id == entry.id)
            return self._whole(change.entries, chosen)

    def manifests(self) -> set[str]:
        """The digests of all images' manifests, and of the indexes with their attestations."""
        return {digest for each in index.read(self._directory) for digest in each.documents}

    def pushed(self, image: Image, manifest: Manifest, name: str, attested: Index | None = None) -> None:
        """Note that an image is in a registry: by a manifest, under a ``name`` that has its digest, or that of its attestations' index.

        If it was pushed by another manifest than it has here, since its layers had to be compressed, then that is its
        manifest here too from now on. An image that was removed meanwhile stays so.
        """
        with index.Change(self._directory) as change:
            known = [each for each in change.entries if each.id == image.id]
            if not known:
                return
            change.entries = [
                each.with_manifest(manifest, attested)
                if each.id == image.id and each.digest == image.manifest and "@" not in each.name
                else each
                for each in change.entries
            ]
            _put(change, known[0].with_manifest(manifest, attested).named(name))
            change.save()

    def tag(self, image: Image, name: str) -> None:
        """Give an image a further name, taking it from the image that has it.

        Raises:
            NotFound: the image was removed meanwhile.
        """
        with index.Change(self._directory) as change:
            if not any(each.id == image.id for each in change.entries):
                raise NotFound(f"no such image: {image.id}")
            _put(change, image.entry.named(name))
            change.save()

    def untag(self, name: str, *, keep: bool = False) -> bool:
        """Take a name away; whether the image still exists under another one.

        With ``keep`` an image that loses its last name stays, without any.

        Raises:
            NotFound: no image has the name.
        """
        with index.Change(self._directory) as change:
            gone = [each for each in change.entries if each.name == name]
            if not gone:
                raise NotFound(f"no such image: {name}")
            change.entries = [each for each in change.entries if each.name != name]
            remains = any(each.id == gone[0].id for each in change.entries)
            if not remains and keep:
                change.entries.append(gone[0].named(""))
                remains = True
            change.save()
            return remains

    def forget(self, image: Image) -> None:
        """Remove an image from the index under all of its names.

        Raises:
            NotFound: it is not there any more.
            Conflict: its names have changed since it was looked up.
        """
        with index.Change(self._directory) as change:
            gone = [each for each in change.entries if each.id == image.id]
            if not gone:
                raise NotFound(f"no such image: {image.id}")
            if Image(self.storage, gone).names != image.names:
                raise Conflict(f"the image {image.id} was given or lost a name meanwhile: look again")
            change.entries = [each for each in change.entries if each.id != image.id]
            change.save()


def _put(change: index.Change, entry: Entry) -> None:
    """Add an entry: it takes its name from whoever has it, and a first name replaces having none."""
    kept = []
    for each in change.entries:
        if entry.name and each.name == entry.name:
            if each.id != entry.id and not any(other.id == each.id and other is not each for other in change.entries):
                kept.append(each.named(""))
        elif each.name or each.id != entry.id:
            kept.append(each)
    if entry.name or not any(each.id == entry.id for each in kept):
        kept.append(entry)
    change.entries = kept


def _meanings(wanted: str) -> list[str]:
    """The names that a text may stand for: its digest before its tag, ``latest`` where it has neither."""
    from orlop.images.reference import parse

    reference = parse(wanted)
    if reference.digest:
        return [f"{reference.name}@{reference.digest}"]
    return [f"{reference.name}:{reference.tag or 'latest'}"]
