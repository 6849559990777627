"""Images become an archive, or a directory, that this and other tools load again.

``docker-archive``
    what ``docker save`` writes since version 25: an OCI image layout with Docker's ``manifest.json`` beside it, so that
    old and new tools find what they look for
``oci-archive``, ``oci-dir``
    an OCI image layout alone, as a tar archive or as a directory

Layers are written as they are stored, compressed or not, and never again compressed. Nothing in an archive depends on
when it was made, so that the same images give the same bytes.
"""

from __future__ import annotations

import os

from orlop import json_text
from orlop.errors import Conflict
from orlop.images import manifest as manifests
from orlop.images import media_types, reachable, reference
from orlop.storage.blobs import LAYOUT
from orlop.storage.layers import tar_writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from orlop.images.manifest import Index, Manifest
    from orlop.images.store import Image, ImageStore
    from orlop.storage.blobs import Blobs
    from orlop.storage.layers.tar_writer import Sink

DOCKER_ARCHIVE = "docker-archive"
OCI_ARCHIVE = "oci-archive"
OCI_DIRECTORY = "oci-dir"
FORMS = (DOCKER_ARCHIVE, OCI_ARCHIVE, OCI_DIRECTORY)

#: The name that containerd, and Docker after it, give to an image in a layout's index.
CONTAINERD_NAME = "io.containerd.image.name"
REF_NAME = "org.opencontainers.image.ref.name"


class Chosen:
    """An image to save, the index with its attestations, and those of its names that are saved with it."""

    __slots__ = ("attested", "image", "manifest", "names")

    def __init__(self, image: Image) -> None:
        self.image = image
        self.manifest: Manifest = image.read_manifest()
        self.attested: Index | None = image.read_index()
        self.names: list[str] = []


def choose(images: ImageStore, wanted: Sequence[str]) -> list[Chosen]:
    """The images that the user means: a name with a tag is saved under that, one without under all its tags, an ID under none.

    Raises:
        NotFound: one is not there.
    """
    chosen: dict[str, Chosen] = {}
    for text in wanted:
        for image, names in _meant(images, text):
            each = chosen.setdefault(image.id, Chosen(image))
            each.names += [name for name in names if name not in each.names]
    return list(chosen.values())


def _meant(images: ImageStore, text: str) -> list[tuple[Image, list[str]]]:
    if not text.startswith("sha256:") and not (len(text) == 64 and set(text) <= set("0123456789abcdef")):
        meant = reference.parse(text)
        if meant.is_name_only:
            tagged = [
                (image, [name for name in image.tags if name.rpartition(":")[0] == meant.name])
                for image in images.images()
            ]
            found = [each for each in tagged if each[1]]
            if found:
                return found
        elif not meant.digest:
            return [(images.find(text), [str(meant)])]
    return [(images.find(text), [])]


def to_stream(images: ImageStore, wanted: Sequence[str], sink: Sink, *, form: str = DOCKER_ARCHIVE) -> None:
    """Write a tar archive.

    Raises:
        NotFound: an image, or a blob of one, is not there.
        OSError: it cannot be written.
    """
    with images.storage.leases.take() as lease:
        chosen = choose(images, wanted)
        blobs = images.storage.blobs
        saved = _saved(blobs, chosen)
        lease.hold(*saved)
        archive = tar_writer.TarWriter(sink)
        archive.add(_directory(b"blobs"))
        for algorithm in sorted({digest.partition(":")[0] for digest in saved}):
            archive.add(_directory(b"blobs/" + algorithm.encode()))
        for digest in sorted(saved):
            size = blobs.size(digest)
            descriptor = blobs.open(digest)
            try:
                archive.add_from(_file(_path(digest).encode(), size), descriptor)
            finally:
                os.close(descriptor)
        for name, data in _documents(chosen, form):
            archive.add(_file(name.encode()), data)
        archive.finish()


