"""A container whose init is a list of system calls is the one that init makes, and where the list does not do, init does.

A hook has the container made by init itself: what runs between the mounts and the start is in no list.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.conftest import REPOSITORY, unique_name
from tests.integration.runtime.containers import add_mount, attempt, namespace, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.conftest import Bundle, BundleMaker, Runtime

#: Tells all that a program can see of what was made for it.
PROBE = r"""
grep -v -E '^(Pid|PPid|Tgid|NS(tgid|pid|pgid|sid)|.*ctxt|SigQ|Vm|Rss|Hugetlb|Mems|Cpus|Speculation)' /proc/self/status
cut -d' ' -f4- /proc/self/mountinfo
stat -c '%N %F %a %u %g %t %T' /dev/* /dev/pts/*; ls /proc/self/fd | wc -l
cat /proc/self/limits /proc/1/comm /proc/self/oom_score_adj /proc/self/cgroup
cut -d' ' -f5-8 /proc/self/stat
hostname; pwd; id; umask; env; cat /proc/net/dev
readlink /proc/self/fd/0 /proc/self/fd/1; stat -c '%n %F %a %u %g' /dev/stdin /proc/self/fd/1
for path in /proc/kcore /proc/sys/kernel/hostname /sys/firmware /proc/acpi /nowhere; do
    stat -c '%n %F %a' $path; test -w $path; echo $?; ls $path | wc -l
done
cat /proc/sys/net/ipv4/ip_unprivileged_port_start
"""

#: Tells whether a container's init is an interpreter, before it is started.
LOOK = """
import os, sys
from orlop.runtime.create import create
from orlop.runtime.request import Request
created = create(Request(root=sys.argv[1], id=sys.argv[2], bundle=sys.argv[3]))
print(os.readlink(f"/proc/{created.pid}/exe"), *sorted(os.listdir(f"/proc/{created.pid}/fd")), flush=True)
created.release()
os.waitpid(created.pid, 0)
"""


def executable_and_descriptors(runtime: Runtime, made: Bundle) -> list[str]:
    made.write()
    words = [sys.executable, "-c", LOOK, str(runtime.root), unique_name(), str(made.path)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.split()


def with_hook(made: Bundle) -> Bundle:
    made.config["hooks"] = {"createContainer": [{"path": "/bin/true"}]}
    return made


def said_by(runtime: Runtime, made: Bundle) -> list[str]:
    output = run(runtime, made)
    return re.sub(r"orlop-test-[0-9-]+|/pytest-of-[^ ]*|\b(master|shared):\d+", "X", output).splitlines()


def plain(_: Bundle, __: Path) -> None:
    pass


def with_cgroups(made: Bundle, _: Path) -> None:
    namespace(made, "cgroup")
    add_mount(made, "/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "ro")


def with_filter(made: Bundle, _: Path) -> None:
    made.process["noNewPrivileges"] = False
    made.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}],
    }


def with_user(made: Bundle, _: Path) -> None:
    made.process["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [7, 8], "umask": 0o27}
    made.process["env"].append("HOME=/home")
    made.process["cwd"] = "/tmp"
    made.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 32, "hard": 64}]
    made.process["oomScoreAdj"] = 333
    sets = made.process["capabilities"]
    sets["inheritable"] = sets["ambient"] = sets["permitted"][:2]


def with_mounts(made: Bundle, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir(exist_ok=True)
    (made.rootfs / "file").touch()
    (made.rootfs / "volume").mkdir(exist_ok=True)
    (made.rootfs / "run").symlink_to("volume")
    add_mount(made, "/run", "bind", str(volume), "rbind", "ro", "nosuid", "rprivate")
    add_mount(made, "/file", "bind", "/etc/hostname", "bind", "rw", "noexec")
    add_mount(made, "/tmp", "tmpfs", "tmpfs", "ro", "mode=1770", "size=64k", "rslave")
    add_mount(made, "/dev/shm", "tmpfs", "shm", "nosuid", "mode=1777")
    add_mount(made, "/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec")
    made.config["root"]["readonly"] = True
    made.linux["rootfsPropagation"] = "shared"
    made.linux["devices"] = [{"path": "/dev/own", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640, "gid": 5}]
    made.linux["sysctl"] = {"net.ipv4.ip_unprivileged_port_start": "77"}
    made.linux["maskedPaths"] += ["/proc/acpi", "/proc/keys", "/proc/timer_list", "/proc/nothing"]
    made.linux["readonlyPaths"] += ["/proc/bus", "/volume", "/nowhere"]


@pytest.mark.parametrize("change", [plain, with_cgroups, with_filter, with_user, with_mounts])
def test_what_is_listed_is_what_init_makes(
    runtime: Runtime, bundle: BundleMaker, tmp_path: Path, change: Callable[[Bundle, Path], None]
) -> None:
    outputs = []
    for prepare in (with_hook, lambda made: made):
        made = bundle("sh", "-c", PROBE)
        change(made, tmp_path)
        outputs.append(said_by(runtime, prepare(made)))
    assert outputs[0] == outputs[1]
    executable, *_ = executable_and_descriptors(runtime, made)
    assert executable.startswith("/memfd:orlop-init")


def test_the_init_of_an_ordinary_container_has_nothing_of_the_host_open(runtime: Runtime, bundle: BundleMaker) -> None:
    _, _, *descriptors = executable_and_descriptors(runtime, bundle("true"))
    [channel] = set(descriptors) - {"0", "1", "2"}
    assert int(channel) > 2


@pytest.mark.parametrize("where", ["/made/for/it", "/link"])
def test_a_place_that_is_not_there_is_made_by_init(runtime: Runtime, bundle: BundleMaker, where: str) -> None:
    made = bundle("stat", "-f", "-c", "%T", where)
    (made.rootfs / "link").symlink_to("/to/nothing")
    add_mount(made, where, "tmpfs", "tmpfs", "mode=755")
    assert run(runtime, made) == "tmpfs\n"


def test_more_mounts_than_fit_in_a_list_are_made_by_init(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("grep", "-c", " /tmp/[0-9]* ", "/proc/self/mountinfo")
    for index in range(90):
        (made.rootfs / f"tmp/{index}").mkdir()
        add_mount(made, f"/tmp/{index}", "tmpfs", "tmpfs", "mode=755")
    assert run(runtime, made) == "90\n"


@pytest.mark.parametrize(
    "arguments",
    [["nothing"], ["/nothing"], ["/etc"], ["/etc/passwd"], ["/script"], ["/garbage"], [""]],
)
def test_what_cannot_be_executed_is_told_in_the_same_words(
    runtime: Runtime, bundle: BundleMaker, arguments: list[str]
) -> None:
    results: list[Any] = []
    for prepare in (with_hook, lambda made: made):
        made = bundle(*arguments)
        for name, text in (("script", "#!/nothing\n"), ("garbage", "no program\n")):
            (made.rootfs / name).write_text(text)
            (made.rootfs / name).chmod(0o755)
        made.process["args"] = arguments
        result = attempt(runtime, prepare(made))
        results.append((result.status, result.output, result.errors.partition(" ")[2]))
    assert results[0] == results[1]
    assert results[0][0] != 0


def test_what_fails_after_the_start_is_told_in_the_same_words(runtime: Runtime, bundle: BundleMaker) -> None:
    errors = []
    for prepare in (with_hook, lambda made: made):
        made = bundle("true")
        made.process["noNewPrivileges"] = False
        made.linux["seccomp"] = {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["capset"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}],
        }
        result = attempt(runtime, prepare(made))
        assert result.status == 1
        errors.append(result.errors.partition(" ")[2])
    assert errors[0] == errors[1]
    assert "set capabilities: capset: " in errors[0]
