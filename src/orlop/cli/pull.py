"""``orlop pull``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser, one_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop pull",
    "NAME[:TAG|@DIGEST]",
    "Download an image from a registry",
    (
        Option("-a, --all-tags", "Download all tagged images in the repository"),
        Option("--platform", "Pull the image of this platform (format: <os>[/<arch>[/<variant>]])", value="string"),
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
    from orlop.images import pull, reference

    name = reference.parse(said.arguments[0])
    images = image_store.open_store(location)
    wanted = said["platform"] or ""
    how = "quiet" if said["quiet"] else said["progress"]
    with sweep.after_change(location, images, resumable=True), progress.choose(sys.stdout, how) as shown:
        if said["all-tags"]:
            if not name.is_name_only:
                raise InvalidReference("tag can't be used with --all-tags/-a")
            names = pull.every_tag(images, name, wanted=wanted, progress=shown)
        else:
            if name.is_name_only:
                shown.say(f"Using default tag: {reference.DEFAULT_TAG}")
            name = name.with_default_tag()
            pull.pull(images, name, wanted=wanted, progress=shown)
            names = [str(name)]
    for each in names:
        image_events.transferred(location, "pull", each)
    if said["progress"] != "json" or said["quiet"]:
        sys.stdout.write("".join(f"{each}\n" for each in names))
    return 0
