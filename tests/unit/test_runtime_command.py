from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orlop import __version__
from orlop.errors import InvalidArgument, NotFound
from orlop.runtime import command
from orlop.runtime.command import COMMANDS, invocation, main

LOGRUS = r'time="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ" level=error msg="container \\"none\\" does not exist"\n'


def test_the_version_has_the_lines_that_engines_parse(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    name, commit, spec = capfd.readouterr().out.splitlines()
    assert name == f"orlop-runtime version {__version__}"
    assert commit.startswith("commit: ")
    assert re.fullmatch(r"spec: 1\.\d+\.\d+", spec)


def test_without_a_command_it_prints_its_help(capfd: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capfd.readouterr().out == command.PARSER.help()


@pytest.mark.parametrize("name", [name for name, _ in COMMANDS])
def test_every_command_has_help(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    shown = capfd.readouterr().out
    assert shown.startswith(f"Usage:  orlop-runtime {name}")
    assert main(["help", name]) == 0
    assert capfd.readouterr().out == shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dance"], "unknown command: dance; see 'orlop-runtime --help'"),
        (["help", "dance"], "unknown command: dance; see 'orlop-runtime --help'"),
        (["--loud", "list"], "unknown flag: --loud"),
        (["state"], "'orlop-runtime state' takes exactly 1 argument, 0 given"),
        (["kill", "a", "b", "c"], "'orlop-runtime kill' takes at most 2 arguments, 3 given"),
        (["run", "--preserve-fds", "many", "x"], 'invalid value "many" for --preserve-fds'),
        (["--rootless", "maybe", "list"], 'invalid value "maybe" for --rootless: must be true or false'),
        (["--log-format", "xml", "list"], "invalid log-format: xml"),
        (["--log", "/nonexistent/log", "list"], "open /nonexistent/log: no such file or directory"),
        (["checkpoint", "--image-path", "x", "y"], "checkpoint is not supported"),
        (["events", "--interval", "0s", "x"], "duration interval must be greater than 0"),
        (["kill", "x", "NOSUCH"], 'unknown signal "NOSUCH"'),
        (["state", "../etc"], "invalid container id format"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_status_1(
    arguments: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err.replace('\\"', '"')


def test_a_failure_is_a_line_like_logrus_on_standard_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--root", str(tmp_path), "state", "none"]) == 1
    assert re.fullmatch(LOGRUS, capfd.readouterr().err)


def test_a_log_file_gets_the_line_and_standard_error_the_bare_message(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"
    assert main([f"--root={tmp_path}", "--log", str(log), "state", "none"]) == 1
    assert capfd.readouterr().err == 'container "none" does not exist\n'
    assert re.fullmatch(LOGRUS, log.read_text())


def test_json_log_lines_have_what_containerd_and_podman_parse(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.json"
    for _ in range(2):
        main([f"--root={tmp_path}", "--log", str(log), "--log-format", "json", "state", "none"])
    first, second = (json.loads(line) for line in log.read_text().splitlines())
    assert first.keys() == second.keys() == {"level", "msg", "time"}
    assert (first["level"], first["msg"]) == ("error", 'container "none" does not exist')
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first["time"])


def test_json_without_a_log_file_goes_to_standard_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    main([f"--root={tmp_path}", "--log-format=json", "state", "none"])
    assert json.loads(capfd.readouterr().err)["level"] == "error"


@pytest.mark.parametrize(
    ("arguments", "start", "status"),
    [
        (["run", "--bundle", "/nonexistent", "none"], "orlop-runtime run failed: ", 1),
        (["create", "--bundle", "/nonexistent", "none"], "orlop-runtime create failed: ", 1),
        (["start", "none"], 'container "none" does not exist', 1),
        (["kill", "none"], 'container "none" does not exist', 1),
        (["delete", "none"], 'container "none" does not exist', 1),
        (["pause", "none"], 'container "none" does not exist', 1),
        (["resume", "none"], 'container "none" does not exist', 1),
        (["update", "none"], 'container "none" does not exist', 1),
        (["ps", "none"], 'container "none" does not exist', 1),
        (["events", "--stats", "none"], 'container "none" does not exist', 1),
    ],
)
def test_a_failed_command_says_so_with_its_own_status(
    arguments: list[str], start: str, status: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main([f"--root={tmp_path}/root", f"--log={tmp_path}/log", *arguments]) == status
    assert capfd.readouterr().err.startswith(start)


def test_a_failed_exec_has_a_status_of_its_own(tmp_path: Path) -> None:
    # In a process of its own, which it starts anew in a sealed interpreter where it may.
    source = str(Path(command.__file__).parents[3])
    probe = [sys.executable, "-I", "-S", "-c", STATUS, source, f"--root={tmp_path}", "exec", "none", "true"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    assert done.returncode == 255
    assert 'exec failed: container \\"none\\" does not exist' in done.stderr


def test_forced_deletion_is_content_with_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([f"--root={tmp_path}/root", "delete", "--force", "none"]) == 0
    assert capfd.readouterr() == ("", "")


def test_forced_deletion_still_refuses_a_malformed_id(tmp_path: Path) -> None:
    assert main([f"--root={tmp_path}", "delete", "--force", "a/b"]) == 1


def test_a_defect_of_ours_still_reaches_the_engines_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(invocation.Invocation, "container", fail)
    log = tmp_path / "log"
    assert main([f"--log={log}", "--log-format=json", "state", "x"]) == 1
    assert json.loads(log.read_text())["msg"] == "internal error: ZeroDivisionError: oops"


def test_warnings_are_logged_to_the_file_after_success_only(tmp_path: Path) -> None:
    from orlop.runtime.command.log import Log

    path = tmp_path / "log"
    log = Log(str(path), "json")
    log.warning("a capability was dropped")
    assert path.read_text() == ""
    log.close()
    line = json.loads(path.read_text())
    assert (line["level"], line["msg"]) == ("warning", "a capability was dropped")


def test_debugging_shows_warnings_at_once(tmp_path: Path) -> None:
    from orlop.runtime.command.log import Log

    path = tmp_path / "log"
    log = Log(str(path), debugging=True)
    log.warning("odd")
    log.detail("detail")
    assert [line.split(" ", 1)[1] for line in path.read_text().splitlines()] == [
        "level=warning msg=odd",
        "level=debug msg=detail",
    ]


def test_the_root_defaults_to_run_and_to_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert invocation.default_root() == "/run/user/1000/orlop-runtime"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert invocation.default_root() == "/run/orlop-runtime"
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/0")
    monkeypatch.setenv("USER", "root")
    assert invocation.default_root() == "/run/orlop-runtime"


STATUS = """
import sys
sys.path.insert(0, sys.argv[1])
from orlop.runtime.command import main
sys.exit(main(sys.argv[2:]))
"""
PROBE = """
import sys
bare = set(sys.modules)
sys.path.insert(0, sys.argv[1])
from orlop.runtime.command import main
main(sys.argv[2:])
print(*(name for name in sys.modules if name not in bare))
"""


@pytest.mark.parametrize("name", ["state", "kill", "delete"])
def test_a_command_loads_only_itself_and_what_is_cheap(name: str, tmp_path: Path) -> None:
    source = Path(command.__file__).parents[3]
    words = [f"--root={tmp_path}", f"--log={tmp_path}/log", name, "none"]
    probe = [sys.executable, "-I", "-S", "-c", PROBE, str(source), *words]
    loaded = subprocess.run(probe, capture_output=True, text=True, check=True).stdout.split()
    cheap = {"__future__", "_ctypes", "_json", "errno", "fcntl", "select"}
    cheap |= {"_collections_abc", "_stat", "genericpath", "os", "os.path", "posixpath", "stat"}  # os itself
    assert {module for module in loaded if not module.startswith("orlop")} <= cheap
    package = "orlop.runtime.command."
    plumbing = {package + "invocation", package + "log"}
    assert {module for module in loaded if module.startswith(package)} == {package + name, *plumbing}


# exec

PROCESS: dict[str, Any] = {
    "terminal": True,
    "user": {"uid": 7, "gid": 8, "additionalGids": [9]},
    "args": ["init"],
    "env": ["A=1"],
    "cwd": "/home",
    "capabilities": {
        "bounding": ["CAP_KILL"],
        "effective": [],
        "permitted": ["CAP_KILL"],
        "inheritable": [],
        "ambient": [],
    },
}


def executed(*words: str) -> dict[str, Any]:
    from orlop.runtime.command import exec as executing

    return executing.overridden(PROCESS, executing.PARSER.parse([*words, "box", "ls", "-l"]))


def test_exec_takes_the_containers_process_with_another_command() -> None:
    assert executed() == {**PROCESS, "args": ["ls", "-l"], "terminal": False}


def test_exec_options_change_what_they_name() -> None:
    process = executed(
        "--tty", "--cwd=/tmp", "-eB=2", "-e", "C=3", "--no-new-privs", "--apparmor=p", "--process-label=l"
    )
    assert process["terminal"] is True
    assert process["cwd"] == "/tmp"
    assert process["env"] == ["A=1", "B=2", "C=3"]
    assert process["noNewPrivileges"] is True
    assert (process["apparmorProfile"], process["selinuxLabel"]) == ("p", "l")
    assert PROCESS["env"] == ["A=1"]


def test_exec_as_a_user_number_keeps_the_configured_group_unless_told() -> None:
    assert executed("--user", "1")["user"] == {"uid": 1, "gid": 8, "additionalGids": [9]}
    assert executed("-u", "1:2")["user"] == {"uid": 1, "gid": 2, "additionalGids": [9]}
    assert executed("-g", "3", "-g", "4")["user"] == {"uid": 7, "gid": 8, "additionalGids": [9, 3, 4]}
    assert PROCESS["user"] == {"uid": 7, "gid": 8, "additionalGids": [9]}


@pytest.mark.parametrize(
    "user",
    [
        "",
        ":",
        "1:",
        ":1",
        "root",
        "1:root",
        "-1",
        "+1",
        " 1",
        "1 ",
        "0x1",
        "1:2:3",
        "4294967295",
        "1:4294967295",
        "٣",
        "1_0",
    ],
)
def test_cve_2026_30892_a_user_that_is_not_a_number_is_refused_not_root(user: str) -> None:
    with pytest.raises(InvalidArgument, match="must be a number"):
        executed(f"--user={user}")


@given(st.text())
def test_a_user_is_read_as_written_or_refused(user: str) -> None:
    try:
        read = executed(f"--user={user}")["user"]
    except InvalidArgument:
        return
    uid, colon, gid = user.partition(":")
    assert read["uid"] == int(uid)
    assert read["gid"] == (int(gid) if colon else 8)


def test_cve_2022_29162_added_capabilities_are_not_inheritable() -> None:
    assert executed("--cap=CAP_NET_RAW", "-c", "CAP_KILL")["capabilities"] == {
        "bounding": ["CAP_KILL", "CAP_NET_RAW"],
        "effective": ["CAP_NET_RAW", "CAP_KILL"],
        "permitted": ["CAP_KILL", "CAP_NET_RAW"],
        "inheritable": [],
        "ambient": [],
    }


def test_exec_needs_a_command() -> None:
    from orlop.runtime.command import exec as executing

    with pytest.raises(InvalidArgument, match="process args cannot be empty"):
        executing.overridden(PROCESS, executing.PARSER.parse(["box"]))


def test_exec_reads_sub_cgroups_by_controller() -> None:
    from orlop.runtime.command.exec import cgroups

    assert cgroups([]) == {}
    assert cgroups(["sub"]) == {"": "sub"}
    assert cgroups(["cpu,cpuacct:a", "memory:b"]) == {"cpu": "a", "cpuacct": "a", "memory": "b"}
    for wrong in (["a", "b"], ["cpu:a", "b"], ["cpu:a:b"]):
        with pytest.raises(InvalidArgument, match="invalid --cgroup argument"):
            cgroups(wrong)


def test_what_is_no_process_file_is_refused_by_name(tmp_path: Path) -> None:
    from orlop.runtime.command import exec as executing

    path = tmp_path / "process.json"
    for text, message in (("{", "is not JSON"), ("[]", "must be an object")):
        path.write_text(text)
        with pytest.raises(InvalidArgument, match=message):
            executing._read(str(path))
    with pytest.raises(InvalidArgument, match="no such file or directory"):
        executing._read(str(tmp_path / "none"))


def test_commands_take_what_conmon_and_containerd_say() -> None:
    from orlop.runtime.command import create
    from orlop.runtime.command import exec as executing

    said = executing.PARSER.parse(
        ["--pid-file", "F", "--process", "P", "--detach", "--tty", "--console-socket", "S", "box"]
    )
    assert (said["pid-file"], said["process"], said["console-socket"]) == ("F", "P", "S")
    assert said["detach"] is said["tty"] is True
    said = create.PARSER.parse(["--bundle", "B", "--pid-file", "B/init.pid", "--no-pivot", "box"])
    assert (said["bundle"], said["pid-file"], said["no-pivot"], said.arguments) == ("B", "B/init.pid", True, ["box"])
    said = command.PARSER.parse(["--root", "R", "--log", "L", "--log-format", "json", "start", "box"])
    assert (said["root"], said["log"], said["log-format"], said.arguments) == ("R", "L", "json", ["start", "box"])


def test_a_container_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    said = command.PARSER.parse([f"--root={tmp_path}", "list"])
    from orlop.runtime.command.log import Log

    with pytest.raises(NotFound):
        invocation.Invocation(said, Log()).container("none")
