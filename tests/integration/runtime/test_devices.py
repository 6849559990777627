"""``linux.devices``, ``maskedPaths`` and ``readonlyPaths``: what of /dev, /proc and /sys a container has."""

from __future__ import annotations

import os
import stat
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.runtime.containers import add_mount, attempt, map_ids, refused, run

if TYPE_CHECKING:
    from tests.integration.conftest import Bundle, BundleMaker, Runtime

DEFAULTS = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
FUSE = {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229}


def with_device(bundle: Bundle, **device: Any) -> Bundle:
    bundle.linux["devices"] = [device]
    return bundle


# devices


def test_the_default_devices_are_there(runtime: Runtime, bundle: BundleMaker) -> None:
    paths = [f"/dev/{name}" for name in DEFAULTS]
    said = run(runtime, bundle("stat", "-c", "%F %t %T %a %u:%g", *paths)).splitlines()
    expected = [f"character special file {major:x} {minor:x} 666 0:0" for major, minor in DEFAULTS.values()]
    assert said == expected


def test_the_default_devices_work(runtime: Runtime, bundle: BundleMaker) -> None:
    script = "echo gone > /dev/null; head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c; echo x > /dev/full"
    result = attempt(runtime, bundle("sh", "-c", script))
    assert result.output.split() == ["4", "4"]
    assert "No space left on device" in result.errors


