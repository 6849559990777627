"""Attacks on builders, replayed: by Dockerfiles, base images and contexts."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.build.conftest import builder
from tests.integration.engine.conftest import rootfs

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.build.conftest import Builder

__all__ = ["builder", "rootfs"]


def test_cve_2024_23652_nothing_outside_is_removed_with_the_places_of_mounts(builder: Builder, tmp_path: Path) -> None:
    (tmp_path / "victim/b").mkdir(parents=True)
    (tmp_path / "victim/file").touch()
    text = (
        "FROM base\n"
        "RUN --mount=type=tmpfs,target=/a/b --mount=type=secret,id=file,target=/c/file"
        f" mv /a /moved 2>/dev/null; mv /c /gone 2>/dev/null; ln -s {tmp_path}/victim /a; ln -s {tmp_path}/victim /c; true\n"
    )
    (tmp_path / "secret").write_text("s")
    builder.build(builder.context(text), "--secret", f"id=file,src={tmp_path}/secret")
    assert (tmp_path / "victim/b").is_dir()
    assert (tmp_path / "victim/file").exists()


def test_cve_2024_23651_the_source_of_a_cache_leads_nowhere_outside_of_it(builder: Builder, tmp_path: Path) -> None:
    (tmp_path / "host").write_text("of the host")
    image = builder.built(
        "FROM base\n"
        f"RUN --mount=type=cache,target=/c,id=attack ln -s / /c/root; ln -s {tmp_path} /c/directory; echo mine >/c/mine\n"
        "RUN --mount=type=cache,target=/c,id=attack,source=root ls /c >/listed\n"
    )
    assert builder.output(image, "cat", "/listed").split() == ["directory", "mine", "root"]
    refused = builder.build(
        builder.context("FROM base\nRUN --mount=type=cache,target=/c,id=attack,source=directory cat /c/host\n")
    )
    assert refused.code != 0
    assert "of the host" not in refused.err


def test_cve_2024_21626_a_working_directory_is_no_descriptor_of_the_host(builder: Builder) -> None:
    for number in (3, 6, 7, 8, 9, 12):
        result = builder.build(
            builder.context(
                f"FROM base\nWORKDIR /proc/self/fd/{number}\nRUN ls ../../../../../../../etc; cat etc/shadow ../../etc/shadow\n"
            )
        )
        assert "apt" not in result.err.split()
        assert "root:" not in result.err


def test_cve_2024_23653_no_step_has_rights_that_were_not_allowed(builder: Builder) -> None:
    for text in ("RUN --security=insecure id", "ONBUILD RUN --security=insecure id"):
        image = builder.build(builder.context(f"FROM base\n{text}\n"), "-t", "insecure")
        upon = builder.build(builder.context("FROM insecure\n")) if image.code == 0 else image
        assert upon.code != 0
        assert "RUN --security=insecure is not allowed" in upon.err


def test_a_base_image_whose_directories_are_links_to_the_host_gets_nothing_there(
    builder: Builder, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    text = f"FROM base\nRUN rm -rf /etc/sub; ln -s {victim} /out; ln -s ../../../../../..{victim} /up; ln -s /proc/1/root{victim} /magic\n"
    builder.built(text, "-t", "linked")
    upon = builder.context(
        "FROM linked\nCOPY f /out/f\nCOPY f /up/g\nWORKDIR /out/w\nADD a.tar /out/\nCOPY d /out/d\n", f="x", d__e="y"
    )
    with tarfile.open(upon / "a.tar", "w") as archive:
        archive.add(upon / "f", "unpacked")
    assert builder.build(upon).code == 0
    builder.build(builder.context("FROM linked\nCOPY f /magic/f\n", f="x"))
    assert os.listdir(victim) == []


def test_a_hostile_archive_as_context_or_for_add_stays_where_it_is_unpacked(builder: Builder, tmp_path: Path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, kind, target in (
            ("Dockerfile", tarfile.REGTYPE, ""), (f"..{tmp_path}/up", tarfile.REGTYPE, ""), (f"{tmp_path}/absolute", tarfile.REGTYPE, ""),
            ("link", tarfile.SYMTYPE, str(tmp_path)), ("link/through", tarfile.REGTYPE, ""), ("hard", tarfile.LNKTYPE, "/etc/shadow"),
        ):  # fmt: skip
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            content = b"FROM base\nCOPY . /c\nCOPY hard /h\n" if name == "Dockerfile" else b""
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    builder.build("-", given=data.getvalue())
    context = builder.context("FROM base\nADD a.tar /a/\n")
    (context / "a.tar").write_bytes(data.getvalue())
    result = builder.build(context)
    assert os.listdir(tmp_path) == []
    assert "Traceback" not in result.err


def test_a_device_in_a_context_does_not_come_into_an_image(builder: Builder) -> None:
    context = builder.context("FROM base\nCOPY d /d\n", d__f="x")
    os.mknod(context / "d/disk", 0o60666, os.makedev(8, 0))
    result = builder.build(context)
    assert result.code != 0
    assert "a device of the context has no place in an image" in result.err


@pytest.mark.parametrize("name", ["../../escape", "/etc/cron.d/x", ".."])
def test_names_of_secrets_and_caches_are_no_paths(name: str, builder: Builder, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("secret")
    before = sorted(os.listdir(builder.root))
    text = f"FROM base\nRUN --mount=type=cache,id={name},target=/c --mount=type=secret,id={name} find / -xdev -name escape; true\n"
    builder.build(builder.context(text), "--secret", f"id={name},src={tmp_path}/s")
    assert sorted(os.listdir(builder.root)) == before
    assert not os.path.exists("/etc/cron.d/x")


def test_patterns_of_a_context_that_somebody_else_has_made_are_not_read_from_the_host(
    builder: Builder, tmp_path: Path
) -> None:
    """Which of its files are left out would tell what is in the host's; and nobody waits for a pipe."""
    (tmp_path / "secret").write_text("swordfish\n")
    for kind in (tarfile.SYMTYPE, tarfile.FIFOTYPE):
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as archive:
            for name in ("Dockerfile", "swordfish", ".dockerignore", "Dockerfile.dockerignore"):
                info = tarfile.TarInfo(name)
                if name.endswith("ignore"):
                    info.type, info.linkname = kind, str(tmp_path / "secret")
                content = b"FROM base\nCOPY swordfish /told\n" if name == "Dockerfile" else b""
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        result = builder.build("-", given=data.getvalue())
        assert result.code == 0, result


