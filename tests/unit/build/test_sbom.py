"""Which packages are found in a tree, and how they are written down."""

from __future__ import annotations

import json
import os
import sqlite3
import struct
from typing import TYPE_CHECKING

import pytest

from orlop.build.sbom import licences, rpm, scan, spdx, sqlite

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orlop.build.sbom.scan import Inventory

DEBIAN = 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'
STATUS = """\
Package: libc6
Status: install ok installed
Maintainer: GNU Libc Maintainers <debian-glibc@lists.debian.org>
Architecture: amd64
Source: glibc (2.36-9)
Version: 2.36-9+deb12u4
Description: GNU C Library
 of which there is more

Package: gone
Status: deinstall ok config-files
Version: 1
"""
INSTALLED = (
    "C:Q1\nP:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\no:musl\nm:A <a@example.org>\n\nP:b\nV:1\nL:GPL-2.0-or-later AND Foo\n"
)
METADATA = "Metadata-Version: 2.1\nName: Flask_Thing\nVersion: 3.0\nLicense: BSD-3-Clause\n\nName: not-this\n"


def scanned(directory: Path, files: Mapping[str, str | bytes]) -> Inventory:
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return scan.scan(root)
    finally:
        os.close(root)


def header(**fields: str | int) -> bytes:
    """A header of RPM's."""
    tags = {"name": 1000, "version": 1001, "release": 1002, "epoch": 1003, "license": 1014, "arch": 1022}
    entries, store = b"", b""
    for name, value in fields.items():
        kind = rpm._NUMBER if isinstance(value, int) else rpm._TEXT
        entries += struct.pack(">IIII", tags[name], kind, len(store), 1)
        store += struct.pack(">I", value) if isinstance(value, int) else value.encode() + b"\0"
    return struct.pack(">II", len(fields), len(store)) + entries + store


def database(path: Path, *headers: bytes) -> bytes:
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
        made.executemany("INSERT INTO Packages(blob) VALUES (?)", [(each,) for each in headers])
    made.close()
    return path.read_bytes()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {"etc/os-release": DEBIAN, "var/lib/dpkg/status": STATUS},
            ["pkg:deb/debian/libc6@2.36-9%2Bdeb12u4?arch=amd64&distro=debian-12&upstream=glibc%402.36-9"],
        ),
        (
            {"var/lib/dpkg/status.d/base": STATUS, "var/lib/dpkg/status.d/base.md5sums": "0 a"},
            ["pkg:deb/debian/libc6@2.36-9%2Bdeb12u4?arch=amd64&upstream=glibc%402.36-9"],
        ),
        (
            {"etc/os-release": "ID=alpine\nVERSION_ID=3.19\n", "lib/apk/db/installed": INSTALLED},
            ["pkg:apk/alpine/b@1?distro=alpine-3.19", "pkg:apk/alpine/musl@1.2.4-r2?arch=x86_64&distro=alpine-3.19"],
        ),
        (
            {"usr/lib/python3/site-packages/flask-3.0.dist-info/METADATA": METADATA},
            ["pkg:pypi/flask-thing@3.0"],
        ),
        (
            {
                "app/package.json": '{"name":"app","version":"0.1"}',
                "app/node_modules/@s/p/package.json": '{"name":"@s/p","version":"1","license":{"type":"MIT"}}',
                "app/node_modules/q/package.json": '{"name":"q","version":"2"}',
                "app/node_modules/q/test/package.json": '{"name":"fixture","version":"9"}',
            },
            ["pkg:npm/%40s/p@1", "pkg:npm/app@0.1", "pkg:npm/q@2"],
        ),
        ({}, []),
    ],
    ids=["dpkg", "status.d", "apk", "python", "npm", "nothing"],
)
def test_packages_are_found(tmp_path: Path, files: dict[str, str], expected: list[str]) -> None:
    assert [each.url for each in scanned(tmp_path, files).packages] == expected


def test_rpm_s_packages_are_found_however_large_the_database_is(tmp_path: Path) -> None:
    many = [header(name=f"p{number}", version="1", release="2", arch="noarch") for number in range(3000)]
    large = header(name="large", version="1", release="1", license="x" * 20_000)
    data = database(tmp_path / "made", *many, large, header(name="gpg-pubkey", version="1"), header(name="e", epoch=3))
    found = scanned(
        tmp_path / "root", {"var/lib/rpm/rpmdb.sqlite": data, "etc/os-release": "ID=fedora\nVERSION_ID=40\n"}
    )
    urls = {each.url for each in found.packages}
    assert len(urls) == 3002
    assert "pkg:rpm/fedora/p2999@1-2?arch=noarch&distro=fedora-40" in urls
    assert "pkg:rpm/fedora/e?distro=fedora-40&epoch=3" in urls


