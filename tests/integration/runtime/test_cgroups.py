"""``cgroupsPath``, ``resources`` and mounts of type cgroup: where a container's processes are, and what they see."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orlop.linux import cgroup
from tests.integration.conftest import unique_name
from tests.integration.runtime.containers import (
    add_mount,
    attempt,
    groups_of,
    map_ids,
    namespace,
    options_of,
    refused,
    run,
    until,
)

if TYPE_CHECKING:
    from tests.integration.conftest import Bundle, BundleMaker, Runtime

SYS = "/sys/fs/cgroup"
hybrid = pytest.mark.skipif(cgroup.detect().kind != "hybrid", reason="this machine's cgroups are not hybrid")
with_v1 = pytest.mark.skipif(not cgroup.detect().v1, reason="this machine has no cgroup version 1")
#: Everything that `true` and the runtime's last steps before it may use, in bytes.
SMALLEST = 6 << 20


def cgroups_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    return {line.split(":")[1]: line.split(":")[2] for line in lines}


def limited(bundle: Bundle, **resources: Any) -> Bundle:
    bundle.linux["resources"].update(resources)
    bundle.write()
    return bundle


# where


def test_an_absolute_path_is_below_the_hierarchies_roots(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "100")
    path = f"/{unique_name()}/below"
    made.linux["cgroupsPath"] = path
    made.write()
    name = runtime.start(made)
    paths = cgroups_of(runtime.state(name)["pid"])
    expected = {hierarchy.controllers[0] for hierarchy in cgroup.detect().v1}
    assert {kind for kind, where in paths.items() if where == path} >= expected
    runtime("delete", "--force", name)
    assert groups_of(path.strip("/")) == []
    assert groups_of(path.split("/")[1]) == []


@pytest.mark.parametrize("relative", [True, False])
def test_without_an_absolute_path_the_group_is_below_orlop(
    relative: bool, runtime: Runtime, bundle: BundleMaker
) -> None:
    made = bundle("sleep", "100")
    own = unique_name()
    if relative:
        made.linux["cgroupsPath"] = own
    else:
        del made.linux["cgroupsPath"]
    made.write()
    name = runtime.start(made)
    where = own if relative else name
    assert f"/orlop/{where}" in cgroups_of(runtime.state(name)["pid"]).values()
    runtime("delete", "--force", name)
    assert groups_of(f"orlop/{where}") == []


def test_a_path_that_leads_upwards_is_refused(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    made.linux["cgroupsPath"] = "/a/../../b"
    refused(runtime, made, "linux.cgroupsPath")


def test_a_group_with_processes_is_refused_and_left_alone(runtime: Runtime, bundle: BundleMaker) -> None:
    first = bundle("sleep", "100")
    name = runtime.start(first)
    second = bundle("true")
    second.linux["cgroupsPath"] = first.linux["cgroupsPath"]
    result = attempt(runtime, second)
    assert result.status == 1
    assert first.linux["cgroupsPath"] in result.errors
    assert runtime.state(name)["status"] == "running"
    assert groups_of(first.linux["cgroupsPath"].strip("/"))


def test_everything_is_in_the_group_from_the_first_instruction(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("cat", "/proc/self/cgroup")
    paths = {line.split(":")[1]: line.split(":")[2] for line in run(runtime, made).splitlines()}
    for hierarchy in cgroup.detect().v1:
        assert paths[",".join(hierarchy.controllers)] == made.linux["cgroupsPath"]


# limits


@with_v1
def test_limits_are_there_when_the_program_starts(runtime: Runtime, bundle: BundleMaker) -> None:
    made = limited(
        bundle("sleep", "100"),
        memory={"limit": 64 << 20, "reservation": 32 << 20},
        cpu={"shares": 512, "quota": 50000, "period": 100000},
        pids={"limit": 20},
    )
    runtime.start(made)
    path = made.linux["cgroupsPath"].strip("/")
    values = {
        "memory/memory.limit_in_bytes": str(64 << 20),
        "memory/memory.soft_limit_in_bytes": str(32 << 20),
        "cpu/cpu.shares": "512",
        "cpu/cpu.cfs_quota_us": "50000",
        "pids/pids.max": "20",
    }
    for file, value in values.items():
        controller, _, name = file.partition("/")
        assert Path(SYS, controller, path, name).read_text().strip() == value


def test_a_limit_on_processes_is_enforced(runtime: Runtime, bundle: BundleMaker) -> None:
    made = limited(bundle("sh", "-c", "sleep 1 & sleep 1 & sleep 1 & wait"), pids={"limit": 2})
    result = attempt(runtime, made)
    assert "can't fork" in result.errors


def test_a_container_with_six_megabytes_starts(runtime: Runtime, bundle: BundleMaker) -> None:
    made = limited(bundle("true"), memory={"limit": SMALLEST})
    run(runtime, made)
    name = runtime.create(made)
    runtime("start", name)
    until(lambda: runtime.state(name)["status"] == "stopped")


@with_v1
def test_what_the_runtime_uses_of_a_containers_memory_is_small(runtime: Runtime, bundle: BundleMaker) -> None:
    made = limited(bundle("sleep", "100"), memory={"limit": 256 << 20})
    runtime.start(made)
    file = Path(SYS, "memory", made.linux["cgroupsPath"].strip("/"), "memory.max_usage_in_bytes")
    assert int(file.read_text()) < SMALLEST


def test_too_little_memory_is_said_to_be(runtime: Runtime, bundle: BundleMaker) -> None:
    made = limited(bundle("true"), memory={"limit": 1 << 13})
    result = attempt(runtime, made)
    assert result.status != 0
    assert "memory" in result.errors
    assert groups_of(made.linux["cgroupsPath"].strip("/")) == []


def test_a_limit_that_the_machine_has_no_controller_for_is_refused(runtime: Runtime, bundle: BundleMaker) -> None:
    if os.path.isdir(f"{SYS}/rdma"):
        pytest.skip("this machine has the rdma controller")
    made = limited(bundle("true"), rdma={"mlx5_1": {"hcaHandles": 3}})
    refused(runtime, made, "rdma")


def test_update_changes_a_running_container(runtime: Runtime, bundle: BundleMaker) -> None:
    made = limited(bundle("sleep", "100"), pids={"limit": 20})
    name = runtime.start(made)
    runtime("update", "--pids-limit", "7", name)
    found = [path / "pids.max" for path in groups_of(made.linux["cgroupsPath"].strip("/"))]
    assert [file.read_text().strip() for file in found if file.exists()] == ["7"]


# what the container sees


@hybrid
@pytest.mark.parametrize("private", [True, False])
def test_a_cgroup_mount_has_every_hierarchy_and_no_other_group(
    private: bool, runtime: Runtime, bundle: BundleMaker
) -> None:
    made = bundle(
        "sh", "-c", "ls /sys/fs/cgroup; cat /sys/fs/cgroup/pids/cgroup.procs; ls -d /sys/fs/cgroup/*/orlop*; true"
    )
    add_mount(made, SYS, "cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "ro")
    if private:
        namespace(made, "cgroup")
    words = run(runtime, made).split()
    hierarchies = {hierarchy.name for hierarchy in cgroup.detect().v1}
    assert hierarchies <= set(words)
    assert "1" in words  # this very container's first process
    assert not [word for word in words if word.startswith(f"{SYS}/")]


@hybrid
@pytest.mark.parametrize("private", [True, False])
def test_a_readonly_cgroup_mount_is_readonly_all_the_way_down(
    private: bool, runtime: Runtime, bundle: BundleMaker
) -> None:
    made = bundle("cat", "/proc/self/mountinfo")
    add_mount(made, SYS, "cgroup", "cgroup", "nosuid", "noexec", "nodev", "ro")
    if private:
        namespace(made, "cgroup")
    said = run(runtime, made)
    points = [line.split()[4] for line in said.splitlines() if line.split()[4].startswith(SYS)]
    assert len(points) > 5
    for point in points:
        assert {"ro", "nosuid", "nodev", "noexec"} <= options_of(said, point)[0], point


@hybrid
def test_a_writable_cgroup_mount_lets_the_container_make_groups(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("mkdir", "/sys/fs/cgroup/pids/own")
    add_mount(made, SYS, "cgroup", "cgroup", "nosuid", "noexec", "nodev")
    namespace(made, "cgroup")
    run(runtime, made)
    assert groups_of(made.linux["cgroupsPath"].strip("/")) == []  # with the groups that it made itself


@hybrid
def test_a_user_namespace_has_its_cgroup_mount(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("ls", "/sys/fs/cgroup/pids")
    map_ids(made)
    add_mount(made, SYS, "cgroup", "cgroup", "nosuid", "noexec", "nodev", "ro")
    namespace(made, "cgroup")
    assert "pids.max" in run(runtime, made).split()


@hybrid
def test_a_cgroup2_mount_is_the_unified_hierarchy(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("cat", "/sys/fs/cgroup/cgroup.procs", "/proc/self/mountinfo")
    add_mount(made, SYS, "cgroup2", "cgroup2", "nosuid", "noexec", "nodev", "ro")
    namespace(made, "cgroup")
    assert run(runtime, made).split()[0] == "1"


@hybrid
def test_cgroup_mounts_are_those_of_runc(runtime: Runtime, runc: Runtime, bundle: BundleMaker) -> None:
    seen = []
    for program in (runc, runtime):
        made = bundle("sh", "-c", "ls -1 /sys/fs/cgroup")
        add_mount(made, SYS, "cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "ro")
        seen.append(set(run(program, made).split()))
    assert seen[0] - {"unified"} <= seen[1]
