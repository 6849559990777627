"""Files copied between containers and the machine, by root and by an ordinary user, from running containers and others."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.engine.conftest import Engine, Result


class Place:
    """A directory of the engine's owner, and a container."""

    def __init__(self, engine: Engine, directory: Path, name: str) -> None:
        self.engine = engine
        self.directory = directory
        self.name = name

    def cp(self, *arguments: str, given: bytes | None = None) -> Result:
        """``cp`` in the directory; ``C:`` stands for the container."""
        words = [word.replace("C:", f"{self.name}:", 1) if word.startswith("C:") else word for word in arguments]
        command = self.engine.command("cp", *words)
        if self.engine.prefix:
            command[command.index("env") + 1 : command.index("env") + 1] = [f"--chdir={self.directory}"]
        done = subprocess.run(
            command, input=given or b"", capture_output=True, check=False, timeout=60, cwd=self.directory
        )
        from tests.integration.engine.conftest import Result

        return Result(command, done.returncode, done.stdout.decode("latin-1"), done.stderr.decode())

    def ok(self, *arguments: str, given: bytes | None = None) -> str:
        result = self.cp(*arguments, given=given)
        assert result.code == 0, result
        return result.out

    def sh(self, script: str) -> str:
        """What a script in the container prints; the container is started for it if it does not run."""
        if not self.engine.state(self.name)["Running"]:
            self.engine.ok("start", self.name)
        return self.engine.ok("exec", self.name, "sh", "-c", script)

    def archive(self, path: str, *options: str) -> dict[str, tarfile.TarInfo]:
        data = self.ok(*options, f"C:{path}", "-").encode("latin-1")
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            return {each.name: each for each in archive}


