"""Debian's packages: what dpkg has installed (deb822, dpkg's ``status``), and what images without dpkg say instead (``status.d``)."""

from __future__ import annotations

from orlop.build.sbom import paragraphs
from orlop.build.sbom.package import Package, clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from orlop.build.sbom.distribution import Distribution
    from orlop.build.sbom.files import Files

_STATUS = "var/lib/dpkg/status"
_PARTS = "var/lib/dpkg/status.d"


def find(files: Files, distribution: Distribution) -> Iterator[Package]:
    """The packages that are installed."""
    text = files.text(_STATUS)
    if text is not None:
        for fields in paragraphs.read(text):
            # "deinstall ok config-files": only what was configured is still there.
            if fields.get("status", "").split()[-1:] in (["installed"], ["unpacked"], ["half-configured"]):
                yield from _package(fields, _STATUS, distribution)
    for name in files.names(_PARTS):
        if name.endswith((".md5sums", ".preinst", ".postinst", ".prerm", ".postrm")):
            continue
        path = f"{_PARTS}/{name}"
        part = files.text(path)
        if part:
            yield from _package(paragraphs.first(part), path, distribution)


def _package(fields: dict[str, str], path: str, distribution: Distribution) -> Iterator[Package]:
    name = clean(fields.get("package", ""))
    if not name:
        return
    version = clean(fields.get("version", ""))
    source, _, source_version = clean(fields.get("source", "")).partition(" ")
    origin = f"{source or name}@{source_version.strip('()') or version}" if source else ""
    qualifiers = (
        ("arch", clean(fields.get("architecture", ""))),
        ("distro", distribution.title),
        ("upstream", origin if source else ""),
    )
    yield Package(
        "deb",
        name,
        version,
        path,
        namespace=distribution.id or "debian",
        qualifiers=qualifiers,
        supplier=clean(fields.get("maintainer", "")),
        homepage=clean(fields.get("homepage", "")),
        summary=clean(fields.get("description", "")),
        origin=origin,
    )
