"""/proc and /sys: an image or a volume puts something else there, so that protections go to the wrong place."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orlop.linux import mount as kernel
from tests.security import hostile

if TYPE_CHECKING:
    from tests.integration.conftest import BundleMaker, Runtime


def replace_by_link(root: Path, name: str, target: str) -> None:
    (root / name).rmdir()
    (root / name).symlink_to(target)


@pytest.mark.parametrize("name", ["proc", "sys"])
@pytest.mark.parametrize("target", ["/tmp", "tmp", "/nowhere", "/volume"])
def test_cve_2019_19921_and_2023_27561_a_link_in_the_image_is_not_mounted_on(
    runtime: Runtime, bundle: BundleMaker, tmp_path: Path, name: str, target: str
) -> None:
    made = bundle("true")
    replace_by_link(made.rootfs, name, target)
    (tmp_path / "volume").mkdir()
    made.config["mounts"].insert(
        0, {"destination": "/volume", "type": "none", "source": str(tmp_path / "volume"), "options": ["bind"]}
    )
    result = hostile.attempt(runtime, made)
    assert result.status == 1
    assert "symbolic link" in result.errors or "on /proc" in result.errors
    assert not (made.rootfs / "nowhere").exists()


@pytest.mark.parametrize("name", ["proc", "sys"])
def test_cve_2023_28642_a_bound_proc_or_sys_is_not_put_elsewhere_by_a_link(
    runtime: Runtime, bundle: BundleMaker, name: str
) -> None:
    made = bundle("true")
    replace_by_link(made.rootfs, name, "tmp")
    made.config["mounts"] = [each for each in made.config["mounts"] if each["destination"] != f"/{name}"]
    hostile.bind(made, f"/{name}", f"/{name}")
    result = hostile.attempt(runtime, made)
    assert result.status == 1
    assert "symbolic link" in result.errors


@pytest.mark.parametrize("bound", [False, True], ids=["own", "bound"])
@pytest.mark.parametrize(
    "destination",
    [
        "/proc",
        "/proc/self",
        "/proc/self/attr",
        "/proc/1",
        "/proc/sys",
        "/proc/sysrq-trigger",
        "/way/in/self",
        "//proc/./fs/..",
    ],
)
def test_cve_2019_16884_nothing_is_mounted_over_proc_or_into_it(
    runtime: Runtime, bundle: BundleMaker, tmp_path: Path, destination: str, *, bound: bool
) -> None:
    made = bundle("true")
    (made.rootfs / "way").mkdir()
    (made.rootfs / "way/in").symlink_to("/proc")
    if bound:
        made.config["mounts"] = [each for each in made.config["mounts"] if each["destination"] != "/proc"]
        hostile.bind(made, "/proc", "/proc")
    (tmp_path / "volume").mkdir()
    (tmp_path / "file").touch()
    is_file = destination.endswith("trigger")
    hostile.bind(made, tmp_path / ("file" if is_file else "volume"), destination)
    result = hostile.attempt(runtime, made)
    assert result.status == 1, result
    assert "/proc" in result.errors


@pytest.mark.parametrize("kind", ["tmpfs", "sysfs", "mqueue"])
def test_cve_2019_16884_no_other_file_system_is_mounted_on_proc(
    runtime: Runtime, bundle: BundleMaker, kind: str
) -> None:
    made = bundle("true")
    hostile.mount(made, "/proc", kind, kind)
    assert hostile.attempt(runtime, made).status == 1


@pytest.mark.parametrize("destination", ["/proc", "/proc/sys"])
@pytest.mark.parametrize("options", [("bind",), ()], ids=["bound", "new"])
def test_cve_2019_16884_what_calls_itself_a_procfs_is_not_mounted_into_proc(
    runtime: Runtime, bundle: BundleMaker, tmp_path: Path, destination: str, options: tuple[str, ...]
) -> None:
    """A bind mount may have any type, and only the first procfs is the one that is masked."""
    made = bundle("ls", "/proc/sys/kernel/hostname")
    hostile.mount(made, destination, str(tmp_path), "proc", *options)
    result = hostile.attempt(runtime, made)
    if destination == "/proc" and not options:
        assert result.status == 0, result
    else:
        assert result.status == 1
        assert "can be mounted" in result.errors


def test_files_that_container_tools_replace_can_be_mounted(
    runtime: Runtime, bundle: BundleMaker, tmp_path: Path
) -> None:
    (tmp_path / "uptime").write_text("1.00 1.00\n")
    made = bundle("cat", "/proc/uptime")
    hostile.bind(made, tmp_path / "uptime", "/proc/uptime", "ro")
    assert hostile.output(runtime, made) == "1.00 1.00\n"


def test_a_procfs_of_the_host_bound_elsewhere_is_only_where_it_was_put(
    runtime: Runtime, bundle: BundleMaker, tmp_path: Path
) -> None:
    made = bundle("sh", "-c", "ls -d /host/proc/1 /outside/* 2>/dev/null; true")
    (made.rootfs / "host").symlink_to(tmp_path)
    hostile.bind(made, "/proc", "/host/proc", "ro")
    result = hostile.attempt(runtime, made)
    assert result.status == 1
    assert "symbolic link" in result.errors
    assert not (tmp_path / "proc").exists()


def test_cve_2025_52881_sysctls_are_written_to_the_kernel_and_nowhere_else(
    runtime: Runtime, bundle: BundleMaker, tmp_path: Path
) -> None:
    """The image's /proc/sys is a link to a trap; a volume with one more trap is raced at /proc/sys."""
    trap = tmp_path / "trap/kernel"
    trap.mkdir(parents=True)
    (trap / "shmmax").write_text("untouched")
    made = bundle("cat", "/proc/sys/kernel/shmmax")
    (made.rootfs / "proc/sys").symlink_to(tmp_path / "trap")
    inside = made.rootfs / str(tmp_path / "trap/kernel").lstrip("/")
    inside.mkdir(parents=True)
    (inside / "shmmax").write_text("untouched")
    made.linux["sysctl"] = {"kernel.shmmax": "4194304"}
    assert hostile.output(runtime, made).strip() == "4194304"
    made.config["mounts"] = [each for each in made.config["mounts"] if each["destination"] != "/proc"]
    made.linux["readonlyPaths"] = made.linux["maskedPaths"] = []
    made.process["args"] = ["true"]
    hostile.output(runtime, made)
    assert (trap / "shmmax").read_text() == (inside / "shmmax").read_text() == "untouched"


