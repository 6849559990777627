"""What a program sees and does in a container that `orlop run` made."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.engine.conftest import Engine


def test_output_comes_back_on_the_right_stream(shared: Engine) -> None:
    result = shared.run("sh", "-c", "echo out; echo err >&2")
    assert (result.code, result.out, result.err) == (0, "out\n", "err\n")


def test_output_of_a_program_that_ends_at_once_is_not_lost(shared: Engine) -> None:
    """What it writes may reach the client before the word that it was started does."""
    assert [shared.run("echo", str(number)).out for number in range(40)] == [f"{number}\n" for number in range(40)]


@pytest.mark.parametrize("code", [0, 1, 42, 255])
def test_the_exit_status_is_passed_on(shared: Engine, code: int) -> None:
    assert shared.run("sh", "-c", f"exit {code}").code == code


def test_a_program_that_a_signal_ends_gives_128_and_the_signal(shared: Engine) -> None:
    assert shared.run("sh", "-c", "sh -c 'kill -9 $$'; exit $?").code == 137


def test_a_program_that_is_not_there_is_127(shared: Engine) -> None:
    result = shared.run("no-such-program")
    assert result.code == 127
    assert "no-such-program" in result.err


def test_a_program_that_cannot_be_run_is_126(shared: Engine) -> None:
    result = shared.run("/etc/passwd")
    assert result.code == 126
    assert "/etc/passwd" in result.err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["run", "--bogus", "host", "true"], "unknown flag"),
        (["run", "--rootfs", "/no/such/dir", "true"], "/no/such/dir"),
        (["run", "--pull", "never", "no-such-image", "true"], "no-such-image"),
        (["run", "--rootfs", "ROOTFS", "-v", "rela/tive:/x", "true"], "absolute"),
        (["run", "--rootfs", "ROOTFS", "-u", "nobody-here", "true"], "nobody-here"),
        (["run", "--rootfs", "ROOTFS", "--memory", "lots", "true"], "lots"),
        (["run", "--rootfs", "/", "true"], "--rootfs /"),
    ],
)
def test_a_wrong_command_line_is_125_one_line_and_no_container(
    shared: Engine, arguments: list[str], reason: str
) -> None:
    result = shared(*arguments)
    assert result.code == 125
    assert reason in result.err
    assert result.err.count("\n") == 1
    assert shared.names() == []
    assert not [name for name in shared.containers() if name.startswith(".new-")]


def test_a_wrong_number_of_arguments_is_1_as_with_docker(shared: Engine) -> None:
    result = shared("run", "--rootfs", "ROOTFS")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "takes at least 1 argument" in result.err


def test_standard_input_arrives_and_ends(shared: Engine) -> None:
    data = os.urandom(3_000_000)
    result = shared.run("-i", "sh", "-c", "cat | wc -c", given=data)
    assert result.out.strip() == str(len(data))


def test_a_program_may_write_much_while_it_reads_much(shared: Engine) -> None:
    data = b"0123456789abcde\n" * 100_000
    assert shared.run("-i", "cat", given=data).out.encode() == data


def test_without_interactive_standard_input_is_empty(shared: Engine) -> None:
    assert shared.run("cat", given=b"not for you").out == ""


def test_the_container_sees_its_own_processes_names_and_network(shared: Engine) -> None:
    script = "echo $$; hostname; cat /etc/hostname; ls /sys/class/net; cat /proc/1/comm; true"
    pid, name, file_name, network, comm = shared.run("--hostname", "box", "sh", "-c", script).out.split()
    assert (pid, name, file_name, network, comm) == ("1", "box", "box", "lo", "sh")


def test_environment_directory_and_user_are_as_asked(shared: Engine) -> None:
    out = shared.run(
        "-e", "A=b c", "-w", "/tmp", "-u", "user", "sh", "-c", "echo $A; pwd; id -u; id -g; echo $HOME"
    ).out
    assert out.split("\n")[:5] == ["b c", "/tmp", "1000", "1000", "/"]


def test_a_read_only_container_cannot_write_its_root(shared: Engine) -> None:
    result = shared.run("--read-only", "sh", "-c", "touch /tmp/x || echo refused; touch /dev/shm/x && echo shm")
    assert result.out == "refused\nshm\n"


def test_volumes_are_shared_and_can_be_read_only(shared: Engine, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/file").write_text("given")
    script = "cat /in/file; touch /in/x 2>/dev/null || echo; echo made > /out/file"
    result = shared.run("-v", f"{tmp_path}/in:/in:ro", "-v", f"{tmp_path}/out:/out", "sh", "-c", script)
    assert (result.code, result.out) == (0, "given\n")
    assert (tmp_path / "out/file").read_text() == "made\n"


def test_limits_are_the_cgroup_s(shared: Engine) -> None:
    script = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us"
    if not Path("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists():
        script = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max; cut -d' ' -f1 /sys/fs/cgroup/cpu.max"
    out = shared.run("--memory", "32m", "--pids-limit", "20", "--cpus", "0.5", "sh", "-c", script).out
    assert out.split() == [str(32 << 20), "20", "50000"]


def test_a_memory_limit_is_enforced_and_told(shared: Engine) -> None:
    shared(
        "run",
        "--name",
        "hungry",
        "--memory",
        "8m",
        "--rootfs",
        "ROOTFS",
        "sh",
        "-c",
        "x=$(yes | head -c 64m); echo ${#x}",
    )
    state = shared.state("hungry")
    assert (state["ExitCode"], state["OOMKilled"]) == (137, True)
    shared.ok("rm", "hungry")


def capabilities(engine: Engine, *options: str) -> int:
    out = engine.run(*options, "sh", "-c", "grep CapEff /proc/self/status").out
    return int(out.split()[1], 16)


def test_capabilities_are_docker_s_fourteen_and_can_be_changed(shared: Engine) -> None:
    default = capabilities(shared)
    assert default == 0xA80425FB
    assert capabilities(shared, "--cap-drop", "ALL") == 0
    assert capabilities(shared, "--cap-add", "NET_ADMIN") == default | 1 << 12
    assert capabilities(shared, "-u", "1000") == 0


def test_a_capability_that_the_machine_lacks_is_an_error_when_named(shared: Engine) -> None:
    bounding = int(Path("/proc/self/status").read_text().split("CapBnd:")[1].split()[0], 16)
    if bounding >> 24 & 1:
        pytest.skip("this machine has CAP_SYS_RESOURCE")
    result = shared.run("--cap-add", "SYS_RESOURCE", "true")
    assert result.code == 125
    assert "CAP_SYS_RESOURCE" in result.err
    everything = shared.run("--privileged", "true")
    assert everything.code == 0
    assert "CAP_SYS_RESOURCE" in everything.err


def test_no_new_privileges_and_seccomp_are_as_asked(shared: Engine) -> None:
    script = "grep -E 'NoNewPrivs|Seccomp:' /proc/self/status"
    assert shared.run("sh", "-c", script).out.split() == ["NoNewPrivs:", "0", "Seccomp:", "2"]
    options = ("--security-opt", "no-new-privileges", "--security-opt", "seccomp=unconfined")
    assert shared.run(*options, "sh", "-c", script).out.split() == ["NoNewPrivs:", "1", "Seccomp:", "0"]


def test_a_seccomp_profile_from_a_file_is_enforced(shared: Engine, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text(
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}'
    )
    assert shared.run("--security-opt", f"seccomp={profile}", "mkdir", "/tmp/x").code == 1


def test_a_privileged_container_sees_the_machine_s_devices_and_an_ordinary_one_does_not(shared: Engine) -> None:
    assert not set(shared.run("ls", "/dev").out.split()) & {"kmsg", "mem", "loop-control", "fuse"}
    assert set(shared.run("--privileged", "ls", "/dev").out.split()) & {"kmsg", "mem", "loop-control", "fuse"}


def test_secrets_of_proc_are_masked_and_its_controls_read_only(shared: Engine) -> None:
    result = shared.run("sh", "-c", "wc -c < /proc/keys; echo 1 > /proc/sys/vm/drop_caches")
    assert result.out.strip() == "0"
    assert result.code != 0


def test_with_the_host_s_network_its_devices_are_seen(shared: Engine) -> None:
    out = shared.run("--network", "host", "sh", "-c", "ls /sys/class/net; hostname").out.split()
    assert out == [*sorted(os.listdir("/sys/class/net")), os.uname().nodename]


def test_an_entrypoint_comes_before_the_command(shared: Engine) -> None:
    assert shared.run("--entrypoint", "echo", "a", "b").out == "a b\n"


def test_no_descriptor_and_no_variable_of_orlop_s_reaches_the_program(shared: Engine) -> None:
    out = shared.run("sh", "-c", "ls /proc/self/fd; env").out.split()
    assert out[:4] == ["0", "1", "2", "3"]  # 3 is ls reading the directory
    assert {line.split("=")[0] for line in out[4:] if "=" in line} == {"PATH", "HOSTNAME", "HOME", "SHLVL", "PWD"}


def test_words_variables_and_labels_need_not_be_text(engine: Engine) -> None:
    word = os.fsdecode(b"a\xffb")
    words = ("run", "--name", "web", "-e", f"WORD={word}", "-l", f"word={word}", "--rootfs", "ROOTFS")
    command = engine.command(*words, "sh", "-c", 'echo "$0 $WORD"', word)
    assert subprocess.run(command, stdin=-3, stdout=-1, check=True).stdout == b"a\xffb a\xffb\n"
    said = engine.inspect("web")["Config"]
    assert (said["Cmd"][-1], said["Labels"]) == (word, {"word": word})
    assert subprocess.run(engine.command("start", "-a", "web"), stdout=-1, check=True).stdout == b"a\xffb a\xffb\n"
