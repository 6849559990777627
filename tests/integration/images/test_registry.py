"""The client and Debian's docker-registry."""

from __future__ import annotations

import base64
import errno
import io
import json
import os
import shutil
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest

from orlop.errors import DigestMismatch, InvalidReference, NotFound, RegistryError, Unauthorized, Unsupported
from orlop.images import media_types
from orlop.images.manifest import Descriptor, Manifest, make_index, make_manifest, parse
from orlop.images.platform import Platform, choose
from orlop.images.progress import Progress
from orlop.images.reference import parse as parse_reference
from orlop.images.registry.fetch import fetch_blob
from orlop.images.registry.search import search
from orlop.storage import digest as digests
from orlop.storage.blobs import Blobs
from tests.integration.images.content import push_bytes, push_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from orlop.images.registry.client import Registry
    from tests.integration.images.servers import Server

    Connect = Callable[..., Registry]

ABSENT = "sha256:" + "0" * 64


@pytest.fixture
def registry(plain_server: Server, connect: Connect) -> Registry:
    return connect(plain_server.authority)


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    made = Blobs(str(tmp_path / "images"))
    made.prepare()
    return made


class Told(Progress):
    """Progress that remembers."""

    def __init__(self) -> None:
        self.actions: list[str] = []
        self.current: int | None = 0

    def update(self, identifier: str, action: str, current: int | None = None, total: int | None = None) -> None:
        assert len(identifier) == 12
        assert current is None or total is None or current <= total
        if action not in self.actions:
            self.actions.append(action)
        self.current = current


def test_what_was_pushed_is_resolved_and_pulled_with_equal_digests(registry: Registry, blobs: Blobs) -> None:
    layer = os.urandom(3 << 20)
    pushed = push_image(registry, "test/app", "1", layer)
    found = registry.resolve(parse_reference(f"{registry.domain}/test/app:1"))
    assert found == pushed.descriptor
    data, media_type, digest = registry.manifest("test/app", found.digest)
    assert (data, media_type, digest) == (pushed.data, pushed.media_type, pushed.digest)
    told = Told()
    assert fetch_blob(registry, "test/app", pushed.layers[0], blobs, told)
    assert blobs.read(digests.of(layer)) == layer
    assert told.actions == ["Downloading", "Verifying Checksum", "Download complete"]
    assert told.current == len(layer)
    assert not fetch_blob(registry, "test/app", pushed.layers[0], blobs, told)
    assert told.actions[-1] == "Already exists"


def test_an_index_gives_the_image_of_a_platform(registry: Registry) -> None:
    image = push_image(registry, "test/many", "amd64")
    entry = Descriptor(image.media_type, image.digest, len(image.data), platform=Platform("linux", "amd64"))
    index = make_index([entry])
    registry.put_manifest("test/many", "all", index.data, index.media_type)
    data, media_type, _ = registry.manifest("test/many", "all")
    found = parse(data, media_type)
    assert not isinstance(found, Manifest)
    assert choose(found.manifests, Platform("linux", "amd64")).digest == image.digest


def test_what_is_not_there_is_said_to_be_missing_by_name(registry: Registry) -> None:
    push_image(registry, "test/there", "1")
    for ask in (
        lambda: registry.manifest("test/there", "2"),
        lambda: registry.resolve(parse_reference(f"{registry.domain}/test/there:2")),
        lambda: registry.manifest("test/never", "1"),
        lambda: registry.blob("test/there", ABSENT),
        lambda: registry.tags("test/never"),
    ):
        with pytest.raises(NotFound, match=r"test/(there|never).* not found on 127"):
            ask()
    assert not registry.has_blob("test/there", ABSENT)
    assert not registry.has_manifest("test/there", "2")
    assert registry.has_manifest("test/there", "1")


