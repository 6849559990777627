"""Caches of builds that somebody else has written: what is taken of them, and what is not."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from orlop.build import cache_config, cache_places, cache_sources
from orlop.build.cache import Layer
from orlop.errors import InvalidArchive, OrlopError
from orlop.images import platform
from orlop.storage import digest as digests
from orlop.storage.store import Storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orlop.storage.leases import Lease

KEY = "a" * 64
PLAIN = b"the layer" * 100
CONFIG = "application/vnd.buildkit.cacheconfig.v0"
Document = dict[str, Any]


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """A store with nothing in it."""
    made = Storage(str(tmp_path / "store"), rootless=False)
    made.prepare()
    return made


@pytest.fixture
def lease(storage: Storage) -> Iterator[Lease]:
    """A lease that lasts as long as the test."""
    with storage.leases.take() as made:
        yield made


def put(directory: Path, data: bytes) -> str:
    blobs = directory / "blobs/sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    digest = digests.of(data)
    (blobs / digest[7:]).write_bytes(data)
    return digest


def layout(
    directory: Path, packed: bytes = PLAIN, size: int = len(PLAIN), change: Callable[[Document], Any] = lambda _: None
) -> cache_places.Place:
    """A cache of one record in a directory, whose configuration was changed."""
    blob = put(directory, packed)
    ours = {"diffID": digests.of(PLAIN), "size": size, "chain": "", "created": "2024-01-01T00:00:00Z"}
    config = {
        "layers": [{"blob": blob, "parent": -1, "annotations": {"diffID": digests.of(PLAIN)}}],
        "records": [{"digest": f"sha256:{KEY}", "layers": [{"layer": 0}], "dev.orlop.record": ours}],
    }
    change(config)
    data = json.dumps(config).encode()
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": blob, "size": len(packed)}
    described = {"mediaType": CONFIG, "digest": put(directory, data), "size": len(data)}
    manifest = json.dumps({"schemaVersion": 2, "config": described, "layers": [layer]}).encode()
    kind = "application/vnd.oci.image.manifest.v1+json"
    entry = {"mediaType": kind, "digest": put(directory, manifest), "size": len(manifest)}
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    return cache_places.Place(cache_places.LOCAL, str(directory))


def opened(place: cache_places.Place) -> cache_sources.Imported:
    return cache_sources.opened(place, place.where, platform.host())


@pytest.mark.parametrize("packed", [PLAIN, gzip.compress(PLAIN, mtime=0)], ids=["plain", "gzip"])
def test_a_layer_is_had_whatever_it_is_compressed_with(
    tmp_path: Path, storage: Storage, lease: Lease, packed: bytes
) -> None:
    source = opened(layout(tmp_path, packed))
    known = source.find(KEY)
    assert known is not None
    assert known.layer == Layer(digests.of(PLAIN), digests.of(PLAIN), len(PLAIN))
    source.fetch(known.layer, storage.blobs, lease, str(tmp_path))
    assert storage.blobs.read(known.layer.digest) == PLAIN


@pytest.mark.parametrize(
    ("packed", "size"),
    [
        (b"something else", len(PLAIN)),
        (gzip.compress(bytes(4 << 20), mtime=0), len(PLAIN)),  # many times what was declared
        (PLAIN, len(PLAIN) - 1),
        (PLAIN, len(PLAIN) + 1),
        (PLAIN, 1 << 60),
        (gzip.compress(PLAIN, mtime=0)[:-20], len(PLAIN)),
        (b"", len(PLAIN)),
    ],
    ids=["other", "bomb", "larger", "smaller", "endless", "cut", "empty"],
)
def test_what_is_not_the_layer_is_not_kept(
    tmp_path: Path, storage: Storage, lease: Lease, packed: bytes, size: int
) -> None:
    source = opened(layout(tmp_path, packed, size))
    known = source.find(KEY)
    assert known is not None
    assert known.layer is not None
    with pytest.raises((OrlopError, InvalidArchive)):
        source.fetch(known.layer, storage.blobs, lease, str(tmp_path))
    assert not storage.blobs.has(digests.of(PLAIN))
    assert list(storage.blobs.walk()) == []


def _set(key: str, value: Any) -> Callable[[Document], Any]:
    return lambda document: document.update({key: value})


def _ours(key: str, value: Any) -> Callable[[Document], Any]:
    return lambda document: document["records"][0]["dev.orlop.record"].update({key: value})


@pytest.mark.parametrize(
    "change",
    [
        _set("records", None),
        _set("records", []),
        _set("records", [{"digest": "sha256:../../etc/passwd", "dev.orlop.record": {}}]),
        _set("records", [{"digest": f"sha256:{KEY}"}]),
        _ours("diffID", "sha256:../../etc/passwd"),
        lambda document: document["records"][0].update({"dev.orlop.record": [1]}),
    ],
)
def test_records_of_another_form_are_none(tmp_path: Path, change: Callable[[Document], Any]) -> None:
    assert opened(layout(tmp_path, change=change)).find(KEY) is None


@pytest.mark.parametrize(
    "change",
    [
        _set("records", 3),
        _set("records", [3]),
        _set("layers", [{"blob": 3, "annotations": 5}]),
        _set("layers", [{}]),
        _ours("size", "large"),
    ],
)
def test_a_damaged_cache_is_refused(tmp_path: Path, change: Callable[[Document], Any]) -> None:
    with pytest.raises(OrlopError):
        opened(layout(tmp_path, change=change))


@pytest.mark.parametrize("content", [b"", b"[]", b"[" * 100_000, b'{"manifests":[{"digest":"sha256:../x"}]}', b"\xff"])
def test_a_directory_that_has_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    place = layout(tmp_path)
    (tmp_path / "index.json").write_bytes(content)
    with pytest.raises(OrlopError):
        opened(place)


def test_a_size_that_is_no_number_of_bytes_is_refused() -> None:
    ours = f'{{"diffID": "sha256:{KEY}", "size": 1e999}}'
    data = f'{{"records": [{{"digest": "sha256:{KEY}", "dev.orlop.record": {ours}}}]}}'
    with pytest.raises(OrlopError):
        cache_config.read(data.encode(), ())
