"""What a container is asked to be beyond the ordinary: limits, names, devices, and what is refused."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.conftest import wait_until

if TYPE_CHECKING:
    from tests.integration.engine.conftest import Engine


def out(engine: Engine, *arguments: str) -> str:
    """What a container prints that must succeed."""
    result = engine.run(*arguments)
    assert result.code == 0, result
    return result.out


def cgroup(engine: Engine, file: str, *options: str) -> str:
    """What a file of a container's version 1 control group says."""
    if not Path(f"/sys/fs/cgroup/{file}").parent.exists():
        pytest.skip(f"this machine has no version 1 control group for {file}")
    return out(engine, *options, "cat", f"/sys/fs/cgroup/{file}").strip()


def test_resource_limits_are_the_program_s(shared: Engine) -> None:
    text = out(
        shared, "--ulimit", "nofile=100:200", "--ulimit", "core=0", "sh", "-c", "ulimit -n; ulimit -Hn; ulimit -c"
    )
    assert text.split() == ["100", "200", "0"]


def test_a_resource_limit_above_what_this_machine_allows_is_refused(shared: Engine) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = f"nofile={hard + 1}"
    result = shared.run("--ulimit", wanted, "true")
    if result.code == 0:
        pytest.skip("this machine may raise limits (CAP_SYS_RESOURCE)")
    assert result.code == 125
    assert "CAP_SYS_RESOURCE" in result.err
    assert shared.names() == []


@pytest.mark.parametrize(
    ("file", "options", "value"),
    [
        ("cpu/cpu.shares", ("--cpu-shares", "512"), "512"),
        ("cpu/cpu.cfs_quota_us", ("--cpu-period", "50000", "--cpu-quota", "25000"), "25000"),
        ("cpuset/cpuset.cpus", ("--cpuset-cpus", "0"), "0"),
        ("cpuset/cpuset.mems", ("--cpuset-mems", "0"), "0"),
        ("memory/memory.soft_limit_in_bytes", ("--memory-reservation", "20m"), str(20 << 20)),
        ("memory/memory.memsw.limit_in_bytes", ("-m", "50m", "--memory-swap", "60m"), str(60 << 20)),
        ("memory/memory.memsw.limit_in_bytes", ("-m", "50m"), str(100 << 20)),
        ("memory/memory.swappiness", ("--memory-swappiness", "7"), "7"),
        ("blkio/blkio.bfq.weight", ("--blkio-weight", "300"), "300"),
        ("pids/pids.max", ("--pids-limit", "77"), "77"),
    ],
)
def test_limits_are_in_the_control_group(shared: Engine, file: str, options: tuple[str, ...], value: str) -> None:
    assert cgroup(shared, file, *options) == value


@pytest.mark.skipif(not Path("/sys/fs/cgroup/cgroup.procs").exists(), reason="version 2 is not the only one here")
@pytest.mark.parametrize(
    ("file", "options", "value"),
    [
        ("cpu.max", ("--cpu-period", "50000", "--cpu-quota", "25000"), "25000 50000"),
        ("cpu.max", ("--cpus", "1.5"), "150000 100000"),
        ("cpu.weight", ("--cpu-shares", "512"), "59"),
        ("cpuset.cpus", ("--cpuset-cpus", "0"), "0"),
        ("cpuset.mems", ("--cpuset-mems", "0"), "0"),
        ("memory.low", ("--memory-reservation", "20m"), str(20 << 20)),
        ("memory.max", ("-m", "50m"), str(50 << 20)),
        ("memory.swap.max", ("-m", "50m", "--memory-swap", "60m"), str(10 << 20)),
        ("memory.swap.max", ("-m", "50m"), str(50 << 20)),
        ("pids.max", ("--pids-limit", "77"), "77"),
    ],
)
def test_limits_are_in_the_only_control_group(shared: Engine, file: str, options: tuple[str, ...], value: str) -> None:
    assert out(shared, *options, "cat", f"/sys/fs/cgroup/{file}").strip() == value