def to_directory(images: ImageStore, wanted: Sequence[str], directory: str) -> None:
    """Write an OCI image layout to a directory that does not exist or is empty; it appears when it is complete.

    Raises:
        Conflict: something is there already.
        NotFound: an image, or a blob of one, is not there.
        OSError: it cannot be written.
    """
    directory = os.path.abspath(directory)
    aside = f"{directory}.{os.urandom(8).hex()}"
    try:
        if os.listdir(directory):
            raise Conflict(f"cannot save to {directory}: it is not empty")
    except FileNotFoundError:
        pass
    except NotADirectoryError:
        raise Conflict(f"cannot save to {directory}: it is not a directory") from None
    with images.storage.leases.take() as lease:
        chosen = choose(images, wanted)
        saved = _saved(images.storage.blobs, chosen)
        lease.hold(*saved)
        try:
            os.makedirs(f"{aside}/blobs")
            for digest in saved:
                os.makedirs(f"{aside}/{os.path.dirname(_path(digest))}", exist_ok=True)
                _copy(images.storage.blobs, digest, f"{aside}/{_path(digest)}")
            for name, data in _documents(chosen, OCI_DIRECTORY):
                with open(f"{aside}/{name}", "wb") as file:
                    file.write(data)
            os.rename(aside, directory)
        except BaseException:
            import shutil

            shutil.rmtree(aside, ignore_errors=True)
            raise


def _copy(blobs: Blobs, digest: str, target: str) -> None:
    source = blobs.open(digest)
    try:
        with open(target, "wb") as file:
            while os.copy_file_range(source, file.fileno(), 1 << 30):
                pass
    finally:
        os.close(source)


def _saved(blobs: Blobs, chosen: Sequence[Chosen]) -> set[str]:
    """The digests of everything that belongs to images."""
    documents = [each.manifest.digest for each in chosen]
    documents += [each.attested.digest for each in chosen if each.attested is not None]
    return reachable.blobs_of(blobs, documents)


def _documents(chosen: Sequence[Chosen], form: str) -> Iterator[tuple[str, bytes]]:
    """The files beside the blobs, in the order of their names."""
    yield "index.json", _index(chosen, form)
    if form == DOCKER_ARCHIVE:
        yield "manifest.json", _docker_manifest(chosen)
    yield "oci-layout", LAYOUT


def _index(chosen: Sequence[Chosen], form: str) -> bytes:
    entries = []
    for each in chosen:
        descriptor = (each.attested or each.manifest).descriptor
        for name in each.names or [""]:
            annotations = {}
            if name:
                tag = name.rpartition(":")[2]
                annotations = {CONTAINERD_NAME: name, REF_NAME: tag if form == DOCKER_ARCHIVE else name}
            entries.append(
                manifests.Descriptor(
                    descriptor.media_type,
                    descriptor.digest,
                    descriptor.size,
                    annotations=annotations,
                    platform=each.image.config.platform if each.attested is None else None,
                )
            )
    return manifests.make_index(entries, media_type=media_types.OCI_INDEX).data


def _docker_manifest(chosen: Sequence[Chosen]) -> bytes:
    made: list[dict[str, Any]] = [
        {
            "Config": _path(each.manifest.config.digest),
            "RepoTags": [reference.parse(name).familiar for name in each.names] or None,
            "Layers": [_path(layer.digest) for layer in each.manifest.layers],
        }
        for each in chosen
    ]
    return json_text.dumps(made).encode()


def _path(digest: str) -> str:
    algorithm, _, encoded = digest.partition(":")
    return f"blobs/{algorithm}/{encoded}"


def _file(path: bytes, size: int = 0) -> tar_writer.Entry:
    return tar_writer.Entry(path, tar_writer.FILE, mode=0o644, size=size)


def _directory(path: bytes) -> tar_writer.Entry:
    return tar_writer.Entry(path, tar_writer.DIRECTORY, mode=0o755)
