"""``orlop system prune``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop system prune",
    "",
    "Remove unused data",
    (
        Option("-a, --all", "Remove all unused images, not just those without a name"),
        Option("--filter", "Only those with this until=TIME, label=KEY[=VALUE] or label!=…", value="filter", many=True),
        Option("-f, --force", "Do not prompt for confirmation"),
        Option("--volumes", "Remove anonymous volumes that no container has, too"),
    ),
    at_most=0,
)

IN_NAMESPACE = True


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.cli import confirmation, image_prune

    images = "all images without at least one container associated to them" if said["all"] else "all dangling images"
    lines = ["  - all stopped containers", "  - all networks not used by at least one container"]
    if said["volumes"]:
        lines.append("  - all anonymous volumes not used by at least one container")
    lines += [
        f"  - {images}",
        "  - all build cache that is not in use",
        "  - everything that no image or container needs, interrupted downloads included",
    ]
    if not said["force"] and not confirmation.confirmed("This will remove:\n" + "\n".join(lines) + "\n"):
        return 0
    from orlop import filters
    from orlop.cli import container_prune
    from orlop.engine import network_filters, networks, prune, volume_store

    done = container_prune.prune(location, said["filter"])
    freed = done.freed
    gone = networks.prune(location, filters.read(said["filter"], network_filters.of_prune()))
    if gone:
        sys.stdout.write("Deleted Networks:\n" + "".join(f"{name}\n" for name in gone) + "\n")
    if said["volumes"]:
        done = prune.volumes(location, volume_store.is_anonymous)
        if done.names:
            sys.stdout.write("Deleted Volumes:\n" + "".join(f"{each}\n" for each in done.names) + "\n")
        freed += done.freed
    freed += _prune_builds(location, said["filter"])
    removed = image_prune.prune(location, everything=said["all"], words=said["filter"], downloads=True)
    removed.freed += freed
    image_prune.report(removed, "Images")
    return 0


def _prune_builds(location: Location, words: list[str]) -> int:
    """Remove the build cache that the filters mean, none of which has labels; the bytes that it took."""
    import os

    if not os.path.isdir(f"{location.root}/build") or any(word.startswith("label=") for word in words):
        return 0
    from orlop import filters
    from orlop.engine.building import store

    wanted = filters.read([word for word in words if word.startswith("until=")], store.tests())
    done = store.prune(location, wanted)
    if done:
        sys.stdout.write("Deleted build cache objects:\n" + "".join(f"{item.id}\n" for item in done) + "\n")
    return sum(item.size for item in done)
