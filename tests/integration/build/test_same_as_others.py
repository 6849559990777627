"""The same Dockerfiles built by buildah and by docker's classic builder give the same trees and the same configurations."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.engine.conftest import wait_until
from tests.integration.images.conftest import plain_server
from tests.integration.interop.conftest import (
    archive,
    docker,
    docker_programs,
    new_home,
    podman,
    podman_programs,
    root_filesystem,
    runtime,
)
from tests.integration.interop.home import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.build.conftest import Builder
    from tests.integration.images.servers import Server
    from tests.integration.interop.docker import Docker
    from tests.integration.interop.podman import Podman

__all__ = [
    "archive", "docker", "docker_programs", "new_home", "plain_server", "podman", "podman_programs", "root_filesystem",
    "runtime",
]  # fmt: skip

FILES = """\
FROM localhost/base
ENV A=one B="two words" C=$A
ARG D=four
ENV E=${D:-five}${NONE:-six}${A:+seven}
COPY file.txt /plain/
COPY file.txt /plain/named
COPY directory /directory
COPY *.txt directory/sub /many/
COPY --chown=1000:1000 file.txt /owned
COPY --chown=user executable /by-name
ADD archive.tar.gz /unpacked/
ADD file.txt /added
WORKDIR /deep/er
WORKDIR relative
COPY file.txt .
RUN pwd >where; ln -s where link; ln where hard; mkdir -p /gone /kept/empty; chmod 2750 /kept; chown 5:6 /kept
RUN rm -rf /gone /directory/sub; echo more >>/plain/named; touch -d @1000 /kept/old; mknod /kept/fifo p
LABEL a=b "c d"="e f" g=$A
EXPOSE 80 443/tcp 53/udp
VOLUME /volume "/other"
USER user
STOPSIGNAL SIGUSR1
HEALTHCHECK --interval=30s --timeout=5s --retries=2 CMD true
ONBUILD RUN true
SHELL ["/bin/sh", "-e", "-c"]
ENTRYPOINT ["/bin/echo", "a"]
CMD ["b", "c"]
"""
STAGES = """\
ARG BASE=localhost/base
FROM $BASE AS first
RUN mkdir -p /out/bin && echo made >/out/bin/tool && chmod 0755 /out/bin/tool && ln -s tool /out/bin/alias
FROM first AS second
RUN echo second >/out/second
FROM localhost/base
COPY --from=first /out /first
COPY --from=second /out/second /out/bin/ /second/
COPY --from=0 /out/bin/tool /tool
CMD echo shell form
ENTRYPOINT exec echo "$HOME"
"""
IGNORING = """\
FROM localhost/base
COPY . /all
"""
FORMS = """\
# escape=`
FROM localhost/base
RUN echo a `
    b `
# a comment
    c >/joined
