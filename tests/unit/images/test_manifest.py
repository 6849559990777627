from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orlop.errors import DigestMismatch, InvalidImage, OrlopError, Unsupported
from orlop.images import media_types as types
from orlop.images.manifest import LARGEST, Descriptor, Index, Manifest, make_index, make_manifest, parse
from orlop.images.platform import Platform
from orlop.storage import digest as digests

CONFIG = Descriptor(types.OCI_CONFIG, "sha256:" + "1" * 64, 10)
LAYER = Descriptor(types.OCI_LAYER_GZIP, "sha256:" + "2" * 64, 20)


def document(**changes: Any) -> dict[str, Any]:
    made = json.loads(make_manifest(CONFIG, [LAYER]).data)
    made.update(changes)
    return {name: value for name, value in made.items() if value is not ...}


def index(**changes: Any) -> dict[str, Any]:
    made = json.loads(make_index([CONFIG]).data)
    made.update(changes)
    return {name: value for name, value in made.items() if value is not ...}


def read(value: Any, media_type: str = "") -> Manifest | Index:
    return parse(json.dumps(value).encode(), media_type)


def test_a_manifest_keeps_the_bytes_that_it_was_read_from() -> None:
    data = json.dumps(document(), indent=3).encode() + b"\n"
    made = Manifest.parse(data)
    assert made.data == data
    assert made.digest == digests.of(data)
    assert made.descriptor == Descriptor(types.OCI_MANIFEST, digests.of(data), len(data))
    assert made.config == CONFIG
    assert made.layers == (LAYER,)


def test_what_was_written_is_read_again() -> None:
    platform = Platform("linux", "arm", "v6")
    subject = Descriptor(types.OCI_MANIFEST, "sha256:" + "3" * 64, 30)
    inlined = Descriptor(types.OCI_EMPTY, digests.of(b"{}"), 2, data=b"{}", urls=["https://example.com/a"])
    made = make_manifest(inlined, [LAYER], annotations={"b": "ü", "a": "1"}, artifact_type="x/y", subject=subject)
    again = Manifest.parse(made.data, types.OCI_MANIFEST)
    assert (again.config, again.layers, again.subject) == (inlined, (LAYER,), subject)
    assert (again.annotations, again.artifact_type) == ({"a": "1", "b": "ü"}, "x/y")
    entry = Descriptor(types.OCI_MANIFEST, made.digest, len(made.data), platform=platform, artifact_type="x/y")
    written = make_index([entry], media_type=types.DOCKER_INDEX, subject=subject)
    assert Index.parse(written.data).manifests == (entry,)


def test_the_media_type_of_the_answer_counts_where_the_document_has_none() -> None:
    assert read(document(mediaType=...), types.DOCKER_MANIFEST).media_type == types.DOCKER_MANIFEST
    assert read(document(mediaType=...), "application/json; charset=utf-8").media_type == types.OCI_MANIFEST
    assert read(index(mediaType=...), "").media_type == types.OCI_INDEX


@pytest.mark.parametrize(
    ("value", "media_type"),
    [
        (document(manifests=[]), ""),
        (index(config={}), ""),
        (index(layers=[]), types.OCI_INDEX),
        (document(mediaType=types.OCI_INDEX), ""),
        (index(mediaType=types.OCI_MANIFEST), ""),
        (document(mediaType=...), types.OCI_INDEX),
        (index(mediaType=...), types.DOCKER_MANIFEST),
        (document(), types.DOCKER_MANIFEST),
        (index(), types.OCI_MANIFEST),
    ],
)
def test_cve_2021_41190_a_document_whose_types_and_fields_contradict_each_other_is_refused(
    value: dict[str, Any], media_type: str
) -> None:
    with pytest.raises(InvalidImage):
        read(value, media_type)


def test_a_field_that_is_named_twice_is_refused() -> None:
    data = make_manifest(CONFIG, [LAYER]).data
    twice = data.replace(b'"layers":', b'"layers":[],"layers":')
    with pytest.raises(InvalidImage, match='more than one "layers"'):
        parse(twice)


@pytest.mark.parametrize(
    ("value", "media_type"),
    [
        ({"schemaVersion": 1, "fsLayers": [], "history": []}, ""),
        (document(), "application/vnd.docker.distribution.manifest.v1+prettyjws"),
        (document(fsLayers=[]), types.OCI_MANIFEST),
    ],
)
def test_schema_1_is_refused_by_name(value: dict[str, Any], media_type: str) -> None:
    with pytest.raises(Unsupported, match="schema 1"):
        read(value, media_type)