@pytest.mark.parametrize(
    "text", ["FROM {}", "FROM base\nCOPY --from={} / /", "FROM base\nRUN --mount=from={},target=/m true"]
)
def test_a_dockerfile_does_not_say_where_on_the_host_images_lie(builder: Builder, text: str) -> None:
    """Whoever builds does, by --build-context."""
    layout = f"oci-layout://{builder.root}/images"
    refused = builder.build(builder.context(text.format(layout) + "\n"))
    assert refused.code != 0
    assert f"{layout} is no name of an image" in refused.err


def test_a_cache_from_elsewhere_decides_nothing_of_builds_that_do_not_use_it(builder: Builder, tmp_path: Path) -> None:
    """It has what was asked for also under the key of another build's step, which then would be known here."""
    places = {}
    for word in ("good", "evil"):
        places[word] = tmp_path / word
        builder.built(f"FROM base\nRUN echo {word} >/f\n", f"--cache-to=type=local,dest={places[word]}")
    _, (wanted,) = _records(places["good"])
    path, (record,) = _records(places["evil"])
    forged = json.loads(path.read_bytes())
    forged["records"].append(record | {"digest": wanted["digest"]})
    _replace(places["evil"], path, json.dumps(forged).encode())
    builder.ok("builder", "prune", "-a", "-f")
    used = builder.build(
        builder.context("FROM base\nRUN echo evil >/f\n"), f"--cache-from=type=local,src={tmp_path}/evil"
    )
    assert used.code == 0
    assert "CACHED" in used.err
    assert builder.output(builder.built("FROM base\nRUN echo good >/f\n"), "cat", "/f") == "good\n"


def _records(place: Path) -> tuple[Path, list[dict[str, Any]]]:
    """The blob of a cache that has its records, and these."""
    for path in (place / "blobs/sha256").iterdir():
        if path.read_bytes().startswith(b'{"layers"'):
            return path, json.loads(path.read_bytes())["records"]
    raise AssertionError(os.listdir(place))


def _replace(place: Path, path: Path, content: bytes) -> None:
    """Have another blob in a layout in the place of one, and in all that names it."""
    before, after = path.name, hashlib.sha256(content).hexdigest()
    path.with_name(after).write_bytes(content)
    for other in [*path.parent.iterdir(), place / "index.json"]:
        text = other.read_bytes()
        if before.encode() in text:
            document = json.loads(text.replace(before.encode(), after.encode()))
            for each in (document.get("config"), *document.get("manifests", ()), *document.get("layers", ())):
                if each and each["digest"] == f"sha256:{after}":
                    each["size"] = len(content)
            if other.name == "index.json":
                other.write_text(json.dumps(document))
            else:
                _replace(place, other, json.dumps(document).encode())
            return
