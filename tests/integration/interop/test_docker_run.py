"""`docker run` with the runtime under test: what comes out, and what the container is given."""

from __future__ import annotations

import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.integration.interop.docker import IMAGE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.interop.docker import Docker


def _own_capabilities() -> int:
    with open("/proc/self/status") as stream:
        return next(int(line.split()[1], 16) for line in stream if line.startswith("CapBnd"))


def test_output_arrives_on_the_stream_it_was_written_to(docker: Docker) -> None:
    assert docker.run(IMAGE, "sh", "-c", "echo out; echo err >&2") == (0, "out\n", "err\n")


def test_the_exit_status_is_passed_on(docker: Docker) -> None:
    assert docker.run(IMAGE, "sh", "-c", "exit 42").code == 42


def test_death_by_a_signal_is_128_and_its_number(docker: Docker) -> None:
    assert docker.run("--init", IMAGE, "sh", "-c", "kill -TERM $$").code == 143


def test_a_program_that_is_not_there_gives_127(docker: Docker) -> None:
    result = docker.run(IMAGE, "no-such-program")
    assert result.code == 127
    assert 'exec: "no-such-program"' in result.err
    assert "executable file not found" in result.err


def test_an_absolute_path_that_is_not_there_gives_127(docker: Docker) -> None:
    result = docker.run(IMAGE, "/no/such/program")
    assert result.code == 127
    assert "no such file or directory" in result.err


@pytest.mark.parametrize("path", ["/etc/not-a-program", "/etc"])
def test_what_cannot_be_executed_gives_126(docker: Docker, path: str) -> None:
    result = docker.run(IMAGE, path)
    assert result.code == 126
    assert "permission denied" in result.err


def test_a_failure_of_the_runtime_gives_125_and_its_reason(docker: Docker) -> None:
    result = docker.run("--sysctl=net.ipv4.ip_unprivileged_port_start=-5", IMAGE, "/bin/busybox", "true")
    assert result.code == 125
    assert "ip_unprivileged_port_start" in result.err


def test_a_failed_run_leaves_no_container_behind(docker: Docker) -> None:
    docker.run("--name=failed", IMAGE, "no-such-program")
    assert docker("ps", "-aq", "--filter=name=failed").out == ""


def test_standard_input_reaches_the_program(docker: Docker) -> None:
    assert docker.run("-i", IMAGE, "cat", stdin="line 1\nline 2\n") == (0, "line 1\nline 2\n", "")


def test_a_terminal_has_the_size_of_the_users(docker: Docker) -> None:
    script = "until [ \"$(stty size 2> /dev/null)\" = '33 99' ]; do :; done; tty; exit 7"
    result = docker.on_terminal("run", "--rm", "-it", "--network=none", IMAGE, "sh", "-c", script, rows=33, columns=99)
    assert (result.code, result.out) == (7, "/dev/pts/0\n")


def test_typing_control_c_interrupts_what_runs_on_the_terminal(docker: Docker) -> None:
    script = "trap 'echo interrupted; exit 3' INT; echo ready; while :; do sleep 0.05; done"
    command = ["run", "--rm", "-it", "--network=none", IMAGE, "sh", "-c", script]
    result = docker.on_terminal(*command, rows=24, columns=80, typed="\x03", once="ready")
    assert result.code == 3
    assert "interrupted" in result.out


def test_the_environment_and_directory_are_as_asked(docker: Docker) -> None:
    result = docker.run("-e", "A=b c", "-w", "/new/directory", IMAGE, "sh", "-c", 'echo "$A"; pwd')
    assert result == (0, "b c\n/new/directory\n", "")


def test_the_host_name_is_as_asked(docker: Docker) -> None:
    assert docker.run("--hostname=elsewhere", IMAGE, "hostname").out == "elsewhere\n"


def test_the_user_and_groups_are_as_asked(docker: Docker) -> None:
    result = docker.run("--user=alice", "--group-add=50", IMAGE, "id")
    assert result.out.startswith("uid=1000(alice) gid=1000(alice) groups=")
    assert result.out.split("groups=")[1].strip() == "50,1000(alice),2000(extra)"


def test_a_numeric_user_is_a_uid(docker: Docker) -> None:
    assert docker.run("--user=4321:8765", IMAGE, "sh", "-c", "id -u; id -g").out == "4321\n8765\n"


def test_an_init_is_process_one_when_asked_for(docker: Docker) -> None:
    assert docker.run("--init", IMAGE, "cat", "/proc/1/comm").out == "docker-init\n"