@pytest.mark.parametrize(
    "changes",
    [
        {"schemaVersion": 3},
        {"schemaVersion": ...},
        {"schemaVersion": "2"},
        {"config": ...},
        {"config": []},
        {"layers": {}},
        {"layers": ["x"]},
        {"layers": [{}]},
        {"layers": [LAYER.as_json() | {"size": -1}]},
        {"layers": [LAYER.as_json() | {"size": 1 << 64}]},
        {"layers": [LAYER.as_json() | {"size": "20"}]},
        {"layers": [LAYER.as_json() | {"size": True}]},
        {"layers": [LAYER.as_json() | {"digest": "sha256:../../etc/passwd"}]},
        {"layers": [LAYER.as_json() | {"digest": "md5:" + "0" * 32}]},
        {"layers": [LAYER.as_json() | {"mediaType": None}]},
        {"layers": [LAYER.as_json() | {"urls": "x"}]},
        {"layers": [LAYER.as_json() | {"data": "?"}]},
        {"mediaType": "text/html"},
        {"mediaType": 1},
        {"annotations": {"a": 1}},
        {"annotations": {"a": "\ud800"}},
        {"subject": "x"},
    ],
)
def test_what_breaks_the_specification_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidImage):
        read(document(**changes))


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{", b"\xff", b'{"a":' * 5000, b"x" * (LARGEST + 1), b"{}{}"])
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidImage):
        parse(data)


def test_inlined_content_is_verified() -> None:
    good = Descriptor(types.OCI_LAYER, digests.of(b"abc"), 3, data=b"abc").as_json()
    assert Manifest.parse(json.dumps(document(layers=[good])).encode()).layers[0].data == b"abc"
    for change in ({"data": base64.b64encode(b"abd").decode()}, {"size": 4}, {"data": ""}):
        with pytest.raises(DigestMismatch):
            read(document(layers=[good | change]))


def test_null_fields_are_absent_ones() -> None:
    made = read(document(annotations=None, subject=None, manifests=None))
    assert isinstance(made, Manifest)
    assert made.annotations == {}
    read(document(config=CONFIG.as_json() | {"platform": None, "urls": None, "data": None}))


def test_what_is_not_an_image_is_told_apart_by_its_type() -> None:
    chart = Descriptor("application/vnd.cncf.helm.config.v1+json", "sha256:" + "4" * 64, 1)
    with pytest.raises(Unsupported, match="helm"):
        make_manifest(chart, [LAYER]).check_image("chart")
    odd = Descriptor("application/vnd.example.layer+lz4", "sha256:" + "5" * 64, 1)
    with pytest.raises(Unsupported, match="lz4"):
        make_manifest(CONFIG, [LAYER, odd]).check_image("app")
    make_manifest(CONFIG, [LAYER]).check_image()


def test_one_kind_is_not_taken_for_the_other() -> None:
    with pytest.raises(InvalidImage, match="is an index where"):
        Manifest.parse(make_index([]).data)
    with pytest.raises(InvalidImage, match="is a manifest where"):
        Index.parse(make_manifest(CONFIG, []).data)


def test_the_type_of_a_layer_follows_the_family_of_its_manifest() -> None:
    assert types.layer_type(types.DOCKER_MANIFEST, "gzip") == types.DOCKER_LAYER_GZIP
    assert types.layer_type(types.OCI_MANIFEST, "zstd") == types.OCI_LAYER_ZSTD
    assert types.is_foreign(types.DOCKER_FOREIGN_LAYER_GZIP)
    assert not types.is_foreign(types.OCI_LAYER)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
PATHS = [
    ("schemaVersion",), ("mediaType",), ("config",), ("layers",), ("manifests",), ("annotations",), ("subject",),
    ("config", "size"), ("config", "digest"), ("config", "platform"), ("config", "data"), ("layers", 0, "urls"),
]  # fmt: skip


@given(st.sampled_from(PATHS), json_values)
def test_any_value_in_any_place_is_read_or_refused_with_a_known_error(path: tuple[Any, ...], value: Any) -> None:
    made = document()
    inner: Any = made
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    try:
        read(made)
    except OrlopError as error:
        assert "\n" not in str(error)