@pytest.mark.parametrize("place", [0, 16, 20, 56, 100, 103, 105, 108, 4096, 4099, 4104, 8192, 8200, 8300])
def test_a_damaged_database_is_read_as_far_as_it_goes(tmp_path: Path, place: int) -> None:
    data = bytearray(database(tmp_path / "made", *[header(name=f"p{number}", version="1") for number in range(300)]))
    data[place : place + 4] = b"\xff\xff\xff\xff"
    found = scanned(tmp_path / "root", {"var/lib/rpm/rpmdb.sqlite": bytes(data)})
    assert len(found.packages) <= 300


def test_pages_that_go_round_are_noticed(tmp_path: Path) -> None:
    data = bytearray(
        database(tmp_path / "made", *[header(name=f"p{number}", version="1" * 200) for number in range(300)])
    )
    size = struct.unpack_from(">H", data, 16)[0]
    root = next(at for at in range(size, len(data), size) if data[at] == 5)
    struct.pack_into(">I", data, root + 8, root // size + 1)
    (tmp_path / "loop").write_bytes(data)
    with open(tmp_path / "loop", "rb") as file, pytest.raises(sqlite.NotReadableError, match="go round"):
        list(sqlite.Database(file.fileno()).rows("Packages"))


def test_nothing_is_read_outside_of_the_root(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/status").write_text(STATUS)
    root = tmp_path / "root"
    (root / "var/lib").mkdir(parents=True)
    (root / "var/lib/dpkg").symlink_to("../../../outside")
    (root / "lib").symlink_to(tmp_path / "outside")
    (root / "app").mkdir()
    os.mkfifo(root / "app/package.json")
    (root / "etc").mkdir()
    (root / "etc/os-release").symlink_to("/dev/zero")
    (root / "var/lib/rpm").symlink_to("rpm")
    assert scanned(root, {}).packages == ()


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b'{"name":{"a":1},"version":[]}',
        b'{"name":"a\\u0000\\u001b[31m","version":"1","license":3,"author":[1]}',
        b"\xff\xfe\x00",
        b"null",
    ],
)
def test_whatever_a_package_says_of_itself_is_written_down_safely(tmp_path: Path, content: bytes) -> None:
    found = scanned(tmp_path, {"package.json": content, "a.dist-info/METADATA": b"Name: " + content[:9000] + b"\n"})
    document = spdx.document(found, "image", "2024-01-01T00:00:00Z", "orlop-0")
    assert json.loads(json.dumps(document)) == document
    for each in document["packages"]:
        assert all(text.isprintable() for text in each.values() if isinstance(text, str))


def test_the_document_is_that_of_spdx(tmp_path: Path) -> None:
    found = scanned(tmp_path, {"etc/os-release": DEBIAN, "var/lib/dpkg/status": STATUS})
    document = spdx.document(found, "name:1", "2024-01-01T00:00:00Z", "orlop-0")
    assert document == spdx.document(found, "name:1", "2024-01-01T00:00:00Z", "orlop-0")
    assert document["spdxVersion"] == "SPDX-2.3"
    image, package = document["packages"]
    assert (image["name"], image["primaryPackagePurpose"]) == ("name:1", "CONTAINER")
    assert package["supplier"] == "Person: GNU Libc Maintainers (debian-glibc@lists.debian.org)"
    assert package["sourceInfo"] == "found in dpkg's database: /var/lib/dpkg/status"
    assert document["relationships"] == [
        {
            "spdxElementId": "SPDXRef-DOCUMENT",
            "relationshipType": "DESCRIBES",
            "relatedSpdxElement": image["SPDXID"],
        },
        {
            "spdxElementId": image["SPDXID"],
            "relationshipType": "CONTAINS",
            "relatedSpdxElement": package["SPDXID"],
        },
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "NOASSERTION"),
        ("MIT", "MIT"),
        ("mit", "MIT"),
        ("GPL-2.0-or-later AND (MIT or ISC)", "GPL-2.0-or-later AND (MIT OR ISC)"),
        ("GPL-3.0-only WITH GCC-exception-3.1", "GPL-3.0-only WITH GCC-exception-3.1"),
        ("GPLv2+ and MIT", "LicenseRef-GPLv2 AND MIT"),
        ("BSD License", "LicenseRef-BSD-License"),
        ("MIT AND", "LicenseRef-MIT-AND"),
        ("(MIT", "LicenseRef-MIT"),
        ("MIT WITH something", "LicenseRef-MIT-WITH-something"),
        ("''", "LicenseRef-unnamed"),
    ],
)
def test_licences_become_expressions(text: str, expected: str) -> None:
    assert licences.expression(text, {}) == expected


def test_licences_of_the_same_letters_stay_apart() -> None:
    explained: dict[str, str] = {}
    names = [licences.expression(text, explained) for text in ("A, B", "A; B", "A, B")]
    assert names == ["LicenseRef-A-B", "LicenseRef-A-B-1", "LicenseRef-A-B"]
    assert explained == {"LicenseRef-A-B": "A, B", "LicenseRef-A-B-1": "A; B"}
