"""The features document, compared with what this kernel does when asked otherwise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.oci_schema import complaints

REPOSITORY = Path(__file__).parents[2]
PROGRAM = "from orlop.runtime import features; from orlop import json_text; print(json_text.dumps(features.document()))"


def document(*wrapper: str) -> dict[str, Any]:
    """The document from a process of its own, because probing forks."""
    command = [*wrapper, sys.executable, "-c", PROGRAM]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def features() -> dict[str, Any]:
    return document()


def test_it_follows_the_schema(features: dict[str, Any]) -> None:
    assert complaints(features, "features-schema.json") == []


def test_versions_hooks_and_options(features: dict[str, Any]) -> None:
    assert (features["ociVersionMin"], features["ociVersionMax"]) == ("1.0.0", "1.3.0")
    assert features["hooks"] == [
        "prestart",
        "createRuntime",
        "createContainer",
        "startContainer",
        "poststart",
        "poststop",
    ]
    assert {"rro", "ridmap", "tmpcopyup", "nosymfollow", "rshared", "async"} <= set(features["mountOptions"])
    assert features["potentiallyUnsafeConfigAnnotations"] == []


def test_capabilities_are_those_of_the_bounding_set(features: dict[str, Any]) -> None:
    status = Path("/proc/self/status").read_text()
    bounding = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapBnd")), 16)
    names = features["linux"]["capabilities"]
    assert len(names) == bounding.bit_count()
    assert ("CAP_SYS_RESOURCE" in names) == bool(bounding >> 24 & 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make namespaces")
def test_every_namespace_that_is_named_can_be_made(features: dict[str, Any]) -> None:
    flags = {"network": "net"}
    for kind in features["linux"]["namespaces"]:
        made = subprocess.run(["unshare", "--fork", f"--{flags.get(kind, kind)}", "true"], check=False)
        assert made.returncode == 0, kind


def test_cgroups_are_those_that_are_mounted(features: dict[str, Any]) -> None:
    kinds = {line.partition(" - ")[2].split()[0] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    cgroup = features["linux"]["cgroup"]
    assert cgroup["v1"] == ("cgroup" in kinds)
    assert cgroup["v2"] == ("cgroup2" in kinds)
    assert cgroup["systemd"] is False


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to map a mount's ids")
def test_whether_ids_can_be_mapped_depends_on_who_asks(features: dict[str, Any]) -> None:
    major, minor = (int(part) for part in os.uname().release.split(".")[:2])
    assert features["linux"]["mountExtensions"]["idmap"]["enabled"] == ((major, minor) >= (5, 12))
    without = document("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin")
    assert without["linux"]["mountExtensions"]["idmap"]["enabled"] is False
    assert "CAP_SYS_ADMIN" not in without["linux"]["capabilities"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give rights up")
def test_network_devices_need_the_right_to_move_them(features: dict[str, Any]) -> None:
    assert features["linux"]["netDevices"]["enabled"] is True
    without = document("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
    assert without["linux"]["netDevices"]["enabled"] is False


def test_memory_policies_are_those_the_kernel_takes(features: dict[str, Any]) -> None:
    policy = features["linux"]["memoryPolicy"]
    if not Path("/sys/devices/system/node/node0").exists():
        pytest.skip("a kernel without NUMA")
    assert {"MPOL_DEFAULT", "MPOL_BIND", "MPOL_INTERLEAVE"} <= set(policy["modes"])
    assert "MPOL_F_STATIC_NODES" in policy["flags"]


def test_what_the_machine_lacks_is_said_to_be_missing(features: dict[str, Any]) -> None:
    linux = features["linux"]
    assert linux["selinux"]["enabled"] == Path("/sys/fs/selinux/enforce").exists()
    assert linux["apparmor"]["enabled"] == (
        Path("/sys/module/apparmor/parameters/enabled").exists()
        and Path("/sys/module/apparmor/parameters/enabled").read_text().strip() == "Y"
    )
    has_resctrl = " - resctrl " in Path("/proc/self/mountinfo").read_text()
    assert set(linux["intelRdt"].values()) == {has_resctrl}
    assert linux["seccomp"]["enabled"] == Path("/proc/sys/kernel/seccomp/actions_avail").exists()


def test_probing_leaves_nothing_behind() -> None:
    program = (
        "import os; from orlop.runtime import features; before = sorted(os.listdir('/proc/self/fd'));"
        "features.document(); assert sorted(os.listdir('/proc/self/fd')) == before;"
        "assert open('/proc/self/numa_maps').readline().split()[1] == 'default'"
        " if os.path.exists('/proc/self/numa_maps') else True\n"
        "try: os.waitpid(-1, 0)\nexcept ChildProcessError: print('no children')"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "no children\n", done.stderr
