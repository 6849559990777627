"""Images by their names: found, listed, tagged, untagged, in an index that any process may change."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING

import pytest

from orlop.errors import Conflict, InsufficientSpace, InvalidReference, NotFound, OrlopError
from orlop.images import index, media_types
from orlop.images.config import ImageConfig, describe
from orlop.images.index import Entry
from orlop.images.manifest import make_manifest
from orlop.images.platform import Platform
from orlop.images.store import ImageStore
from orlop.storage import digest as digests
from orlop.storage.store import Storage

if TYPE_CHECKING:
    from pathlib import Path

LIBRARY = "docker.io/library/"


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    """A store without images."""
    storage = Storage(str(tmp_path), rootless=False)
    storage.blobs.prepare()
    return ImageStore(storage)


def entry(
    image_id: str, manifest: str = "", *, created: str = "2024-01-01T00:00:00Z", sizes: tuple[int, ...] = ()
) -> Entry:
    """An entry of the index that nothing else belongs to; ids may be beginnings, which are filled up."""
    return Entry(
        name="",
        digest=full(manifest or image_id[::-1]),
        size=1,
        media_type=media_types.OCI_MANIFEST,
        id=full(image_id),
        top="",
        created=created,
        layers=list(sizes),
        added="2024-01-02T00:00:00Z",
    )


def full(beginning: str) -> str:
    return "sha256:" + (beginning + "0" * 64)[:64]


def names(store: ImageStore) -> dict[str, list[str]]:
    """The names of each image, by the first digits of its ID."""
    return {image.id[7:10]: image.names for image in store.images()}


def test_a_store_that_was_never_used_has_no_images(tmp_path: Path) -> None:
    store = ImageStore(Storage(str(tmp_path / "nothing"), rootless=False))
    assert store.images() == []
    with pytest.raises(NotFound, match="no such image: debian"):
        store.find("debian")
    assert not (tmp_path / "nothing").exists()


def test_an_image_is_found_by_its_names_in_all_their_forms(store: ImageStore) -> None:
    digest = full("d")
    store.publish(entry("abc"), [f"{LIBRARY}debian:latest", f"{LIBRARY}debian@{digest}", "localhost:5000/a/b:1"])
    for name in (
        "debian", "debian:latest", "library/debian", "docker.io/debian", "docker.io/library/debian:latest",
        f"debian@{digest}", f"debian:anything@{digest}", "localhost:5000/a/b:1",
    ):  # fmt: skip
        assert store.find(name).id == full("abc"), name
    for name in ("debian:12", "localhost:5000/a/b", "a/b:1", "localhost:5000/a/b:10", f"debian@{full('e')}"):
        with pytest.raises(NotFound, match=f"no such image: {name}"):
            store.find(name)
    with pytest.raises(InvalidReference):
        store.find("UPPER")


def test_an_image_is_found_by_its_id_and_by_the_beginning_of_it(store: ImageStore) -> None:
    store.publish(entry("abc1"), ["docker.io/library/one:1"])
    store.publish(entry("abc2"), [])
    for wanted in (full("abc1"), full("abc1")[7:], "abc1", "sha256:abc1", "abc10"):
        assert store.find(wanted).id == full("abc1"), wanted
    assert store.find("abc2").names == []
    with pytest.raises(Conflict, match="the ID prefix abc fits 2 images: use more of it"):
        store.find("abc")
    for wanted in ("sha256:", "sha256:xyz", "abd", full("abc3"), full("abc3")[7:]):
        with pytest.raises(NotFound):
            store.find(wanted)


def test_a_name_comes_before_an_id_that_begins_like_it(store: ImageStore) -> None:
    store.publish(entry("abc"), [])
    store.publish(entry("123"), [f"{LIBRARY}abc:latest"])
    assert store.find("abc").id == full("123")
    assert store.find("sha256:abc").id == full("abc")


def test_a_name_that_moves_leaves_its_image_without_a_name(store: ImageStore) -> None:
    store.publish(entry("aaa"), [f"{LIBRARY}app:1"])
    store.publish(entry("bbb"), [f"{LIBRARY}app:1"])
    assert names(store) == {"aaa": [], "bbb": [f"{LIBRARY}app:1"]}
    store.publish(entry("bbb"), [])
    assert names(store) == {"aaa": [], "bbb": [f"{LIBRARY}app:1"]}
    store.publish(entry("aaa"), [f"{LIBRARY}app:2"])
    assert names(store) == {"aaa": [f"{LIBRARY}app:2"], "bbb": [f"{LIBRARY}app:1"]}
    store.tag(store.find("app:2"), f"{LIBRARY}app:1")
    assert names(store) == {"aaa": [f"{LIBRARY}app:1", f"{LIBRARY}app:2"], "bbb": []}


def test_an_image_whose_name_moves_keeps_the_digest_that_it_came_by(store: ImageStore) -> None:
    store.publish(entry("aaa"), ["x.io/app:1", f"x.io/app@{full('d')}"])
    store.publish(entry("bbb"), ["x.io/app:1", f"x.io/app@{full('e')}"])
    old = store.find("aaa")
    assert (old.tags, old.digests) == ([], [f"x.io/app@{full('d')}"])
    assert store.find("bbb").names == ["x.io/app:1", f"x.io/app@{full('e')}"]


def test_names_may_be_in_several_repositories_and_come_with_tags_first(store: ImageStore) -> None:
    store.publish(entry("aaa"), [f"a.io/x@{full('d')}", "z.io/y:2", "b.io/x:1", "z.io/y:1"])
    image = store.find("aaa")
    assert image.names == ["b.io/x:1", "z.io/y:1", "z.io/y:2", f"a.io/x@{full('d')}"]
    assert image.tags == image.names[:3]
    assert image.digests == image.names[3:]


def test_untagging_tells_whether_the_image_is_still_there(store: ImageStore) -> None:
    store.publish(entry("aaa"), ["x.io/a:1", "x.io/a:2"])
    assert store.untag("x.io/a:1")
    assert not store.untag("x.io/a:2")
    assert store.images() == []
    store.publish(entry("aaa"), ["x.io/a:1"])
    assert store.untag("x.io/a:1", keep=True)
    assert names(store) == {"aaa": []}
    with pytest.raises(NotFound, match="no such image: x.io/a:1"):
        store.untag("x.io/a:1")


def test_a_forgotten_image_is_gone_under_all_its_names(store: ImageStore) -> None:
    store.publish(entry("aaa"), [f"x.io/a@{full('d')}", "x.io/a:1"])
    store.publish(entry("bbb"), ["x.io/b:1"])
    image = store.find("aaa")
    store.forget(image)
    assert names(store) == {"bbb": ["x.io/b:1"]}
    with pytest.raises(NotFound):
        store.forget(image)
    with pytest.raises(NotFound):
        store.tag(image, "x.io/a:1")


def test_an_image_that_got_a_name_meanwhile_is_not_forgotten(store: ImageStore) -> None:
    store.publish(entry("aaa"), [])
    seen = store.find("aaa")
    store.tag(seen, "x.io/a:1")
    with pytest.raises(Conflict, match="was given or lost a name meanwhile"):
        store.forget(seen)
    assert names(store) == {"aaa": ["x.io/a:1"]}


def test_an_image_is_read_by_the_manifest_of_the_name_that_it_was_found_by(store: ImageStore) -> None:
    store.publish(entry("aaa", "111"), ["x.io/a:1"])
    store.publish(entry("aaa", "222"), ["y.io/a:1"])
    assert store.find("x.io/a:1").manifest == full("111")
    assert store.find("y.io/a:1").manifest == full("222")
    assert store.find("y.io/a:1").manifests == store.manifests() == {full("111"), full("222")}


def test_a_push_gives_the_image_the_manifest_that_it_was_pushed_by(store: ImageStore) -> None:
    store.publish(entry("aaa", "111"), [f"{LIBRARY}a:1", "x.io/a:1", f"z.io/a@{full('111')}"])
    data = ImageConfig(Platform("linux", "amd64"), []).to_bytes()
    made = make_manifest(describe(data), [])
    store.pushed(store.find("x.io/a:1"), made, f"x.io/a@{made.digest}")
    assert {store.find(name).manifest for name in ("a:1", "x.io/a:1", f"x.io/a@{made.digest}")} == {made.digest}
    assert store.find(f"z.io/a@{full('111')}").manifest == full("111")


def test_a_push_does_not_bring_back_an_image_that_was_removed_meanwhile(store: ImageStore) -> None:
    store.publish(entry("aaa"), ["x.io/a:1"])
    image = store.find("x.io/a:1")
    store.forget(image)
    data = ImageConfig(Platform("linux", "amd64"), []).to_bytes()
    store.pushed(image, make_manifest(describe(data), []), f"x.io/a@{full('d')}")
    assert store.images() == []


def test_images_are_listed_from_the_newest_to_the_oldest(store: ImageStore) -> None:
    for image_id, created in (("aaa", "2020-01-01T00:00:00Z"), ("bbb", "2024-01-01T00:00:00Z"), ("ccc", "")):
        store.publish(entry(image_id, created=created), [])
    assert list(names(store)) == ["bbb", "aaa", "ccc"]


def test_the_size_of_an_image_is_that_of_its_layers(store: ImageStore) -> None:
    image = store.publish(entry("aaa", sizes=(10, 0, 5)), ["x.io/a:1"])
    assert (image.size, image.layers) == (15, [10, 0, 5])
    assert store.find("x.io/a:1").layers == [10, 0, 5]


def test_a_thousand_images_are_listed_from_one_file(store: ImageStore) -> None:
    with index.Change(store.storage.blobs.directory) as change:
        for number in range(1000):
            made = entry(digests.of(b"%d" % number)[7:])
            change.entries += [made.named(f"x.io/many:{number}"), made.named(f"x.io/more:{number}")]
        change.save()
    images = store.images()
    assert len(images) == 1000
    assert {len(image.tags) for image in images} == {2}
    assert store.find("x.io/more:777").id == digests.of(b"777")


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", "{}", '{"manifests": [1]}', '{"manifests": [{"digest": "x"}]}', '{"manifests": {}, "a": 1',
        '{"manifests": [{"mediaType": "x", "digest": "y", "size": 1, "annotations": {}}]}', "\xff",
    ],
)  # fmt: skip
def test_a_damaged_index_is_refused_with_the_way_out(store: ImageStore, tmp_path: Path, text: str) -> None:
    (tmp_path / "images/index.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(OrlopError, match=r"index\.json is damaged .*'orlop system check --repair' sets it aside"):
        store.images()
    with pytest.raises(OrlopError, match="is damaged"):
        store.publish(entry("aaa"), ["x.io/a:1"])
    assert (tmp_path / "images/index.json").read_bytes() == text.encode("latin-1")


def test_the_index_is_an_oci_index_whose_names_other_tools_read(store: ImageStore, tmp_path: Path) -> None:
    store.publish(entry("aaa", "111"), ["docker.io/library/a:1"])
    store.publish(entry("bbb", "222"), [])
    value = json.loads((tmp_path / "images/index.json").read_text())
    assert (value["schemaVersion"], value["mediaType"]) == (2, media_types.OCI_INDEX)
    named, nameless = value["manifests"]
    assert named["digest"] == full("111")
    assert named["annotations"]["org.opencontainers.image.ref.name"] == "docker.io/library/a:1"
    assert "org.opencontainers.image.ref.name" not in nameless["annotations"]


def test_names_that_several_threads_give_at_once_are_all_there(store: ImageStore) -> None:
    def give(number: int) -> None:
        for each in range(20):
            store.publish(entry(f"{number}"), [f"x.io/a{number}:{each}"])

    threads = [threading.Thread(target=give, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(len(image.names) for image in store.images()) == 80


def test_what_a_killed_writer_left_of_the_index_is_in_nobody_s_way(store: ImageStore, tmp_path: Path) -> None:
    (tmp_path / "images/index.json.new").write_text('{"manif')
    store.publish(entry("aaa"), ["x.io/a:1"])
    assert names(store) == {"aaa": ["x.io/a:1"]}
    assert sorted(each for each in os.listdir(tmp_path / "images") if each.startswith("index")) == [
        "index.json",
        "index.lock",
    ]


def test_a_full_disk_leaves_the_index_as_it_was(store: ImageStore, tmp_path: Path) -> None:
    store.publish(entry("aaa"), ["x.io/a:1"])
    os.symlink("/dev/full", tmp_path / "images/index.json.new")
    with pytest.raises(InsufficientSpace, match="no space left on device; free some with 'orlop system prune'"):
        store.publish(entry("bbb"), ["x.io/b:1"])
    assert names(store) == {"aaa": ["x.io/a:1"]}


def test_a_start_finds_its_image_without_reading_the_others(store: ImageStore, tmp_path: Path) -> None:
    for number in range(20):
        store.publish(entry(f"{number:03x}"), [f"{LIBRARY}many:{number}", f"{LIBRARY}others:{number}"])
    for number in (0, 7, 19):
        assert store.resolve(f"many:{number}").id == full(f"{number:03x}")
        assert index.find(f"{tmp_path}/images", f"{LIBRARY}many:{number}") is not None
    assert store.resolve(full("007")).names == [f"{LIBRARY}many:7", f"{LIBRARY}others:7"]
    assert index.find(f"{tmp_path}/images", f"{LIBRARY}many") is None
    with pytest.raises(NotFound, match="no such image: many"):
        store.resolve("many")


def test_a_start_finds_its_image_in_an_index_that_another_tool_has_written(store: ImageStore, tmp_path: Path) -> None:
    store.publish(entry("abc"), [f"{LIBRARY}debian:latest"])
    path = tmp_path / "images/index.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=2))
    assert index.find(f"{tmp_path}/images", f"{LIBRARY}debian:latest") is None
    assert store.resolve("debian").id == full("abc")
