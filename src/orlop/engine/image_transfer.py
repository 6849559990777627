"""Images that come and go: from and to registries and archives.

Whatever fails leaves nothing behind that is of no use, what was replaced goes, and events tell of it. An ordinary user's
process has to be root of a user namespace of theirs (`own_namespace`).
"""

from __future__ import annotations

import os

from orlop.engine import image_events, image_store, sweep, write_out
from orlop.errors import InvalidReference, NotFound
from orlop.images import platform, reachable, reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from orlop.engine.location import Location
    from orlop.images.archive.contents import Contents
    from orlop.images.archive.file_system import Description
    from orlop.images.progress import Progress
    from orlop.images.registry.hosts import RegistryOptions
    from orlop.images.store import Image
    from orlop.storage.layers.tar_writer import Sink
    from orlop.storage.leases import Lease
    from orlop.storage.store import Storage


def pull(
    location: Location,
    text: str,
    progress: Progress,
    *,
    wanted: str = "",
    every_tag: bool = False,
    options: RegistryOptions | None = None,
) -> list[str]:
    """Get an image from its registry, or all of a repository's; the whole names. ``wanted`` is the platform.

    Raises:
        InvalidReference: it is no name, or has a tag although every one is meant.
        NotFound: there is none.
        RegistryError: the registry refuses or cannot be reached.
        OrlopError, OSError: it cannot be stored.
    """
    from orlop.images import pull

    name = _meant(text, progress, every_tag=every_tag)
    images = image_store.open_store(location)
    with sweep.after_change(location, images, resumable=True):
        if every_tag:
            names = pull.every_tag(images, name, wanted=wanted, progress=progress, options=options)
        else:
            pull.pull(images, name, wanted=wanted, progress=progress, options=options)
            names = [str(name)]
    write_out.begin(location)
    for each in names:
        image_events.transferred(location, "pull", each)
    return names


def push(
    location: Location,
    text: str,
    progress: Progress,
    *,
    every_tag: bool = False,
    options: RegistryOptions | None = None,
) -> list[str]:
    """Send an image to its registry, or all of a repository's; the whole names.

    Raises:
        InvalidReference: it is no name, or has a tag although every one is meant.
        NotFound: there is none here.
        RegistryError: the registry refuses or cannot be reached.
    """
    from orlop.images import push

    name = _meant(text, progress, every_tag=every_tag)
    images = image_store.open_store(location)
    with sweep.after_change(location, images, resumable=True):
        if every_tag:
            names = push.every_tag(images, name, progress, options)
        else:
            push.push(images, name, progress, options)
            names = [str(name)]
    for each in names:
        image_events.transferred(location, "push", each)
    return names


def tag(location: Location, source: str, target: str) -> None:
    """Give an image a further name.

    Raises:
        InvalidReference: the target can be no tag.
        NotFound: there is no such image.
    """
    name = reference.parse(target).with_default_tag()
    if name.digest:
        raise InvalidReference(f"refusing to create a tag with a digest reference: {target}")
    images = image_store.open_store(location)
    image = images.find(source)
    images.tag(image, str(name))
    image_events.happened(location, "tag", image.id, str(name))


def load(
    location: Location, source: int | str, name: str, progress: Progress, *, wanted: str = ""
) -> list[tuple[Image, list[str]]]:
    """Get images out of an archive on a descriptor, or a layout's directory; each with the names that it brought.

    ``name`` says what the source is called in errors. ``wanted`` is a platform.

    Raises:
        InvalidArchive: it is damaged, or none.
        OrlopError, OSError: it cannot be read, or not be stored.
    """
    from orlop.images.archive import load

    images = image_store.open_store(location)
    storage = images.storage
    storage.prepare()
    chosen = platform.parse(wanted) if wanted else None
    with sweep.after_change(location, images), storage.leases.take() as lease:
        found = _contents(storage, lease, source, name)
        loaded = load.load(images, found, lease, progress, wanted=chosen)
    needed = reachable.blobs_of(storage.blobs, (digest for image, _ in loaded for digest in image.manifests))
    needless = found.stored - needed
    if needless:
        sweep.blobs(location, images, needless)
    write_out.begin(location)
    for image, _ in loaded:
        image_events.happened(location, "load", image.id)
    return [(image, list(names)) for image, names in loaded]


def save(location: Location, names: Sequence[str], output: Sink | str, *, form: str) -> None:
    """Write images to an archive, or to a layout's directory, the path of which is given.

    Raises:
        NotFound: there is no such image.
        OSError: it cannot be written.
    """
    from orlop.images.archive import save

    images = image_store.open_store(location)
    if isinstance(output, str):
        save.to_directory(images, names, output)
    else:
        save.to_stream(images, names, output, form=form)
    for each in names:
        try:
            image_events.happened(location, "save", images.find(each).id)
        except NotFound:
            continue  # a repository, all of whose images were saved, or it was removed meanwhile


def import_archive(location: Location, source: int, name: str, target: str, description: Description) -> Image:
    """Make an image of a file system's archive on a descriptor; ``target`` is its name, or empty.

    ``name`` says what the source is called in errors.

    Raises:
        InvalidReference: the target can be no name.
        InvalidArchive: the archive is damaged, or none.
        OrlopError, OSError: it cannot be read, or not be stored.
    """
    from orlop.images.archive import file_system

    names = [imported_name(target)] if target else []
    images = image_store.open_store(location)
    with sweep.after_change(location, images):
        image = file_system.image_of(images, source, name, names, description)
    write_out.begin(location)
    image_events.happened(location, "import", image.id)
    return image


def imported_name(text: str) -> str:
    """The whole name of an image that is imported.

    Raises:
        InvalidReference: it can be none.
    """
    name = reference.parse(text).with_default_tag()
    if name.digest:
        raise InvalidReference("cannot import digest reference")
    return str(name)


def _meant(text: str, progress: Progress, *, every_tag: bool) -> reference.Reference:
    name = reference.parse(text)
    if every_tag:
        if not name.is_name_only:
            raise InvalidReference("tag can't be used with --all-tags/-a")
        return name
    if name.is_name_only:
        progress.say(f"Using default tag: {reference.DEFAULT_TAG}")
    return name.with_default_tag()


def _contents(storage: Storage, lease: Lease, source: int | str, name: str) -> Contents:
    from orlop.images.archive import contents

    if isinstance(source, int):
        return contents.of_stream(storage.blobs, lease, source, name)
    if os.path.isdir(source):
        return contents.of_directory(storage.blobs, lease, source)
    descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return contents.of_stream(storage.blobs, lease, descriptor, name)
    finally:
        os.close(descriptor)
