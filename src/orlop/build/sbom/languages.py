"""Packages of programming languages, of which each has a file of its own somewhere in the tree: Python's and Node's."""

from __future__ import annotations

from orlop import json_text
from orlop.build.sbom import paragraphs
from orlop.build.sbom.files import text_of
from orlop.build.sbom.package import Package, clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from orlop.build.sbom.files import Files
    from orlop.build.tree import Entry

_MODULES = "node_modules"
#: The most that is read of one such file. Real ones have their fields in the first kilobytes.
_LARGEST = 1 << 20


def find(files: Files) -> Iterator[Package]:
    """The packages that are installed, wherever they are."""
    for entry in files.walk():
        directory, _, name = entry.path.rpartition("/")
        holder = directory.rpartition("/")[2]
        if (name == "METADATA" and holder.endswith(".dist-info")) or (
            name == "PKG-INFO" and holder.endswith((".egg-info", "EGG-INFO"))
        ):
            yield from _of_python(entry)
        elif name == "package.json" and _is_package(directory):
            yield from _of_node(entry)


def _of_python(entry: Entry) -> Iterator[Package]:
    # The description comes after the first empty line.
    fields = paragraphs.first(text_of(entry, _LARGEST))
    name = clean(fields.get("name", ""))
    if not name:
        return
    yield Package(
        "pypi",
        name.lower().replace("_", "-"),
        clean(fields.get("version", "")),
        entry.path,
        license=clean(fields.get("license-expression", "") or fields.get("license", "")),
        supplier=clean(fields.get("author-email", "") or fields.get("author", "")),
        homepage=clean(fields.get("home-page", "")),
        summary=clean(fields.get("summary", "")),
    )


def _is_package(directory: str) -> bool:
    """Whether what a directory's package.json describes is installed, or is the program itself; what packages carry along is not."""
    parts = directory.split("/")
    if _MODULES not in parts:
        return True
    inner = parts[len(parts) - parts[::-1].index(_MODULES) :]
    return len(inner) == (2 if inner and inner[0].startswith("@") else 1)


def _of_node(entry: Entry) -> Iterator[Package]:
    try:
        said = json_text.loads(text_of(entry, _LARGEST))
    except (ValueError, RecursionError):
        return
    if not isinstance(said, dict):
        return
    whole, version = _text(said, "name"), _text(said, "version")
    if not whole or not version:
        return
    scope, _, name = whole.rpartition("/")
    author: Any = said.get("author")
    yield Package(
        "npm",
        name,
        version,
        entry.path,
        namespace=scope,
        license=_text(said, "license") or _text(said.get("license"), "type"),
        supplier=clean(author) if isinstance(author, str) else _text(author, "name"),
        homepage=_text(said, "homepage"),
        summary=_text(said, "description"),
    )


def _text(value: Any, key: str) -> str:
    found = value.get(key) if isinstance(value, dict) else None
    return clean(found) if isinstance(found, str) else ""