def test_the_out_of_memory_killer_can_be_disabled(shared: Engine) -> None:
    text = cgroup(shared, "memory/memory.oom_control", "-m", "50m", "--oom-kill-disable")
    assert "oom_kill_disable 1" in text


def test_traffic_of_a_device_can_be_limited(shared: Engine) -> None:
    device = next((path for path in ("/dev/loop0", "/dev/vda", "/dev/sda") if os.path.exists(path)), "")
    if not device:
        pytest.skip("this machine has no block device")
    number = os.stat(device).st_rdev
    text = cgroup(shared, "blkio/blkio.throttle.write_bps_device", "--device-write-bps", f"{device}:1m")
    assert text == f"{os.major(number)}:{os.minor(number)} {1 << 20}"


def test_control_groups_have_the_parent_that_was_asked_for(shared: Engine) -> None:
    parent = f"orlop-test-parent-{os.getpid()}"
    try:
        text = out(shared, "--cgroupns", "host", "--cgroup-parent", f"/{parent}", "cat", "/proc/self/cgroup")
        assert f"/{parent}/" in text
    finally:
        wait_until(lambda: not shared.containers(), "the end of clearing away")
        for path in Path("/sys/fs/cgroup").glob(f"*/{parent}"):
            path.rmdir()


def test_names_and_addresses_can_be_added(shared: Engine) -> None:
    options = ("-h", "box", "--domainname", "example.org", "--add-host", "other:10.0.0.9", "--add-host", "six=[::2]")
    dns = ("--dns", "9.9.9.9", "--dns-search", "example.net", "--dns-option", "ndots:2")
    text = out(
        shared, *options, *dns, "sh", "-c", "cat /etc/resolv.conf /etc/hosts /proc/sys/kernel/domainname; hostname"
    )
    for line in (
        "nameserver 9.9.9.9\nsearch example.net\noptions ndots:2\n",
        "127.0.1.1\tbox.example.org box\n10.0.0.9\tother\n::2\tsix\n",
        "example.org\nbox\n",
    ):
        assert line in text


def test_groups_are_added_by_name_and_by_number(shared: Engine) -> None:
    assert out(shared, "--group-add", "user", "--group-add", "55", "id", "-G").split() == ["0", "55", "1000"]


def test_commands_have_the_added_groups_too(shared: Engine) -> None:
    shared.detached("grouped", "--group-add", "user", "--group-add", "55", "sleep", "600")
    assert shared.ok("exec", "grouped", "id", "-G").split() == ["0", "55", "1000"]
    assert shared.ok("exec", "-u", "7:7", "grouped", "id", "-G").split() == ["7", "55", "1000"]
    shared.ok("rm", "-f", "grouped")


def test_kernel_parameters_of_its_namespaces_can_be_set(shared: Engine) -> None:
    assert out(shared, "--sysctl", "net.ipv4.ip_forward=1", "cat", "/proc/sys/net/ipv4/ip_forward") == "1\n"


def test_the_oom_score_can_be_raised(shared: Engine) -> None:
    assert out(shared, "--oom-score-adj", "500", "cat", "/proc/self/oom_score_adj") == "500\n"


def test_a_device_is_there_under_another_name_and_with_fewer_rights(shared: Engine) -> None:
    text = out(
        shared, "--device", "/dev/null:/dev/nothing:r", "sh", "-c", "ls -l /dev/nothing; cat /dev/nothing && echo read"
    )
    assert text.startswith("crw-rw-rw-")
    assert text.endswith("read\n")
    if Path("/sys/fs/cgroup/devices").exists():
        options = ("--device", "/dev/kmsg:/dev/log:r", "--device-cgroup-rule", "c 42:* rmw")
        listed = cgroup(shared, "devices/devices.list", *options).splitlines()
        assert {"c 1:11 r", "c 42:* rwm"} <= set(listed)


