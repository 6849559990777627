"""/dev: an image has something else there, so that devices and terminals are made, or mounted, in another place."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import unique_name
from tests.integration.runtime.containers import until
from tests.security import hostile

if TYPE_CHECKING:
    from tests.integration.conftest import Bundle, BundleMaker, Runtime


def without_dev_mounts(made: Bundle) -> None:
    made.config["mounts"] = [each for each in made.config["mounts"] if not each["destination"].startswith("/dev")]


@pytest.mark.parametrize("absolute", [True, False])
def test_cve_2026_41579_and_47766_a_dev_that_is_a_link_leads_nowhere(
    runtime: Runtime, bundle: BundleMaker, tmp_path: Path, *, absolute: bool
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    made = bundle("true")
    without_dev_mounts(made)
    target = outside if absolute else Path("../../outside")
    (made.rootfs / str(outside).lstrip("/")).mkdir(parents=True)
    (made.rootfs / "dev").rmdir()
    (made.rootfs / "dev").symlink_to(target)
    result = hostile.attempt(runtime, made)
    assert result.status == 1
    assert "/dev" in result.errors
    assert not list(outside.iterdir())
    assert not list((made.rootfs / str(outside).lstrip("/")).iterdir())


def test_cve_2026_41579_devices_of_the_configuration_stay_inside(
    runtime: Runtime, bundle: BundleMaker, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    made = bundle("true")
    (made.rootfs / "devices").symlink_to(outside)
    (made.rootfs / "up").symlink_to("/../../../../../../../.." + str(outside))
    made.linux["devices"] = [
        {"path": "/devices/null", "type": "c", "major": 1, "minor": 3},
        {"path": "/up/fifo", "type": "p"},
    ]
    hostile.output(runtime, made)
    assert not list(outside.iterdir())
    inside = made.rootfs / str(outside).lstrip("/")
    assert stat.S_ISCHR((inside / "null").lstat().st_mode)


@pytest.mark.parametrize("name", ["null", "zero", "ptmx", "fd", "core"])
def test_cve_2026_41579_a_link_in_the_place_of_a_device_is_not_followed(
    runtime: Runtime, bundle: BundleMaker, tmp_path: Path, name: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    mode = victim.stat().st_mode
    made = bundle("true")
    without_dev_mounts(made)
    (made.rootfs / "dev" / name).symlink_to(victim)
    inside = made.rootfs / str(victim).lstrip("/")
    inside.parent.mkdir(parents=True)
    inside.write_text("untouched")
    result = hostile.attempt(runtime, made)
    assert result.status == (1 if name in ("null", "zero") else 0), result
    assert victim.read_text() == inside.read_text() == "untouched"
    assert victim.stat().st_mode == mode


def with_terminal(runtime: Runtime, made: Bundle, tmp_path: Path) -> tuple[int, str]:
    """Run with a console socket; returns the status and what was said to the terminal or on standard error."""
    made.process["terminal"] = True
    made.write()
    # A socket's path is short.
    path = f"/tmp/{unique_name()}.sock"
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(path)
        listener.listen()
        listener.settimeout(20)
        name = unique_name()
        result = runtime.call("create", "--bundle", str(made.path), "--console-socket", path, name)
        if result.status:
            return result.status, result.errors
        connection, _ = listener.accept()
        _, (master,), _, _ = socket.recv_fds(connection, 64, 1)
        connection.close()
        try:
            runtime("start", name)
            said = b""
            while True:
                try:
                    data = os.read(master, 4096)
                except OSError:  # EIO: the last slave is closed
                    break
                said += data
            return 0, said.decode()
        finally:
            os.close(master)
    finally:
        listener.close()
        os.unlink(path)


def test_cve_2025_52565_a_link_at_dev_console_is_not_followed(
    runtime: Runtime, bundle: BundleMaker, tmp_path: Path
) -> None:
    made = bundle("sh", "-c", "cat /victim; grep -c ' /victim ' /proc/self/mountinfo")
    made.config["mounts"] = [each for each in made.config["mounts"] if each["destination"] != "/dev"]
    (made.rootfs / "dev/console").symlink_to("/victim")
    (made.rootfs / "victim").write_text("untouched\n")
    status, said = with_terminal(runtime, made, tmp_path)
    assert status in (0, 1)
    if status == 0:
        assert said.split() == ["untouched", "0"]
    assert (made.rootfs / "victim").read_text() == "untouched\n"


def test_cve_2025_52565_a_directory_at_dev_console_is_refused(
    runtime: Runtime, bundle: BundleMaker, tmp_path: Path
) -> None:
    made = bundle("true")
    made.config["mounts"] = [each for each in made.config["mounts"] if each["destination"] != "/dev"]
    (made.rootfs / "dev/console").mkdir()
    status, said = with_terminal(runtime, made, tmp_path)
    assert status == 1
    assert "/dev/console" in said


@pytest.mark.parametrize("trap", ["link", "file", "fifo", "device"])
def test_cve_2025_52565_a_terminal_is_only_taken_from_a_devpts(
    runtime: Runtime, bundle: BundleMaker, tmp_path: Path, trap: str
) -> None:
    made = bundle("true")
    made.config["mounts"] = [each for each in made.config["mounts"] if not each["destination"].startswith("/dev/pts")]
    made.config["mounts"] = [each for each in made.config["mounts"] if each["destination"] != "/dev"]
    pts = made.rootfs / "dev/pts"
    pts.mkdir()
    if trap == "link":
        (pts / "ptmx").symlink_to("/victim")
        (made.rootfs / "victim").write_text("untouched")
    elif trap == "file":
        (pts / "ptmx").write_text("untouched")
    elif trap == "fifo":
        os.mkfifo(pts / "ptmx")
    else:
        os.mknod(pts / "ptmx", stat.S_IFCHR | 0o666, os.makedev(5, 2))  # on no devpts, it would be the host's
    status, said = with_terminal(runtime, made, tmp_path)
    assert status == 1, said
    assert "ptmx" in said


def test_cve_2025_52565_the_slave_is_the_master_s_own(runtime: Runtime, bundle: BundleMaker, tmp_path: Path) -> None:
    """What is at /dev/pts/0 in the image is under the devpts, and what is /dev/console is the terminal."""
    made = bundle("sh", "-c", "tty; stat -c %t:%T /dev/console; test -t 0 && echo yes")
    status, said = with_terminal(runtime, made, tmp_path)
    assert status == 0
    assert said.split() == ["/dev/pts/0", "88:0", "yes"]


@pytest.mark.parametrize("trap", ["fifo", "file", "bind"])
def test_cve_2025_52565_exec_takes_no_terminal_from_what_the_container_put_there(
    runtime: Runtime, bundle: BundleMaker, trap: str
) -> None:
    traps = {
        "fifo": "umount /dev/pts; mkfifo() { mknod $1 p; }; mkfifo /dev/pts/ptmx",
        "file": "umount /dev/pts; echo untouched > /dev/pts/ptmx",
        "bind": "mount -o bind /dev/null /dev/pts/ptmx",
    }
    made = bundle("sh", "-c", f"{traps[trap]} && touch /ready; sleep 100")
    hostile.grant(made, "CAP_SYS_ADMIN", "CAP_MKNOD")
    name = hostile.start(runtime, made)
    hostile.eventually((made.rootfs / "ready").exists)
    result = runtime.call("exec", "--tty", name, "true", timeout=20)
    assert result.status == 255
    assert "ptmx" in result.errors


@pytest.mark.parametrize("there", ["its own", "none", "a link"])
def test_the_hosts_null_device_as_a_standard_stream_cannot_be_changed(
    there: str, runtime: Runtime, bundle: BundleMaker
) -> None:
    """Root in the container has a descriptor of the device that every program of the host writes to."""
    change = {"its own": ":", "none": "rm null", "a link": "ln -sf zero null"}[there]
    name = runtime.start(bundle("sh", "-c", f"cd /dev && {change} && echo > /done && exec sleep 1000"))
    pid = runtime.state(name)["pid"]
    until(Path(f"/proc/{pid}/root/done").exists)
    before = os.stat("/dev/null")
    attack = "for f in 0 1 2; do chmod 600 /proc/self/fd/$f; chown 7 /proc/self/fd/$f; done"
    try:
        with open("/dev/null", "r+b", buffering=0) as null:
            command = runtime.command("exec", name, "sh", "-c", f"{attack}; head -c 1; echo works")
            subprocess.run(command, check=True, stdin=null, stdout=null, stderr=null, timeout=30)
        after = os.stat("/dev/null")
    finally:
        os.chmod("/dev/null", before.st_mode & 0o7777)
        os.chown("/dev/null", before.st_uid, before.st_gid)
    assert (after.st_mode, after.st_uid) == (before.st_mode, before.st_uid)


def test_a_directory_of_the_host_that_a_link_of_the_image_leads_to_dev_is_left_alone(
    runtime: Runtime, bundle: BundleMaker, tmp_path: Path
) -> None:
    """The user mounts something, perhaps the host's own /dev, on /data, which the image has as a link to /dev."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "ptmx").write_text("the host's")
    made = bundle("ls", "/data/")
    (made.rootfs / "data").symlink_to("/dev")
    made.config["mounts"].append({"destination": "/data", "type": "bind", "source": str(outside), "options": ["rbind"]})
    made.linux["devices"] = [{"path": "/dev/disk", "type": "b", "major": 7, "minor": 0, "fileMode": 0o666}]
    assert hostile.output(runtime, made).split() == ["ptmx"]
    assert os.listdir(outside) == ["ptmx"]
    assert (outside / "ptmx").read_text() == "the host's"
