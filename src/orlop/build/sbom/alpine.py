"""Alpine's packages: what apk has installed (apk-tools, ``installed``), a paragraph for each, whose fields have names of one letter."""

from __future__ import annotations

from orlop.build.sbom.package import Package, clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from orlop.build.sbom.distribution import Distribution
    from orlop.build.sbom.files import Files

_INSTALLED = ("lib/apk/db/installed", "usr/lib/apk/db/installed")


def find(files: Files, distribution: Distribution) -> Iterator[Package]:
    """The packages that are installed."""
    for path in _INSTALLED:
        text = files.text(path)
        if text is None:
            continue
        for paragraph in text.split("\n\n"):
            fields: dict[str, str] = {}
            for line in paragraph.split("\n"):
                if line[1:2] == ":":
                    fields.setdefault(line[0], clean(line[2:]))
            if fields.get("P"):
                yield _package(fields, path, distribution)
        return  # the other is the same file where /lib is a link to it


def _package(fields: dict[str, str], path: str, distribution: Distribution) -> Package:
    origin = fields.get("o", "")
    return Package(
        "apk",
        fields["P"],
        fields.get("V", ""),
        path,
        namespace=distribution.id or "alpine",
        qualifiers=(
            ("arch", fields.get("A", "")),
            ("distro", distribution.title),
            ("upstream", origin if origin != fields["P"] else ""),
        ),
        license=fields.get("L", ""),
        supplier=fields.get("m", ""),
        homepage=fields.get("U", ""),
        summary=fields.get("T", ""),
        origin=origin,
    )
