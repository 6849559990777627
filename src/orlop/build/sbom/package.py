"""A package that was found in an image."""

from __future__ import annotations

from orlop.build.value import Value

_LONGEST = 512


class Package(Value):
    """One package: ``kind`` and ``namespace`` are those of its package URL, ``qualifiers`` too.

    ``found_in`` is the file that tells of it. All texts are as somebody in the image has written them, but `clean`.
    """

    kind: str
    name: str
    version: str
    found_in: str
    namespace: str = ""
    qualifiers: tuple[tuple[str, str], ...] = ()
    license: str = ""
    supplier: str = ""
    homepage: str = ""
    summary: str = ""
    #: What it was made from, such as the source package of a distribution.
    origin: str = ""

    @property
    def url(self) -> str:
        """Its package URL (purl-spec)."""
        path = "/".join(_quoted(each) for each in self.namespace.split("/") if each)
        made = f"pkg:{self.kind}/{path}/" if path else f"pkg:{self.kind}/"
        made += _quoted(self.name)
        if self.version:
            made += f"@{_quoted(self.version)}"
        said = sorted((name, value) for name, value in self.qualifiers if value)
        return made + ("?" + "&".join(f"{name}={_quoted(value)}" for name, value in said) if said else "")


def clean(text: str) -> str:
    """A text of an image in one line without control characters, and no longer than anything sensible is."""
    text = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * _LONGEST])
    return " ".join(text.split())[:_LONGEST]


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe=":")