def test_process_one_is_the_program_itself(docker: Docker) -> None:
    assert docker.run(IMAGE, "sh", "-c", "echo $$").out == "1\n"


@pytest.mark.usefixtures("orlop_only")
def test_privileged_gives_all_capabilities_that_the_machine_has(docker: Docker) -> None:
    result = docker.run("--privileged", IMAGE, "grep", "CapBnd", "/proc/self/status")
    known = (1 << 38) - 1  # capabilities 38 to 40 are younger than some of the dockers in use
    assert int(result.out.split()[1], 16) & known == _own_capabilities() & known


@pytest.mark.usefixtures("orlop_only")
def test_privileged_sees_the_machines_devices(docker: Docker) -> None:
    assert docker.run("--privileged", IMAGE, "head", "-c", "3", "/dev/full").out == "\0\0\0"
    assert docker.run("--privileged", IMAGE, "test", "-c", "/dev/kmsg").code == 0


def test_a_read_only_root_refuses_writes_and_a_tmpfs_takes_them(docker: Docker) -> None:
    result = docker.run("--read-only", "--tmpfs=/scratch:size=1m", IMAGE, "sh", "-c", "touch /scratch/f && touch /f")
    assert result.code == 1
    assert "Read-only file system" in result.err


def test_the_options_of_a_tmpfs_are_applied(docker: Docker) -> None:
    command = ["grep", " /scratch ", "/proc/mounts"]
    line = docker.run("--tmpfs=/scratch:size=1m,mode=700,exec", IMAGE, *command).out
    assert {"size=1024k", "mode=700", "nosuid", "nodev"} <= set(line.split()[3].split(","))
    assert "noexec" not in line


def test_a_volume_is_shared_with_the_host(docker: Docker, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("from the host\n")
    result = docker.run("-v", f"{tmp_path}:/data", IMAGE, "sh", "-c", "cat /data/in; echo back > /data/out")
    assert result == (0, "from the host\n", "")
    assert (tmp_path / "out").read_text() == "back\n"


def test_a_read_only_volume_refuses_writes(docker: Docker, tmp_path: Path) -> None:
    assert "Read-only" in docker.run("-v", f"{tmp_path}:/data:ro", IMAGE, "touch", "/data/f").err
    assert not (tmp_path / "f").exists()


def test_a_file_can_be_a_volume(docker: Docker, tmp_path: Path) -> None:
    (tmp_path / "settings").write_text("x=1\n")
    assert (
        docker.run("-v", f"{tmp_path}/settings:/etc/deep/settings", IMAGE, "cat", "/etc/deep/settings").out == "x=1\n"
    )


def test_a_device_is_there_only_when_asked_for(docker: Docker) -> None:
    assert docker.run("--device=/dev/fuse", IMAGE, "sh", "-c", "exec 3<>/dev/fuse").code == 0
    assert docker.run(IMAGE, "test", "-e", "/dev/fuse").code == 1


def test_a_device_that_was_not_given_cannot_be_made(docker: Docker) -> None:
    result = docker.run(IMAGE, "sh", "-c", "mknod /tmp/fuse c 10 229 && exec 3<>/tmp/fuse")
    assert "Operation not permitted" in result.err


@pytest.mark.parametrize("path", ["/proc/keys", "/proc/self/fd/0", "/dev/null"])
def test_the_machines_null_device_cannot_be_changed(docker: Docker, path: str) -> None:
    before = os.stat("/dev/null")
    docker.run(IMAGE, "chmod", f"{before.st_mode & 0o777:o}", path)  # the mode that it has, so as to do no harm
    assert os.stat("/dev/null").st_ctime_ns == before.st_ctime_ns


def test_a_capability_can_be_added(docker: Docker) -> None:
    mount = ["mount", "-t", "tmpfs", "tmpfs", "/tmp"]
    assert docker.run("--cap-add=SYS_ADMIN", IMAGE, *mount).code == 0
    assert docker.run(IMAGE, *mount).code != 0


def test_a_capability_can_be_dropped(docker: Docker) -> None:
    assert docker.run("--cap-drop=CHOWN", IMAGE, "chown", "1:1", "/tmp").code == 1
    assert docker.run(IMAGE, "chown", "1:1", "/tmp").code == 0


def test_no_capability_is_inheritable(docker: Docker) -> None:
    assert docker.run(IMAGE, "grep", "CapInh", "/proc/self/status").out == "CapInh:\t0000000000000000\n"


def test_no_new_privileges_is_set_when_asked_for(docker: Docker) -> None:
    command = ["grep", "NoNewPrivs", "/proc/self/status"]
    assert docker.run("--security-opt=no-new-privileges", IMAGE, *command).out == "NoNewPrivs:\t1\n"
    assert docker.run(IMAGE, *command).out == "NoNewPrivs:\t0\n"


def test_dockers_seccomp_profile_is_installed(docker: Docker) -> None:
    assert docker.run(IMAGE, "grep", "Seccomp:", "/proc/self/status").out == "Seccomp:\t2\n"


def test_seccomp_can_be_switched_off(docker: Docker) -> None:
    result = docker.run("--security-opt=seccomp=unconfined", IMAGE, "grep", "Seccomp:", "/proc/self/status")
    assert result.out == "Seccomp:\t0\n"


def test_a_seccomp_profile_of_the_users_own_is_obeyed(docker: Docker, tmp_path: Path) -> None:
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 122}
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    result = docker.run(f"--security-opt=seccomp={profile}", IMAGE, "mkdir", "/d")
    assert result.code == 1
    assert "Quota exceeded" in result.err or "Disk quota" in result.err


