"""``orlop push``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser, one_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop push",
    "NAME[:TAG]",
    "Upload an image to a registry",
    (
        Option("-a, --all-tags", "Push all tags of an image to the repository"),
        Option(
            "--progress",
            "How to tell what is done: auto, plain or json",
            value="string",
            default="auto",
            read=one_of("auto", "plain", "json"),
        ),
        Option("-q, --quiet", "Suppress verbose output"),
    ),
    at_least=1,
    at_most=1,
)

IN_NAMESPACE = True


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.cli import progress
    from orlop.engine import image_events, image_store, sweep
    from orlop.errors import InvalidReference
    from orlop.images import push, reference

    name = reference.parse(said.arguments[0])
    images = image_store.open_store(location)
    how = "quiet" if said["quiet"] else said["progress"]
    with sweep.after_change(location, images, resumable=True), progress.choose(sys.stdout, how) as shown:
        if said["all-tags"]:
            if not name.is_name_only:
                raise InvalidReference("tag can't be used with --all-tags/-a")
            names = push.every_tag(images, name, shown)
        else:
            if name.is_name_only:
                shown.say(f"Using default tag: {reference.DEFAULT_TAG}")
            name = name.with_default_tag()
            push.push(images, name, shown)
            names = [str(name)]
    for each in names:
        image_events.transferred(location, "push", each)
    if said["quiet"]:
        sys.stdout.write("".join(f"{each}\n" for each in names))
    return 0
