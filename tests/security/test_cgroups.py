"""The container's view of the cgroups, and what it can do through it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import unique_name
from tests.security import hostile

if TYPE_CHECKING:
    from tests.integration.conftest import BundleMaker, Runtime

V1 = Path("/sys/fs/cgroup/memory/tasks").exists()
NAMESPACES = pytest.mark.parametrize("own_namespace", [False, True], ids=["shared", "own"])


@NAMESPACES
def test_cve_2023_25809_cgroups_that_are_mounted_read_only_cannot_be_written(
    runtime: Runtime, bundle: BundleMaker, *, own_namespace: bool
) -> None:
    shell = (
        "for d in $(find /sys/fs/cgroup -type d); do mkdir $d/escaped 2>/dev/null && echo $d;"
        " echo 0 > $d/cgroup.procs && echo $d/cgroup.procs; done 2>/dev/null; true"
    )
    made = bundle("/bin/busybox", "sh", "-c", shell)
    (made.rootfs / "bin/find").symlink_to("busybox")
    hostile.mount(made, "/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "ro")
    hostile.grant(made, *hostile.POWERS)
    if own_namespace:
        made.linux["namespaces"].append({"type": "cgroup"})
    assert hostile.output(runtime, made) == ""


def test_cve_2023_25809_the_host_s_sys_that_a_user_namespace_must_bind_is_read_only_below_too(
    runtime: Runtime, bundle: BundleMaker
) -> None:
    """With the host's network and a user namespace of its own, a container cannot mount a sysfs."""
    made = bundle(
        "sh", "-c", "while read -r line; do case $line in *' /sys'*) echo $line;; esac; done < /proc/self/mountinfo"
    )
    kinds = ("pid", "mount", "user", "ipc", "uts")
    made.linux["namespaces"] = [{"type": kind} for kind in kinds]
    for kind in ("uidMappings", "gidMappings"):
        made.linux[kind] = [{"containerID": 0, "hostID": 0, "size": 65536}]
    made.linux["resources"] = {}
    for each in made.config["mounts"]:
        if each["destination"] == "/sys":
            each["options"] = ["nosuid", "noexec", "nodev"]
    lines = hostile.output(runtime, made).splitlines()
    assert len(lines) > 1, "the host's mounts below /sys were not there"
    for line in lines:
        # The masks are mounts too; they are read-only, or a device.
        assert "ro" in line.split()[5].split(",") or "null" in line, line


@pytest.mark.skipif(not V1, reason="this machine has no version 1 hierarchies")
@NAMESPACES
def test_release_agent_is_not_there_to_be_written(
    runtime: Runtime, bundle: BundleMaker, *, own_namespace: bool
) -> None:
    """A version 1 release_agent is executed by the kernel as the host's root; writable cgroups must not have it."""
    shell = (
        "find / -xdev -name release_agent 2>/dev/null; find /sys/fs/cgroup -name release_agent;"
        " mkdir /tmp/c; mount -t cgroup -o memory c /tmp/c && find /tmp/c -name release_agent;"
        " mount -t cgroup -o rdma c /tmp/c && find /tmp/c -name release_agent; true"
    )
    made = bundle("sh", "-c", shell)
    (made.rootfs / "bin/find").symlink_to("busybox")
    hostile.mount(made, "/sys/fs/cgroup", "cgroup", "cgroup")
    hostile.grant(made, *hostile.POWERS)
    if own_namespace:
        made.linux["namespaces"].append({"type": "cgroup"})
    assert hostile.output(runtime, made) == ""


@NAMESPACES
def test_the_container_sees_no_cgroup_but_its_own(
    runtime: Runtime, bundle: BundleMaker, *, own_namespace: bool
) -> None:
    made = bundle(
        "sh",
        "-c",
        "find /sys/fs/cgroup -name 'orlop*' ; find /sys/fs/cgroup -name cgroup.procs | while read f; do cat $f; done",
    )
    (made.rootfs / "bin/find").symlink_to("busybox")
    hostile.mount(made, "/sys/fs/cgroup", "cgroup", "cgroup", "ro")
    if own_namespace:
        made.linux["namespaces"].append({"type": "cgroup"})
    # Process ids of others show as 0.
    assert "0" not in hostile.output(runtime, made).split()


@pytest.mark.parametrize("path", ["/../escape", "/a/../../escape", "../escape", "/", "..", "/a/.", "a/./b", "x\ny"])
def test_cgroups_path_does_not_leave_its_place(runtime: Runtime, bundle: BundleMaker, path: str) -> None:
    made = bundle("true")
    made.linux["cgroupsPath"] = path
    result = hostile.attempt(runtime, made)
    assert result.status == 1
    assert "cgroup" in result.errors
    assert not list(Path("/sys/fs/cgroup").glob("*/escape"))


@pytest.mark.parametrize("path", ["..", "../..", "/../..", "a/../../..", "memory:..", "memory,cpu:/../../"])
def test_exec_does_not_leave_the_container_s_cgroup(runtime: Runtime, bundle: BundleMaker, path: str) -> None:
    name = hostile.start(runtime, bundle("sleep", "100"))
    result = runtime.call("exec", f"--cgroup={path}", name, "true")
    assert result.status == 255
    assert "must not contain '..'" in result.errors


def test_cgroups_nested_deeper_than_a_stack_are_removed(runtime: Runtime, bundle: BundleMaker) -> None:
    """A container that may write its cgroups makes them 1,200 deep, with names that add up to no path any more."""
    deep = f"""
import os
os.chdir("/sys/fs/cgroup/pids")
for _ in range(1200):
    os.mkdir("{"n" * 200}")
    os.chdir("{"n" * 200}")
"""
    made = bundle()
    made.process["args"] = [hostile.with_python(made), hostile.script(made, deep)]
    if not V1:
        pytest.skip("needs a version 1 pids hierarchy that the container may write")
    hostile.mount(made, "/sys/fs/cgroup", "cgroup", "cgroup")
    group = Path("/sys/fs/cgroup/pids", made.linux["cgroupsPath"].lstrip("/"))
    hostile.output(runtime, made)
    assert not group.exists()


def test_the_id_names_the_cgroup_but_cannot_lead_elsewhere(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    for name in ("a/b", "../x", "..", ".", "", "a b", "a\0b".replace("\0", "\n"), "é", "x" * 1025, "-" * 3 + "/"):
        result = runtime.call("run", "--bundle", str(made.path), "--", name)
        assert result.status == 1, name
        assert "id" in result.errors, result
    for verb in ("state", "kill", "delete", "start", "pause"):
        result = runtime.call(verb, "../" + unique_name())
        assert result.status == 1
        assert "invalid container id" in result.errors
