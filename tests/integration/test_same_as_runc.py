"""Each command in each state of a container, beside runc: the same exit code, and the words engines look for."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import BundleMaker, Runtime

CASES = [
    # state of the container, command ({} is its id), exit code, words in the error
    ("missing", "state {}", 1, "does not exist"),
    ("missing", "start {}", 1, "does not exist"),
    ("missing", "kill {} 9", 1, "does not exist"),
    ("missing", "pause {}", 1, "does not exist"),
    ("missing", "resume {}", 1, "does not exist"),
    ("missing", "ps {}", 1, "does not exist"),
    ("missing", "update --memory 50m {}", 1, "does not exist"),
    ("missing", "events --stats {}", 1, "does not exist"),
    ("missing", "exec {} true", 255, "exec failed: "),
    ("missing", "exec {} true", 255, "does not exist"),
    ("missing", "delete {}", 1, "does not exist"),
    ("missing", "delete --force {}", 0, ""),
    ("created", "state {}", 0, ""),
    ("created", "kill {} 0", 0, ""),
    ("created", "pause {}", 0, ""),
    ("created", "resume {}", 1, "container not paused"),
    ("created", "ps --format json {}", 0, ""),
    ("created", "update --pids-limit 20 {}", 0, ""),
    ("created", "events --stats {}", 0, ""),
    ("created", "exec {} true", 0, ""),
    ("created", "start {}", 0, ""),
    ("created", "delete {}", 0, ""),
    ("created", "delete --force {}", 0, ""),
    ("running", "state {}", 0, ""),
    ("running", "start {}", 1, "cannot start an already running container"),
    ("running", "kill {} 0", 0, ""),
    ("running", "kill {} NOSUCH", 1, "unknown signal"),
    ("running", "kill --all {} 0", 0, ""),
    ("running", "pause {}", 0, ""),
    ("running", "resume {}", 1, "container not paused"),
    ("running", "ps {}", 0, ""),
    ("running", "update {}", 0, ""),
    ("running", "update --memory lots {}", 1, "memory"),
    ("running", "update --resources /nonexistent {}", 1, "open /nonexistent: no such file or directory"),
    ("running", "exec {} true", 0, ""),
    ("running", "exec {} false", 1, ""),
    ("running", "exec {} sh -c 'exit 7'", 7, ""),
    ("running", "exec {} sh -c 'kill -9 $$'", 137, ""),
    ("running", "exec --detach {} sleep 0", 0, ""),
    ("running", "exec {} nosuch", 255, 'exec: "nosuch": executable file not found in $PATH'),
    ("running", "exec {} /proc", 255, 'exec: "/proc": '),
    ("running", "exec {} /nosuch", 255, "no such file or directory"),
    ("running", "exec {}", 255, "process args cannot be empty"),
    ("running", "exec --user a {} true", 255, "exec failed: "),
    ("running", "exec --user 1: {} true", 255, "exec failed: "),
    ("running", "exec --cwd relative {} true", 255, "absolute path"),
    ("running", "exec --env NOVALUE {} true", 255, "NOVALUE"),
    ("running", "exec --process /nonexistent {}", 255, "open /nonexistent: no such file or directory"),
    ("running", "exec --cgroup ../../elsewhere {} true", 255, "../../elsewhere"),
    ("running", "exec --cgroup / {} true", 0, ""),
    ("running", "delete {}", 1, "cannot delete container {} that is not stopped: running"),
    ("running", "delete --force {}", 0, ""),
    ("paused", "state {}", 0, ""),
    ("paused", "resume {}", 0, ""),
    ("paused", "exec {} true", 255, "cannot exec in a paused container"),
    ("paused", "delete {}", 1, "cannot delete container {} that is not stopped: paused"),
    ("paused", "delete --force {}", 0, ""),
    ("stopped", "state {}", 0, ""),
    ("stopped", "start {}", 1, "cannot start a container that has stopped"),
    ("stopped", "kill {} 15", 1, "container not running"),
    ("stopped", "kill --all {} 9", 0, ""),
    ("stopped", "pause {}", 1, "container not running"),
    ("stopped", "resume {}", 1, "container not paused"),
    ("stopped", "ps {}", 0, ""),
    ("stopped", "update --pids-limit 20 {}", 1, "container not running"),
    ("stopped", "events --stats {}", 1, "is not running"),
    ("stopped", "exec {} true", 255, "cannot exec in a stopped container"),
    ("stopped", "delete {}", 0, ""),
    ("stopped", "delete --force {}", 0, ""),
]


def container_in(condition: str, runtime: Runtime, bundle: BundleMaker) -> str:
    made = bundle("sleep", "1000")
    if condition == "missing":
        return made.path.name
    if condition == "created":
        return runtime.create(made)
    name = runtime.start(made)
    if condition == "paused":
        runtime("pause", name)
    if condition == "stopped":
        stop(runtime, name)
    return name


def stop(runtime: Runtime, name: str) -> None:
    runtime("kill", name, "KILL")
    deadline = time.monotonic() + 10
    while runtime.state(name)["status"] != "stopped":
        assert time.monotonic() < deadline


def words_of(command: str, name: str) -> list[str]:
    import shlex

    return [word.replace("{}", name) for word in shlex.split(command)]


@pytest.mark.parametrize(("condition", "command", "status", "words"), CASES)
def test_a_command_ends_as_with_runc(
    condition: str, command: str, status: int, words: str, runtime: Runtime, runc: Runtime, bundle: BundleMaker
) -> None:
    for program in (runc, runtime):
        name = container_in(condition, program, bundle)
        log = program.root.with_suffix(".log")
        options = ["--log", str(log), "--log-format", "json"]
        result = program.call(*options, *words_of(command, name))
        assert result.status == status, result
        if words:
            [entry] = [json.loads(line) for line in log.read_text().splitlines()]
            assert entry["level"] == "error"
            assert words.replace("{}", name) in entry["msg"]
            assert entry["msg"] in result.errors
        elif status == 0:
            assert result.errors == ""


@pytest.mark.parametrize("condition", ["created", "running", "paused", "stopped"])
def test_the_state_says_what_runcs_says(condition: str, runtime: Runtime, runc: Runtime, bundle: BundleMaker) -> None:
    ours = runtime.state(container_in(condition, runtime, bundle))
    theirs = runc.state(container_in(condition, runc, bundle))
    assert ours["status"] == theirs["status"] == condition
    assert (ours["pid"] == 0) == (theirs["pid"] == 0)
    assert ours.keys() == theirs.keys()


def test_the_state_follows_the_specifications_schema(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "1000")
    made.config["annotations"] = {"org.example.key": "value"}
    made.write()
    name = runtime.start(made)
    state = runtime.state(name)
    assert state["id"] == name
    assert state["bundle"] == str(made.path)
    assert state["annotations"] == {"org.example.key": "value"}
    assert state["ociVersion"][0] == "1"
    with open(f"/proc/{state['pid']}/cmdline", "rb") as file:
        assert file.read() == b"sleep\0001000\0"


@pytest.mark.parametrize("form", [[], ["--format", "json"], ["--quiet"]])
def test_the_list_is_runcs(form: list[str], runtime: Runtime, runc: Runtime, bundle: BundleMaker) -> None:
    def listed(program: Runtime) -> Any:
        name = program.start(bundle("sleep", "1000"))
        output = program("list", *form).output.replace(name, "NAME")
        if "json" in form:
            return [state.keys() for state in json.loads(output)]
        return [line.split()[:1] + line.split()[2:3] for line in output.splitlines()]

    assert listed(runtime) == listed(runc)


def test_ps_shows_the_same_table(runtime: Runtime, runc: Runtime, bundle: BundleMaker) -> None:
    for program in (runtime, runc):
        name = program.start(bundle("sleep", "1000"))
        pid = str(program.state(name)["pid"])
        assert program("ps", name, "-o", "pid,comm").output.split() == ["PID", "COMMAND", pid, "sleep"]
        assert program("ps", "--format", "json", name).json() == [int(pid)]
        assert program.call("ps", name, "-o", "comm").status == 1


def shape(value: Any) -> Any:
    return {key: shape(item) for key, item in value.items()} if isinstance(value, dict) else type(value)


def test_statistics_have_all_that_runcs_have(runtime: Runtime, runc: Runtime, bundle: BundleMaker) -> None:
    def missing(theirs: Any, ours: Any, path: str) -> list[str]:
        if not isinstance(theirs, dict):
            return []
        lacking = [f"{path}.{key}" for key in theirs if key not in ours]
        return lacking + [
            name for key in theirs if key in ours for name in missing(theirs[key], ours[key], f"{path}.{key}")
        ]

    ours, theirs = (
        program("events", "--stats", program.start(bundle("sleep", "1000"))).json() for program in (runtime, runc)
    )
    assert missing(shape(theirs), shape(ours), "") == []
    assert ours["type"] == "stats"


def test_features_have_the_sections_of_runcs(runtime: Runtime, runc: Runtime) -> None:
    ours, theirs = runtime("features").json(), runc("features").json()
    assert theirs.keys() <= ours.keys()
    assert theirs["linux"].keys() <= ours["linux"].keys()
    assert set(theirs["linux"]["namespaces"]) <= set(ours["linux"]["namespaces"])


@pytest.mark.parametrize("options", [[], ["--rootless"]])
def test_spec_writes_a_configuration_with_the_parts_of_runcs(
    options: list[str], runtime: Runtime, runc: Runtime, tmp_path: Any
) -> None:
    written = []
    for program in (runtime, runc):
        directory = tmp_path / f"spec-{program.root.name}"
        directory.mkdir()
        program("spec", "--bundle", str(directory), *options)
        written.append(json.loads((directory / "config.json").read_text()))
        assert program.call("spec", "--bundle", str(directory), *options).status == 1
    ours, theirs = written
    assert ours.keys() == theirs.keys()
    assert ours["linux"].keys() == theirs["linux"].keys()
    assert [mount["destination"] for mount in ours["mounts"]] == [mount["destination"] for mount in theirs["mounts"]]
    assert ours["linux"]["namespaces"] == theirs["linux"]["namespaces"]


#: What a container sees of itself, but for what is random or another runtime's choice. (Go changes RLIMIT_NOFILE by itself.)
LOOK = r"""
id; umask; pwd; hostname; env | grep -v SHLVL | sort; grep -v "open files" /proc/self/limits; cat /proc/self/oom_score_adj /proc/self/cgroup
grep -E "^(Cap|NoNew|Seccomp:|SigIgn|SigBlk)" /proc/self/status; cat /proc/sys/net/ipv4/ip_forward
stat -c "%n %F %a %u %g %t %T" /dev/* | sort; for each in /dev/*; do readlink $each; done
sed "s/^[0-9]* [0-9]* [^ ]* //; s/ shared:[0-9]*/ shared/; s/ master:[0-9]*/ master/; s/,size=4k,nr_inodes=1//" /proc/self/mountinfo | sort
"""


def as_somebody(config: dict[str, Any]) -> None:
    sets = ("bounding", "permitted", "inheritable", "ambient")
    config["process"].update(
        user={"uid": 1000, "gid": 1000, "additionalGids": [5, 7], "umask": 0o27},
        capabilities={kind: ["CAP_CHOWN", "CAP_KILL"] for kind in sets},
        rlimits=[{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}],
        env=["PATH=/bin", "A=1", "B=", "A=2", "HOME="],
        cwd="/made/on/the/way",
        oomScoreAdj=300,
    )


def with_mounts_and_devices(config: dict[str, Any]) -> None:
    config["root"]["readonly"] = True
    config["linux"].update(sysctl={"net.ipv4.ip_forward": "1"}, readonlyPaths=["/proc/bus"])
    config["linux"]["devices"] = [
        {"path": "/dev/mine", "type": "c", "major": 1, "minor": 7, "fileMode": 0o640, "uid": 3, "gid": 4},
        {"path": "/dev/pipe", "type": "p"},
    ]
    binds = (
        "rbind,ro,nosuid",
        "bind,noatime,rprivate",
        "rbind,rro,nosymfollow",
        "bind,nodiratime,rslave",
        "rbind,rnoexec",
    )
    for number, options in enumerate(binds):
        mount = {
            "destination": f"/bound/{number}",
            "type": "bind",
            "source": "rootfs/etc",
            "options": options.split(","),
        }
        config["mounts"].append(mount)


@pytest.mark.parametrize("change", [as_somebody, with_mounts_and_devices])
def test_a_container_sees_the_same_of_itself(change: Any, runtime: Runtime, runc: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", LOOK)
    change(made.config)
    made.write()
    ours, theirs = (program("run", "--bundle", str(made.path), "same").output for program in (runtime, runc))
    assert with_heard_signals(ours) == with_heard_signals(theirs)


def with_heard_signals(seen: str) -> list[str]:
    """The lines, but for the signals 32 and 33, which Go's programs leave as they were when those before ignored them:
    the C library keeps them for itself."""
    kept_for_itself = 0b11 << 31
    return [
        f"SigIgn:\t{int(line.split()[1], 16) & ~kept_for_itself:016x}" if line.startswith("SigIgn:") else line
        for line in seen.splitlines()
    ]


def test_what_is_executed_has_the_same_of_the_first_process(
    runtime: Runtime, runc: Runtime, bundle: BundleMaker
) -> None:
    made = bundle("sleep", "1000")
    as_somebody(made.config)
    made.write()
    look = "id; umask; pwd; grep -E '^(Cap|NoNew|Groups)' /proc/self/status; env | sort"
    seen = []
    for program in (runtime, runc):
        name = program.start(made)
        seen.append([program("exec", *words, name, "sh", "-c", look).output for words in ((), ("--user", "5:6"))])
        program("delete", "--force", name)
    assert seen[0] == seen[1]
