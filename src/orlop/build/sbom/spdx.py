"""A list of software as a document of SPDX 2.3 in JSON (spdx.github.io/spdx-spec/v2.3)."""

from __future__ import annotations

from orlop import json_text
from orlop.build.sbom import licences
from orlop.storage import digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.build.sbom.package import Package
    from orlop.build.sbom.scan import Inventory

#: The type of the predicate that such a document is.
PREDICATE = "https://spdx.dev/Document"
_NOTHING = "NOASSERTION"
_DOCUMENT = "SPDXRef-DOCUMENT"
_SPACE = "https://orlop.dev/spdxdocs"
_SOURCES = {
    "deb": "dpkg's database",
    "apk": "apk's database",
    "rpm": "rpm's database",
    "pypi": "a Python package's metadata",
    "npm": "an npm package's package.json",
}


def document(inventory: Inventory, name: str, created: str, tool: str) -> dict[str, Any]:
    """The document; the same inventory, name and time always give the same one.

    ``created`` is RFC 3339 text in whole seconds, ``tool`` the name and version of who has made it.
    """
    explained: dict[str, str] = {}
    root = "SPDXRef-DocumentRoot-Image"
    packages = [_image(inventory, name, root)]
    relationships = [_relation(_DOCUMENT, "DESCRIBES", root)]
    for each in inventory.packages:
        made = _package(each, explained)
        packages.append(made)
        relationships.append(_relation(root, "CONTAINS", made["SPDXID"]))
    identity = digest.of(json_text.dumps([name, created, packages]).encode()).partition(":")[2]
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": _DOCUMENT,
        "name": name,
        "documentNamespace": f"{_SPACE}/image/{identity}",
        "creationInfo": {"creators": ["Organization: orlop", f"Tool: {tool}"], "created": created},
        "packages": packages,
        "relationships": relationships,
        **(
            {
                "hasExtractedLicensingInfos": [
                    {"licenseId": key, "extractedText": text, "name": text} for key, text in sorted(explained.items())
                ]
            }
            if explained
            else {}
        ),
    }


def _image(inventory: Inventory, name: str, identifier: str) -> dict[str, Any]:
    made = _bare(identifier, name)
    made["primaryPackagePurpose"] = "CONTAINER"
    if inventory.distribution.name:
        made["comment"] = inventory.distribution.name
    return made


def _package(package: Package, explained: dict[str, str]) -> dict[str, Any]:
    identity = digest.of(f"{package.url} {package.found_in}".encode()).partition(":")[2][:16]
    whole = f"{package.namespace}/{package.name}" if package.kind == "npm" and package.namespace else package.name
    made = _bare(f"SPDXRef-Package-{package.kind}-{identity}", whole)
    if package.version:
        made["versionInfo"] = package.version
    made["supplier"] = _supplier(package)
    made["sourceInfo"] = f"found in {_SOURCES[package.kind]}: /{package.found_in}"
    made["licenseDeclared"] = licences.expression(package.license, explained)
    if package.homepage.startswith(("https://", "http://")) and " " not in package.homepage:
        made["homepage"] = package.homepage
    if package.summary:
        made["summary"] = package.summary
    made["externalRefs"] = [
        {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": package.url}
    ]
    return made


def _bare(identifier: str, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "SPDXID": identifier,
        "downloadLocation": _NOTHING,
        "filesAnalyzed": False,
        "licenseConcluded": _NOTHING,
        "licenseDeclared": _NOTHING,
        "copyrightText": _NOTHING,
    }


def _supplier(package: Package) -> str:
    if not package.supplier:
        return _NOTHING
    name, bracket, address = package.supplier.partition("<")
    name = name.replace("(", "").replace(")", "").strip() or address.rstrip("> ").strip() or "unknown"
    who = "Organization" if package.kind == "rpm" else "Person"
    mail = address.partition(">")[0].strip()
    return f"{who}: {name} ({mail})" if bracket and "@" in mail and " " not in mail else f"{who}: {name}"


def _relation(one: str, how: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": how, "relatedSpdxElement": other}
