"""What a build tells programs of its result (``--metadata-file``), in the words of BuildKit."""

from __future__ import annotations

from orlop import json_text
from orlop.build import provenance
from orlop.engine import image_store
from orlop.errors import NotFound
from orlop.images import reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.building.build import Built
    from orlop.engine.location import Location
    from orlop.images.manifest import Index, Manifest


def write(location: Location, path: str, built: Built) -> None:
    """Write it down.

    Raises:
        OSError: it cannot be written.
    """
    with open(path, "w", encoding="utf-8") as file:
        file.write(json_text.dumps(_about(location, built)) + "\n")


def _about(location: Location, built: Built) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for platform, said in built.said.items():
        for each in said:
            if each.kind in provenance.PREDICATES.values():
                key = "buildx.build.provenance"
                made[key if len(built.said) == 1 else f"{key}/{platform}"] = each.predicate
    image = built.image
    if image is None:
        return made
    try:
        image = image_store.open_store(location).find(image.id)  # a push may have given it another manifest
    except NotFound:
        pass  # removed meanwhile; what was built is still that
    top: Manifest | Index = image.read_index() or image.read_manifest()
    return made | {
        "containerimage.config.digest": image.id,
        "containerimage.descriptor": top.descriptor.as_json(),
        "containerimage.digest": top.digest,
        "image.name": ",".join(reference.parse(name).familiar for name in built.names),
    }