def test_shared_memory_and_temporary_file_systems_have_their_sizes(shared: Engine) -> None:
    text = out(
        shared,
        "--shm-size",
        "10m",
        "--tmpfs",
        "/fast:size=2m,mode=700",
        "sh",
        "-c",
        "cat /proc/mounts; stat -c %a /fast",
    )
    lines = {line.split()[1]: line.split()[3] for line in text.splitlines() if line.startswith(("shm", "tmpfs"))}
    assert "size=10240k" in lines["/dev/shm"]
    assert {"size=2048k", "noexec", "nosuid", "nodev"} <= set(lines["/fast"].split(","))
    assert text.endswith("\n700\n")


def test_namespaces_can_be_the_host_s(shared: Engine) -> None:
    options = ("--pid", "host", "--ipc", "host", "--uts", "host", "--cgroupns", "host")
    text = out(shared, *options, "sh", "-c", "for kind in pid ipc uts cgroup; do readlink /proc/self/ns/$kind; done")
    assert text.split() == [os.readlink(f"/proc/self/ns/{kind}") for kind in ("pid", "ipc", "uts", "cgroup")]


def test_without_ipc_there_is_no_shared_memory(shared: Engine) -> None:
    assert shared.run("--ipc", "none", "ls", "/dev/shm").code == 1
    assert " /dev/shm " not in out(shared, "--ipc", "none", "cat", "/proc/mounts")


def test_labels_and_ids_come_from_and_go_to_files(shared: Engine, tmp_path: Path) -> None:
    (tmp_path / "labels").write_text("# none\na=1\n\nb=from the file\n")
    id_file = tmp_path / "id"
    made = shared.ok(
        "create",
        "--cidfile",
        str(id_file),
        "--label-file",
        str(tmp_path / "labels"),
        "-l",
        "b=2",
        "--rootfs",
        "ROOTFS",
        "true",
    ).strip()
    assert id_file.read_text() == made
    assert shared.inspect(made)["HostConfig"]["ContainerIDFile"] == str(id_file)
    assert shared.inspect(made)["Config"]["Labels"] == {"a": "1", "b": "2"}
    again = shared("run", "--cidfile", str(id_file), "--rootfs", "ROOTFS", "true")
    assert (again.code, again.err.count("\n")) == (125, 1)
    assert "container ID file found" in again.err
    shared.ok("rm", made)


