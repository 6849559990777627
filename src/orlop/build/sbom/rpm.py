"""RPM's packages, from the database that it keeps in SQLite (since RPM 4.16): a header for each (rpm.org, "RPM V4 Package format")."""

from __future__ import annotations

import os
import struct

from orlop.build.sbom import sqlite
from orlop.build.sbom.package import Package, clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from orlop.build.sbom.distribution import Distribution
    from orlop.build.sbom.files import Files

_DATABASES = ("usr/lib/sysimage/rpm/rpmdb.sqlite", "var/lib/rpm/rpmdb.sqlite", "usr/share/rpm/rpmdb.sqlite")
_TABLE = "Packages"
_NAME, _VERSION, _RELEASE, _EPOCH, _SUMMARY, _VENDOR = 1000, 1001, 1002, 1003, 1004, 1011
_LICENSE, _URL, _ARCHITECTURE, _SOURCE = 1014, 1020, 1022, 1044
_NUMBER, _TEXT, _TRANSLATED = 4, 6, 9
#: Keys are packages too, which are no software.
_KEY = "gpg-pubkey"


def find(files: Files, distribution: Distribution) -> Iterator[Package]:
    """The packages that are installed; those before what is damaged."""
    for path in _DATABASES:
        descriptor = files.open(path)
        if descriptor is None:
            continue
        try:
            for row in sqlite.Database(descriptor).rows(_TABLE):
                blob = row[1] if len(row) > 1 else None
                header = read(blob) if isinstance(blob, bytes) else {}
                if header.get(_NAME) and header[_NAME] != _KEY:
                    yield _package(header, path, distribution)
        except sqlite.NotReadableError:
            return
        finally:
            os.close(descriptor)
        return


def read(data: bytes) -> dict[int, str]:
    """The texts and numbers of a header, by their tags; of several texts the first. What is damaged is left out."""
    found: dict[int, str] = {}
    try:
        count, size = struct.unpack_from(">II", data)
        store = data[8 + 16 * count :][:size]
        for place in range(min(count, 1000)):
            tag, kind, offset, length = struct.unpack_from(">IIII", data, 8 + 16 * place)
            if offset >= len(store) or not length:
                continue
            if kind in (_TEXT, _TRANSLATED):
                end = store.find(b"\0", offset)
                found[tag] = clean(store[offset : end if end >= 0 else None].decode("utf-8", "replace"))
            elif kind == _NUMBER:
                found[tag] = str(struct.unpack_from(">I", store, offset)[0])
    except struct.error:
        pass  # whoever made it wanted it to be so, or half of it was never written
    return found


def _package(header: dict[int, str], path: str, distribution: Distribution) -> Package:
    version = "-".join(header[tag] for tag in (_VERSION, _RELEASE) if header.get(tag))
    return Package(
        "rpm",
        header[_NAME],
        version,
        path,
        namespace=distribution.id or "redhat",
        qualifiers=(
            ("arch", header.get(_ARCHITECTURE, "")),
            ("distro", distribution.title),
            ("epoch", header.get(_EPOCH, "")),
            ("upstream", header.get(_SOURCE, "")),
        ),
        license=header.get(_LICENSE, ""),
        supplier=header.get(_VENDOR, ""),
        homepage=header.get(_URL, ""),
        summary=header.get(_SUMMARY, ""),
        origin=header.get(_SOURCE, ""),
    )
