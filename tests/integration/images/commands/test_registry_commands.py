"""``orlop pull``, ``push``, ``login``, ``logout`` and ``search``, with Debian's docker-registry and skopeo."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import pty
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from orlop.images import platform
from tests.integration.engine.image_maker import GROUP, PASSWD, base
from tests.integration.images.commands.archives import digest, docker_archive, oci_files, small, tar
from tests.integration.images.servers import PASSWORD, USER

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.images.commands.conftest import ImageEngine
    from tests.integration.images.servers import Authority, Server

HERE = platform.host().architecture
GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"


def skopeo(*arguments: str) -> str:
    """Run skopeo without TLS."""
    if shutil.which("skopeo") is None:
        pytest.skip("needs skopeo to compare with")
    done = subprocess.run(["skopeo", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def digests(directory: Path | str) -> dict[str, Any]:
    """The manifest of what skopeo copied to a directory."""
    with open(f"{directory}/manifest.json") as file:
        found: dict[str, Any] = json.load(file)
    return found


def pushed(engine: ImageEngine, name: str, archive: bytes) -> str:
    """Load an image and push it; the digest of its manifest."""
    engine.load(archive)
    out = engine.ok("push", name)
    line = next(line for line in out.splitlines() if ": digest: sha256:" in line)
    return line.split()[2]


def test_what_is_pushed_is_pulled_again_with_the_same_id_and_runs(
    engine: ImageEngine, other: ImageEngine, place: str
) -> None:
    top = pushed(engine, f"{place}:1", docker_archive(f"{place}:1", [base(PASSWD, GROUP), small()]))
    out = other.ok("pull", f"{place}:1").splitlines()
    assert out[0] == f"1: Pulling from {place.partition('/')[2]}"
    first, second = (line.partition(":")[0] for line in out[1:3])
    assert out[1:3] == [f"{first}: Pulling fs layer", f"{second}: Pulling fs layer"]
    assert {f"{first}: Download complete", f"{second}: Download complete"} <= set(out)
    assert out[-5:] == [
        f"{first}: Pull complete",
        f"{second}: Pull complete",
        f"Digest: {top}",
        f"Status: Downloaded newer image for {place}:1",
        f"{place}:1",
    ]
    assert other.image(f"{place}:1")["Id"] == engine.image(f"{place}:1")["Id"]
    assert other.image(f"{place}:1")["RepoDigests"] == [f"{place}@{top}"]
    assert other.ok("run", "--rm", f"{place}:1", "cat", "/a/file") == "text"
    out = other.ok("pull", f"{place}:1").splitlines()
    assert out[1:] == [f"Digest: {top}", f"Status: Image is up to date for {place}:1", f"{place}:1"]
    other.is_sound()


def test_what_a_registry_has_is_shown_without_fetching_it(engine: ImageEngine, other: ImageEngine, place: str) -> None:
    top = pushed(engine, f"{place}:1", docker_archive(f"{place}:1"))
    shown = json.loads(other.ok("manifest", "inspect", f"{place}:1"))
    assert shown == json.loads(skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{place}:1"))
    (verbose,) = [json.loads(other.ok("manifest", "inspect", "-v", f"{place}@{top}"))]
    assert (verbose["Ref"], verbose["Descriptor"]["digest"]) == (f"{place}@{top}", top)
    assert shown in (verbose.get("OCIManifest"), verbose.get("SchemaV2Manifest"))
    assert f"{place}:2: not found on" in other("manifest", "inspect", f"{place}:2").err
    assert other.images() == []


def test_an_image_is_pulled_by_its_digest_and_found_by_it(engine: ImageEngine, other: ImageEngine, place: str) -> None:
    top = pushed(engine, f"{place}:1", docker_archive(f"{place}:1"))
    assert other.ok("pull", "-q", f"{place}@{top}") == f"{place}@{top}\n"
    found = other.image(f"{place}@{top}")
    assert (found["RepoTags"], found["RepoDigests"]) == ([], [f"{place}@{top}"])
    assert other.ok("images", "--digests", "--format", "{{.Repository}} {{.Tag}} {{.Digest}}").split() == [
        place,
        "<none>",
        top,
    ]
    other.ok("pull", "-q", f"{place}:1")
    assert other.image(f"{place}:1")["RepoDigests"] == [f"{place}@{top}"]
    assert other.ok("rmi", f"{place}:1").splitlines()[:2] == [f"Untagged: {place}:1", f"Untagged: {place}@{top}"]
    assert other.leftovers() == []


def test_a_pull_without_a_tag_is_of_latest(engine: ImageEngine, other: ImageEngine, place: str) -> None:
    engine.load(docker_archive(f"{place}:latest"))
    assert engine.ok("push", place).startswith("Using default tag: latest\nThe push refers to repository")
    assert other.ok("pull", place).startswith("Using default tag: latest\nlatest: Pulling from")
    assert other.ok("pull", "-q", place) == f"{place}:latest\n"
    assert other.images() == [f"{place}:latest"]


def test_what_is_not_there_is_said_in_one_line(engine: ImageEngine, place: str) -> None:
    assert f"{place}:1: not found on" in engine("pull", f"{place}:1").err
    assert engine("pull", f"{place}@sha256:{'0' * 64}").code == 1
    assert engine.fails("push", f"{place}:1") == f"No such image: {place}:1"
    assert engine.fails("push", "nothing") == "No such image: nothing:latest"
    assert "UPPER" in engine.fails("pull", "UPPER")
    assert "sha256:123" in engine.fails("pull", f"{place}@sha256:123")
    result = engine("pull", "127.0.0.1:1/app")
    assert result.code == 1
    assert "127.0.0.1:1" in result.err
    result = engine("run", "--rm", f"{place}:1", "true")
    assert result.code == 125
    assert result.err.splitlines()[0] == f"Unable to find image '{place}:1' locally"
    assert "not found on" in result.err.splitlines()[-1]
    assert engine.leftovers() == []


def test_run_pulls_what_is_missing_or_what_it_is_told_to(engine: ImageEngine, other: ImageEngine, place: str) -> None:
    pushed(engine, f"{place}:1", docker_archive(f"{place}:1", [base(PASSWD, GROUP)]))
    assert "No such image" in other.fails("run", "--rm", "--pull=never", f"{place}:1", "true", code=125)
    result = other("run", "--rm", f"{place}:1", "echo", "hello")
    assert (result.code, result.out) == (0, "hello\n")
    assert "Status: Downloaded newer image" in result.err
    pushed(engine, f"{place}:1", docker_archive(f"{place}:1", [base(PASSWD, GROUP), small("new")]))
    assert other("run", "--rm", f"{place}:1", "cat", "/a/file").code == 1
    result = other("run", "--rm", "--pull=always", "-q", f"{place}:1", "cat", "/a/file")
    assert (result.code, result.out, result.err) == (0, "new", "")


def test_an_image_that_moved_leaves_the_old_one_without_its_tag(
    engine: ImageEngine, other: ImageEngine, place: str
) -> None:
    old = pushed(engine, f"{place}:1", docker_archive(f"{place}:1", [small("shared"), small("old")]))
    other.ok("pull", "-q", f"{place}:1")
    new = pushed(engine, f"{place}:1", docker_archive(f"{place}:1", [small("shared"), small("new")]))
    out = other.ok("pull", f"{place}:1")
    assert out.count("Already exists") == 1
    assert "Downloaded newer image" in out
    assert other.image(f"{place}:1")["RepoDigests"] == [f"{place}@{new}"]
    assert other.images("-f", "dangling=true") == [f"{place}:<none>"]
    assert f"untagged: {place}@{old}" in other.ok("image", "prune", "-f")
    other.is_sound()


def test_all_tags_of_a_repository_are_pushed_and_pulled(engine: ImageEngine, other: ImageEngine, place: str) -> None:
    for tag in ("1", "2"):
        engine.load(docker_archive(f"{place}:{tag}", [small(tag)]))
    engine.load(docker_archive(f"{place}-other:1", [small("other")]))
    out = engine.ok("push", "-a", place)
    assert "1: digest: sha256:" in out
    assert "2: digest: sha256:" in out
    assert sorted(other.ok("pull", "-a", "-q", place).split()) == [f"{place}:1", f"{place}:2"]
    assert other.images() == [f"{place}:1", f"{place}:2"]
    assert other.fails("pull", "-a", f"{place}:1") == "tag can't be used with --all-tags/-a"
    assert engine.fails("push", "-a", f"{place}:1") == "tag can't be used with --all-tags/-a"
    assert "no image here has a tag in the repository" in engine.fails("push", "-a", f"{place}-nothing")


def test_of_several_platforms_the_wanted_one_is_pulled(engine: ImageEngine, tmp_path: Path, place: str) -> None:
    layout = tmp_path / "layout"
    files: dict[str, bytes] = {}
    entries = []
    for architecture, variant in ((HERE, None), ("s390x", None), ("arm", "v7")):
        made = oci_files("x", [small(architecture)], architecture=architecture, variant=variant)
        (entry,) = json.loads(made["index.json"])["manifests"]
        entry["platform"] = {"os": "linux", "architecture": architecture, **({"variant": variant} if variant else {})}
        entries.append({key: value for key, value in entry.items() if key != "annotations"})
        files.update(made)
    inner = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": entries,
        }
    ).encode()
    outer = {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": digest(inner), "size": len(inner)}
    files[f"blobs/sha256/{digest(inner)[7:]}"] = inner
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [outer]}).encode()
    for name, data in files.items():
        (layout / name).parent.mkdir(parents=True, exist_ok=True)
        (layout / name).write_bytes(data)
    skopeo("copy", "-q", "--all", "--dest-tls-verify=false", f"oci:{layout}", f"docker://{place}:1")
    top = digest(skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{place}:1").encode())
    assert f"Digest: {top}\n" in engine.ok("pull", f"{place}:1")
    found = engine.image(f"{place}:1")
    assert (found["Architecture"], found["RepoDigests"]) == (HERE, [f"{place}@{top}"])
    engine.ok("pull", "-q", "--platform", "linux/arm/v7", f"{place}:1")
    found = engine.image(f"{place}:1")
    assert (found["Architecture"], found["Variant"]) == ("arm", "v7")
    assert "linux/riscv64" in engine("pull", "--platform", "linux/riscv64", f"{place}:1").err
    assert "platform" in engine.fails("pull", "--platform", "a/b/c/d/e", f"{place}:1")
    engine.ok("pull", "-q", "--platform", "linux/s390x", f"{place}@{top}")
    assert engine.image(f"{place}@{top}")["Architecture"] == "s390x"


def test_a_single_image_for_another_platform_is_pulled_with_a_warning(
    engine: ImageEngine, other: ImageEngine, place: str
) -> None:
    pushed(engine, f"{place}:1", docker_archive(f"{place}:1", [small()], architecture="s390x"))
    out = other.ok("pull", f"{place}:1")
    assert f"WARNING: the image's platform (linux/s390x) is not that of this machine (linux/{HERE}" in out
    result = other("pull", "--platform", f"linux/{HERE}", f"{place}:1")
    assert result.code == 1
    assert "is there for linux/s390x only" in result.err


def test_progress_is_told_as_json_if_it_is_wanted(engine: ImageEngine, other: ImageEngine, place: str) -> None:
    engine.load(docker_archive(f"{place}:1"))
    messages = [json.loads(line) for line in engine.ok("push", "--progress=json", f"{place}:1").splitlines()]
    assert {"Pushed", "Preparing"} <= {message["status"] for message in messages}
    messages = [json.loads(line) for line in other.ok("pull", "--progress=json", f"{place}:1").splitlines()]
    actions = [message["status"] for message in messages if "id" in message]
    assert actions[0] == "Pulling fs layer"
    assert actions[-1] == "Pull complete"
    assert [message for message in messages if message["status"] == "Downloading"][-1]["progressDetail"]["total"] > 0


def test_uncompressed_layers_are_compressed_once_and_not_kept_twice(engine: ImageEngine, place: str) -> None:
    layer = small("x" * 100_000)
    engine.load(docker_archive("app:1", [layer]))
    engine.ok("tag", "app:1", f"{place}:1")
    assert digest(layer) in engine.blobs()
    engine.ok("push", f"{place}:1")
    blobs = engine.blobs()
    assert digest(layer) not in blobs
    assert len(blobs) == 3
    assert engine.ok("push", f"{place}:1").count("Layer already exists") == 1
    assert engine.blobs() == blobs
    engine.is_sound()
    engine.ok("rmi", "app:1", f"{place}:1")
    assert engine.leftovers() == []


def test_layers_that_the_registry_has_elsewhere_are_mounted(engine: ImageEngine, place: str) -> None:
    pushed(engine, f"{place}:1", docker_archive(f"{place}:1"))
    engine.ok("tag", f"{place}:1", f"{place}-copy:1")
    out = engine.ok("push", f"{place}-copy:1")
    assert f": Mounted from {place.partition('/')[2]}\n" in out
    assert engine.image(f"{place}:1")["RepoDigests"] == sorted(
        f"{each}@{engine.image(f'{place}:1')['RepoDigests'][0].rpartition('@')[2]}" for each in (place, f"{place}-copy")
    )


def test_what_is_pushed_skopeo_inspects_and_copies(engine: ImageEngine, tmp_path: Path, place: str) -> None:
    top = pushed(engine, f"{place}:1", docker_archive(f"{place}:1", [small("1"), small("2")]))
    found = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{place}:1"))
    assert found["Digest"] == top
    assert skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{place}:1")
    skopeo("copy", "-q", "--src-tls-verify=false", f"docker://{place}:1", f"dir:{tmp_path}/copy")
    copied = digests(tmp_path / "copy")
    assert digest((tmp_path / "copy/manifest.json").read_bytes()) == top
    assert copied["config"]["digest"] == engine.image(f"{place}:1")["Id"]
    for layer in copied["layers"]:
        assert digest((tmp_path / "copy" / layer["digest"][7:]).read_bytes()) == layer["digest"]


@pytest.mark.parametrize("form", ["oci", "v2s2"])
def test_what_skopeo_pushes_is_pulled_with_equal_digests(
    engine: ImageEngine, tmp_path: Path, place: str, form: str
) -> None:
    layers = [small("1"), small("2")]
    stored = [gzip.compress(each, mtime=0) for each in layers]
    (tmp_path / "made.tar").write_bytes(tar(oci_files("1", layers, stored=stored, media_type=GZIP)))
    source = f"oci-archive:{tmp_path}/made.tar"
    skopeo("copy", "-q", "--dest-tls-verify=false", "--format", form, source, f"docker://{place}:{form}")
    top = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{place}:{form}"))["Digest"]
    engine.ok("pull", "-q", f"{place}:{form}")
    assert engine.image(f"{place}:{form}")["RepoDigests"] == [f"{place}@{top}"]
    assert {digest(each) for each in stored} <= engine.blobs()
    engine.ok("tag", f"{place}:{form}", f"{place}:again")
    assert f"again: digest: {top}" in engine.ok("push", f"{place}:again")  # it is the very same manifest
    engine.is_sound()


def test_a_login_is_remembered_until_the_logout(
    engine: ImageEngine, other: ImageEngine, password_server: Server
) -> None:
    server = password_server.authority
    name = f"{server}/app:1"
    engine.load(docker_archive(name))
    refused = engine("push", name)
    assert refused.code == 1
    assert "authentication" in refused.err or "login" in refused.err
    wrong = engine.fails("login", "-u", USER, "--password-stdin", server, given=b"wrong\n")
    assert server in wrong
    assert not (engine.home / ".docker/config.json").exists()
    result = engine("login", "-u", USER, "--password-stdin", server, given=PASSWORD.encode() + b"\n")
    assert (result.code, result.out) == (0, "Login Succeeded\n")
    assert result.err == f"WARNING! Your credentials are stored unencrypted in {engine.home}/.docker/config.json.\n"
    assert (engine.home / ".docker/config.json").stat().st_mode & 0o777 == 0o600
    engine.ok("push", name)
    assert "login" in other("pull", name).err
    result = other("login", "-u", USER, "-p", PASSWORD, f"https://{server}/v1/")
    assert result.code == 0, result
    assert "Using --password via the CLI is insecure" in result.err
    other.ok("pull", "-q", name)
    assert other.ok("logout", server) == f"Removing login credentials for {server}\n"
    assert other.ok("logout", server) == f"Not logged in to {server}\n"
    assert other("pull", name).code == 1


def test_a_login_asks_for_what_it_was_not_told(engine: ImageEngine, password_server: Server) -> None:
    server = password_server.authority
    assert "terminal" in engine.fails("login", server)
    assert "--username" in engine.fails("login", "--password-stdin", server, given=b"x")
    assert "mutually exclusive" in engine.fails("login", "-p", "x", "--password-stdin", "-u", "x", server)
    master, slave = pty.openpty()
    command = ["setsid", "--ctty", "--wait", *engine.command("login", server)]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=engine.variables)
    os.close(slave)
    screen = b""
    for question, answer in ((b"Username: ", USER), (b"Password: ", PASSWORD)):
        while question not in screen:
            screen += os.read(master, 1000)
        os.write(master, answer.encode() + b"\n")
    while b"Login Succeeded" not in screen:
        screen += os.read(master, 1000)
    assert process.wait(20) == 0
    os.close(master)
    assert PASSWORD.encode() not in screen


def test_search_looks_through_the_catalog_of_a_registry_that_has_one(
    engine: ImageEngine, plain_server: Server, place: str
) -> None:
    pushed(engine, f"{place}:1", docker_archive(f"{place}:1"))
    name = place.partition("/")[2]
    found = engine.ok("search", "--format", "{{.Name}}", f"{plain_server.authority}/{name[:20]}").split()
    assert [each for each in found if each.endswith(name)]
    title = engine.ok("search", f"{plain_server.authority}/{name}").splitlines()[0].split()
    assert title == ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"]
    assert (
        engine.ok("search", "-f", "is-official=true", "--format", "{{.Name}}", f"{plain_server.authority}/{name}") == ""
    )
    assert engine.ok("search", "--format", "{{.Name}}", f"{plain_server.authority}/no-such-thing") == ""


def test_search_says_clearly_when_a_registry_has_none(engine: ImageEngine, guarded_server: Server) -> None:
    assert engine.fails("search", f"{guarded_server.authority}/app") == (
        f"{guarded_server.authority} cannot be searched: it has no search, and no catalog that it shows; "
        "look at its web page, or name the repository"
    )


def test_tokens_open_what_they_are_for(engine: ImageEngine, other: ImageEngine, guarded_server: Server) -> None:
    public, private = f"{guarded_server.authority}/public/app:1", f"{guarded_server.authority}/private/app:1"
    engine.ok("login", "-u", USER, "--password-stdin", guarded_server.authority, given=PASSWORD.encode())
    for name in (public, private):
        engine.load(docker_archive(name))
        engine.ok("push", name)
    other.ok("pull", "-q", public)
    assert "login" in other("pull", private).err
    assert other("push", public).code == 1
    engine.ok("rmi", private)
    engine.ok("pull", "-q", private)


def test_a_private_authority_and_a_client_s_certificate_are_found_in_the_home_directory(
    engine: ImageEngine, tls_server: Server, authority: Authority
) -> None:
    name = f"{tls_server.authority}/app:1"
    engine.load(docker_archive(name))
    assert "certificate" in engine("push", name).err
    directory = engine.home / ".config/containers/certs.d" / tls_server.authority
    directory.mkdir(parents=True)
    for file, source in (("ca.crt", "ca.crt"), ("client.cert", "client.crt"), ("client.key", "client.key")):
        shutil.copy(authority.directory / source, directory / file)
    engine.ok("push", name)
    engine.ok("rmi", name)
    engine.ok("pull", "-q", name)


def test_a_short_name_is_of_the_docker_hub_which_may_have_a_mirror(
    engine: ImageEngine, other: ImageEngine, plain_server: Server
) -> None:
    mirrored = f"{plain_server.authority}/library/short:1"
    engine.load(docker_archive(mirrored, [base(PASSWD, GROUP)]))
    engine.ok("push", mirrored)
    configuration = other.home / ".config/orlop/config.toml"
    configuration.parent.mkdir(parents=True)
    configuration.write_text(f'[registry."docker.io"]\nmirrors = ["http://{plain_server.authority}"]\n')
    assert other.ok("pull", "short:1").splitlines()[-1] == "docker.io/library/short:1"
    assert other.images() == ["short:1"]
    assert other.ok("run", "--rm", "docker.io/library/short:1", "echo", "hello") == "hello\n"
    assert other.image("short:1")["RepoDigests"][0].startswith("short@sha256:")


def test_what_podman_and_skopeo_are_told_of_mirrors_counts_here_too(
    engine: ImageEngine, other: ImageEngine, plain_server: Server
) -> None:
    stored = f"{plain_server.authority}/mirror/app:1"
    engine.load(docker_archive(stored, [base(PASSWD, GROUP)]))
    engine.ok("push", stored)
    configuration = other.home / ".config/containers/registries.conf"
    configuration.parent.mkdir(parents=True)
    configuration.write_text(
        '[[registry]]\nprefix = "registry.example"\nlocation = "registry.example"\n'
        f'[[registry.mirror]]\nlocation = "{plain_server.authority}/mirror"\ninsecure = true\n'
    )
    if shutil.which("skopeo"):
        command = [
            "skopeo",
            "--registries-conf",
            str(configuration),
            "inspect",
            "--config",
            "docker://registry.example/app:1",
        ]
        seen = subprocess.run([*command, "--raw"], check=True, capture_output=True).stdout
        assert engine.image(stored)["Id"] == f"sha256:{hashlib.sha256(seen).hexdigest()}"
    assert other.ok("pull", "registry.example/app:1").splitlines()[-1] == "registry.example/app:1"
    assert other.image("registry.example/app:1")["Id"] == engine.image(stored)["Id"]


def test_signatures_are_not_verified_and_nobody_is_left_to_believe_that_they_are(
    engine: ImageEngine, place: str
) -> None:
    engine.load(docker_archive(f"{place}:1"))
    engine.ok("push", "--disable-content-trust", f"{place}:1")
    engine.ok("pull", "-q", "--disable-content-trust", f"{place}:1")
    for command in ("push", "pull"):
        assert "not supported" in engine.fails(command, "--disable-content-trust=false", f"{place}:1")
