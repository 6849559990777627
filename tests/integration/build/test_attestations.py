"""What is said of an image that is built: attached to it, and kept wherever it goes."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.build.conftest import Builder
from tests.integration.images.conftest import plain_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.images.servers import Server

__all__ = ["plain_server"]

SPDX, SLSA = "https://spdx.dev/Document", "https://slsa.dev/provenance/v0.2"
STATUS = "Package: tool\nStatus: install ok installed\nVersion: 1.2-3\nArchitecture: all\n\n"
DOCKERFILE = """\
FROM base
ARG API_TOKEN
ARG PLAIN
COPY status /var/lib/dpkg/status
RUN --mount=type=secret,id=key sh -c 'cat /run/secrets/key >/dev/null; echo done >/made'
COPY <<EOF /token
key=$API_TOKEN at https://me:hidden@password@127.0.0.1/
EOF
"""
SECRETS = ("hidden-argument", "hidden-secret", "hidden-password", "password@127")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory, rootfs: Path) -> Iterator[Builder]:
    """Another engine."""
    made = Builder(tmp_path_factory.mktemp("other"), rootfs)
    yield made
    made.close()


@pytest.fixture(scope="module")
def attested(builder: Builder, plain_server: Server) -> dict[str, Any]:
    """What ``--metadata-file`` says of an image with both attestations, which was pushed as ``NAME``."""
    name = f"{plain_server.authority}/attested:1"
    secret = builder.directory / "secret"
    secret.write_text(SECRETS[1])
    about = builder.directory / "about.json"
    builder.built(
        DOCKERFILE,
        "--attest=type=provenance,mode=max,builder-id=https://builder.example",
        "--sbom=true",
        "--build-arg=API_TOKEN=hidden-argument",
        "--build-arg=PLAIN=shown-argument",
        "--build-arg=HTTP_PROXY=http://me:hidden-password@127.0.0.1:1",
        f"--secret=id=key,src={secret}",
        "--annotation=index:of.index=yes",
        f"--metadata-file={about}",
        "--output=type=registry",
        f"-t{name}",
        files={"status": STATUS},
    )
    made: dict[str, Any] = json.loads(about.read_text())
    return made | {"NAME": name}


def raw(name: str) -> Any:
    """A manifest, as skopeo shows it."""
    words = ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}"]
    return json.loads(subprocess.run(words, capture_output=True, check=True, timeout=60).stdout)


def statements(builder: Builder, name: str) -> dict[str, Any]:
    """The statements about an image that is here, by the types of their predicates."""
    blobs = builder.root / "images/blobs/sha256"

    def read(digest: str) -> Any:
        return json.loads((blobs / digest.removeprefix("sha256:")).read_bytes())

    index = read(builder.image(name)["Descriptor"]["digest"])
    image, said = index["manifests"]
    assert said["annotations"] == {
        "vnd.docker.reference.digest": image["digest"],
        "vnd.docker.reference.type": "attestation-manifest",
    }
    found = {}
    for layer in read(said["digest"])["layers"]:
        statement = read(layer["digest"])
        assert layer["annotations"] == {"in-toto.io/predicate-type": statement["predicateType"]}
        subjects = {f"sha256:{each['digest']['sha256']}" for each in statement["subject"]}
        assert subjects == {image["digest"]}
        found[statement["predicateType"]] = statement
    return found


def test_attestations_are_attached_as_buildkit_does(attested: dict[str, Any]) -> None:
    name = attested["NAME"]
    index = raw(name)
    assert index["mediaType"] == "application/vnd.oci.image.index.v1+json"
    assert index["annotations"] == {"of.index": "yes"}
    image, said = index["manifests"]
    assert image["platform"]["os"] == "linux"
    assert said["platform"] == {"architecture": "unknown", "os": "unknown"}
    repository = name.rpartition(":")[0]
    manifest = raw(f"{repository}@{said['digest']}")
    assert [layer["mediaType"] for layer in manifest["layers"]] == ["application/vnd.in-toto+json"] * 2
    assert manifest["config"]["mediaType"] == "application/vnd.oci.image.config.v1+json"
    assert attested["containerimage.digest"] == attested["containerimage.descriptor"]["digest"]
    assert attested["containerimage.descriptor"]["mediaType"] == index["mediaType"]


def test_the_statements_say_what_is_in_it_and_how_it_was_made(builder: Builder, attested: dict[str, Any]) -> None:
    said = statements(builder, attested["NAME"])
    packages = said[SPDX]["predicate"]["packages"]
    (tool,) = [each for each in packages if each["name"] == "tool"]
    assert tool["versionInfo"] == "1.2-3"
    provenance = said[SLSA]["predicate"]
    assert provenance == attested["buildx.build.provenance"]
    assert provenance["builder"] == {"id": "https://builder.example"}
    (base,) = provenance["materials"]
    assert base["uri"] == "pkg:docker/base@latest?platform=linux%2Famd64"
    parameters = provenance["invocation"]["parameters"]
    assert parameters["args"] == {"build-arg:API_TOKEN": "xxxxx", "build-arg:PLAIN": "shown-argument"}
    assert parameters["secrets"] == [{"id": "key", "optional": True}]
    steps = {each["id"]: each for each in provenance["buildConfig"]["llbDefinition"]}
    assert steps["step3"]["op"]["Op"]["exec"]["meta"]["args"][-1].startswith("sh -c 'cat /run/secrets/key")
    (source,) = provenance["metadata"]["https://mobyproject.org/buildkit@v1#metadata"]["source"]["infos"]
    assert base64.b64decode(source["data"]).decode() == DOCKERFILE.replace("me:hidden@password@", "xxxxx@")
    subject = said[SLSA]["subject"][0]["name"]
    assert subject == f"pkg:docker/{attested['NAME'].replace(':1', '')}@1?platform=linux%2Famd64"


def test_no_secret_is_said(builder: Builder, attested: dict[str, Any]) -> None:
    everything = json.dumps([statements(builder, attested["NAME"]), attested])
    everything += "".join(base64.b64decode(each).decode() for each in re.findall('"data": "([^"]+)"', everything))
    for each in SECRETS:
        assert each not in everything
        assert base64.b64encode(each.encode()).decode()[:-4] not in everything


def test_a_pull_has_the_same_index(other: Builder, attested: dict[str, Any]) -> None:
    name = attested["NAME"]
    other.ok("pull", name)
    assert other.image(name)["Descriptor"]["digest"] == attested["containerimage.digest"]
    assert set(statements(other, name)) == {SPDX, SLSA}
    assert other.output(name, "cat", "/made") == "done\n"
    other.ok("tag", name, f"{name}-again")
    other.ok("push", f"{name}-again")
    assert raw(f"{name}-again") == raw(name)


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive", "oci-dir"])
def test_archives_keep_them(builder: Builder, other: Builder, attested: dict[str, Any], form: str) -> None:
    name = attested["NAME"]
    path = builder.directory / form
    builder.ok("save", "--format", form, "-o", str(path), name)
    other("rmi", "-f", name)
    other.ok("load", "-i", str(path))
    assert other.image(name)["Descriptor"]["digest"] == attested["containerimage.digest"]
    assert set(statements(other, name)) == {SPDX, SLSA}


def test_they_go_with_the_image(builder: Builder) -> None:
    before = set(os.listdir(builder.root / "images/blobs/sha256"))
    made = builder.built("FROM base\nLABEL a=b\n", "--sbom=1", "--provenance=1", "-tgone:1")
    builder.ok("image", "prune", "-f")
    assert builder.ok("system", "check").endswith("no problems\n")
    assert set(statements(builder, "gone:1")) == {SPDX, SLSA}
    builder.ok("rmi", made)
    assert set(os.listdir(builder.root / "images/blobs/sha256")) == before


def test_a_build_without_them_takes_them_off(builder: Builder) -> None:
    context = builder.context("FROM base\nLABEL without=attestations\n")
    for option, expected in (("--provenance=mode=max,version=v1", True), ("--provenance=false", False)):
        assert builder.build(context, option, "-tmaybe").code == 0
        kind = builder.image("maybe")["Descriptor"]["mediaType"]
        assert kind.endswith("index.v1+json") is expected


def test_files_have_them_beside_them(builder: Builder, tmp_path: Path) -> None:
    context = builder.context("FROM scratch\nCOPY d /\n", d__a="1")
    os.symlink(tmp_path / "outside", context / "d/provenance.json")
    result = builder.build(context, f"--output={tmp_path}/files", "--sbom=true", "--provenance=true")
    assert result.code == 0, result
    for name in ("sbom.spdx.json", "provenance.json"):
        assert not (tmp_path / "files" / name).is_symlink()
        statement = json.loads((tmp_path / "files" / name).read_text())
        assert [each["name"] for each in statement["subject"]] == ["a"]
    assert not (tmp_path / "outside").exists()
    result = builder.build(context, f"--output=type=tar,dest={tmp_path}/files.tar", "--sbom=true")
    assert result.code == 0, result
    with tarfile.open(tmp_path / "files.tar") as made:
        assert "sbom.spdx.json" in made.getnames()


def test_programs_are_told_how_an_image_came_to_be_without_its_being_attached(builder: Builder, tmp_path: Path) -> None:
    context = builder.context("FROM base\nLABEL told=to-programs\n")
    for mode, expected in (("", {"min"}), ("max", {"max"}), ("disabled", set())):
        environment = os.environ | ({"BUILDX_METADATA_PROVENANCE": mode} if mode else {})
        result = builder.build(context, f"--metadata-file={tmp_path}/told.json", "-ttold", env=environment)
        assert result.code == 0, result
        about = json.loads((tmp_path / "told.json").read_text()).get("buildx.build.provenance")
        assert {"max" if "buildConfig" in each else "min" for each in [about] if each} == expected
        assert builder.image("told")["Descriptor"]["mediaType"].endswith("manifest.v1+json")


def test_an_oci_layout_has_them(builder: Builder, tmp_path: Path) -> None:
    context = builder.context("FROM base\nCOPY a /\n", a="1")
    output = f"--output=type=oci,tar=false,dest={tmp_path}/layout,name=laid:1"
    assert builder.build(context, output, "--sbom=true").code == 0
    words = ["skopeo", "inspect", "--raw", f"oci:{tmp_path}/layout"]
    index = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
    assert len(index["manifests"]) == 2


def test_what_is_built_for_several_platforms_is_one_name_in_a_registry(
    builder: Builder, other: Builder, plain_server: Server
) -> None:
    name = f"{plain_server.authority}/several:1"
    context = builder.context(
        "FROM scratch AS files\nARG TARGETARCH\nCOPY $TARGETARCH /what\nFROM files\nCOPY both /\n",
        amd64="one", arm64="two", both="-",
    )  # fmt: skip
    directory = builder.directory / "several"
    several = ["--platform=linux/amd64,linux/arm64", "--annotation=manifest[linux/arm64]:only=here"]
    result = builder.build(
        context, *several, "--sbom=true", f"-t{name}", "--push", f"--output={directory}", "--output=type=image"
    )
    assert (result.code, "[linux/arm64 files 1/1]" in result.err) == (0, True), result
    assert (directory / "linux_arm64/what").read_text() == "two"
    assert (directory / "linux_amd64/sbom.spdx.json").exists()
    entries = raw(name)["manifests"]
    assert [each["platform"]["architecture"] for each in entries] == ["amd64", "arm64", "unknown", "unknown"]
    assert raw(f"{name.rpartition(':')[0]}@{entries[1]['digest']}")["annotations"] == {"only": "here"}
    # What was built upon is had for the other platform too, from what is here.
    again = builder.built(f"FROM {name}\n", "--platform=linux/arm64")
    assert builder.image(again)["Architecture"] == "arm64"
    other.ok("pull", "-q", "--platform", "linux/arm64", name)
    assert other.image(name)["Architecture"] == "arm64"
    assert "no problems" in builder.ok("system", "check")