def test_the_links_that_programs_expect_are_there(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "cd /dev; for name in fd stdin stdout stderr ptmx; do readlink $name; done")
    expected = ["/proc/self/fd", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2", "pts/ptmx"]
    assert run(runtime, made).split() == expected


def test_a_device_has_the_configured_mode_and_owner(runtime: Runtime, bundle: BundleMaker) -> None:
    made = with_device(bundle("stat", "-c", "%F %t %T %a %u:%g", "/dev/fuse"), **FUSE, fileMode=0o640, uid=5, gid=6)
    assert run(runtime, made) == "character special file a e5 640 5:6\n"


def test_a_device_is_made_outside_of_dev_too(runtime: Runtime, bundle: BundleMaker) -> None:
    made = with_device(
        bundle("stat", "-c", "%F %t %T", "/data/new/disk"), path="/data/new/disk", type="b", major=7, minor=200
    )
    assert run(runtime, made) == "block special file 7 c8\n"


def test_an_unbuffered_device_is_a_character_device(runtime: Runtime, bundle: BundleMaker) -> None:
    made = with_device(bundle("stat", "-c", "%F", "/dev/u"), path="/dev/u", type="u", major=10, minor=229)
    assert run(runtime, made) == "character special file\n"


def test_a_fifo_is_made(runtime: Runtime, bundle: BundleMaker) -> None:
    made = with_device(bundle("stat", "-c", "%F %a", "/dev/pipe"), path="/dev/pipe", type="p", fileMode=0o622)
    assert run(runtime, made) == "fifo 622\n"


def test_a_default_device_may_be_configured(runtime: Runtime, bundle: BundleMaker) -> None:
    made = with_device(
        bundle("stat", "-c", "%a", "/dev/null"), path="/dev/null", type="c", major=1, minor=3, fileMode=0o600
    )
    assert run(runtime, made) == "600\n"


def test_a_device_that_is_there_already_is_taken(runtime: Runtime, bundle: BundleMaker) -> None:
    made = with_device(bundle("stat", "-c", "%t %T", "/node"), path="/node", type="c", major=10, minor=229)
    os.mknod(made.rootfs / "node", stat.S_IFCHR | 0o600, os.makedev(10, 229))
    assert run(runtime, made) == "a e5\n"


@pytest.mark.parametrize("other", ["file", "another device", "link"])
def test_something_else_at_a_devices_path_is_refused(other: str, runtime: Runtime, bundle: BundleMaker) -> None:
    made = with_device(bundle("true"), path="/node", type="c", major=10, minor=229)
    node = made.rootfs / "node"
    if other == "file":
        node.touch()
    elif other == "link":
        node.symlink_to("/dev/null")
    else:
        os.mknod(node, stat.S_IFCHR | 0o600, os.makedev(10, 228))
    refused(runtime, made, "make device /node: something else is there")


def test_in_a_user_namespace_the_hosts_devices_are_bound(runtime: Runtime, bundle: BundleMaker) -> None:
    made = with_device(bundle("stat", "-c", "%F %t %T", "/dev/null", "/dev/fuse"), **FUSE)
    map_ids(made)
    if not os.path.exists("/dev/fuse"):
        pytest.skip("this machine has no /dev/fuse")
    assert run(runtime, made).splitlines() == ["character special file 1 3", "character special file a e5"]


def test_in_a_user_namespace_the_default_devices_work(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "echo gone > /dev/null; head -c 4 /dev/zero | wc -c")
    map_ids(made)
    assert run(runtime, made).strip() == "4"


def test_in_a_user_namespace_a_device_that_the_host_lacks_is_named(runtime: Runtime, bundle: BundleMaker) -> None:
    made = with_device(bundle("true"), path="/dev/nosuchdevice", type="c", major=10, minor=250)
    map_ids(made)
    refused(runtime, made, "make device /dev/nosuchdevice: ", "no such file or directory")


def test_a_bound_dev_is_left_alone(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("ls", "/dev")
    (made.path / "dev").mkdir()
    (made.path / "dev/only").touch()
    made.config["mounts"] = [each for each in made.config["mounts"] if not each["destination"].startswith("/dev")]
    add_mount(made, "/dev", "bind", "dev", "bind")
    assert run(runtime, made) == "only\n"


def test_only_allowed_devices_can_be_opened(runtime: Runtime, bundle: BundleMaker) -> None:
    made = with_device(bundle("sh", "-c", "head -c 1 /dev/loop; true"), path="/dev/loop", type="c", major=10, minor=237)
    assert "Operation not permitted" in attempt(runtime, made).errors
    made.linux["resources"]["devices"].append({"allow": True, "type": "c", "major": 10, "minor": 237, "access": "rw"})
    assert "Operation not permitted" not in attempt(runtime, made).errors


def test_a_device_node_that_the_container_makes_cannot_be_opened(runtime: Runtime, bundle: BundleMaker) -> None:
    sets = {kind: ["CAP_MKNOD"] for kind in ("bounding", "effective", "permitted")}
    made = bundle("sh", "-c", "mknod /node c 10 237 && cat /node", capabilities=sets)
    assert "can't open '/node': Operation not permitted" in attempt(runtime, made).errors


# masked and read-only paths


def test_a_masked_file_is_empty_and_a_masked_directory_too(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "cat /proc/cpuinfo | wc -c; ls -A /secret | wc -l; touch /secret/x; echo x > /etc/passwd")
    (made.rootfs / "secret").mkdir()
    (made.rootfs / "secret/file").touch()
    made.linux["maskedPaths"] = ["/proc/cpuinfo", "/secret", "/etc/passwd", "/sys/fs", "/proc/fs", "/missing"]
    result = attempt(runtime, made)
    assert result.output.split() == ["0", "0"]
    assert "Read-only file system" in result.errors
    assert (made.rootfs / "etc/passwd").stat().st_size > 0


def test_a_masked_path_that_is_a_link_hides_what_it_leads_to(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("cat", "/real")
    (made.rootfs / "real").write_text("secret\n")
    (made.rootfs / "link").symlink_to("/real")
    made.linux["maskedPaths"] = ["/link"]
    assert run(runtime, made) == ""


def test_a_readonly_path_cannot_be_written_nor_what_is_mounted_below(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "touch /data/x; touch /data/below/x; echo 1 > /proc/sys/net/ipv4/ip_forward; touch /x")
    add_mount(made, "/data/below", "tmpfs", "tmpfs")
    made.linux["readonlyPaths"] = ["/data", "/proc/sys", "/missing"]
    result = attempt(runtime, made)
    assert result.errors.count("Read-only file system") == 3
    assert (made.rootfs / "x").exists()


def test_read_only_keeps_the_other_attributes(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("cat", "/proc/self/mountinfo")
    line = next(line for line in run(runtime, made).splitlines() if " /proc/sys " in line)
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(line.split()[5].split(","))


def test_masks_and_read_only_paths_need_a_mount_namespace(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    made.linux["namespaces"] = [each for each in made.linux["namespaces"] if each["type"] != "mount"]
    refused(runtime, made, "linux.maskedPaths needs a mount namespace")


def test_the_hosts_mounts_are_as_before(runtime: Runtime, bundle: BundleMaker) -> None:
    before = subprocess.run(["findmnt", "-rn", "-o", "TARGET,OPTIONS"], capture_output=True, check=True).stdout
    run(runtime, bundle("true"))
    after = subprocess.run(["findmnt", "-rn", "-o", "TARGET,OPTIONS"], capture_output=True, check=True).stdout
    ours = [line for line in after.splitlines() if b"orlop-test" in line and line not in before.splitlines()]
    assert ours == []
