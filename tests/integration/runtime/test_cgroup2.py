"""Containers on a machine that has cgroup version 2 alone: this one, seen from a mount namespace without the others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orlop.linux import cgroup
from tests.integration.conftest import REPOSITORY, Runtime
from tests.integration.runtime.containers import (
    FIRST_ID,
    add_mount,
    attempt,
    map_ids,
    namespace,
    options_of,
    refused,
    run,
    until,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.conftest import BundleMaker

SYS = "/sys/fs/cgroup"
ENTER = f'umount -R -l {SYS} && mount -t cgroup2 cgroup2 {SYS} && exec "$@"'
ATTRIBUTES = ("nosuid", "noexec", "nodev")


class UnifiedRuntime(Runtime):
    """The runtime where only version 2 is mounted."""

    def command(self, *arguments: str) -> list[str]:
        enter = ["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER, "sh"]
        return [*enter, *super().command(*arguments)]


@pytest.fixture
def unified(tmp_path: Path) -> Iterator[UnifiedRuntime]:
    made = UnifiedRuntime(str(REPOSITORY / "bin/orlop-runtime"), tmp_path / "orlop-root")
    yield made
    made.delete_all()


def test_the_mount_is_the_hierarchy_itself(unified: UnifiedRuntime, bundle: BundleMaker) -> None:
    made = bundle("cat", "/proc/self/mountinfo")
    add_mount(made, SYS, "cgroup", "cgroup", *ATTRIBUTES, "ro")
    namespace(made, "cgroup")
    said = run(unified, made)
    assert {"ro", *ATTRIBUTES} <= options_of(said, SYS)[0]
    [line] = [line for line in said.splitlines() if line.split()[4].startswith(SYS)]
    assert line.split()[3] == "/"
    assert " - cgroup2 " in line


def test_without_a_namespace_only_its_own_group_is_shown(unified: UnifiedRuntime, bundle: BundleMaker) -> None:
    made = bundle("cat", f"{SYS}/cgroup.procs", "/proc/self/mountinfo")
    add_mount(made, SYS, "cgroup", "cgroup", *ATTRIBUTES, "ro")
    said = run(unified, made)
    assert said.split()[0] == "1"
    assert f" {made.linux['cgroupsPath']} {SYS} ro," in said


def test_only_allowed_devices_can_be_opened(unified: UnifiedRuntime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "head -c 1 /dev/loop; head -c 1 /dev/zero | wc -c")
    made.linux["devices"] = [{"path": "/dev/loop", "type": "c", "major": 10, "minor": 237}]
    result = attempt(unified, made)
    assert "Operation not permitted" in result.errors
    assert result.output.strip() == "1"


def test_a_container_is_paused_killed_and_leaves_nothing(unified: UnifiedRuntime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "1000")
    name = unified.start(made)
    unified("pause", name)
    assert unified.state(name)["status"] == "paused"
    unified("resume", name)
    assert unified("exec", name, "cat", "/proc/self/cgroup").output.endswith(f"0::{made.linux['cgroupsPath']}\n")
    assert unified("events", "--stats", name).json()["data"]["cpu"]["usage"]["total"] > 0
    unified("kill", name, "KILL")
    until(lambda: unified.state(name)["status"] == "stopped")
    unified("delete", name)
    assert not Path(SYS, "unified", made.path.name).exists()


def test_exec_follows_an_init_that_made_groups_below_its_own(unified: UnifiedRuntime, bundle: BundleMaker) -> None:
    add = f"mkdir {SYS}/inner && echo 1 > {SYS}/inner/cgroup.procs && echo +hugetlb > {SYS}/cgroup.subtree_control"
    made = bundle("sh", "-c", f"{add} && echo done > /done && exec sleep 1000")
    add_mount(made, SYS, "cgroup", "cgroup", *ATTRIBUTES, "rw")
    namespace(made, "cgroup")
    made.write()
    name = unified.start(made)
    until((made.rootfs / "done").exists)
    assert unified("exec", name, "cat", "/proc/self/cgroup").output.splitlines()[-1] == "0::/inner"
    result = unified.call("exec", "--cgroup", "/", name, "true")
    assert result.status == 255
    assert "resource busy" in result.errors
    assert unified("exec", "--cgroup", "inner", name, "cat", "/proc/self/cgroup").output.splitlines()[-1] == "0::/inner"


@pytest.mark.skipif(not cgroup.detect().v1, reason="version 2 has every controller on this machine")
def test_a_limit_without_its_controller_is_refused(unified: UnifiedRuntime, bundle: BundleMaker) -> None:
    made = bundle("true")
    made.linux["resources"]["memory"] = {"limit": 64 << 20}
    refused(unified, made, "memory.max cannot be set", "no cgroup controller memory")


def test_a_writable_mount_gives_the_group_to_the_containers_user(unified: UnifiedRuntime, bundle: BundleMaker) -> None:
    made = bundle(
        "sh", "-c", f"mkdir {SYS}/own && echo 1 > {SYS}/own/cgroup.procs && stat -c %u {SYS}/cgroup.max.depth"
    )
    map_ids(made)
    namespace(made, "cgroup")
    add_mount(made, SYS, "cgroup", "cgroup", *ATTRIBUTES)
    assert run(unified, made).strip() == "65534"  # its limits stay the giver's


@pytest.mark.parametrize("reason", ["read-only", "no namespace", "no mount"])
def test_otherwise_the_group_stays_the_runtimes(reason: str, unified: UnifiedRuntime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "100")
    map_ids(made)
    if reason != "no namespace":
        namespace(made, "cgroup")
    if reason != "no mount":
        add_mount(made, SYS, "cgroup", "cgroup", *ATTRIBUTES, *(["ro"] if reason == "read-only" else []))
    made.write()
    unified.start(made)
    group = next(path for path in (Path(SYS, "unified", made.path.name), Path(SYS, made.path.name)) if path.exists())
    assert group.stat().st_uid == 0 != FIRST_ID
    assert os.stat(group / "cgroup.procs").st_uid == 0
