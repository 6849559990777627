"""``root``, ``hostname``, ``domainname``: what the container sees itself as."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.integration.runtime.containers import add_mount, attempt, options_of, refused, run, until, without

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import BundleMaker, Runtime


def mountinfo_of(pid: int) -> str:
    with open(f"/proc/{pid}/mountinfo") as file:
        return file.read()


def test_a_readonly_root_cannot_be_written(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("touch", "/file")
    made.config["root"]["readonly"] = True
    result = attempt(runtime, made)
    assert result.status == 1
    assert "Read-only file system" in result.errors


def test_mounts_below_a_readonly_root_stay_writable(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("touch", "/tmp/file", "/dev/file")
    made.config["root"]["readonly"] = True
    add_mount(made, "/tmp", "tmpfs", "tmpfs")
    run(runtime, made)


def test_a_writable_root_is_the_bundles_own(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "echo text > /file")
    run(runtime, made)
    assert (made.rootfs / "file").read_text() == "text\n"


def test_a_root_with_an_absolute_path(runtime: Runtime, bundle: BundleMaker, tmp_path: Path) -> None:
    made = bundle("cat", "/name")
    (made.rootfs / "name").write_text("here\n")
    made.rootfs.rename(tmp_path / "elsewhere")
    made.config["root"]["path"] = str(tmp_path / "elsewhere")
    assert run(runtime, made) == "here\n"


def test_a_missing_root_is_named(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    made.config["root"]["path"] = "nowhere"
    refused(runtime, made, f"{made.path}/nowhere", "no such file or directory")


def test_a_root_that_is_a_file_is_named(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    made.config["root"]["path"] = "config.json"
    refused(runtime, made, f"{made.path}/config.json", "not a directory")


def test_mounts_below_the_roots_directory_are_part_of_it(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("cat", "/tmp/file")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", made.rootfs / "tmp"], check=True)
    try:
        (made.rootfs / "tmp/file").write_text("below\n")
        assert run(runtime, made) == "below\n"
    finally:
        subprocess.run(["umount", made.rootfs / "tmp"], check=True)


@pytest.mark.parametrize(
    ("word", "field"),
    [("private", ""), ("rprivate", ""), ("shared", "shared:"), ("rshared", "shared:"), ("unbindable", "unbindable")],
)
def test_the_roots_propagation_is_the_configured_one(
    word: str, field: str, runtime: Runtime, bundle: BundleMaker
) -> None:
    made = bundle("cat", "/proc/self/mountinfo")
    made.linux["rootfsPropagation"] = word
    optional = options_of(run(runtime, made), "/")[2]
    assert optional.startswith(field)
    assert bool(optional) == bool(field)


@pytest.mark.parametrize(("word", "arrives"), [("slave", True), ("rslave", True), ("private", False)])
def test_what_the_host_mounts_later_arrives_if_the_root_is_a_slave(
    word: str, arrives: bool, runtime: Runtime, bundle: BundleMaker
) -> None:
    made = bundle("sleep", "100")
    subprocess.run(["mount", "--bind", "--make-shared", made.rootfs, made.rootfs], check=True)
    try:
        made.linux["rootfsPropagation"] = word
        made.write()
        name = runtime.start(made)
        subprocess.run(["mount", "-t", "tmpfs", "later", made.rootfs / "tmp"], check=True)
        assert (" later " in mountinfo_of(runtime.state(name)["pid"])) == arrives
        runtime("delete", "--force", name)
    finally:
        subprocess.run(["umount", "-R", made.rootfs], check=True)


def test_nothing_that_the_container_mounts_appears_outside(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "100")
    add_mount(made, "/tmp", "tmpfs", "inside-only")
    subprocess.run(["mount", "--bind", "--make-shared", made.rootfs, made.rootfs], check=True)
    try:
        made.write()
        runtime.start(made)
        assert "inside-only" not in mountinfo_of(os.getpid())
        runtime.delete_all()
    finally:
        subprocess.run(["umount", "-R", made.rootfs], check=True)


def test_none_of_the_hosts_mounts_is_left(runtime: Runtime, bundle: BundleMaker) -> None:
    points = {line.split()[4] for line in run(runtime, bundle("cat", "/proc/self/mountinfo")).splitlines()}
    protected = {where for where in ("/proc/kcore", "/sys/firmware", "/proc/sys") if os.path.exists(where)}
    assert points == {"/", "/proc", "/dev", "/dev/pts", "/sys"} | protected


def test_without_a_mount_namespace_the_root_is_changed(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "ls /; echo text > /file")
    without(made, "mount")
    made.config["mounts"] = []
    made.linux["maskedPaths"] = made.linux["readonlyPaths"] = []
    assert "etc" in run(runtime, made).split()
    assert (made.rootfs / "file").exists()


# --no-pivot


def test_no_pivot_runs_the_container_all_the_same(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "ls /; cat /proc/1/cmdline; test ! -e /proc/1/root/usr")
    words = run(runtime, made, "--no-pivot")
    assert words.split()[:3] == ["bin", "dev", "etc"]


# names


def test_the_hostname_and_domainname_are_the_containers(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "hostname; cat /proc/sys/kernel/domainname")
    made.config.update(hostname="a" * 64, domainname="example.org")
    before = os.uname().nodename
    assert run(runtime, made).split() == ["a" * 64, "example.org"]
    assert os.uname().nodename == before


def test_a_hostname_without_a_namespace_of_its_own_is_refused(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    without(made, "uts")
    refused(runtime, made, "hostname needs a uts namespace")
    del made.config["hostname"]
    made.config["domainname"] = "example.org"
    refused(runtime, made, "domainname needs a uts namespace")


def test_the_bundle_is_the_current_directory_by_default(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("echo", "here")
    made.write()
    assert runtime("run", made.path.name, cwd=made.path).output == "here\n"


def test_later_changes_of_the_bundle_change_nothing(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "echo first > /said")
    made.write()
    name = runtime.create(made)
    made.process["args"] = ["sh", "-c", "echo second > /said"]
    made.write()
    runtime("start", name)
    until(lambda: runtime.state(name)["status"] == "stopped")
    assert (made.rootfs / "said").read_text() == "first\n"
