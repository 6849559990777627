"""``process``: what the program is given, and who it is."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import unique_name
from tests.integration.runtime.containers import attempt, fields, refused, run

if TYPE_CHECKING:
    from tests.integration.conftest import BundleMaker, Runtime

NUMBERS = {"CAP_CHOWN": 0, "CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7, "CAP_NET_RAW": 13}


def bits(*names: str) -> int:
    return sum(1 << NUMBERS[name] for name in names)


# args, env, cwd


def test_arguments_arrive_as_they_were_written(runtime: Runtime, bundle: BundleMaker) -> None:
    arguments = ["", "two words", "new\nline", "ünïcode", "$HOME", "'\"\\"]
    made = bundle("printf", "<%s>", *arguments)
    assert run(runtime, made) == "".join(f"<{each}>" for each in arguments)


def test_the_environment_is_exactly_the_configured_one_and_home(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("env", env=["PATH=/bin", "EMPTY=", "A=b=c", "LONG=" + "x" * 4000])
    environment = {**os.environ, "LEAK": "1"}
    said = run(runtime, made, env=environment).splitlines()
    assert sorted(said) == sorted(["PATH=/bin", "EMPTY=", "A=b=c", "LONG=" + "x" * 4000, "HOME=/root"])


def test_of_two_variables_with_one_name_the_later_counts(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("env", env=["A=1", "PATH=/bin", "HOME=/", "A=2"])
    assert sorted(run(runtime, made).split()) == ["A=2", "HOME=/", "PATH=/bin"]
    made.process["args"] = ["sleep", "100"]
    made.write()
    name = runtime.start(made)
    assert "A=3" in runtime("exec", "--env", "A=3", name, "env").output.split()


def test_home_is_the_users_from_the_containers_passwd_file(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "echo $HOME", user={"uid": 1234, "gid": 0})
    (made.rootfs / "etc/passwd").write_text("someone:x:1234:0::/home/someone:/bin/sh\n")
    assert run(runtime, made) == "/home/someone\n"


def test_a_configured_home_is_kept(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "echo $HOME", env=["PATH=/bin", "HOME=/elsewhere"])
    assert run(runtime, made) == "/elsewhere\n"


def test_the_path_is_the_containers_own(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("tool", env=["PATH=/opt/tools:/bin"])
    (made.rootfs / "opt/tools").mkdir(parents=True)
    tool = made.rootfs / "opt/tools/tool"
    tool.write_text("#!/bin/sh\necho $0\n")
    tool.chmod(0o755)
    assert run(runtime, made) == "/opt/tools/tool\n"


def test_a_missing_working_directory_is_made(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "pwd; stat -c '%a %u' .", cwd="/made/for/this")
    assert run(runtime, made).split() == ["/made/for/this", "755", "0"]


def test_a_working_directory_is_followed_through_links_of_the_container(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "pwd -P", cwd="/link/below")
    (made.rootfs / "real/below").mkdir(parents=True)
    (made.rootfs / "link").symlink_to("/real")
    assert run(runtime, made) == "/real/below\n"


def test_a_working_directory_that_only_the_user_may_enter(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("pwd", cwd="/mine", user={"uid": 1000, "gid": 1000}, capabilities={})
    (made.rootfs / "mine").mkdir(mode=0o700)
    os.chown(made.rootfs / "mine", 1000, 1000)
    assert run(runtime, made) == "/mine\n"


def test_a_working_directory_that_the_user_may_not_enter_is_named(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("pwd", cwd="/closed", user={"uid": 1000, "gid": 1000}, capabilities={})
    (made.rootfs / "closed").mkdir(mode=0o700)
    refused(runtime, made, "/closed", "permission denied")


def test_a_working_directory_that_is_a_file_is_named(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("pwd", cwd="/etc/passwd")
    refused(runtime, made, "/etc/passwd", "not a directory")


def test_the_exit_status_is_the_programs(runtime: Runtime, bundle: BundleMaker) -> None:
    assert attempt(runtime, bundle("sh", "-c", "exit 42")).status == 42


def test_death_by_a_signal_is_128_and_its_number(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "kill -KILL $$")  # a pid 1 of its own namespace would not be hit
    made.linux["namespaces"] = [each for each in made.linux["namespaces"] if each["type"] != "pid"]
    made.config["mounts"] = [each for each in made.config["mounts"] if each["destination"] != "/proc"]
    made.linux["maskedPaths"] = made.linux["readonlyPaths"] = []
    assert attempt(runtime, made).status == 137


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("nosuch", 'exec: "nosuch": executable file not found in $PATH'),
        ("/no/such", 'exec: "/no/such": stat /no/such: no such file or directory'),
        ("/etc", 'exec: "/etc": permission denied'),
        ("/etc/passwd", 'exec: "/etc/passwd": permission denied'),
        ("/bin/text", 'exec: "/bin/text": exec format error'),
        ("/bin/orphan", 'exec: "/bin/orphan": no such file or directory: its interpreter is missing'),
    ],
)
def test_a_program_that_cannot_run_is_told_from_one_that_is_missing(
    program: str, words: str, runtime: Runtime, bundle: BundleMaker
) -> None:
    made = bundle(program)
    for name, text in (("text", "neither"), ("orphan", "#!/no/interpreter\n")):
        (made.rootfs / "bin" / name).write_text(text)
        (made.rootfs / "bin" / name).chmod(0o755)
    refused(runtime, made, words)


def test_no_descriptor_but_the_standard_streams_is_open(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("ls", "/proc/self/fd")
    assert run(runtime, made).split() == ["0", "1", "2", "3"]  # 3 is the open directory itself


_IGNORES_32 = """
import ctypes, os, sys
action = (ctypes.c_ulong * 4)(1, 0, 0, 0)  # SIG_IGN; by system call, as libc does not let anybody have this signal
ctypes.CDLL(None).syscall(13 if os.uname().machine == "x86_64" else 134, 32, ctypes.byref(action), None, 8)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_signals_that_libc_left_ignored_in_the_caller_are_not_ignored(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("cat", "/proc/self/status")
    command = runtime.command("run", "--bundle", str(made.path), unique_name())
    done = subprocess.run([sys.executable, "-c", _IGNORES_32, *command], capture_output=True, text=True, check=True)
    assert fields(done.stdout)["SigIgn"] == "0" * 16


def test_signals_that_the_caller_ignores_are_not_ignored(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("cat", "/proc/self/status")
    command = runtime.command("run", "--bundle", str(made.path), unique_name())
    shell = ["sh", "-c", 'trap "" INT QUIT HUP USR1 TSTP; "$@"', "sh", *command]
    done = subprocess.run(shell, capture_output=True, text=True, check=True)
    assert fields(done.stdout)["SigIgn"] == "0" * 16


def test_signals_are_neither_blocked_nor_ignored(runtime: Runtime, bundle: BundleMaker) -> None:
    status = fields(run(runtime, bundle("cat", "/proc/self/status")))
    assert status["SigBlk"] == status["SigIgn"] == "0" * 16


def test_the_program_leads_a_session_of_its_own(runtime: Runtime, bundle: BundleMaker) -> None:
    pid, group, session = run(runtime, bundle("cat", "/proc/1/stat")).split(") ")[1].split()[1:4]
    assert (pid, group, session) == ("0", "1", "1")


# user


def test_the_user_has_its_ids_and_additional_groups(runtime: Runtime, bundle: BundleMaker) -> None:
    user = {"uid": 1000, "gid": 1001, "additionalGids": [5, 70000]}
    status = fields(run(runtime, bundle("cat", "/proc/self/status", user=user)))
    assert status["Uid"].split() == ["1000"] * 4
    assert status["Gid"].split() == ["1001"] * 4
    assert status["Groups"].split() == ["5", "70000"]


def test_root_keeps_no_group_of_the_callers(runtime: Runtime, bundle: BundleMaker) -> None:
    status = fields(run(runtime, bundle("cat", "/proc/self/status"), extra_groups=[7, 8]))
    assert status["Groups"] == ""


@pytest.mark.parametrize(("umask", "expected"), [(None, "0022"), (0o077, "0077"), (0, "0000")])
def test_the_umask_is_the_configured_one(
    umask: int | None, expected: str, runtime: Runtime, bundle: BundleMaker
) -> None:
    made = bundle("sh", "-c", "umask")
    if umask is not None:
        made.process["user"]["umask"] = umask
    assert run(runtime, made, umask=0o007).strip() == expected


def test_the_user_may_reopen_its_own_output(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "echo again > /proc/self/fd/1", user={"uid": 1000, "gid": 1000}, capabilities={})
    made.write()
    reader, writer = os.pipe()
    try:
        command = runtime.command("run", "--bundle", str(made.path), made.path.name)
        subprocess.run(command, stdout=writer, check=True, timeout=60)
        assert os.read(reader, 100) == b"again\n"
    finally:
        os.close(reader)
        os.close(writer)


# capabilities


def test_each_set_of_capabilities_is_its_own(runtime: Runtime, bundle: BundleMaker) -> None:
    # As an ordinary user, whose exec keeps of the sets exactly what the ambient one allows: capabilities(7).
    made = bundle(
        "cat",
        "/proc/self/status",
        user={"uid": 1000, "gid": 1000},
        capabilities={
            "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_SETGID"],
            "permitted": ["CAP_CHOWN", "CAP_KILL"],
            "inheritable": ["CAP_CHOWN", "CAP_KILL"],
            "effective": ["CAP_CHOWN"],
            "ambient": ["CAP_KILL"],
        },
    )
    status = fields(run(runtime, made))
    assert int(status["CapBnd"], 16) == bits("CAP_CHOWN", "CAP_KILL", "CAP_SETGID")
    assert int(status["CapInh"], 16) == bits("CAP_CHOWN", "CAP_KILL")
    assert int(status["CapAmb"], 16) == bits("CAP_KILL")
    assert int(status["CapPrm"], 16) == int(status["CapEff"], 16) == bits("CAP_KILL")


def test_roots_capabilities_are_what_the_bounding_set_leaves(runtime: Runtime, bundle: BundleMaker) -> None:
    sets = {kind: ["CAP_CHOWN", "CAP_KILL"] for kind in ("bounding", "permitted", "effective")}
    status = fields(run(runtime, bundle("cat", "/proc/self/status", capabilities=sets)))
    for name in ("CapBnd", "CapPrm", "CapEff"):
        assert int(status[name], 16) == bits("CAP_CHOWN", "CAP_KILL")
    assert int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0


@pytest.mark.parametrize("capabilities", [{}, None])
def test_without_capabilities_there_are_none(
    capabilities: dict[str, list[str]] | None, runtime: Runtime, bundle: BundleMaker
) -> None:
    made = bundle("cat", "/proc/self/status")
    if capabilities is None:
        del made.process["capabilities"]
    else:
        made.process["capabilities"] = capabilities
    status = fields(run(runtime, made))
    for name in ("CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb"):
        assert int(status[name], 16) == 0, name


def test_capabilities_take_effect(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("chown", "1:1", "/tmp", capabilities={"bounding": ["CAP_CHOWN"], "permitted": ["CAP_CHOWN"]})
    (made.rootfs / "bin/chown").symlink_to("busybox")
    run(runtime, made)
    made.process["capabilities"] = {"bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"]}
    assert attempt(runtime, made).status == 1


def test_capabilities_that_the_machine_lacks_are_dropped_with_a_warning(runtime: Runtime, bundle: BundleMaker) -> None:
    with open("/proc/self/status") as file:
        own = int(fields(file.read())["CapBnd"], 16)
    if own >> 24 & 1:
        pytest.skip("this machine has CAP_SYS_RESOURCE")
    sets = {kind: ["CAP_KILL", "CAP_SYS_RESOURCE"] for kind in ("bounding", "permitted", "effective")}
    made = bundle("cat", "/proc/self/status", capabilities=sets)
    made.write()
    log = made.path / "log"
    result = runtime("--log", str(log), "run", "--bundle", str(made.path), made.path.name)
    assert int(fields(result.output)["CapEff"], 16) == bits("CAP_KILL")
    assert "CAP_SYS_RESOURCE" in log.read_text()
    assert "level=warning" in log.read_text()


def test_a_capability_that_does_not_exist_is_a_warning(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true", capabilities={"bounding": ["CAP_FLY"]})
    made.write()
    log = made.path / "log"
    runtime("--log", str(log), "run", "--bundle", str(made.path), made.path.name)
    assert "CAP_FLY" in log.read_text()


# limits and priorities


def test_resource_limits_are_soft_and_hard(runtime: Runtime, bundle: BundleMaker) -> None:
    limits = [
        {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 4096},
        {"type": "RLIMIT_STACK", "soft": 1 << 20, "hard": 2 << 20},
    ]
    lines = run(runtime, bundle("cat", "/proc/self/limits", rlimits=limits)).splitlines()
    said = {line[:26].strip(): line[26:].split()[:2] for line in lines}
    assert said["Max open files"] == ["100", "200"]
    assert said["Max core file size"] == ["0", "4096"]
    assert said["Max stack size"] == ["1048576", "2097152"]


def test_a_limit_of_the_largest_number_is_no_limit(runtime: Runtime, bundle: BundleMaker) -> None:
    if resource.getrlimit(resource.RLIMIT_FSIZE)[1] != resource.RLIM_INFINITY:
        pytest.skip("the caller's own file size is limited")
    most = (1 << 64) - 1
    made = bundle("cat", "/proc/self/limits", rlimits=[{"type": "RLIMIT_FSIZE", "soft": most, "hard": most}])
    assert "Max file size             unlimited            unlimited" in run(runtime, made)


def test_a_limit_that_may_not_be_raised_is_named(runtime: Runtime, bundle: BundleMaker) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    made = bundle("true", rlimits=[{"type": "RLIMIT_NOFILE", "soft": hard + 1, "hard": hard + 1}])
    result = attempt(runtime, made)
    if result.status == 0:
        pytest.skip("this machine has CAP_SYS_RESOURCE")
    assert "set limit RLIMIT_NOFILE: " in result.errors
    assert "operation not permitted" in result.errors.lower()


@pytest.mark.parametrize(("wanted", "expected"), [(True, "1"), (False, "0"), (None, "0")])
def test_no_new_privileges_is_set_when_asked_for(
    wanted: bool | None, expected: str, runtime: Runtime, bundle: BundleMaker
) -> None:
    made = bundle("cat", "/proc/self/status")
    del made.process["noNewPrivileges"]
    if wanted is not None:
        made.process["noNewPrivileges"] = wanted
    assert fields(run(runtime, made))["NoNewPrivs"] == expected


def test_the_oom_score_is_adjusted(runtime: Runtime, bundle: BundleMaker) -> None:
    assert run(runtime, bundle("cat", "/proc/self/oom_score_adj", oomScoreAdj=321)) == "321\n"


def test_the_oom_score_is_inherited_when_not_set(runtime: Runtime, bundle: BundleMaker) -> None:
    own = Path("/proc/self/oom_score_adj").read_text()
    assert run(runtime, bundle("cat", "/proc/self/oom_score_adj")) == own


@pytest.mark.parametrize(
    ("scheduler", "policy", "nice"),
    [
        ({"policy": "SCHED_BATCH", "nice": 7}, "3", "7"),
        ({"policy": "SCHED_IDLE"}, "5", "0"),
        ({"policy": "SCHED_OTHER", "nice": 3}, "0", "3"),
    ],
)
def test_the_scheduler_is_the_configured_one(
    scheduler: dict[str, object], policy: str, nice: str, runtime: Runtime, bundle: BundleMaker
) -> None:
    after = run(runtime, bundle("cat", "/proc/self/stat", scheduler=scheduler)).rpartition(") ")[2].split()
    assert after[41 - 3] == policy
    assert after[19 - 3] == nice


def test_a_child_of_reset_on_fork_is_scheduled_as_usual(runtime: Runtime, bundle: BundleMaker) -> None:
    scheduler = {"policy": "SCHED_OTHER", "nice": -5, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}
    made = bundle("sh", "-c", "cat /proc/1/stat; cat /proc/self/stat; true", scheduler=scheduler)
    first, second = (line.rpartition(") ")[2].split()[19 - 3] for line in run(runtime, made).splitlines())
    assert (first, second) == ("-5", "0")


def test_a_realtime_policy_that_the_cgroup_has_no_time_for_is_named(runtime: Runtime, bundle: BundleMaker) -> None:
    result = attempt(runtime, bundle("true", scheduler={"policy": "SCHED_FIFO", "priority": 5}))
    if result.status == 0:
        pytest.skip("this machine lets containers be scheduled in real time")
    assert "set scheduler SCHED_FIFO: " in result.errors
    assert "not permitted" in result.errors


@pytest.mark.parametrize(
    ("io_class", "priority", "expected"),
    [("IOPRIO_CLASS_BE", 6, "best-effort: prio 6"), ("IOPRIO_CLASS_IDLE", 0, "idle")],
)
def test_the_io_priority_is_the_configured_one(
    io_class: str, priority: int, expected: str, runtime: Runtime, bundle: BundleMaker
) -> None:
    made = bundle("ionice", "-p", "1", ioPriority={"class": io_class, "priority": priority})
    (made.rootfs / "bin/ionice").symlink_to("busybox")
    assert run(runtime, made).strip() == expected


def test_exec_runs_on_the_cpus_of_its_affinity(runtime: Runtime, bundle: BundleMaker) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two CPUs")
    one, other = sorted(os.sched_getaffinity(0))[:2]
    made = bundle("sleep", "100", execCPUAffinity={"initial": str(one), "final": str(other)})
    made.write()
    name = runtime.start(made)
    said = fields(runtime("exec", name, "cat", "/proc/self/status").output)
    assert said["Cpus_allowed_list"] == str(other)
    assert fields(Path(f"/proc/{runtime.state(name)['pid']}/status").read_text())["Cpus_allowed_list"] != str(other)


# confinements that this kernel may not have


@pytest.mark.skipif(os.path.isdir("/sys/module/apparmor"), reason="this kernel has AppArmor")
def test_an_apparmor_profile_is_refused_where_the_kernel_has_no_apparmor(runtime: Runtime, bundle: BundleMaker) -> None:
    refused(runtime, bundle("true", apparmorProfile="docker-default"), "docker-default", "no AppArmor")


@pytest.mark.skipif(os.path.isdir("/sys/fs/selinux"), reason="this kernel has SELinux")
def test_an_selinux_label_is_refused_where_the_kernel_has_no_selinux(runtime: Runtime, bundle: BundleMaker) -> None:
    label = "system_u:system_r:container_t:s0"
    refused(runtime, bundle("true", selinuxLabel=label), label, "no SELinux")
    made = bundle("true")
    made.linux["mountLabel"] = label
    refused(runtime, made, "linux.mountLabel", "no SELinux")