RUN ["/bin/sh", "-c", "echo exec >/exec"]
ENV X old form
ENV Y=a`
b
CMD ["/bin/true"]
ENTRYPOINT []
COPY ["file.txt", "/with space/"]
"""
CASES = {"files": FILES, "stages": STAGES, "ignoring": IGNORING, "forms": FORMS}

#: What engines mount, or make mount points of, in their own way.
_OTHERS = ("etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab", "dev", "proc", "sys", "run", ".dockerenv")


class Buildah:
    """Debian's buildah, with a store of its own."""

    def __init__(self, directory: Path, base: Path) -> None:
        self._directory = directory
        self._program = [
            "buildah",
            "--root",
            f"{directory}/root",
            "--runroot",
            f"{directory}/run",
            "--storage-driver",
            "overlay",
        ]
        self("pull", f"docker-archive:{base}")

    def __call__(self, *arguments: str) -> None:
        done = subprocess.run([*self._program, *arguments], capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr

    def build(self, context: Path, archive: Path) -> None:
        """Build a context into an archive."""
        self("bud", "--isolation", "chroot", "--format", "docker", "-t", "localhost/result", str(context))
        self("push", "--disable-compression", "localhost/result", f"docker-archive:{archive}:localhost/result:latest")


@pytest.fixture(scope="module")
def base(builder: Builder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base image in an archive for the others."""
    builder.ok("tag", "base", "localhost/base")
    path = tmp_path_factory.mktemp("base") / "base.tar"
    builder.ok("save", "-o", str(path), "localhost/base")
    return path


def make_context(builder: Builder, text: str) -> Path:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as made:
        info = tarfile.TarInfo("in/side")
        info.size, info.mode, info.uid, info.gid, info.mtime = 4, 0o640, 12, 13, 77
        made.addfile(info, io.BytesIO(b"data"))
    files: dict[str, str | bytes] = {
        "directory/a": "a",
        "directory/sub/b": "b",
        "directory/sub/deep/c": "c",
        "executable": "#!/bin/sh\n",
        "ignored/x": "x",
        "ignored/kept": "k",
        "log/one": "1",
        "note.md": "n",
        "file.txt": "file\n",
        "other.txt": "other\n",
        "archive.tar.gz": packed.getvalue(),
    }
    context = builder.context(text, **files)
    (context / ".dockerignore").write_text("# no\n*.md\nignored\n!ignored/kept\n**/deep\nlog/*\n")
    os.chmod(context / "executable", 0o755)
    os.chmod(context / "directory/sub", 0o711)
    (context / "directory/link").symlink_to("a")
    for path in [context, *context.rglob("*")]:
        os.utime(path, (1_600_000_000, 1_600_000_000), follow_symlinks=False)
    return context


def tree(builder: Builder, image: str, tmp_path: Path, has: str = "bin/busybox") -> dict[str, tuple[Any, ...]]:
    """Every file of an image, which ``has`` this one: what it is, whose, and what is in it."""
    path = tmp_path / f"{image.replace(':', '-').replace('/', '-')}.tar"
    text = f"FROM {image}\n"
    result = builder("build", "--progress", "plain", "-o", f"type=tar,dest={path}", "-", given=text.encode())
    assert result.code == 0 or "ONBUILD" in result.err, result
    found: dict[str, tuple[Any, ...]] = {}
    with tarfile.open(path) as made:
        for info in made:
            name = info.name.removeprefix("./").rstrip("/")
            if not name or name == "." or name.split("/")[0] in _OTHERS or name in _OTHERS:
                continue
            file = made.extractfile(info) if info.isfile() or info.islnk() else None
            content = hashlib.sha256(file.read()).hexdigest() if file is not None else info.linkname
            kind = tarfile.REGTYPE if info.islnk() else info.type
            found[name] = (kind, oct(info.mode), info.uid, info.gid, content)
    path.unlink()
    assert has in found
    return found


def settings(builder: Builder, image: str) -> dict[str, Any]:
    """An image's configuration, as far as the builders mean the same by it."""
    config = builder.image(image)["Config"]
    environment = sorted(each for each in config.get("Env") or () if not each.startswith("PATH="))
    wanted = (
        "Cmd", "Entrypoint", "ExposedPorts", "Healthcheck", "Labels", "OnBuild", "Shell", "StopSignal", "User", "Volumes", "WorkingDir",
    )  # fmt: skip
    found = {name: config.get(name) or None for name in wanted}
    labels = {name: value for name, value in (found["Labels"] or {}).items() if not name.startswith("io.buildah")}
    return {**found, "Env": environment, "Labels": labels or None}


def same(builder: Builder, ours: str, theirs: str, tmp_path: Path) -> None:
    assert settings(builder, ours) == settings(builder, theirs)
    assert tree(builder, ours, tmp_path) == tree(builder, theirs, tmp_path)


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Buildah:
    if shutil.which("buildah") is None:
        pytest.skip("needs buildah")
    return Buildah(tmp_path_factory.mktemp("buildah"), base)


@pytest.mark.parametrize("case", CASES)
def test_buildah_builds_the_same(case: str, builder: Builder, buildah: Buildah, tmp_path: Path) -> None:
    context = make_context(builder, CASES[case])
    assert builder.build(context, "-t", "localhost/ours").code == 0
    buildah.build(context, tmp_path / "theirs.tar")
    builder.ok("load", "-i", str(tmp_path / "theirs.tar"))
    same(builder, "localhost/ours", "localhost/result", tmp_path)


@pytest.mark.parametrize("case", ["files", "stages"])
def test_docker_builds_the_same(case: str, builder: Builder, docker: Docker, base: Path, tmp_path: Path) -> None:
    context = make_context(builder, CASES[case])
    assert builder.build(context, "-t", "localhost/ours").code == 0
    assert docker("load", "-i", str(base)).code == 0
    built = docker("build", "--network", "none", "-t", "localhost/theirs", str(context))
    assert built.code == 0, built.err
    assert docker("save", "-o", f"{tmp_path}/theirs.tar", "localhost/theirs").code == 0
    builder.ok("load", "-i", str(tmp_path / "theirs.tar"))
    same(builder, "localhost/ours", "localhost/theirs", tmp_path)


WEB = """\
FROM localhost/base AS site
WORKDIR /site
COPY file.txt .
RUN sed s/^/served:/ file.txt >index.html && rm file.txt
FROM localhost/base
COPY --from=site --chown=65534:65534 /site /site
USER 65534:65534
EXPOSE 8080
CMD ["busybox", "httpd", "-f", "-p", "8080", "-h", "/site"]
"""
ASK = ("busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:8080/")


def test_a_web_server_serves_here_and_from_a_registry_under_docker_and_podman(
    builder: Builder, docker: Docker, podman: Podman, plain_server: Server, base: Path
) -> None:
    assert base.exists()
    name = f"{plain_server.authority}/web:1"
    assert builder.build(make_context(builder, WEB), "-t", name, "--push").code == 0
    container = builder.ok("run", "-d", "--network", "none", name).strip()
    wait_until(lambda: builder("exec", container, *ASK).out == "served:file\n", "an answer")
    builder.ok("rm", "-f", container)
    for engine, pulling in ((docker, ()), (podman, ("--tls-verify=false",))):
        assert engine("pull", *pulling, name).code == 0
        named = engine.start(name)
        eventually(lambda: engine("exec", named, *ASK).out == "served:file\n")  # noqa: B023 - it is called here
        assert engine("rm", "-f", named).code == 0
