"""What callers pass on from users: strings with surprises in them, sizes, environments."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.conftest import unique_name
from tests.security import hostile

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import Bundle, BundleMaker, Runtime


def with_nul(made: Bundle, where: str) -> None:
    values: dict[str, Any] = {
        "args": lambda: made.process.update(args=["echo", "a\0b"]),
        "env": lambda: made.process.update(env=["PATH=/bin", "A=b\0LD_PRELOAD=/evil"]),
        "cwd": lambda: made.process.update(cwd="/tmp\0/x"),
        "hostname": lambda: made.config.update(hostname="a\0b"),
        "root": lambda: made.config["root"].update(path="rootfs\0/x"),
        "destination": lambda: hostile.mount(made, "/tmp\0/x"),
        "source": lambda: hostile.bind(made, "/tmp\0/x", "/mnt"),
        "option": lambda: hostile.mount(made, "/mnt", "tmpfs", "tmpfs", "size=1\0,exec"),
        "masked": lambda: made.linux.update(maskedPaths=["/proc/kcore\0"]),
        "cgroup": lambda: made.linux.update(cgroupsPath="/a\0b"),
        "sysctl": lambda: made.linux.update(sysctl={"kernel.shmmax": "1\0"}),
        "annotation": lambda: made.config.update(annotations={"a": "b\0"}),
    }
    values[where]()


@pytest.mark.parametrize(
    "where",
    [
        "args",
        "env",
        "cwd",
        "hostname",
        "root",
        "destination",
        "source",
        "option",
        "masked",
        "cgroup",
        "sysctl",
        "annotation",
    ],
)
def test_cve_2021_43784_a_nul_injects_nothing(runtime: Runtime, bundle: BundleMaker, where: str) -> None:
    made = bundle("env")
    with_nul(made, where)
    result = hostile.attempt(runtime, made)
    assert (result.status, result.output) == (1, "")
    assert "NUL" in result.errors or "character" in result.errors


def test_cve_2021_43784_a_process_with_a_nul_is_not_executed(
    runtime: Runtime, bundle: BundleMaker, tmp_path: Path
) -> None:
    name = hostile.start(runtime, bundle("sleep", "100"))
    for process in ({"args": ["env", "\0"]}, {"args": ["env"], "env": ["A=\0B=c"]}, {"args": ["env"], "cwd": "/\0"}):
        (tmp_path / "process.json").write_text(json.dumps({"cwd": "/", "user": {"uid": 0, "gid": 0}, **process}))
        result = runtime.call("exec", "--process", str(tmp_path / "process.json"), name)
        assert (result.status, result.output) == (255, "")


def test_cve_2021_43784_what_is_large_is_passed_on_whole_or_refused(runtime: Runtime, bundle: BundleMaker) -> None:
    """No length wraps around: arguments, environment, annotations and mappings past 64 KiB."""
    made = bundle("sh", "-c", "echo ${#LARGE} ${#1}", "sh", "y" * 100_000)
    made.process["env"].append("LARGE=" + "x" * 100_000)
    made.config["annotations"] = {f"key{number}": "z" * 1000 for number in range(100)}
    assert hostile.output(runtime, made).split() == ["100000", "100000"]
    made.process["args"] = ["true", "z" * (1 << 20)]
    result = hostile.attempt(runtime, made)
    assert result.status in (1, 126), result
    assert "too long" in result.errors


def test_cve_2021_43784_many_mappings_are_refused_by_the_kernel_and_not_cut(
    runtime: Runtime, bundle: BundleMaker
) -> None:
    made = bundle("true")
    made.linux["namespaces"].append({"type": "user"})
    many = [{"containerID": number, "hostID": 300_000 + number * 2, "size": 1} for number in range(4000)]
    made.linux["uidMappings"] = made.linux["gidMappings"] = many
    made.linux["resources"] = {}
    result = hostile.attempt(runtime, made)
    assert result.status == 1
    assert "Mappings" in result.errors


def test_large_states_reach_created_containers(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "100")
    made.config["annotations"] = {f"key{number}": "z" * 1000 for number in range(300)}
    made.write()
    name = runtime.create(made)
    runtime("start", name)
    assert runtime.state(name)["status"] == "running"


@pytest.mark.parametrize("entry", ["NOVALUE", "=x", ""])
def test_environments_that_are_malformed_are_refused(runtime: Runtime, bundle: BundleMaker, entry: str) -> None:
    made = bundle("env")
    made.process["env"].append(entry)
    assert hostile.attempt(runtime, made).status == 1


def test_of_duplicates_in_the_environment_only_the_last_is_passed_on(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("cat", "/proc/self/environ")
    made.process["env"] = ["PATH=/nowhere", "A=1", "PATH=/bin", "A=2", "HOME=/"]
    assert hostile.output(runtime, made).split("\0")[:-1] == ["PATH=/bin", "A=2", "HOME=/"]


def test_a_pid_file_is_not_written_through_a_link(runtime: Runtime, bundle: BundleMaker, tmp_path: Path) -> None:
    """In a directory where others can write, they prepare what the file might be written by way of."""
    (tmp_path / "victim").write_text("untouched")
    for name in (".pid", "pid", ".pid.tmp", "pid.tmp"):
        (tmp_path / name).symlink_to(tmp_path / "victim")
    made = bundle("true")
    hostile.output(runtime, made, "--pid-file", str(tmp_path / "pid"))
    assert (tmp_path / "victim").read_text() == "untouched"
    assert (tmp_path / "pid").read_text().isdigit()


def test_nobody_else_can_start_or_read_a_created_container(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "100")
    made.write()
    name = unique_name()
    runtime("create", "--bundle", str(made.path), name, preexec_fn=lambda: os.umask(0))
    for entry in (runtime.root / name).iterdir():
        assert entry.stat().st_mode & 0o077 == 0, entry
    assert (runtime.root / name).stat().st_mode & 0o066 == 0
    assert runtime.root.stat().st_mode & 0o022 == 0