def test_cve_2025_52881_a_sysctl_that_another_mount_hides_is_refused(
    runtime: Runtime, bundle: BundleMaker, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("untouched")
    made = bundle("true")
    hostile.bind(made, tmp_path / "file", "/proc/sys/kernel/ns_last_pid")
    made.linux["sysctl"] = {"kernel.shmmax": "4194304", "kernel.ns_last_pid": "77"}
    assert hostile.attempt(runtime, made).status == 1
    assert (tmp_path / "file").read_text() == "untouched"


@pytest.mark.parametrize(
    "name", ["kernel.core_pattern", "kernel/../../sysrq-trigger", "vm.overcommit_memory", "net.ipv4..x"]
)
def test_cve_2025_52881_parameters_of_the_whole_machine_are_not_written(
    runtime: Runtime, bundle: BundleMaker, name: str
) -> None:
    made = bundle("true")
    made.linux["sysctl"] = {name: "1"}
    assert hostile.attempt(runtime, made).status == 1


def test_cve_2025_31133_what_masks_is_the_null_device_of_the_host(
    runtime: Runtime, bundle: BundleMaker, tmp_path: Path
) -> None:
    """/dev/null of the image is a link to a file that the masked path must not show."""
    made = bundle("sh", "-c", "cat /proc/version; echo more > /proc/version; stat -c '%t:%T' /proc/version")
    made.config["mounts"] = [each for each in made.config["mounts"] if not each["destination"].startswith("/dev")]
    (made.rootfs / "secret").write_text("shown by the mask")
    (made.rootfs / "dev/null").symlink_to("/secret")
    made.linux["maskedPaths"] = ["/proc/version"]
    result = hostile.attempt(runtime, made)
    # The link is in the place of a device that must be there.
    assert result.status == 1
    assert "/dev/null" in result.errors
    made.config["mounts"].append(
        {"destination": "/dev", "type": "none", "source": str(made.rootfs / "dev"), "options": ["bind"]}
    )
    assert hostile.output(runtime, made).split() == ["1:3"]
    assert (made.rootfs / "secret").read_text() == "shown by the mask"


def test_cve_2025_31133_what_masks_a_directory_is_empty_and_read_only(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "ls -A /secrets /proc/fs; touch /secrets/new /proc/fs/new 2>&1")
    (made.rootfs / "secrets").mkdir()
    (made.rootfs / "secrets/key").write_text("key")
    made.linux["maskedPaths"] = ["/secrets", "/proc/fs"]
    hostile.grant(made, *hostile.POWERS)
    result = hostile.attempt(runtime, made)
    assert result.output.count("Read-only file system") == 2, result
    assert "key" not in result.output


@pytest.mark.parametrize("destination", ["/proc", "/sys"])
def test_the_host_s_proc_and_sys_bound_in_are_masked_like_the_container_s_own(
    runtime: Runtime, bundle: BundleMaker, destination: str
) -> None:
    hidden = {"/proc": "/proc/version", "/sys": "/sys/power"}[destination]
    if not Path(hidden).exists():
        hidden = "/sys/kernel"
    made = bundle("sh", "-c", f"ls -A {hidden}/ 2>/dev/null; cat {hidden} 2>/dev/null; true")
    made.config["mounts"] = [each for each in made.config["mounts"] if each["destination"] != destination]
    hostile.bind(made, destination, destination)
    made.linux["maskedPaths"] = [hidden]
    assert hostile.output(runtime, made) == ""


def test_what_the_specification_command_writes_masks_what_is_known_to_leak(runtime: Runtime, tmp_path: Path) -> None:
    runtime("spec", "--bundle", str(tmp_path))
    masked = json.loads((tmp_path / "config.json").read_text())["linux"]["maskedPaths"]
    for path in ("acpi", "kcore", "keys", "timer_list", "scsi", "sched_debug", "latency_stats"):
        assert f"/proc/{path}" in masked
    assert "/sys/firmware" in masked
    assert "/sys/devices/virtual/powercap" in masked


def test_a_procfs_is_made_for_the_container_s_own_processes(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "ls -d /proc/[0-9]*")
    assert set(hostile.output(runtime, made).split()) <= {"/proc/1", "/proc/2"}
    assert kernel.statfs_type(os.open("/proc", os.O_PATH)) == kernel.PROC_SUPER_MAGIC