def test_a_name_that_could_change_the_url_is_never_sent(registry: Registry) -> None:
    for repository, wanted in (("a/../b", "1"), ("a", "1?x=y"), ("a", "../x"), ("a b", "1"), ("a\r\nX: y", "1")):
        with pytest.raises(InvalidReference):
            registry.manifest(repository, wanted)
    with pytest.raises(InvalidReference):
        registry.tags("a/../../x")


def test_the_part_of_a_blob_after_an_offset_is_given(registry: Registry) -> None:
    digest = push_bytes(registry, "test/part", b"0123456789")
    with registry.blob("test/part", digest, 7) as stream:
        assert (stream.offset, stream.restarted, stream.remaining) == (7, False, 3)
        assert b"".join(stream) == b"789"
    with registry.blob("test/part", digest, 100) as stream:
        assert (stream.offset, stream.restarted) == (0, True)


def test_an_interrupted_download_goes_on_where_it_ended(registry: Registry, blobs: Blobs) -> None:
    data = os.urandom(100_000)
    digest = push_bytes(registry, "test/resume", data)
    with blobs.ingest(digest, len(data)) or pytest.fail("it is there") as ingest:
        ingest.write(data[:60_000])
    asked: list[int] = []
    blob = registry.blob

    def listening(repository: str, digest: str, offset: int = 0, **options: Any) -> Any:
        asked.append(offset)
        return blob(repository, digest, offset, **options)

    registry.blob = listening  # type: ignore[method-assign]
    fetch_blob(registry, "test/resume", Descriptor("x/y", digest, len(data)), blobs)
    assert asked == [60_000]
    assert blobs.read(digest) == data


def test_what_an_earlier_fetch_left_wrong_is_fetched_anew(registry: Registry, blobs: Blobs) -> None:
    data = os.urandom(50_000)
    digest = push_bytes(registry, "test/wrong", data)
    with blobs.ingest(digest, len(data)) or pytest.fail("it is there") as ingest:
        ingest.write(b"x" * 20_000)
    assert fetch_blob(registry, "test/wrong", Descriptor("x/y", digest, len(data)), blobs)
    assert blobs.read(digest) == data


