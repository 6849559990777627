"""What a user wants to be said of an image (``--attest``, ``--provenance``, ``--sbom``)."""

from __future__ import annotations

from orlop.build.dockerfile.problem import suggestion
from orlop.build.value import Value
from orlop.errors import InvalidArgument, Unsupported
from orlop.options import boolean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_MODES = ("min", "max")
_VERSIONS = ("v0.2", "v1")
_PROVENANCE = ("builder-id", "disabled", "filename", "inline-only", "mode", "reproducible", "version")
_SBOM = ("disabled", "generator")


class Attested(Value):
    """What is wanted: an ``sbom``, and ``provenance``, either ``min`` or ``max`` of it, or empty for none.

    ``version`` is that of the provenance's form, ``builder`` the address that it gives as the builder's, and
    ``reproducible`` what the user claims.
    """

    sbom: bool = False
    provenance: str = ""
    version: str = "v0.2"
    builder: str = ""
    reproducible: bool = False

    @property
    def is_wanted(self) -> bool:
        """Whether there is anything to be said."""
        return self.sbom or bool(self.provenance)


def read(texts: Iterable[str], provenance: str = "", sbom: str = "") -> Attested:
    """What the options say: ``type=provenance,mode=max`` of ``--attest``, and its short forms ``true``, ``mode=max``, ``false``.

    Raises:
        InvalidArgument: one is malformed.
        Unsupported: somebody else's program is to make it.
    """
    made = Attested()
    for text in texts:
        fields = _fields(text, "--attest")
        kind = fields.pop("type", "")
        if kind not in ("provenance", "sbom"):
            near = suggestion(kind, ("provenance", "sbom"))
            raise InvalidArgument(f"invalid --attest '{text}'{near}: expected type=provenance or type=sbom")
        made = _taken(made, kind, fields, f"--attest '{text}'")
    for kind, text in (("provenance", provenance), ("sbom", sbom)):
        if text:
            made = _taken(made, kind, _short(text, kind), f"--{kind} '{text}'")
    return made


def _short(text: str, kind: str) -> dict[str, str]:
    if "=" in text:
        return _fields(text, f"--{kind}")
    try:
        return {} if boolean(text) else {"disabled": "true"}
    except ValueError:
        expected = "true, false, or mode=min|max" if kind == "provenance" else "true or false"
        raise InvalidArgument(f"invalid --{kind} '{text}': expected {expected}") from None


def _fields(text: str, option: str) -> dict[str, str]:
    import csv

    made = {}
    for field in next(csv.reader([text]), []):
        key, equals, value = field.partition("=")
        if not equals:
            raise InvalidArgument(f"invalid {option} '{text}': expected key=value, not '{field}'")
        made[key.strip().lower()] = value
    return made


def _taken(made: Attested, kind: str, fields: Mapping[str, str], what: str) -> Attested:
    known = _PROVENANCE if kind == "provenance" else _SBOM
    for key in fields:
        if key not in known:
            near = suggestion(key, known)
            raise InvalidArgument(f"invalid {what}: unknown key '{key}'{near}: expected {', '.join(known)}")
    disabled = _flag(fields, "disabled", what)
    if kind == "sbom":
        if fields.get("generator"):
            raise Unsupported(
                f"{what} names a generator, and none is run: leave it out to have what packages there are found"
            )
        return made.replace(sbom=not disabled)
    mode, version = fields.get("mode", "min"), fields.get("version", made.version)
    if mode not in _MODES:
        raise InvalidArgument(f"invalid {what}: mode '{mode}'{suggestion(mode, _MODES)}: expected min or max")
    if version not in _VERSIONS:
        raise InvalidArgument(f"invalid {what}: version '{version}': expected v0.2 or v1")
    return made.replace(
        provenance="" if disabled else mode,
        version=version,
        builder=fields.get("builder-id", ""),
        reproducible=_flag(fields, "reproducible", what),
    )


def _flag(fields: Mapping[str, str], key: str, what: str) -> bool:
    if key not in fields:
        return False
    try:
        return boolean(fields[key])
    except ValueError:
        raise InvalidArgument(f"invalid {what}: {key} '{fields[key]}': expected true or false") from None
