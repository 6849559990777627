"""Caches that go to other machines by a registry, a directory or the image itself, and what of them is fetched."""

from __future__ import annotations

import base64
import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.build.conftest import Builder
from tests.integration.build.test_cache import steps
from tests.integration.images.conftest import plain_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.images.servers import Server

__all__ = ["plain_server"]

DOCKERFILE = """\
FROM base AS large
RUN echo {0} >/m; head -c 300000 /dev/urandom >/large
RUN true
FROM base
COPY --link f /f
COPY --from=large /m /m
RUN cat /m /f >/n
"""
CACHED = ["(RUN echo {0} >/m; head -c 300000 /dev/urandom >/large)", "(RUN true)", "(COPY --link f /f)",
          "(COPY --from=large /m /m)", "(RUN cat /m /f >/n)"]  # fmt: skip


@pytest.fixture(scope="module")
def other(builder: Builder, tmp_path_factory: pytest.TempPathFactory, rootfs: Path) -> Iterator[Builder]:
    """Another engine, with the same image to begin with."""
    made = Builder(tmp_path_factory.mktemp("other"), rootfs)
    archive = tmp_path_factory.mktemp("archive") / "base.tar"
    builder.ok("save", "-o", str(archive), "base")
    made.ok("load", "-i", str(archive))
    yield made
    assert made.ok("system", "check").endswith("no problems\n")
    made.close()


def text(name: str) -> str:
    return DOCKERFILE.format(name)


def cached(name: str) -> list[str]:
    return sorted(each.format(name) for each in CACHED)


def raw(name: str) -> Any:
    """A manifest, as skopeo shows it."""
    words = ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}"]
    return json.loads(subprocess.run(words, capture_output=True, check=True, timeout=60).stdout)


def has_large(builder: Builder) -> bool:
    """Whether the layer that only the first stage needs is among an engine's blobs."""
    return any(300_000 < path.stat().st_size < 400_000 for path in (builder.root / "images/blobs/sha256").iterdir())


@pytest.fixture
def emptied(other: Builder) -> Builder:
    """The other engine, without anything of builds."""
    for name in other.ok("images", "-q", "--filter", "dangling=true").split():
        other.ok("rmi", name)
    other.ok("builder", "prune", "-f")
    return other


@pytest.mark.parametrize("mode", ["mode=max", "mode=min,image-manifest=false,compression=zstd"])
def test_a_registry_brings_results_to_another_machine(
    builder: Builder, emptied: Builder, plain_server: Server, mode: str
) -> None:
    name = mode.replace("=", "-").replace(",", "-")
    context = builder.context(text(name), f="f")
    place = f"{plain_server.authority}/cache:{name}"
    result = builder.build(context, f"--cache-to=type=registry,ref={place},{mode}")
    assert result.code == 0, result
    document = raw(place)
    if "image-manifest=false" in mode:
        assert document["manifests"].pop()["mediaType"] == "application/vnd.buildkit.cacheconfig.v0"
        assert [each["mediaType"].rpartition("+")[2] for each in document["manifests"]] == ["zstd"] * 3
    else:
        assert document["config"]["mediaType"] == "application/vnd.buildkit.cacheconfig.v0"
        assert [each["mediaType"].rpartition("+")[2] for each in document["layers"]] == ["gzip"] * 4
    assert sorted(steps(emptied, context, f"--cache-from=type=registry,ref={place}")) == cached(name)
    assert not has_large(emptied)  # only what the image consists of was fetched
    (image,) = emptied.ok("images", "-q", "--no-trunc", "--filter", "dangling=true").split()
    assert image == result.out.strip()
    assert emptied.output(image, "cat", "/n") == f"{name}\nf"


def test_what_is_needed_after_all_is_fetched_or_done(builder: Builder, emptied: Builder, plain_server: Server) -> None:
    context = builder.context(text("needed"), f="f")
    places = {mode: f"{plain_server.authority}/cache:needed-{mode}" for mode in ("min", "max")}
    wanted = [f"--cache-to=type=registry,ref={place},mode={mode}" for mode, place in places.items()]
    assert builder.build(context, *wanted).code == 0
    (context / "Dockerfile").write_text(text("needed") + "COPY --from=large /large /copied\n")
    # Its layer is there with max; with min only its digest is known, and it is done again.
    done = steps(emptied, context, f"--cache-from={places['max']}")
    assert sorted(done) == [*cached("needed"), "COPY --from=large /large /copied"]
    assert has_large(emptied)
    emptied.ok("builder", "prune", "-f")
    done = steps(emptied, context, f"--cache-from={places['min']}", "--output=type=cacheonly")
    assert "RUN echo needed >/m; head -c 300000 /dev/urandom >/large" in done
    assert "(COPY --link f /f)" in done


