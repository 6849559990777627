"""Where caches of builds come from and go to (``--cache-from``, ``--cache-to``)."""

from __future__ import annotations

import os

from orlop.build.dockerfile.problem import suggestion
from orlop.build.value import Value
from orlop.errors import InvalidArgument, InvalidReference
from orlop.images import reference
from orlop.options import boolean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

LOCAL, REGISTRY, INLINE = "local", "registry", "inline"
MIN, MAX = "min", "max"
#: Kinds that BuildKit has and nobody else.
_OTHERS = ("gha", "s3", "azblob", "gcs")
_COMPRESSIONS = {"uncompressed": "", "gzip": "gzip", "zstd": "zstd"}
_SOURCES = {LOCAL: ("src", "tag", "digest"), REGISTRY: ("ref",)}
_TARGETS = {
    LOCAL: ("dest", "tag", "mode", "compression", "image-manifest", "oci-mediatypes", "ignore-error"),
    REGISTRY: ("ref", "mode", "compression", "image-manifest", "oci-mediatypes", "ignore-error"),
    INLINE: ("mode", "ignore-error"),
}
#: What changes how something is done, and not what comes of it.
_IGNORED = ("compression-level", "force-compression", "registry.insecure", "source")


class Place(Value):
    """One place: ``where`` is a directory or an image's name.

    ``mode`` ``min`` has the layers of the image only, ``max`` those of all steps. With ``is_image`` a cache is an image's
    manifest, otherwise an index; without ``is_oci`` that is Docker's. ``forgives`` if a build does not fail because of it.
    """

    kind: str
    where: str = ""
    tag: str = "latest"
    digest: str = ""
    mode: str = MIN
    compression: str = "gzip"
    is_image: bool = True
    is_oci: bool = True
    forgives: bool = False

    def __str__(self) -> str:
        return f"{self.kind} {self.where}".strip()


def read_source(text: str) -> Place:
    """A place that a cache comes from: ``type=local,src=DIRECTORY``, ``type=registry,ref=NAME``, or a name alone.

    Raises:
        InvalidArgument: it is malformed.
    """
    return _read(text, "--cache-from", _SOURCES)


def read_target(text: str) -> Place:
    """A place that a cache goes to: ``type=local,dest=DIRECTORY``, ``type=registry,ref=NAME``, ``type=inline``, or a name alone.

    Raises:
        InvalidArgument: it is malformed.
    """
    return _read(text, "--cache-to", _TARGETS)


def _read(text: str, option: str, known: Mapping[str, tuple[str, ...]]) -> Place:
    import csv

    words = next(csv.reader([text]), [])
    if len(words) == 1 and "=" not in text:
        fields = {"type": REGISTRY, "ref": text}
    else:
        fields = {key.strip().lower(): value for key, _, value in (each.partition("=") for each in words)}
    kind = fields.pop("type", REGISTRY if "ref" in fields else "")
    try:
        if kind not in known:
            if kind in _OTHERS:
                raise InvalidArgument(f"caches of type {kind} are not supported: use {', '.join(known)}")
            raise InvalidArgument(f"unknown type '{kind}'{suggestion(kind, tuple(known))}: expected {', '.join(known)}")
        for name, other in (("source", "src"), ("destination", "dest")):
            if name in fields:
                fields.setdefault(other, fields.pop(name))
        for key in fields:
            if key not in known[kind] and key not in _IGNORED:
                near = suggestion(key, known[kind])
                raise InvalidArgument(f"unknown key '{key}'{near}: expected {', '.join(known[kind])}")
        return _place(kind, fields)
    except (InvalidArgument, InvalidReference) as error:
        raise InvalidArgument(f"invalid {option} '{text}': {error}") from None


def _place(kind: str, fields: Mapping[str, str]) -> Place:
    where = ""
    if kind == REGISTRY:
        if not fields.get("ref"):
            raise InvalidArgument("expected ref=NAME")
        where = str(reference.parse(fields["ref"]).with_default_tag())
    elif kind == LOCAL:
        path = fields.get("src", fields.get("dest", ""))
        if not path:
            raise InvalidArgument("expected a directory: src=DIRECTORY, or dest=DIRECTORY")
        where = os.path.abspath(path)
    mode = fields.get("mode", MIN)
    if mode not in (MIN, MAX):
        raise InvalidArgument(f"unknown mode '{mode}'{suggestion(mode, (MIN, MAX))}: expected min or max")
    compression = fields.get("compression", "gzip" if kind == REGISTRY else "uncompressed")
    if compression not in _COMPRESSIONS:
        raise InvalidArgument(f"unknown compression '{compression}': expected {', '.join(_COMPRESSIONS)}")
    is_oci = _flag(fields, "oci-mediatypes", default=True)
    is_image = _flag(fields, "image-manifest", default=is_oci)
    if is_image and not is_oci:
        raise InvalidArgument("image-manifest=true needs oci-mediatypes=true")
    return Place(
        kind,
        where,
        fields.get("tag", "latest"),
        fields.get("digest", ""),
        mode,
        _COMPRESSIONS[compression],
        is_image,
        is_oci,
        _flag(fields, "ignore-error", default=False),
    )


def _flag(fields: Mapping[str, str], key: str, *, default: bool) -> bool:
    try:
        return boolean(fields[key]) if key in fields else default
    except ValueError:
        raise InvalidArgument(f"{key}={fields[key]}: expected true or false") from None
