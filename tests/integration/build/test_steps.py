"""What steps do to an image: with real files, real containers, and the real store."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING

from tests.integration.build.conftest import Builder
from tests.integration.images.conftest import plain_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.images.servers import Server

__all__ = ["plain_server"]


def test_a_file_of_the_context_and_the_output_of_a_program_are_in_the_image(builder: Builder) -> None:
    image = builder.built(
        'FROM base\nWORKDIR /w\nCOPY hello .\nRUN cat hello hello >twice\nCMD ["cat", "twice"]\n',
        files={"hello": "hi\n"},
    )
    assert builder.output(image) == "hi\nhi\n"
    assert builder.entries(image) == [["w"], ["w", "w/hello"], ["w", "w/twice"]]


def test_only_what_changed_is_in_a_layer_and_nothing_that_was_mounted(builder: Builder) -> None:
    text = (
        "FROM base\n"
        "RUN --mount=type=cache,target=/cache --mount=type=tmpfs,target=/mem --mount=type=bind,source=f,target=/deep/f"
        " --mount=type=secret,id=none cp /deep/f /copy && echo x >/cache/x && echo y >/mem/y && ! test -e /run/secrets/none\n"
    )
    image = builder.built(text, files={"f": "content"})
    assert builder.entries(image) == [["copy"]]


def test_a_step_that_changes_nothing_makes_no_layer(builder: Builder) -> None:
    image = builder.built("FROM base\nRUN true\nENV A=b\n")
    assert builder.layers(image) == []
    history = builder.ok("history", "--format", "{{.CreatedBy}}", "--no-trunc", image).splitlines()
    assert history[:2] == ["ENV A=b", "RUN /bin/sh -c true"]


def test_stages_give_each_other_files_with_their_owners(builder: Builder) -> None:
    image = builder.built(
        "FROM base AS one\nRUN echo 1 >/f && touch -d @5 /f && chown 7:8 /f && chmod 0640 /f && ln -s f /l\n"
        "FROM scratch\nCOPY --from=one /f /l /d/\nCOPY --from=0 --chown=5 --chmod=0600 /f /g\n"
    )
    with tarfile.open(builder.layers_of_all(image)[0]) as archive:
        info = archive.getmember("d/f")
        assert (info.uid, info.gid, info.mode, info.mtime) == (7, 8, 0o640, 5)
        assert archive.getmember("d/l").size == 2
    with tarfile.open(builder.layers_of_all(image)[1]) as archive:
        info = archive.getmember("g")
        assert (info.uid, info.gid, info.mode) == (5, 5, 0o600)


def test_owners_are_names_of_the_image(builder: Builder) -> None:
    files = builder.files(builder.built("FROM base\nCOPY --chown=user:user f /f\nCOPY f /g\n", files={"f": "x"}))
    assert (files["f"].uid, files["f"].gid, files["g"].uid) == (1000, 1000, 0)
    result = builder.build(builder.context("FROM base\nCOPY --chown=nobody f /f\n", f="x"))
    assert "unable to find user nobody" in result.err


def test_programs_run_as_the_user_in_the_directory_with_the_environment(builder: Builder) -> None:
    image = builder.built(
        "FROM base\nARG B=2\nENV A=1\nWORKDIR /w\nRUN chmod 777 /w\nUSER user\nRUN echo $A$B $(id -u) $(pwd) $HOME >/w/out\n"
    )
    assert builder.output(image, "cat", "/w/out") == "12 1000 /w /\n"


def test_a_new_working_directory_belongs_to_the_user(builder: Builder) -> None:
    files = builder.files(builder.built("FROM base\nUSER user\nWORKDIR /home/user\n"))
    assert files["home/user"].uid == 1000


def test_steps_have_no_more_rights_than_containers(builder: Builder) -> None:
    text = "FROM base\nRUN grep CapEff /proc/self/status >/c; grep Seccomp: /proc/self/status >>/c; mount -t tmpfs x /tmp && exit 1; true\n"
    image = builder.built(text)
    ours = builder.output("base", "grep", "-e", "CapEff", "-e", "Seccomp:", "/proc/self/status")
    assert sorted(builder.output(image, "cat", "/c").splitlines()) == sorted(ours.splitlines())
    refused = builder.build(builder.context("FROM base\nRUN --security=insecure true\n"))
    assert "RUN --security=insecure is not allowed" in refused.err


def test_limits_hold_for_every_step(builder: Builder) -> None:
    image = builder.built(
        "FROM base\nRUN cat /sys/fs/cgroup/memory/memory.limit_in_bytes >/m; stat -f -c %b /dev/shm >/s; ulimit -n >/u\n",
        "--memory", "64m", "--shm-size", "8m", "--ulimit", "nofile=99",
    )  # fmt: skip
    assert builder.output(image, "cat", "/m", "/s", "/u") == f"{64 << 20}\n2048\n99\n"


def test_here_documents_are_scripts_and_files(builder: Builder) -> None:
    image = builder.built(
        "FROM base\nENV X=v\nRUN <<E\necho one >/o\necho $X >>/o\nE\nRUN <<E\n#!/bin/cat\nE\n"
        "RUN cat <<A >/a && cat <<'B' >/b\n$X\nA\n$X\nB\nCOPY <<c <<'d' /\n\"$X\"\nc\n$X\nd\n"
    )
    assert builder.output(image, "cat", "/o", "/a", "/b", "/c", "/d") == 'one\nv\nv\n$X\n"v"\n$X\n'


def test_an_archive_is_unpacked_by_add_and_not_by_copy(builder: Builder) -> None:
    import gzip
    import lzma

    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        info = tarfile.TarInfo("in/f")
        info.size, info.uid, info.mtime = 1, 9, 4
        archive.addfile(info, io.BytesIO(b"x"))
    plain = data.getvalue()
    files = {"t": plain, "z": gzip.compress(plain), "x": lzma.compress(plain), "n": gzip.compress(b"no archive" * 100)}
    image = builder.built(
        "FROM base\nADD t /t/\nADD z /z/\nADD x /x\nADD n /n/\nCOPY t /c/\nADD --unpack=false t /u\n", files=files
    )
    found = builder.files(image)
    assert {"t/in/f", "z/in/f", "x/in/f", "n/n", "c/t", "u"} <= found.keys()
    assert (found["z/in/f"].uid, found["z/in/f"].mtime) == (9, 4)


def test_add_fetches_addresses_and_checks_what_comes(builder: Builder, tmp_path: Path) -> None:
    import hashlib
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Files(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.send_header("Last-Modified", "Thu, 01 Jan 1970 00:00:09 GMT")
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Files)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/a/file.txt"
        digest = hashlib.sha256(b"hello").hexdigest()
        found = builder.files(builder.built(f"FROM base\nADD {url} /d/\nADD --checksum=sha256:{digest} {url} /e\n"))
        assert (found["d/file.txt"].mtime, found["d/file.txt"].mode, found["e"].size) == (9, 0o600, 5)
        wrong = builder.build(builder.context(f"FROM base\nADD --checksum=sha256:{'0' * 64} {url} /e\n"))
        assert f"has the digest sha256:{digest} and not sha256:000" in wrong.err
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_git_repositories_are_sources_and_contexts(
    builder: Builder, tmp_path: Path, needs: Callable[[str], None]
) -> None:
    import subprocess

    needs("git")
    repository = tmp_path / "repository.git"
    repository.mkdir()
    (repository / "sub").mkdir()
    (repository / "sub/Dockerfile").write_text("FROM base\nCOPY f /f\n")
    (repository / "sub/f").write_text("from git")
    git = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=b"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *arguments], check=True)
    port = 20000 + os.getpid() % 30000
    daemon = subprocess.Popen(
        [
            "git",
            "daemon",
            "--export-all",
            f"--base-path={tmp_path}",
            "--listen=127.0.0.1",
            f"--port={port}",
            "--reuseaddr",
            "--verbose",
        ],
        stderr=subprocess.PIPE,
    )
    try:
        assert daemon.stderr is not None
        assert b"Ready" in daemon.stderr.readline()
        url = f"git://127.0.0.1:{port}/repository.git#main"
        result = builder.build(f"{url}:sub", f"--metadata-file={tmp_path}/told.json")
        assert result.code == 0, result
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, check=True, text=True).stdout.strip()
        told = json.loads((tmp_path / "told.json").read_text())["buildx.build.provenance"]
        assert told["invocation"]["configSource"]["digest"] == {"sha1": commit}
        assert told["metadata"]["completeness"]["materials"] is True
        assert builder.output(result.out.strip(), "cat", "/f") == "from git"
        image = builder.built(f"FROM base\nADD {url} /src\n")
        assert builder.output(image, "ls", "-A", "/src", "/src/sub") == "/src:\nsub\n\n/src/sub:\nDockerfile\nf\n"
    finally:
        daemon.terminate()
        daemon.communicate()


def test_a_context_may_be_an_archive_or_a_dockerfile_alone(builder: Builder) -> None:
    context = builder.context("FROM base\nCOPY d/f /\n", d__f="x")
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        archive.add(context, ".")
    result = builder.build("-", given=data.getvalue())
    assert result.code == 0, result
    assert builder.output(result.out.strip(), "cat", "/f") == "x"
    alone = builder.build("-", given=b"FROM base\nRUN echo alone >/f\n")
    assert builder.output(alone.out.strip(), "cat", "/f") == "alone\n"


def test_a_dockerfile_may_be_elsewhere_and_has_a_list_of_patterns_of_its_own(builder: Builder, tmp_path: Path) -> None:
    context = builder.context("", f="f", g="g")
    os.unlink(context / "Dockerfile")
    (tmp_path / "Other").write_text("FROM base\nCOPY . /c\nRUN ls /c >/l\n")
    (tmp_path / "Other.dockerignore").write_text("g\n")
    image = builder.build(context, "-f", str(tmp_path / "Other")).out.strip()
    assert builder.output(image, "cat", "/l") == "f\n"
    (context / "dockerfile").symlink_to(tmp_path / "Other")
    assert builder.build(context).code == 0


def test_further_contexts_have_names(builder: Builder) -> None:
    other = builder.context("", f="other")
    image = builder.built(
        "FROM other AS x\nFROM more:latest AS files\nENV A=b\nCOPY <<EOF /made\nmade\nEOF\nFROM base\n"
        "COPY --from=more f /f\nRUN --mount=from=more,target=/m cp /m/f /g\nCOPY --from=files /f /made /files/\n",
        "--build-context", f"more={other}", "--build-context", "other=docker-image://base",
    )  # fmt: skip
    assert builder.output(image, "cat", "/f", "/g", "/files/f", "/files/made") == "otherotherothermade\n"


def test_a_context_can_be_an_image_in_a_layout(builder: Builder) -> None:
    layout = builder.directory / "layout"
    builder.ok("save", "--format", "oci-dir", "-o", str(layout), "base")
    words = ("--provenance=mode=max", "--build-context", f"other=oci-layout://{layout}")
    before = builder.ok("images", "-aq")
    image = builder.built("FROM other\nCOPY f /f\n", *words, files={"f": "f"})
    assert builder.output(image, "cat", "/f") == "f"
    assert set(builder.ok("images", "-aq").split()) - set(before.split()) == {image[7:19]}  # it got no name here
    result = builder.build(builder.context("FROM other\n"), "--build-context", f"other=oci-layout://{layout}:none")
    assert "has no single image none: it has docker.io/library/base:latest" in result.err


def test_buildkit_s_own_arguments_count(builder: Builder) -> None:
    arguments = ("SANDBOX_HOSTNAME=there", "INLINE_CACHE=1", "DOCKERFILE_CHECK=skip=all", "CACHE_MOUNT_NS=apart")
    words = [f"--build-arg=BUILDKIT_{each}" for each in arguments]
    text = "FROM base\nRUN --mount=type=cache,target=/c,id=spaced hostname >>/c/h; cp /c/h /h\ncmd a b\n"
    image = builder.built(text, *words)
    assert builder.output(image, "cat", "/h") == "there\n"
    assert "moby.buildkit.cache.v0" in (builder.root / "images/blobs/sha256" / image[7:]).read_text()
    image = builder.built(text)
    assert builder.output(image, "cat", "/h") == "buildkitsandbox\n"  # the cache is another one


def test_the_configuration_says_what_the_file_says(builder: Builder) -> None:
    text = (
        "FROM base\nLABEL a=b\nEXPOSE 80 53/udp\nVOLUME /v\nSTOPSIGNAL SIGINT\nUSER user\nWORKDIR /tmp\n"
        'HEALTHCHECK --interval=5s CMD true\nONBUILD COPY f /triggered\nENTRYPOINT ["/bin/echo"]\nCMD ["x"]\n'
        "MAINTAINER somebody\n"
    )
    image = builder.built(text, "-t", "configured:1", "--label", "c=d")
    about = builder.image("configured:1")
    config = about["Config"]
    assert about["Id"] == image
    assert about["Author"] == "somebody"
    assert (config["Labels"], config["User"], config["WorkingDir"]) == ({"a": "b", "c": "d"}, "user", "/tmp")
    assert (config["ExposedPorts"], config["Volumes"]) == ({"80/tcp": {}, "53/udp": {}}, {"/v": {}})
    assert (config["StopSignal"], config["Entrypoint"], config["Cmd"]) == ("SIGINT", ["/bin/echo"], ["x"])
    assert config["Healthcheck"] == {"Test": ["CMD-SHELL", "true"], "Interval": 5_000_000_000}
    assert config["OnBuild"] == ["COPY f /triggered"]
    upon = builder.built("FROM configured:1\nUSER 0\n", files={"f": ""})
    assert builder.entries(upon)[-1] == ["triggered"]
    assert not builder.image(upon)["Config"].get("OnBuild")


def test_results_go_where_they_are_wanted(builder: Builder, tmp_path: Path) -> None:
    context = builder.context("FROM base AS b\nRUN mkdir /o && echo x >/o/f\nFROM scratch\nCOPY --from=b /o /\n")
    assert builder.build(context, "-o", str(tmp_path / "files")).code == 0
    assert (tmp_path / "files/f").read_text() == "x\n"
    with tarfile.open(fileobj=io.BytesIO(_raw(builder, context))) as archive:
        assert [name for name in archive.getnames() if name != "."] == ["f"]
    for kind in ("oci", "docker"):
        assert builder.build(context, "-t", "out:1", "-o", f"type={kind},dest={tmp_path}/{kind}.tar").code == 0
        with tarfile.open(tmp_path / f"{kind}.tar") as archive:
            assert "index.json" in archive.getnames()


def _raw(builder: Builder, context: Path) -> bytes:
    import subprocess

    command = builder.command("build", "--progress", "plain", "-o", "-", str(context))
    return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout


def test_an_image_is_pushed_and_comes_back_the_same(builder: Builder, plain_server: Server) -> None:
    name = f"{plain_server.authority}/built:1"
    image = builder.built("FROM base\nRUN echo pushed >/p\n", "-t", name, "--push")
    builder.ok("rmi", name)
    builder.ok("builder", "prune", "-f")
    builder.ok("pull", name)
    assert builder.image(name)["Id"] == image
    assert builder.output(name, "cat", "/p") == "pushed\n"


def test_annotations_are_the_manifests(builder: Builder) -> None:
    import json

    image = builder.built("FROM base\n", "--annotation", "org.opencontainers.image.title=x y", "-t", "annotated")
    index = json.loads((builder.root / "images/index.json").read_text())
    entry = next(each for each in index["manifests"] if "annotated" in json.dumps(each))
    manifest = json.loads((builder.root / "images/blobs" / entry["digest"].replace(":", "/")).read_text())
    assert manifest["config"]["digest"] == image
    assert manifest["annotations"] == {"org.opencontainers.image.title": "x y"}


def test_squashing_makes_one_layer_of_all(builder: Builder) -> None:
    image = builder.built("FROM base\nRUN echo 1 >/a\nRUN rm /a && echo 2 >/b\n", "--squash")
    assert builder.entries(image) == [["b"]]
    assert builder.output(image, "cat", "/b") == "2\n"


def test_ids_and_metadata_are_written_to_files(builder: Builder, tmp_path: Path) -> None:
    import json

    image = builder.built(
        "FROM base\n", "--iidfile", str(tmp_path / "id"), "--metadata-file", str(tmp_path / "m"), "-t", "n:1"
    )
    assert (tmp_path / "id").read_text() == image
    said = json.loads((tmp_path / "m").read_text())
    assert (said["containerimage.config.digest"], said["image.name"]) == (image, "n:1")


def test_the_first_container_of_an_engine_may_be_a_step_with_its_run_directory_on_another_file_system(
    tmp_path: Path, rootfs: Path
) -> None:
    (tmp_path / "run").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=700", "none", tmp_path / "run"], check=True)
    try:
        made = Builder(tmp_path, rootfs)
        archive = subprocess.run(["tar", "-C", str(rootfs), "-c", "."], capture_output=True, check=True).stdout
        made.ok("import", "-", "base", given=archive)
        made.built("FROM base\nRUN true\n")
        made.close()
    finally:
        subprocess.run(["umount", tmp_path / "run"], check=True)
