"""Hostile archives of images: each is refused in one line, leaves nothing behind, and touches nothing outside."""

from __future__ import annotations

import gzip
import json
import os
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.engine.image_maker import directory, file, layer, link
from tests.integration.images.commands.archives import (
    config,
    digest,
    docker_archive,
    docker_files,
    oci_files,
    small,
    tar,
)
from tests.integration.images.commands.conftest import engine, rootfs

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.images.commands.conftest import ImageEngine

__all__ = ["engine", "rootfs"]

ABSENT = "sha256:" + "0" * 64
UNUSED = ["blobs", "ingest", "oci-layout", "trash"]


def refused(engine: ImageEngine, archive: bytes | Path) -> str:
    """Load what must be refused without a trace; the error."""
    if isinstance(archive, bytes):
        said = engine.fails("load", given=archive)
    else:
        said = engine.fails("load", "-i", str(archive))
    assert "Traceback" not in said
    assert engine.leftovers() == []
    assert sorted(os.listdir(engine.root / "images")) in (UNUSED, [*UNUSED, "index.json"])
    return said


def manifest(**changes: Any) -> dict[str, bytes]:
    """Docker's archive with changes of its manifest.json."""
    files = docker_files("app:1")
    (entry,) = json.loads(files["manifest.json"])
    entry.update(changes)
    files["manifest.json"] = json.dumps([entry]).encode()
    return files


@pytest.mark.parametrize(
    "name",
    ["../../../../../../../../etc/passwd", "/etc/passwd", "a/../../../etc/passwd", "etc/passwd", "", ".", "x\0y"],
)
def test_a_name_in_the_manifest_leads_to_no_file_of_the_host(engine: ImageEngine, name: str) -> None:
    assert "lacks" in refused(engine, tar(manifest(Config=name)))
    assert "lacks" in refused(engine, tar(manifest(Layers=[name])))


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../../../etc/passwd", "config.json", "nothing", "/"])
def test_a_link_in_an_archive_leads_to_no_file_of_the_host(engine: ImageEngine, target: str) -> None:
    said = refused(engine, tar(manifest(Config="config.json"), {"config.json": target}))
    assert "lacks config.json" in said


def test_links_that_go_round_in_circles_lead_nowhere(engine: ImageEngine) -> None:
    links = {f"l{number}": f"l{(number + 1) % 50}" for number in range(50)}
    assert "lacks l0" in refused(engine, tar(manifest(Config="l0"), links))


def test_links_in_a_directory_lead_to_nothing_outside_of_it(engine: ImageEngine, tmp_path: Path) -> None:
    described = config([small()])
    (tmp_path / "secret.json").write_bytes(described)
    for target in (str(tmp_path / "secret.json"), "../secret.json", "loop.json"):
        root = tmp_path / "archive"
        root.mkdir()
        for name, data in manifest(Config="loop.json").items():
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_bytes(data)
        (root / "loop.json").symlink_to(target)
        assert "lacks loop.json" in refused(engine, root)
        root.rename(tmp_path / f"done-{len(list(tmp_path.iterdir()))}")


def test_a_fifo_or_a_device_in_a_directory_is_not_waited_for(engine: ImageEngine, tmp_path: Path) -> None:
    root = tmp_path / "archive"
    root.mkdir()
    os.mkfifo(root / "manifest.json")
    assert "manifest.json" in refused(engine, root)
    (root / "manifest.json").unlink()
    os.mknod(root / "index.json", 0o666 | 0o020000, os.makedev(1, 5))  # /dev/zero never ends
    assert "index.json" in refused(engine, root)


@pytest.mark.parametrize(
    "document",
    [
        b"", b"{", b"[", b"null", b"{}", b"3", b'"x"', b"[1]", b"[[]]", b"[{}]", b'[{"Config": 1, "Layers": []}]',
        b'[{"Config": "a", "Layers": {}}]', b'[{"Config": "a", "Layers": [1]}]', b"\xff\xfe", b"[" * 100_000,
        b"[" + b"9" * 10_000 + b"]", b'[{"Config": "a", "Config": "b", "Layers": []}]', b"[]", b'{"layers": 1}',
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    ],
)  # fmt: skip
def test_nonsense_where_a_document_should_be_is_refused(engine: ImageEngine, document: bytes) -> None:
    for name in ("manifest.json", "index.json"):
        refused(engine, tar({name: document}))


@pytest.mark.parametrize(
    "tags",
    [["UPPER:1"], ["a" * 300], ["app:1\n"], ["../../x:1"], "app:1", [1], [None], ["app@" + ABSENT]],
)
def test_names_that_cannot_be_names_are_refused(engine: ImageEngine, tags: Any) -> None:
    refused(engine, tar(manifest(RepoTags=tags)))


def test_an_index_that_contradicts_itself_is_refused(engine: ImageEngine) -> None:
    good = oci_files("app:1")

    def changed(**changes: Any) -> bytes:
        index = json.loads(good["index.json"])
        index["manifests"][0].update(changes)
        return tar({**good, "index.json": json.dumps(index).encode()})

    assert "lacks the manifest" in refused(engine, changed(digest=ABSENT))
    assert "digest" in refused(engine, changed(digest="sha256:../../../../etc/passwd"))
    assert "digest" in refused(engine, changed(digest="md5:" + "0" * 32))
    refused(engine, changed(size=-1))
    refused(engine, changed(size=1 << 70))
    refused(engine, changed(size=1))
    refused(engine, changed(mediaType="application/vnd.oci.image.index.v1+json"))
    assert "no images" in refused(engine, changed(mediaType="text/plain"))


