"""``--output``: where a build's result is to go, with the settings that BuildKit has for it."""

from __future__ import annotations

from orlop.build.dockerfile.problem import suggestion
from orlop.engine.building.outputs import KINDS
from orlop.engine.building.request import Output
from orlop.errors import InvalidArgument
from orlop.options import boolean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

#: An image that is pushed.
REGISTRY = "registry"
#: Settings of BuildKit's with the values that say what is done anyway, and why others are not taken.
_AS_IT_IS = {
    "store": (("true",), "an image is always put into the store"),
    "unpack": (("true", "false"), ""),
    "oci-mediatypes": (("true",), "manifests are OCI's, unless the base image's is Docker's"),
    "compression": (("gzip", "uncompressed"), "layers are compressed with gzip when they are pushed"),
    "force-compression": (("false",), "layers of base images stay as they are"),
    "rewrite-timestamp": (("true", "false"), ""),
    "buildinfo": (("false", "true"), ""),
    "name-canonical": (("false", ""), "images are named by their tags"),
    "push-by-digest": (("false",), "images are pushed by their tags"),
    "dangling-name-prefix": (("",), "an image without a name has none"),
}


def read(fields: Mapping[str, str]) -> Output:
    """An output by the fields of ``--output``.

    Raises:
        InvalidArgument: one is wrong.
    """
    kind = fields.get("type", "")
    if kind not in (*KINDS, REGISTRY):
        raise InvalidArgument(f"expected type={'|'.join((*KINDS, REGISTRY))}{suggestion(kind, (*KINDS, REGISTRY))}")
    is_image = kind in ("image", REGISTRY)
    known = {
        "type",
        *(("name", "push") if is_image else ("dest",)),
        *(("name", "tar") if kind in ("oci", "docker") else ()),
        *(("platform-split",) if kind in ("local", "tar") else ()),
    }
    for key in fields:
        if key not in known and key not in _AS_IT_IS:
            raise InvalidArgument(
                f"unknown key '{key}'{suggestion(key, tuple(known))}: expected {', '.join(sorted(known))}"
            )
    for key, (allowed, why) in _AS_IT_IS.items():
        if fields.get(key, allowed[0]).lower() not in allowed:
            raise InvalidArgument(f"{key}={fields[key]} is not supported: {why}")
    destination = fields.get("dest", "")
    is_directory = not _flag(fields, "tar", default=True)
    if (kind == "local" or is_directory) and not destination:
        raise InvalidArgument("expected dest=DIRECTORY")
    if is_directory and kind == "docker":
        raise InvalidArgument("tar=false is for type=oci only")
    if kind == "docker" and not destination:
        is_image = True  # BuildKit loads such an archive into Docker's store
    return Output(
        "image" if is_image else kind,
        destination,
        is_directory,
        tuple(filter(None, fields.get("name", "").split(","))),
        kind == REGISTRY or _flag(fields, "push", default=False),
        _flag(fields, "platform-split", default=False) if fields.get("platform-split") else None,
    )


def _flag(fields: Mapping[str, str], key: str, *, default: bool) -> bool:
    try:
        return boolean(fields[key]) if fields.get(key) else default
    except ValueError:
        raise InvalidArgument(f"{key}={fields[key]}: expected true or false") from None