@pytest.fixture(scope="module")
def home(owner: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which the owner of the engine may write."""
    if not owner.prefix:
        return tmp_path_factory.mktemp("home")
    return Path(owner.rootfs).parent


@pytest.fixture(params=["running", "stopped"])
def place(owner: Engine, home: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    """A container with a volume, and an empty directory."""
    directory = home / f"files-{request.param}"
    directory.mkdir()
    if owner.prefix:
        status = home.stat()
        os.chown(directory, status.st_uid, status.st_gid)
    script = (
        "mkdir -p /o/d; echo a > /o/f; chown 5:6 /o/f; chmod 4755 /o/f; ln /o/f /o/h; ln -s f /o/l; ln -s d /o/ld;"
        "ln -s /nope /o/dangling; mkfifo /o/p; echo z > /o/d/z; chmod 1777 /o/d; touch -d @1000 /o/d/z; exec sleep 1000"
    )
    owner.ok("run", "-d", "--name", "copied", "-v", "/vol", "plain", "sh", "-c", script)
    owner.ok(
        "exec",
        "copied",
        "sh",
        "-c",
        "until test -e /o/d/z; do sleep 0.01; done; until stat -c %Y /o/d/z | grep -q ^1000$; do sleep 0.01; done",
    )
    if request.param == "stopped":
        owner.ok("stop", "-t", "0", "copied")
    yield Place(owner, directory, "copied")
    owner.ok("rm", "-f", "-v", "copied")
    subprocess.run(["rm", "-rf", directory], check=True)


def fill(place: Place) -> Path:
    """A directory ``src`` of the owner's."""
    source = place.directory / "src"
    (source / "sub").mkdir(parents=True)
    (source / "f").write_text("hi\n")
    (source / "l").symlink_to("f")
    (source / "sub/g").write_text("x")
    os.link(source / "f", source / "h")
    os.mkfifo(source / "p")
    os.utime(source / "sub/g", (2000, 2000))
    (place.directory / "fl").symlink_to("src/f")
    if place.engine.prefix:
        status = place.directory.stat()
        subprocess.run(["chown", "-hR", f"{status.st_uid}:{status.st_gid}", place.directory], check=True)
    return source


def test_a_directory_goes_into_one_that_is_there_and_takes_a_name_that_is_free(place: Place) -> None:
    fill(place)
    place.ok("src", "C:/tmp")
    place.ok("src", "C:/new")
    place.ok("src/.", "C:/vol")
    place.ok("src/", "C:rel")
    for path in ("/tmp/src", "/new", "/vol", "/rel"):
        assert place.sh(f"ls {path}").split() == ["f", "h", "l", "p", "sub"]
    out = place.sh(
        "cat /tmp/src/f; readlink /tmp/src/l; stat -c '%h %F' /tmp/src/h; stat -c %F /tmp/src/p; stat -c %Y /new/sub/g"
    )
    assert out.split("\n") == ["hi", "f", "2 regular file", "fifo", "2000", ""]


def test_a_file_replaces_a_file_goes_into_a_directory_or_gets_a_new_name(place: Place) -> None:
    fill(place)
    place.ok("src/f", "C:/data/kept")
    place.ok("src/f", "C:/data")
    place.ok("src/f", "C:/vol/name")
    place.ok("fl", "C:/link")
    place.ok("-L", "fl", "C:/file")
    assert place.sh("cat /data/kept /data/f /vol/name /file; readlink /link") == "hi\n" * 4 + "src/f\n"


def test_what_is_copied_out_has_the_names_that_docker_gives(place: Place) -> None:
    assert list(place.archive("/o")) == ["o", "o/d", "o/d/z", "o/dangling", "o/f", "o/h", "o/l", "o/ld", "o/p"]
    assert list(place.archive("/o/.")) == [".", "./d", "./d/z", "./dangling", "./f", "./h", "./l", "./ld", "./p"]
    assert list(place.archive("/o/ld/")) == ["ld", "ld/z"]
    assert list(place.archive("o/ld")) == ["ld"]
    assert list(place.archive("/o/ld", "-L")) == ["d", "d/z"]
    found = place.archive("/o/../o/f")["f"]
    assert (found.uid, found.gid, found.mode) == (5, 6, 0o4755)
    assert place.archive("/o")["o/h"].linkname == "o/f"
    assert place.archive("/o")["o/d/z"].mtime == 1000


def test_files_come_out_as_the_users_own(place: Place) -> None:
    place.ok("C:/o", "out")
    out = place.directory / "out"
    assert sorted(os.listdir(out)) == ["d", "dangling", "f", "h", "l", "ld", "p"]
    assert (out / "f").stat().st_uid == place.directory.stat().st_uid
    assert (out / "f").stat().st_mode & 0o7777 == 0o755
    assert (out / "f").stat().st_nlink == 2
    assert os.readlink(out / "dangling") == "/nope"
    assert (out / "d/z").stat().st_mtime == 1000
    place.ok("C:/o", "out")
    assert (out / "o/f").read_text() == "a\n"
    place.ok("C:/o/f", "name")
    place.ok("C:/o/d/z", "name")
    assert (place.directory / "name").read_text() == "z\n"
    place.ok("-L", "C:/o/l", ".")
    assert (place.directory / "l").read_text() == "a\n"


def test_what_is_no_file_and_no_directory_stays_what_it_is(shared_place: Place) -> None:
    pipe = shared_place.directory / "pipe"
    os.mkfifo(pipe)
    result = shared_place.cp("C:/o/f", "pipe")
    assert (result.code, result.err) == (
        1,
        'Error: invalid output path: "pipe" must be a directory or a regular file\n',
    )
    assert pipe.is_fifo()


def test_an_archive_is_read_from_standard_input(place: Place) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        info = tarfile.TarInfo("a/b/c")
        info.size, info.uid, info.gid, info.mode = 3, 12, 34, 0o640
        archive.addfile(info, io.BytesIO(b"abc"))
    place.ok("-", "C:/tmp", given=data.getvalue())
    assert place.sh("cat /tmp/a/b/c; stat -c ' %u:%g:%a' /tmp/a/b/c; stat -c %u:%a /tmp/a") == "abc 12:34:640\n0:755\n"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("src/f", "C:/nodir/x"), "could not find the directory /nodir"),
        (("src/f", "C:/nodir/"), "no such directory: /nodir/"),
        (("src", "C:/data/kept"), "cannot copy directory"),
        (("src/f", "C:/data/kept/"), "not a directory"),
        (("src/f", "C:/dev/null"), "must be a directory or a regular file"),
        (("src/f/", "C:/"), "src/f/: not a directory"),
        (("nope", "C:/"), "nope: no such file or directory"),
        (("-", "C:/data/kept"), "must be a directory"),
        (("C:/nope", "x"), "could not find the file /nope in container common"),
        (("C:/o/f/", "x"), "not a directory"),
        (("-L", "C:/o/dangling", "x"), "could not find the file /nope"),
        (("C:/o/f", "nodir/x"), "nodir"),
        (("C:/o", "src/f"), "cannot copy directory"),
        (("src", "x"), "must specify at least one container source"),
        (("C:/a", "C:/b"), "copying between containers is not supported"),
        (("src", "nobody:/"), "No such container: nobody"),
    ],
)
def test_what_cannot_be_copied_is_told_in_one_line(shared_place: Place, arguments: tuple[str, ...], error: str) -> None:
    result = shared_place.cp(*arguments)
    assert result.code == 1
    assert error in result.err
    assert result.err.count("\n") == 1