def test_a_limit_of_open_files_is_set(docker: Docker) -> None:
    assert docker.run("--ulimit=nofile=100:200", IMAGE, "sh", "-c", "ulimit -Sn; ulimit -Hn").out == "100\n200\n"


def test_shared_memory_has_the_size_asked_for(docker: Docker) -> None:
    assert "size=2048k" in docker.run("--shm-size=2m", IMAGE, "grep", " /dev/shm ", "/proc/mounts").out


def test_a_sysctl_is_written(docker: Docker) -> None:
    assert docker.run("--sysctl=kernel.msgmax=4321", IMAGE, "cat", "/proc/sys/kernel/msgmax").out == "4321\n"


def test_the_oom_score_is_raised(docker: Docker) -> None:
    assert docker.run("--oom-score-adj=500", IMAGE, "cat", "/proc/self/oom_score_adj").out == "500\n"


def test_another_containers_processes_can_be_seen(docker: Docker) -> None:
    other = docker.start(IMAGE, "sleep", "1000")
    assert "sleep 1000" in docker.run(f"--pid=container:{other}", IMAGE, "ps").out
    docker("rm", "-f", other)


def test_another_containers_shared_memory_can_be_used(docker: Docker) -> None:
    other = docker.start("--ipc=shareable", IMAGE, "sh", "-c", "echo shared > /dev/shm/f; exec sleep 1000")
    assert docker.run(f"--ipc=container:{other}", IMAGE, "cat", "/dev/shm/f").out == "shared\n"
    docker("rm", "-f", other)


def test_another_containers_network_can_be_used(docker: Docker) -> None:
    other = docker.start(IMAGE, "sleep", "1000")
    namespace = docker("exec", other, "readlink", "/proc/self/ns/net").out
    result = docker("run", "--rm", f"--network=container:{other}", IMAGE, "readlink", "/proc/self/ns/net")
    assert (result.code, result.out) == (0, namespace)
    docker("rm", "-f", other)


def test_the_hosts_namespaces_can_be_shared(docker: Docker) -> None:
    result = docker("run", "--rm", "--network=host", "--uts=host", "--ipc=host", "--pid=host", IMAGE, "sh", "-c",
                    "hostname; cat /proc/1/comm; readlink /proc/self/ns/ipc")  # fmt: skip
    with open("/proc/1/comm") as stream:
        process_one = stream.read()
    assert result == (0, f"{socket.gethostname()}\n{process_one}{os.readlink('/proc/self/ns/ipc')}\n", "")


def test_processes_without_a_namespace_of_their_own_end_with_the_container(docker: Docker) -> None:
    result = docker.run("--pid=host", IMAGE, "sh", "-c", "sleep 1000 > /dev/null 2>&1 & echo $!")
    assert result.code == 0
    assert not os.path.exists(f"/proc/{result.out.strip()}")


def test_ten_containers_run_at_once(docker: Docker) -> None:
    with ThreadPoolExecutor(10) as pool:
        results = list(pool.map(lambda number: docker.run(IMAGE, "echo", str(number)), range(10)))
    assert results == [(0, f"{number}\n", "") for number in range(10)]


def test_docker_info_shows_the_runtimes_version(docker: Docker, runtime: Path) -> None:
    version = docker.home.run([str(runtime), "--version"]).out
    shown = docker("version", "--format={{range .Server.Components}}{{.Name}}={{.Version}} {{end}}").out
    assert f"orlop={version.split()[2]}" in shown or f"{runtime.name}={version.split()[2]}" in shown
