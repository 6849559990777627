"""``orlop load``."""

from __future__ import annotations

import os
import sys

from orlop.options import Option, Parser, one_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.images.archive.contents import Contents
    from orlop.options import Parsed
    from orlop.storage.leases import Lease
    from orlop.storage.store import Storage

PARSER = Parser(
    "orlop load",
    "",
    "Load images from an archive of docker, podman, skopeo or orlop, or from an OCI layout's directory",
    (
        Option("-i, --input", "Read from a tar archive or a directory, instead of STDIN", value="string"),
        Option("--platform", "Load the image of this platform (format: <os>[/<arch>[/<variant>]])", value="string"),
        Option(
            "--progress",
            "How to tell what is done: auto, plain or json",
            value="string",
            default="auto",
            read=one_of("auto", "plain", "json"),
        ),
        Option("-q, --quiet", "Suppress the load output"),
    ),
    at_most=0,
)

IN_NAMESPACE = True


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.cli import progress
    from orlop.engine import image_events, image_store, sweep
    from orlop.errors import InvalidArgument
    from orlop.images import platform, reachable, reference
    from orlop.images.archive import load

    if not said["input"] and os.isatty(0):
        raise InvalidArgument("requested load from stdin, but stdin is empty: use -i or redirect an archive")
    wanted = platform.parse(said["platform"]) if said["platform"] else None
    images = image_store.open_store(location)
    storage = images.storage
    storage.prepare()
    how = "quiet" if said["quiet"] else said["progress"]
    if how == "auto" and not sys.stdout.isatty():
        how = "quiet"  # scripts read the names from what is printed
    with (
        sweep.after_change(location, images),
        storage.leases.take() as lease,
        progress.choose(sys.stdout, how) as shown,
    ):
        contents = _contents(storage, lease, said["input"])
        loaded = load.load(images, contents, lease, shown, wanted=wanted)
    needless = contents.stored - reachable.blobs_of(storage.blobs, (image.manifest for image, _ in loaded))
    if needless:
        sweep.blobs(location, images, needless)
    for image, names in loaded:
        image_events.happened(location, "load", image.id)
        for name in names:
            sys.stdout.write(f"Loaded image: {reference.parse(name).familiar}\n")
        if not names:
            sys.stdout.write(f"Loaded image ID: {image.id}\n")
    return 0


def _contents(storage: Storage, lease: Lease, path: str | None) -> Contents:
    from orlop.images.archive import contents

    if not path:
        return contents.of_stream(storage.blobs, lease, 0, "the archive on standard input")
    if os.path.isdir(path):
        return contents.of_directory(storage.blobs, lease, path)
    source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return contents.of_stream(storage.blobs, lease, source, path)
    finally:
        os.close(source)
