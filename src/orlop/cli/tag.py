"""``orlop tag``."""

from __future__ import annotations

from orlop.options import Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop tag",
    "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
    at_least=2,
    at_most=2,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.engine import image_events, image_store
    from orlop.errors import InvalidReference
    from orlop.images import reference

    source, target = said.arguments
    name = reference.parse(target).with_default_tag()
    if name.digest:
        raise InvalidReference(f"refusing to create a tag with a digest reference: {target}")
    images = image_store.open_store(location)
    image = images.find(source)
    images.tag(image, str(name))
    image_events.happened(location, "tag", image.id, str(name))
    return 0
