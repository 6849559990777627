"""``orlop image bootstrap``."""

from __future__ import annotations

import sys

from orlop.cli import transfer_options
from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop image bootstrap",
    "DISTRIBUTION:RELEASE",
    "Make a base image such as debian:bookworm from the distribution's own packages, with mmdebstrap",
    (
        Option("--include", "Packages to install beside the base system", value="list", many=True),
        Option("--mirror", "Where packages come from: a URL, or a line of a sources.list", value="string", many=True),
        transfer_options.platform("Make the image of this platform"),
        Option("-t, --tag", "Name the image like this", value="string"),
        Option("--variant", "What the base system is: essential, apt, minbase, …", value="string", default="minbase"),
    ),
    at_least=1,
    at_most=1,
)

#: What Debian calls architectures that OCI calls otherwise.
_ARCHITECTURES = {"386": "i386", "arm": "armhf", "ppc64le": "ppc64el"}


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.build import changes
    from orlop.engine import image_store, own_namespace, sweep, write_out
    from orlop.errors import InvalidReference
    from orlop.images import bootstrap, platform, reference
    from orlop.images.archive import file_system

    name = reference.parse(said.arguments[0])
    tag = reference.parse(said["tag"]).with_default_tag() if said["tag"] else name
    if tag.digest:
        raise InvalidReference(f"cannot name an image by a digest: {said['tag'] or name.familiar}")
    wanted = platform.parse(said["platform"]) if said["platform"] else None
    packages = [package for words in said["include"] for package in words.replace(",", " ").split()]
    architecture = _ARCHITECTURES.get(wanted.architecture, wanted.architecture) if wanted else ""
    # mmdebstrap makes a user namespace of its own, so it is started before we are in ours.
    at_work = bootstrap.begin(
        name, mirrors=said["mirror"], include=packages, variant=said["variant"], architecture=architecture
    )
    done = False
    try:
        if location.rootless:
            own_namespace.enter()
        images = image_store.open_store(location)
        description = file_system.Description(
            execution=changes.applied(['CMD ["bash"]']),
            comment=f"orlop image bootstrap {name.familiar}",
            platform=wanted,
        )
        with sweep.after_change(location, images):
            image = file_system.image_of(
                images, at_work.output, "mmdebstrap's archive", [str(tag)], description, complete=at_work.finish
            )
        write_out.begin(location)
        done = True
    finally:
        if not done:
            at_work.finish(wait=False)
    sys.stdout.write(f"{image.id}\n")
    return 0