def test_a_cache_that_was_used_can_go_on(builder: Builder, emptied: Builder, plain_server: Server) -> None:
    context = builder.context(text("goes-on"), f="f")
    place, again = (f"{plain_server.authority}/{name}:goes-on" for name in ("cache", "again"))
    builder.build(context, f"--cache-to=type=registry,ref={place},mode=max")
    words = (f"--cache-from={place}", "--output=type=cacheonly")
    for target in (place, again):
        assert emptied.build(context, *words, f"--cache-to=type=registry,ref={target},mode=max").code == 0
    assert not has_large(emptied)
    before, after = (raw(each) for each in (place, again))
    assert {each["digest"] for each in before["layers"]} == {each["digest"] for each in after["layers"]}
    assert before["config"]["digest"] == after["config"]["digest"]


def test_an_image_is_a_cache_of_itself(builder: Builder, emptied: Builder, plain_server: Server) -> None:
    context = builder.context(text("inline"), f="f")
    name = f"{plain_server.authority}/app:inline"
    result = builder.build(context, "--cache-to=type=inline", "--push", "--provenance=true", f"-t{name}")
    assert result.code == 0, result
    config = json.loads((builder.root / "images/blobs/sha256" / result.out.strip()[7:]).read_text())
    records = json.loads(base64.b64decode(config["moby.buildkit.cache.v0"]))
    assert all(each["digest"].startswith("sha256:") for each in records)
    done = steps(emptied, context, f"--cache-from=type=registry,ref={name}", "--output=type=cacheonly")
    assert sorted(done) == cached("inline")
    above = builder.built(f"FROM {name}\nLABEL a=b\n")
    assert "moby.buildkit.cache.v0" not in (builder.root / "images/blobs/sha256" / above[7:]).read_text()


def test_a_directory_has_caches_by_tags(builder: Builder, other: Builder, tmp_path: Path) -> None:
    tags = ("one", "two")
    contexts = {tag: builder.context(f"FROM base\nCOPY {tag} /\n", **{tag: tag}) for tag in tags}
    for tag, context in contexts.items():
        place = f"--cache-to=type=local,dest={tmp_path}/cache,tag={tag},mode=max,compression=gzip"
        assert builder.build(context, place).code == 0
    for tag, context in contexts.items():
        place = f"--cache-from=type=local,src={tmp_path}/cache,tag={tag}"
        assert steps(other, context, place, "--output=type=cacheonly") == [f"(COPY {tag} /)"]
    result = other.build(contexts["one"], f"--cache-from=type=local,src={tmp_path}/cache,tag=three")
    assert result.code == 0
    assert "no build cache is imported" in result.err


def test_what_is_not_there_or_damaged_is_done(builder: Builder, emptied: Builder, plain_server: Server) -> None:
    context = builder.context(text("damaged"), f="f")
    place = f"{plain_server.authority}/cache:damaged"
    assert builder.build(context, f"--cache-to=type=registry,ref={place},mode=max").code == 0
    blobs = plain_server.data / "docker/registry/v2/blobs/sha256"
    for layer in raw(place)["layers"]:
        digest = layer["digest"][7:]
        (blobs / digest[:2] / digest / "data").write_bytes(b"something else")
    result = emptied.build(context, f"--cache-from={place}")
    assert result.code == 0, result
    assert "the step is done here" in result.err


def test_an_export_that_fails_fails_the_build_unless_it_is_forgiven(builder: Builder) -> None:
    context = builder.context("FROM base\nLABEL a=b\n")
    for more, code in (("", 1), (",ignore-error=true", 0)):
        result = builder.build(context, f"--cache-to=type=registry,ref=127.0.0.1:1/cache:x{more}")
        assert result.code == code, result


def test_a_cache_of_buildkit_s_is_passed_over(builder: Builder, tmp_path: Path) -> None:
    context = builder.context("FROM base\nWORKDIR /theirs\n")
    assert builder.build(context, f"--cache-to=type=local,dest={tmp_path}/theirs").code == 0
    blobs = tmp_path / "theirs/blobs/sha256"
    index = json.loads((tmp_path / "theirs/index.json").read_text())
    manifest = json.loads((blobs / index["manifests"][0]["digest"][7:]).read_text())
    config = json.loads((blobs / manifest["config"]["digest"][7:]).read_text())
    for record in config["records"]:
        del record["dev.orlop.record"]
        record["inputs"] = [[{"link": 0}]]
    data = json.dumps(config).encode()
    manifest["config"] |= {"digest": put(blobs, data), "size": len(data)}
    data = json.dumps(manifest).encode()
    index["manifests"][0] |= {"digest": put(blobs, data), "size": len(data)}
    (tmp_path / "theirs/index.json").write_text(json.dumps(index))
    result = builder.build(context, f"--cache-from=type=local,src={tmp_path}/theirs", "--no-cache")
    assert result.code == 0
    assert "no build cache" not in result.err


def put(blobs: Path, data: bytes) -> str:
    import hashlib

    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    return f"sha256:{digest}"