def test_inspect_has_docker_s_fields(shared: Engine) -> None:
    shared.ok(
        "create", "--name", "told", "--cpu-shares", "3", "--ulimit", "nofile=9", "--tmpfs", "/t:size=1m", "--init", "--ipc",
        "shareable", "--shm-size", "1m", "--memory-swappiness", "5", "--oom-score-adj", "9", "--dns", "1.1.1.1",
        "--blkio-weight", "20", "--device", "/dev/null:/dev/n:r", "--sysctl", "net.ipv4.ip_forward=1", "--pid", "host",
        "--stop-timeout", "3", "--expose", "80-81", "--annotation", "k=v", "--domainname", "d", "--cap-add", "net_admin",
        "--memory", "64m", "--rootfs", "ROOTFS", "true",
    )  # fmt: skip
    told = shared.inspect("told")
    host = told["HostConfig"]
    for name, value in {
        "CpuShares": 3,
        "Ulimits": [{"Name": "nofile", "Hard": 9, "Soft": 9}],
        "Tmpfs": {"/t": "size=1m"},
        "Init": True,
        "IpcMode": "shareable",
        "ShmSize": 1 << 20,
        "MemorySwappiness": 5,
        "OomScoreAdj": 9,
        "Dns": ["1.1.1.1"],
        "BlkioWeight": 20,
        "Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/n", "CgroupPermissions": "r"}],
        "Sysctls": {"net.ipv4.ip_forward": "1"},
        "PidMode": "host",
        "Annotations": {"k": "v"},
        "CpuPeriod": 0,
        "CapAdd": ["CAP_NET_ADMIN"],
        "MemorySwap": 128 << 20,
        "PidsLimit": None,
        "ConsoleSize": [0, 0],
        "Runtime": "orlop",
        "VolumesFrom": [],
    }.items():
        assert host[name] == value, name
    assert told["Config"]["StopTimeout"] == 3
    assert told["Config"]["Domainname"] == "d"
    assert set(told["Config"]["ExposedPorts"]) == {"80/tcp", "81/tcp"}
    assert told["State"]["Status"] == "created"
    shared.ok("rm", "told")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("-m", "4m"), "6MB"),
        (("-m", "50m", "--memory-swap", "40m"), "larger than memory limit"),
        (("--memory-swap", "40m"), "always set the memory limit"),
        (("-m", "50m", "--memory-reservation", "60m"), "reservation"),
        (("--memory-swappiness", "101"), "0-100"),
        (("--cpus", "1000"), "range of CPUs"),
        (("--cpus", "1", "--cpu-quota", "5000"), "nano CPUs and CPU quota"),
        (("--cpu-period", "10"), "1000000"),
        (("--cpuset-cpus", "9999"), "not available"),
        (("--cpuset-cpus", "x"), "list of numbers"),
        (("--blkio-weight", "5"), "10 to 1000"),
        (("--blkio-weight-device", "/dev/null:100"), "no block device"),
        (("--device-read-bps", "/dev/nowhere:1m"), "/dev/nowhere"),
        (("--ulimit", "bogus=1"), "bogus"),
        (("--ulimit", "nofile=5:3"), "5 > 3"),
        (("--oom-score-adj", "2000"), "[-1000, 1000]"),
        (("--sysctl", "kernel.panic=1"), "whole machine"),
        (("--network", "host", "--sysctl", "net.ipv4.ip_forward=1"), "network namespace"),
        (("--device", "/dev/nowhere"), "/dev/nowhere"),
        (("--device", "/etc/passwd"), "not a device"),
        (("--device-cgroup-rule", "nonsense"), "device cgroup format"),
        (("--group-add", "nobody-here"), "nobody-here"),
        (("--pid", "bogus"), "invalid PID mode"),
        (("--ipc", "bogus"), "invalid IPC mode"),
        (("--network", "container:"), "invalid network mode"),
        (("--cgroupns", "container:x"), "invalid CGROUP mode"),
        (("--userns", "private"), "invalid USER mode"),
        (("--uts", "host", "-h", "x"), "hostname and the UTS mode"),
        (("-h", "two words"), "invalid hostname"),
        (("--domainname", "x\n6.6.6.6 y"), "invalid hostname"),
        (("--dns", "x"), "not an ip address"),
        (("--add-host", "x"), "bad format"),
        (("--tmpfs", "/x:bogus"), "bogus"),
        (("--tmpfs", "relative"), "absolute"),
        (("--label-file", "/nowhere"), "/nowhere"),
        (("--label", "=value"), "no name"),
        (("--cidfile", "/nowhere/id"), "/nowhere/id"),
        (("--mac-address", "00:00:00:00:00:00"), "network"),
        (("--storage-opt", "size=1g"), "storage"),
        (("--isolation", "hyperv"), "container"),
        (("--runtime", "no-such-runtime"), "no-such-runtime"),
        (("--cgroup-parent", "a.slice"), "a.slice"),
        (("--expose", "99999"), "--expose"),
        (("--stop-timeout", "-5"), "--stop-timeout"),
        (("--log-driver", "bogus"), "bogus"),
        (("--volume-driver", "bogus", "-v", "name:/x"), "bogus"),
        (("--restart", "sometimes"), "on-failure"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_and_nothing_is_made(
    shared: Engine, options: tuple[str, ...], reason: str
) -> None:
    result = shared.run(*options, "true")
    assert result.code == 125, result
    assert reason in result.err
    assert result.err.count("\n") == 1
    assert (shared.containers(), shared.volumes()) == ([], [])


def test_init_reaps_orphans_and_passes_signals_on(shared: Engine) -> None:
    script = (
        "sh -c 'sleep 0.01 & exec true'; trap 'echo got it; exit 7' TERM; kill -TERM 1; while :; do sleep 0.05; done"
    )
    result = shared.run("--init", "sh", "-c", script)
    assert (result.code, result.out) == (7, "got it\n")
    text = out(shared, "--init", "sh", "-c", "sh -c 'sleep 0.01 & exec true'; sleep 0.1; ps -o pid,stat,args")
    assert "/dev/init" in text.splitlines()[1]
    assert " Z" not in text


def test_init_ends_as_the_program_does(shared: Engine) -> None:
    assert shared.run("--init", "sh", "-c", "exit 5").code == 5
    assert shared.run("--init", "sh", "-c", "kill -9 $$").code == 137
    missing = shared.run("--init", "no-such-program")
    assert (missing.code, missing.err) == (127, "init: no-such-program: no such file or directory\n")
    assert shared.run("--init", "/etc/passwd").code == 126
    assert shared.run("--init", "-u", "1000", "--read-only", "id", "-u").out == "1000\n"


def test_a_container_cannot_write_to_its_init(shared: Engine) -> None:
    result = shared.run("--init", "sh", "-c", "echo x > /dev/init")
    assert (result.code, "Read-only" in result.err) == (1, True)


def test_init_leaves_the_host_s_devices_alone(shared: Engine) -> None:
    assert shared.run("--init", "-v", "/dev:/dev", "sh", "-c", "ls /dev/init; cat /proc/1/comm").out == "docker-init\n"
    assert not Path("/dev/init").exists()


def test_only_attached_streams_are_shown(shared: Engine) -> None:
    script = "echo out; echo err >&2; exit 3"
    result = shared.run("-a", "stdout", "sh", "-c", script)
    assert (result.code, result.out, result.err) == (3, "out\n", "")
    result = shared.run("-i", "-a", "STDIN", "--attach", "STDERR", "sh", "-c", "cat >&2; echo out", given=b"in")
    assert (result.out, result.err) == ("", "in")
    result = shared.run("-d", "-a", "stdout", "true")
    assert (result.code, "--attach and --detach" in result.err) == (1, True)


def test_a_container_may_be_given_its_control_groups(shared: Engine) -> None:
    if not Path("/sys/fs/cgroup/memory").exists():
        pytest.skip("this machine has no version 1 control groups")
    script = "mkdir /sys/fs/cgroup/memory/below && rmdir /sys/fs/cgroup/memory/below"
    assert shared.run("sh", "-c", script).code == 1
    assert shared.run("--security-opt", "writable-cgroups=true", "sh", "-c", script).code == 0


def test_an_ordinary_user_s_containers_have_the_same_options(owner: Engine) -> None:
    words = (
        "--init", "--ulimit", "nofile=90:91", "--tmpfs", "/t:size=1m", "--shm-size", "2m", "--sysctl",
        "net.ipv4.ip_forward=1", "--group-add", "5", "--domainname", "d", "--oom-score-adj", "600", "--device", "/dev/null:/dev/n",
    )  # fmt: skip
    script = "ulimit -n; cat /proc/sys/net/ipv4/ip_forward /proc/self/oom_score_adj; grep -c -E ' /(t|dev/n) ' /proc/mounts; id -G"
    text = owner.ok("run", "--rm", *words, "plain", "sh", "-c", script)
    expected = "90\n1\n600\n1\n0 5\n" if not owner.prefix else "90\n1\n600\n2\n0 5\n"
    assert text == expected


def test_what_kernels_do_not_limit_any_more_is_said_to_have_no_effect(shared: Engine) -> None:
    done = shared("run", "--rm", "--kernel-memory", "50m", "--rootfs", "ROOTFS", "true")
    assert (done.code, done.err) == (0, "WARNING: --kernel-memory has no effect: kernels since 5.4 do not limit it\n")