def test_a_manifest_that_contradicts_what_is_there_is_refused(engine: ImageEngine) -> None:
    def changed(change: Any) -> bytes:
        files = oci_files("app:1", [small("1"), small("2")])
        index = json.loads(files["index.json"])
        old = index["manifests"][0]["digest"]
        value = json.loads(files.pop(f"blobs/sha256/{old[7:]}"))
        change(value)
        data = json.dumps(value).encode()
        index["manifests"][0].update(digest=digest(data), size=len(data))
        return tar({**files, f"blobs/sha256/{digest(data)[7:]}": data, "index.json": json.dumps(index).encode()})

    def absent(value: Any) -> None:
        value["layers"][1]["digest"] = ABSENT

    def swapped(value: Any) -> None:
        value["layers"].reverse()

    def too_few(value: Any) -> None:
        value["layers"].pop()

    def resized(value: Any) -> None:
        value["layers"][0]["size"] += 1

    def retyped(value: Any) -> None:
        value["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.v1.tar+gzip"

    def unknown(value: Any) -> None:
        value["layers"][0]["mediaType"] = "application/x-squashfs"

    def both(value: Any) -> None:
        value["manifests"] = []

    assert "lacks the blob" in refused(engine, changed(absent))
    assert "digest" in refused(engine, changed(swapped))
    assert "1 layers in its manifest and 2 in its configuration" in refused(engine, changed(too_few))
    assert "are declared" in refused(engine, changed(resized))
    refused(engine, changed(retyped))
    assert "application/x-squashfs" in refused(engine, changed(unknown))
    refused(engine, changed(both))


def test_a_blob_that_is_not_what_its_name_says_is_refused(engine: ImageEngine) -> None:
    files = oci_files("app:1", [small("x" * 200_000)])
    for name in [each for each in files if each.startswith("blobs/")]:
        damaged = {**files, name: files[name][:-1] + b"\1"}
        assert "is damaged" in refused(engine, tar(damaged))


def test_a_store_s_own_blob_is_not_replaced_by_a_wrong_one(engine: ImageEngine) -> None:
    files = oci_files("app:1", [small("x" * 200_000)])
    engine.load(tar(files))
    name = max((each for each in files if each.startswith("blobs/")), key=lambda each: len(files[each]))
    assert "is damaged" in engine.fails("load", given=tar({**files, name: b"other" * 50_000}))
    engine.is_sound()


def test_an_archive_that_ends_anywhere_before_its_end_is_refused(engine: ImageEngine) -> None:
    whole = docker_archive("app:1", [small("x" * 30_000), small("2")])
    end = len(whole.rstrip(b"\0"))
    for length in (1, 100, 511, 512, 513, 1024, 5_000, 31_000, 32_256, end - 600, end - 1):
        refused(engine, whole[:length])
    packed = gzip.compress(whole)
    for length in (1, 5, 10, 50, len(packed) // 2, len(packed) - 9, len(packed) - 8, len(packed) - 1):
        refused(engine, packed[:length])
    refused(engine, packed[:-8] + bytes(8))


@pytest.mark.parametrize(
    "entries",
    [
        [file("../../../../../../tmp/orlop-escaped", "x")],
        [file("/../orlop-escaped", "x")],
        [link("out", "/tmp"), file("out/orlop-escaped", "x")],
        [directory("d"), link("d/out", "../../../.."), file("d/out/tmp/orlop-escaped", "x")],
    ],
)
def test_a_layer_that_reaches_outside_is_refused(engine: ImageEngine, entries: list[Any]) -> None:
    refused(engine, docker_archive("app:1", [small(), layer(*entries), small("above")]))


def test_an_archive_with_far_too_many_files_is_refused(engine: ImageEngine) -> None:
    block = tarfile.TarInfo("000000").tobuf()
    checksum = int(block[148:154], 8) - 6 * ord("0")
    names = [b"%06d" % number for number in range(100_001)]
    headers = [name + block[6:148] + b"%06o\0 " % (checksum + sum(name)) + block[156:] for name in names]
    assert "more than 100000 files" in refused(engine, gzip.compress(b"".join(headers) + bytes(1024), 1))


def test_a_document_that_is_far_too_large_is_refused(engine: ImageEngine) -> None:
    assert "manifest.json" in refused(engine, gzip.compress(tar({"manifest.json": b"[" + b" " * (9 << 20) + b"]"})))
    files = docker_files("app:1", padding="x" * (5 << 20))
    assert "too large to be a document" in refused(engine, gzip.compress(tar(files)))


def test_several_images_of_which_one_is_bad_leave_nothing_of_that_one(engine: ImageEngine) -> None:
    good, bad = docker_files("good:1", [small("good")]), docker_files("bad:1", [small("bad")])
    entries = json.loads(good["manifest.json"]) + json.loads(bad["manifest.json"])
    entries[1]["Layers"] = ["bad/layer.tar"]
    files = {**bad, **good, "bad/layer.tar": b"not an archive", "manifest.json": json.dumps(entries).encode()}
    assert engine("load", given=tar(files)).code == 1
    assert engine.images() in ([], ["good:1"])
    assert len(engine.blobs()) == 3 * len(engine.images())
    engine.is_sound()
