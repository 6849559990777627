"""``linux.namespaces``: each kind new, joined by path, and left out; mappings, offsets and kernel parameters."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.runtime.containers import (
    FIRST_ID,
    attempt,
    fields,
    map_ids,
    namespace,
    refused,
    run,
    without,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.conftest import Bundle, BundleMaker, Runtime

FILES = {
    "cgroup": "cgroup",
    "ipc": "ipc",
    "mount": "mnt",
    "network": "net",
    "pid": "pid",
    "time": "time",
    "user": "user",
    "uts": "uts",
}


def identity(pid: int | str, kind: str) -> str:
    return os.readlink(f"/proc/{pid}/ns/{FILES[kind]}")


def plain(bundle: Bundle) -> Bundle:
    """Leave out what needs a mount or uts namespace, or a right that a user namespace takes away."""
    del bundle.config["hostname"]
    bundle.config["mounts"] = []
    bundle.linux["maskedPaths"] = bundle.linux["readonlyPaths"] = []
    return bundle


@pytest.fixture
def holder() -> Iterator[int]:
    """A process in new namespaces of every kind but user; its pid."""
    kinds = ("--ipc", "--uts", "--net", "--mount", "--cgroup", "--time", "--pid", "--fork", "--kill-child")
    command = ["unshare", *kinds, "sh", "-c", "hostname joined; echo up; exec sleep 1000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
            [child] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            yield int(child)
        finally:
            process.kill()


@pytest.fixture
def mapped_holder(runtime: Runtime, bundle: BundleMaker) -> int:
    """The same in a user namespace of its own, which owns the others."""
    made = bundle("sleep", "1000")
    made.config["hostname"] = "joined"
    map_ids(made)
    made.write()
    pid: int = runtime.state(runtime.start(made))["pid"]
    return pid


# new, inherited, joined


@pytest.mark.parametrize("kind", FILES)
def test_a_listed_namespace_is_a_new_one(kind: str, runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "100")
    if kind == "user":
        map_ids(made)
    else:
        namespace(made, kind)
    made.write()
    pid = runtime.state(runtime.start(made))["pid"]
    assert identity(pid, kind) != identity("self", kind)


@pytest.mark.parametrize("kind", FILES)
def test_a_namespace_that_is_not_listed_is_the_runtimes(kind: str, runtime: Runtime, bundle: BundleMaker) -> None:
    made = plain(bundle("sleep", "100"))
    without(made, kind)
    made.write()
    pid = runtime.state(runtime.start(made))["pid"]
    assert identity(pid, kind) == identity("self", kind)


@pytest.mark.parametrize("kind", ["cgroup", "ipc", "network", "pid", "time", "uts"])
def test_a_namespace_with_a_path_is_joined(kind: str, runtime: Runtime, bundle: BundleMaker, holder: int) -> None:
    made = plain(bundle("sleep", "100"))
    namespace(made, kind, f"/proc/{holder}/ns/{FILES[kind]}")
    made.write()
    name = runtime.start(made)
    assert identity(runtime.state(name)["pid"], kind) == identity(holder, kind)
    runtime("exec", name, "true")
    runtime("delete", "--force", name)
    assert Path(f"/proc/{holder}/exe").exists()


def test_a_joined_mount_namespace_gets_the_containers_root(runtime: Runtime, bundle: BundleMaker, holder: int) -> None:
    made = plain(bundle("sleep", "100"))
    namespace(made, "mount", f"/proc/{holder}/ns/mnt")
    made.write()
    name = runtime.start(made)
    assert identity(runtime.state(name)["pid"], "mount") == identity(holder, "mount")
    assert sorted(runtime("exec", name, "ls", "/").output.split()) == sorted(os.listdir(made.rootfs))


def test_a_user_namespace_is_joined_with_the_others_that_it_owns(
    runtime: Runtime, bundle: BundleMaker, mapped_holder: int
) -> None:
    holder = mapped_holder
    made = plain(bundle())
    map_ids(made)
    for name in ("uidMappings", "gidMappings"):
        del made.linux[name]
    for kind in ("user", "ipc", "uts", "network"):
        namespace(made, kind, f"/proc/{holder}/ns/{FILES[kind]}")
    made.process["args"] = ["sleep", "100"]
    made.write()
    name = runtime.start(made)
    pid = runtime.state(name)["pid"]
    for kind in ("user", "ipc", "uts", "network"):
        assert identity(pid, kind) == identity(holder, kind)
    assert identity(pid, "pid") not in (identity(holder, "pid"), identity("self", "pid"))
    assert runtime("exec", name, "hostname").output == "joined\n"
    assert fields(Path(f"/proc/{pid}/status").read_text())["Uid"].split() == [str(FIRST_ID)] * 4


def test_a_joined_pid_namespace_shows_its_other_processes(runtime: Runtime, bundle: BundleMaker, holder: int) -> None:
    made = bundle("cat", "/proc/1/cmdline")
    namespace(made, "pid", f"/proc/{holder}/ns/pid")
    assert run(runtime, made) == "sleep\x001000\x00"


def test_the_end_of_a_joined_pid_namespaces_container_is_seen(
    runtime: Runtime, bundle: BundleMaker, holder: int
) -> None:
    made = plain(bundle("sh", "-c", "exit 7"))
    namespace(made, "pid", f"/proc/{holder}/ns/pid")
    assert attempt(runtime, made).status == 7


def test_the_path_may_be_the_runtimes_own_namespace(runtime: Runtime, bundle: BundleMaker) -> None:
    made = plain(bundle("sleep", "100"))
    for kind in ("ipc", "network", "pid", "uts", "user"):
        namespace(made, kind, f"/proc/self/ns/{FILES[kind]}")
    made.write()
    pid = runtime.state(runtime.start(made))["pid"]
    assert identity(pid, "network") == identity("self", "network")


def test_a_namespace_of_another_kind_is_refused(runtime: Runtime, bundle: BundleMaker, holder: int) -> None:
    made = bundle("true")
    namespace(made, "network", f"/proc/{holder}/ns/ipc")
    refused(runtime, made, f"join network namespace /proc/{holder}/ns/ipc: ", "invalid argument")


def test_a_path_that_is_no_namespace_is_refused(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    namespace(made, "ipc", "/etc/passwd")
    refused(runtime, made, "join ipc namespace /etc/passwd: ", "invalid argument")
    namespace(made, "ipc", "/nowhere")
    refused(runtime, made, "join ipc namespace /nowhere: ", "no such file or directory")


def test_loopback_is_up_in_a_new_network_namespace(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("cat", "/sys/class/net/lo/operstate", "/sys/class/net/lo/flags")
    assert int(run(runtime, made).split()[1], 16) & 1


def test_a_cgroup_namespace_has_the_containers_group_as_its_root(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("cat", "/proc/self/cgroup")
    namespace(made, "cgroup")
    lines = run(runtime, made).splitlines()
    for line in lines:
        if not line.split(":")[1].startswith("name=") or "systemd" in line:
            assert line.endswith(":/"), lines


# time


def test_clocks_are_moved_by_the_time_offsets(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("cat", "/proc/self/timens_offsets", "/proc/uptime")
    namespace(made, "time")
    made.linux["timeOffsets"] = {"monotonic": {"secs": 172800, "nanosecs": 5}, "boottime": {"secs": 604800}}
    said = run(runtime, made).splitlines()
    assert said[0].split() == ["monotonic", "172800", "5"]
    assert said[1].split() == ["boottime", "604800", "0"]
    assert float(said[2].split()[0]) > 604800


def test_time_offsets_work_in_a_user_namespace(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("cat", "/proc/self/timens_offsets")
    map_ids(made)
    namespace(made, "time")
    made.linux["timeOffsets"] = {"boottime": {"secs": -5}}
    assert "boottime" in run(runtime, made)


def test_an_offset_that_turns_the_clock_negative_is_refused(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    namespace(made, "time")
    made.linux["timeOffsets"] = {"monotonic": {"secs": -(1 << 40)}}
    refused(runtime, made, "timens_offsets")


# user


def test_ids_are_mapped_to_those_of_the_host(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "100", user={"uid": 1000, "gid": 1000, "additionalGids": [5]})
    map_ids(made)
    made.write()
    name = runtime.start(made)
    status = fields(Path(f"/proc/{runtime.state(name)['pid']}/status").read_text())
    assert status["Uid"].split() == [str(FIRST_ID + 1000)] * 4
    assert status["Gid"].split() == [str(FIRST_ID + 1000)] * 4
    assert status["Groups"].split() == [str(FIRST_ID + 5)]
    inside = runtime("exec", name, "sh", "-c", "id -u; cat /proc/self/uid_map").output.split()
    assert inside == ["1000", "0", str(FIRST_ID), "65536"]


def test_several_ranges_are_mapped(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("cat", "/proc/self/uid_map")
    map_ids(made)
    made.linux["uidMappings"] = [
        {"containerID": 0, "hostID": FIRST_ID, "size": 10},
        {"containerID": 100, "hostID": FIRST_ID + 5000, "size": 20},
    ]
    rows = [line.split() for line in run(runtime, made).splitlines()]
    assert rows == [["0", str(FIRST_ID), "10"], ["100", str(FIRST_ID + 5000), "20"]]


def test_a_user_namespace_without_root_has_its_user(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "100", user={"uid": 1000, "gid": 1000})
    map_ids(made)
    for name in ("uidMappings", "gidMappings"):
        made.linux[name] = [{"containerID": 1000, "hostID": FIRST_ID + 1000, "size": 1}]
    # Whoever makes /dev owns it, and a devpts belongs to root.
    made.config["mounts"] = [each for each in made.config["mounts"] if each["destination"] != "/dev/pts"]
    made.write()
    name = runtime.start(made)
    assert runtime("exec", name, "sh", "-c", "id -u; id -g").output.split() == ["1000", "1000"]


def test_new_namespaces_belong_to_the_new_user_namespace(runtime: Runtime, bundle: BundleMaker) -> None:
    sets = {kind: ["CAP_SYS_ADMIN"] for kind in ("bounding", "effective", "permitted")}
    made = bundle("hostname", "changed", capabilities=sets)
    map_ids(made)
    run(runtime, made)


def test_the_host_is_out_of_a_user_namespaces_reach(runtime: Runtime, bundle: BundleMaker) -> None:
    sets = {kind: ["CAP_SYS_ADMIN", "CAP_SYS_NICE"] for kind in ("bounding", "effective", "permitted")}
    made = bundle("sh", "-c", "renice -n -5 -p 1", capabilities=sets)
    (made.rootfs / "bin/renice").symlink_to("busybox")
    map_ids(made)
    assert attempt(runtime, made).status != 0


def test_every_namespace_at_once(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "100")
    map_ids(made)
    for kind in FILES:
        namespace(made, kind)
    made.write()
    name = runtime.start(made)
    pid = runtime.state(name)["pid"]
    for kind in FILES:
        assert identity(pid, kind) != identity("self", kind)
    script = "for file in $0; do readlink /proc/self/ns/$file; done"
    inside = runtime("exec", name, "sh", "-c", script, " ".join(FILES.values())).output.split()
    assert inside == [identity(pid, kind) for kind in FILES]


# sysctl


def test_kernel_parameters_are_set_in_the_containers_namespaces(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("cat", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/shmmax", "/proc/sys/kernel/domainname")
    made.linux["sysctl"] = {
        "net.ipv4.ip_forward": "1",
        "kernel/shmmax": "4096",
        "kernel.domainname": "example.org",
    }
    before = Path("/proc/sys/kernel/shmmax").read_text()
    assert run(runtime, made).split() == ["1", "4096", "example.org"]
    assert Path("/proc/sys/kernel/shmmax").read_text() == before


def test_kernel_parameters_are_set_without_a_procfs_in_the_container(runtime: Runtime, bundle: BundleMaker) -> None:
    made = plain(bundle("sleep", "100"))
    made.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    made.write()
    pid = runtime.state(runtime.start(made))["pid"]
    shown = subprocess.run(
        ["nsenter", "-t", str(pid), "-n", "cat", "/proc/sys/net/ipv4/ip_forward"], capture_output=True, check=True
    )
    assert shown.stdout == b"1\n"


@pytest.mark.parametrize("name", ["kernel.panic", "vm.swappiness", "fs.file-max"])
def test_kernel_parameters_of_the_whole_machine_are_refused(name: str, runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    made.linux["sysctl"] = {name: "1"}
    refused(runtime, made, f"linux.sysctl.{name}")


def test_a_parameter_of_a_namespace_that_is_not_the_containers_is_refused(
    runtime: Runtime, bundle: BundleMaker
) -> None:
    made = bundle("true")
    without(made, "network")
    made.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    refused(runtime, made, "net.ipv4.ip_forward", "network namespace")


def test_a_parameter_that_does_not_exist_is_named(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    made.linux["sysctl"] = {"net.ipv4.nosuch": "1"}
    refused(runtime, made, "write sysctl net.ipv4.nosuch: ", "no such file or directory")


def test_a_value_that_the_kernel_refuses_is_named(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    made.linux["sysctl"] = {"kernel.shmmni": "much"}
    refused(runtime, made, "write sysctl kernel.shmmni: invalid argument")