def test_several_threads_fetch_a_blob_once(registry: Registry, blobs: Blobs) -> None:
    data = os.urandom(2 << 20)
    descriptor = Descriptor("x/y", push_bytes(registry, "test/once", data), len(data))
    fetched: list[bool] = []
    threads = [
        threading.Thread(target=lambda: fetched.append(fetch_blob(registry, "test/once", descriptor, blobs)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(fetched) == [False, False, False, True]


def test_an_empty_blob_is_pushed_and_fetched(registry: Registry, blobs: Blobs) -> None:
    digest = push_bytes(registry, "test/empty", b"")
    assert fetch_blob(registry, "test/empty", Descriptor("x/y", digest, 0), blobs)
    assert blobs.read(digest) == b""


def test_a_blob_of_another_repository_is_mounted(registry: Registry) -> None:
    digest = push_bytes(registry, "test/from", b"mounted")
    assert not registry.has_blob("test/to", digest)
    assert registry.mount_blob("test/to", digest, "test/from")
    assert registry.has_blob("test/to", digest)
    assert not registry.mount_blob("test/to", ABSENT, "test/from")


def test_a_blob_is_pushed_in_chunks(plain_server: Server, connect: Connect) -> None:
    registry = connect(plain_server.authority, chunk_size=1 << 20)
    data = os.urandom((3 << 20) + 5)
    opened: list[int] = []

    def open_at(offset: int) -> io.BytesIO:
        opened.append(offset)
        return io.BytesIO(data[offset:])

    registry.upload_blob("test/chunks", digests.of(data), len(data), open_at)
    assert opened == [0, 1 << 20, 2 << 20, 3 << 20]
    with registry.blob("test/chunks", digests.of(data)) as stream:
        assert b"".join(stream) == data


def test_a_blob_that_cannot_be_read_is_not_the_registrys_fault(registry: Registry) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(errno.EIO, f"for the test, {size}")

    with pytest.raises(OSError, match="for the test"):
        registry.upload_blob("test/broken", ABSENT, 8, lambda offset: Broken(bytes(offset)))


def test_a_pushed_blob_that_is_not_what_its_digest_says_is_refused(registry: Registry) -> None:
    with pytest.raises(DigestMismatch, match="something else"):
        registry.upload_blob("test/lie", ABSENT, 3, lambda offset: io.BytesIO(b"lie"[offset:]))
    with pytest.raises(DigestMismatch, match="3 bytes where 5"):
        registry.upload_blob("test/lie", ABSENT, 5, lambda offset: io.BytesIO(b"lie"[offset:]))


def test_tags_come_in_pages_and_are_all_given(plain_server: Server, registry: Registry) -> None:
    image = push_image(registry, "test/tags", "t0")
    for number in range(1, 5):
        registry.put_manifest("test/tags", f"t{number}", image.data, image.media_type)
    assert sorted(registry.tags("test/tags")) == ["t0", "t1", "t2", "t3", "t4"]
    assert "test/tags" in registry.repositories()


def test_a_manifest_is_deleted(registry: Registry) -> None:
    image = push_image(registry, "test/gone", "1")
    registry.delete_manifest("test/gone", image.digest)
    assert not registry.has_manifest("test/gone", "1")
    registry.delete_blob("test/gone", image.layers[0].digest)
    assert not registry.has_blob("test/gone", image.layers[0].digest)


def test_referrers_are_listed_by_tag_where_the_registry_keeps_no_account(registry: Registry) -> None:
    image = push_image(registry, "test/signed", "1")
    assert registry.referrers("test/signed", image.digest) == []
    for kind in ("application/vnd.example.sbom", "application/vnd.example.signature"):
        empty = Descriptor(media_types.OCI_EMPTY, push_bytes(registry, "test/signed", b"{}"), 2)
        made = make_manifest(empty, [empty], artifact_type=kind, subject=image.descriptor)
        registry.put_manifest("test/signed", made.digest, made.data, made.media_type)
    kinds = [each.artifact_type for each in registry.referrers("test/signed", image.digest)]
    assert kinds == ["application/vnd.example.sbom", "application/vnd.example.signature"]
    (found,) = registry.referrers("test/signed", image.digest, "application/vnd.example.signature")
    assert found.digest == made.digest


def test_a_registry_without_a_search_is_searched_by_its_catalog(registry: Registry) -> None:
    push_image(registry, "hay/needle", "1")
    assert [each.name for each in search(registry, "NEEDLE hay")] == ["hay/needle"]
    assert search(registry, "no such thing") == []


def test_a_registry_without_anything_to_search_says_so(guarded_server: Server, connect: Connect) -> None:
    with pytest.raises(Unsupported, match="cannot be searched"):
        search(connect(guarded_server.authority), "x")


def test_a_mirror_is_asked_first_and_the_registry_if_that_does_not_have_it(
    plain_server: Server, password_server: Server, connect: Connect, blobs: Blobs
) -> None:
    """The mirror's repositories are below a path; the registry would refuse, and need not be asked."""
    image = push_image(connect(plain_server.authority), "hub/library/app", "1")
    domain = password_server.authority
    mirrored = connect(
        domain, registries={domain: {"mirrors": ["127.0.0.1:9", f"http://{plain_server.authority}/hub/"]}}
    )
    assert mirrored.manifest("library/app", "1")[2] == image.digest
    assert fetch_blob(mirrored, "library/app", image.layers[0], blobs)
    assert len(mirrored.alive()) == 2
    with pytest.raises(Unauthorized, match=domain):
        mirrored.manifest("library/absent", "1")
    with pytest.raises(Unauthorized, match=domain):
        mirrored.put_manifest("library/app", "1", image.data, image.media_type)


def test_skopeo_finds_what_was_pushed_and_the_other_way_round(
    plain_server: Server, registry: Registry, tmp_path: Path
) -> None:
    skopeo = shutil.which("skopeo")
    if skopeo is None:
        pytest.skip("needs skopeo to compare with")
    import gzip
    import tarfile

    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("file"))
    from orlop.images.config import ImageConfig, describe

    config = ImageConfig(Platform("linux", "amd64"), [digests.of(made.getvalue())]).to_bytes()
    layer = gzip.compress(made.getvalue(), mtime=0)
    for data in (config, layer):
        push_bytes(registry, "test/skopeo", data)
    image = make_manifest(describe(config), [Descriptor(media_types.OCI_LAYER_GZIP, digests.of(layer), len(layer))])
    registry.put_manifest("test/skopeo", "1", image.data, image.media_type)

    def run(*arguments: str) -> str:
        done = subprocess.run([skopeo, *arguments], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    source = f"docker://{plain_server.authority}/test/skopeo:1"
    assert json.loads(run("inspect", "--tls-verify=false", source))["Digest"] == image.digest
    copy = f"docker://{plain_server.authority}/test/copied:1"
    run(
        "copy",
        "--insecure-policy",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        "--format",
        "v2s2",
        source,
        copy,
    )
    data, media_type, _ = registry.manifest("test/copied", "1")
    copied = Manifest.parse(data, media_type)
    assert copied.media_type == media_types.DOCKER_MANIFEST
    assert copied.layers[0].digest == digests.of(layer)
    copied.check_image()


def test_credentials_of_the_configuration_open_a_registry_with_passwords(
    password_server: Server, connect: Connect, home: dict[str, str]
) -> None:
    from tests.integration.images.servers import PASSWORD, USER

    with pytest.raises(Unauthorized, match="wants credentials for it"):
        connect(password_server.authority).manifest("a", "1")
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    os.mkdir(f"{home['HOME']}/.docker")
    with open(f"{home['HOME']}/.docker/config.json", "w") as file:
        json.dump({"auths": {password_server.authority: {"auth": auth}}}, file)
    image = push_image(connect(password_server.authority), "test/private", "1")
    assert connect(password_server.authority).manifest("test/private", "1")[2] == image.digest


def test_requests_share_a_connection(plain_server: Server, registry: Registry) -> None:
    image = push_image(registry, "test/shared", "1")
    manager = registry.endpoint.connections._pool(registry.endpoint.origin)
    made: list[Any] = [manager.pools[key] for key in manager.pools.keys()]  # noqa: SIM118 - it cannot be iterated over
    before = [each.num_connections for each in made]
    for _ in range(3):
        registry.manifest("test/shared", image.digest)
        registry.resolve(parse_reference(f"{registry.domain}/test/shared:1"))
        with registry.blob("test/shared", image.layers[0].digest) as stream:
            assert b"".join(stream)
        assert not registry.has_manifest("test/shared", "2")
    assert [each.num_connections for each in made] == before == [1]


def test_closing_a_registry_ends_what_other_threads_wait_for(registry: Registry, blobs: Blobs) -> None:
    data = os.urandom(32 << 20)
    descriptor = Descriptor("x/y", push_bytes(registry, "test/close", data), len(data))
    begun, errors = threading.Event(), []

    class Waiting(Progress):
        def update(self, identifier: str, action: str, current: int | None = None, total: int | None = None) -> None:
            assert identifier
            assert total == len(data)
            if action.startswith("Downloading") and current:
                begun.set()
                closed.wait(30)

    closed = threading.Event()

    def fetch() -> None:
        try:
            fetch_blob(registry, "test/close", descriptor, blobs, Waiting())
        except RegistryError as error:
            errors.append(str(error))

    thread = threading.Thread(target=fetch)
    thread.start()
    assert begun.wait(30)
    registry.close()
    closed.set()
    thread.join(30)
    assert errors == ["the transfer was given up"]
    with blobs.ingest(descriptor.digest, len(data)) or pytest.fail("it is there") as ingest:
        assert ingest.offset > 0
