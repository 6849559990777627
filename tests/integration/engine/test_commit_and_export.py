"""Images and archives from containers, as root and as an ordinary user."""

from __future__ import annotations

import io
import json
import os
import signal
import stat
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.engine.conftest import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.engine.conftest import Engine


@pytest.fixture
def changed(owner: Engine) -> Iterator[str]:
    """A container that has ended and changed files of its image."""
    script = "rm /data/gone; echo new > /data/new; chown 5:6 /data/new; chmod 4750 /data/new; mkdir /data/dir"
    owner.ok("run", "--name", "changed", "-e", "A=1", "-l", "who=me", "plain", "sh", "-c", script)
    yield "changed"
    owner.ok("rm", "changed")


def image(owner: Engine, name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(owner.ok("inspect", "--type", "image", name))
    return found[0]


def archive(data: bytes) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(data))


def exported(owner: Engine, name: str) -> tarfile.TarFile:
    done = subprocess.run(owner.command("export", name), capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return archive(done.stdout)


def test_a_committed_container_is_an_image_with_its_changes(owner: Engine, changed: str) -> None:
    shown = owner.ok("commit", "-a", "Me <me@here>", "-m", "a message", changed, "made:1").strip()
    out = owner.ok(
        "run", "--rm", "--entrypoint", "", "made:1", "sh", "-c", "ls /data; stat -c %u:%g:%a /data/new; cat /data/new"
    )
    assert out.split() == ["dir", "kept", "new", "5:6:4750", "new"]
    about = image(owner, "made:1")
    assert about["Id"] == shown
    assert about["Author"] == "Me <me@here>"
    assert about["Comment"] == "a message"
    assert about["Config"]["Env"] == ["A=1", "PATH=/bin"]
    assert about["Config"]["Labels"] == {"who": "me"}
    assert about["Config"]["Cmd"][:2] == ["sh", "-c"]
    assert about["RootFS"]["Layers"][:-1] == image(owner, "plain")["RootFS"]["Layers"]
    owner.ok("rmi", "made:1")


def test_changes_alter_how_the_new_image_starts(owner: Engine, changed: str) -> None:
    words = ("-c", 'CMD ["echo", "hello"]', "-c", "ENV B=2 C=$A", "--change", "USER web", "-c", "WORKDIR /data")
    owner.ok("commit", *words, changed, "altered")
    assert owner.ok("run", "--rm", "altered") == "hello\n"
    out = owner.ok("run", "--rm", "altered", "sh", "-c", "id -un; pwd; echo $A $B $C")
    assert out.split() == ["web", "/data", "1", "2", "1"]
    result = owner("commit", "-c", "RUN make", changed)
    assert (result.code, "'RUN' is not a valid change command" in result.err) == (1, True)
    owner.ok("rmi", "altered")


def test_a_commit_without_changes_adds_history_and_no_layer(owner: Engine) -> None:
    owner.ok("run", "--name", "same", "plain", "true")
    owner.ok("commit", "same", "again")
    assert image(owner, "again")["RootFS"] == image(owner, "plain")["RootFS"]
    assert len(owner.ok("history", "-q", "again").splitlines()) == 2
    owner.ok("rm", "same")
    owner.ok("rmi", "again")


def test_an_image_made_of_an_image_that_was_made_has_the_changes_of_both(owner: Engine, changed: str) -> None:
    owner.ok("commit", changed, "first")
    owner.ok("run", "--name", "next", "first", "sh", "-c", "rm -r /data; mkdir /data; echo x > /data/last")
    owner.ok("commit", "next", "second")
    assert owner.ok("run", "--rm", "second", "sh", "-c", "ls /data").split() == ["last"]
    owner.ok("rm", "next")
    owner.ok("rmi", "first", "second")


def test_a_running_container_is_committed_and_goes_on(owner: Engine) -> None:
    owner.ok(
        "run",
        "-d",
        "--name",
        "busy",
        "plain",
        "sh",
        "-c",
        "echo 1 > /begun; while :; do echo x >> /log; sleep 0.01; done",
    )
    wait_until(lambda: owner("exec", "busy", "test", "-e", "/log").code == 0)
    owner.ok("commit", "busy", "snap")
    assert owner.ok("run", "--rm", "snap", "cat", "/begun") == "1\n"
    size = owner.ok("exec", "busy", "stat", "-c", "%s", "/log")
    wait_until(lambda: owner.ok("exec", "busy", "stat", "-c", "%s", "/log") != size, "the container to go on")
    owner.ok("rm", "-f", "busy")
    owner.ok("rmi", "snap")


def test_a_container_goes_on_though_its_commit_is_killed(owner: Engine) -> None:
    if owner.prefix:
        pytest.skip("an ordinary user's containers have no freezer here")
    owner.ok(
        "run",
        "-d",
        "--name",
        "busy",
        "plain",
        "sh",
        "-c",
        "dd if=/dev/zero of=/big bs=1M count=64 2>/dev/null; touch /done; sleep 1000",
    )
    wait_until(lambda: owner("exec", "busy", "test", "-e", "/done").code == 0)
    freezer = Path("/sys/fs/cgroup/freezer/orlop", owner.inspect("busy")["Id"], "freezer.state")
    process = owner.popen("commit", "busy", "never", stdout=-1)
    if freezer.exists():
        wait_until(lambda: "THAWED" not in freezer.read_text() or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
    assert owner.ok("exec", "busy", "echo", "awake") == "awake\n"
    owner.ok("rm", "-f", "busy")


def test_what_has_no_image_of_its_own_cannot_be_committed(owner: Engine) -> None:
    owner.ok("run", "--name", "dir", "--rootfs", "ROOTFS", "true")
    assert "cannot be committed" in owner("commit", "dir", "x").err
    owner.ok("rm", "dir")


def test_an_export_has_every_file_of_a_container_that_ended(owner: Engine, changed: str) -> None:
    with exported(owner, changed) as tar:
        names = {name.removeprefix("./") for name in tar.getnames()}
        assert {"bin/busybox", "data/kept", "data/new", "etc/passwd"} <= names
        assert "data/gone" not in names
        assert not [name for name in names if ".wh." in name]
        member = next(each for each in tar.getmembers() if each.name.endswith("data/new"))
        assert (member.uid, member.gid, member.mode) == (5, 6, 0o4750)


def test_an_export_of_a_running_container_has_no_files_of_what_is_mounted_there(owner: Engine) -> None:
    volume = owner.root.parent / "volume"
    volume.mkdir(exist_ok=True)
    (volume / "secret").touch()
    owner.ok(
        "run",
        "-d",
        "--name",
        "live",
        "-v",
        f"{volume}:/mnt",
        "plain",
        "sh",
        "-c",
        "echo now > /now; chown 7 /now; sleep 1000",
    )
    wait_until(
        lambda: owner("exec", "live", "test", "-u", "/now").code in (0, 1) and owner("exec", "live", "cat", "/now").out
    )
    with exported(owner, "live") as tar:
        names = {name.removeprefix("./") for name in tar.getnames()}
        assert {"bin/busybox", "now", "mnt", "etc/passwd"} <= names
        assert not [name for name in names if name.startswith(("proc/", "sys/", "dev/", "mnt/"))]
        found = tar.extractfile(next(each for each in tar.getmembers() if each.name.endswith("now")))
        assert found is not None
        assert found.read() == b"now\n"
    owner.ok("rm", "-f", "live")


def test_an_export_to_a_file_is_there_only_once_it_is_whole(owner: Engine, changed: str) -> None:
    path = owner.root.parent / "export.tar"
    owner.ok("export", "-o", str(path), changed)
    with archive(path.read_bytes()) as tar:
        assert len(tar.getnames()) > 10
    path.unlink()
    assert owner("export", "-o", str(path), "no-such-container").code == 1
    assert [each for each in os.listdir(path.parent) if each.startswith("export.tar")] == []


def test_an_export_to_a_device_leaves_it_what_it_is(owner: Engine, changed: str) -> None:
    if owner.prefix:
        pytest.skip("an ordinary user cannot make a device")
    device = owner.root.parent / "null"
    os.mknod(device, stat.S_IFCHR | 0o666, os.stat("/dev/null").st_rdev)
    owner.ok("export", "-o", str(device), changed)
    owner.ok("save", "-o", str(device), "plain")
    assert stat.S_ISCHR(device.lstat().st_mode)
    assert [path.name for path in device.parent.iterdir() if path.name.startswith("null")] == ["null"]
    done = owner("export", "-o", "/no/such/file", changed)
    assert (done.code, done.err) == (1, "orlop: /no/such/file: No such file or directory\n")


def test_a_directory_is_exported_and_the_view_of_the_host_is_not(owner: Engine) -> None:
    owner.ok("run", "--name", "dir", "--rootfs", "ROOTFS", "true")
    with exported(owner, "dir") as tar:
        assert "bin/busybox" in {name.removeprefix("./") for name in tar.getnames()}
    owner.ok("run", "--name", "view", "host", "true")
    assert "cannot be exported" in owner("export", "view").err
    owner.ok("rm", "dir", "view")