@pytest.fixture(scope="module")
def shared_place(owner: Engine, home: Path) -> Iterator[Place]:
    directory = home / "shared"
    directory.mkdir()
    if owner.prefix:
        os.chown(directory, home.stat().st_uid, home.stat().st_gid)
    made = Place(owner, directory, "common")
    fill(made)
    script = "mkdir /o; echo a > /o/f; ln -s /nope /o/dangling; exec sleep 1000"
    owner.ok("run", "-d", "--name", "common", "plain", "sh", "-c", script)
    owner.ok("exec", "common", "sh", "-c", "until test -h /o/dangling; do sleep 0.01; done")
    yield made
    owner.ok("rm", "-f", "common")
    subprocess.run(["rm", "-rf", directory], check=True)


def test_what_is_written_is_what_a_running_container_sees_on_its_mounts(owner: Engine, shared_place: Place) -> None:
    shared_place.ok("src/f", "C:/dev/shm/there")
    assert shared_place.sh("cat /dev/shm/there") == "hi\n"
    shared_place.ok("src/f", "C:/etc/hosts")
    assert shared_place.sh("cat /etc/hosts; grep -c ' /etc/hosts ' /proc/mounts") == "hi\n1\n"
    assert "proc" in shared_place.archive("/")["./proc"].name
    assert not [name for name in shared_place.archive("/") if name.startswith(("./proc/", "./sys/"))]


def test_a_container_that_was_never_started_can_be_written_to(owner: Engine, home: Path) -> None:
    if owner("create", "--help").code:
        pytest.skip("needs the command create")
    owner.ok("create", "--name", "fresh", "-v", "/vol", "plain", "cat", "/vol/f")
    (home / "f").write_text("early\n")
    owner.ok("cp", str(home / "f"), "fresh:/vol/f")
    assert owner.ok("start", "-a", "fresh") == "early\n"
    owner.ok("rm", "-v", "fresh")
    (home / "f").unlink()


def test_a_read_only_root_stays_as_it_is(owner: Engine, home: Path) -> None:
    owner.ok("run", "-d", "--name", "sealed", "--read-only", "-v", "/vol", "plain", "sleep", "1000")
    (home / "f").write_text("x")
    for _ in range(2):
        result = owner("cp", str(home / "f"), "sealed:/data/f")
        assert (result.code, "read-only file system" in result.err) == (1, True)
        owner.ok("cp", str(home / "f"), "sealed:/vol/f")
        owner.ok("stop", "-t", "0", "sealed")
    owner.ok("rm", "-v", "sealed")
    (home / "f").unlink()


def test_a_user_without_ranges_of_ids_copies_too(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to be another user")
    from tests.integration.engine.ordinary_user import make_engine

    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        info = tarfile.TarInfo("f")
        info.size, info.uid, info.gid = 3, 12, 34
        archive.addfile(info, io.BytesIO(b"abc"))
    with make_engine("copying", ranges=False) as engine:
        home = Path(engine.rootfs).parent
        for running in (True, False):
            engine.ok("run", "-d", "--name", "one", "--rootfs", engine.rootfs, "sleep", "1000")
            if not running:
                engine.ok("stop", "-t", "0", "one")
            engine.ok("cp", "-", "one:/tmp", given=data.getvalue())
            engine.ok("cp", "one:/tmp/f", f"{home}/out")
            engine.ok("cp", f"{home}/out", "one:/tmp/back")
            assert (home / "rootfs/tmp/back").read_text() == "abc"
            assert (home / "out").stat().st_uid == home.stat().st_uid
            engine.ok("rm", "-f", "one")


def test_copying_is_told_by_events(owner: Engine, home: Path) -> None:
    owner.ok("run", "--name", "told", "plain", "true")
    owner.ok("cp", "told:/data/kept", str(home / "kept"))
    owner.ok("cp", str(home / "kept"), "told:/data/again")
    out = owner.ok("events", "--since", "1h", "--until", "0s", "--filter", "container=told", "--format", "{{.Action}}")
    assert out.split()[-2:] == ["archive-path", "extract-to-dir"]
    owner.ok("rm", "told")
    (home / "kept").unlink()
