"""What isolates containers, in words, and whether the words are true."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.engine.conftest import Engine


def explained(engine: Engine, name: str) -> dict[str, dict[str, Any]]:
    """The statements by their subjects."""
    told = json.loads(engine.ok("explain", name, "--format", "json"))
    assert told["Name"] == name
    return {each["Subject"]: each for each in told["Statements"]}


def weakened(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {subject: each["Weakened"] for subject, each in found.items() if each["Weakened"]}


def warnings(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {subject: each["Warning"] for subject, each in found.items() if each["Warning"]}


def test_an_ordinary_container_is_weakened_by_nothing(owner: Engine) -> None:
    owner.ok("run", "-d", "--name", "box", "-v", "things:/data", "plain", "sleep", "1000")
    found = explained(owner, "box")
    assert (weakened(found), warnings(found)) == ({}, {})
    assert "sees, signals and traces its own processes only" in found["pid"]["Text"]
    assert "it reaches no network" in found["network"]["Text"]
    assert found["user"]["Text"].startswith("its own: its root is nobody" if owner.prefix else "this machine's")
    assert found["/data"]["Text"] == "volume things, can be written to"
    assert found["memory"]["Text"].startswith("no limit")
    page = owner.ok("explain", "box")
    assert len(page.splitlines()) < 60
    assert max(map(len, page.splitlines())) <= 100
    assert "as the kernel has it now" in page
    owner.ok("kill", "box")
    owner.ok("wait", "box")
    assert "it does not run" in owner.ok("explain", "box")
    assert warnings(explained(owner, "box")) == {}
    owner.ok("rm", "box")
    owner.ok("volume", "rm", "things")


def test_each_option_that_weakens_is_named(shared: Engine, tmp_path: Path) -> None:
    shared.detached(
        "weak", "--cap-add", "SYS_ADMIN", "--network", "host", "--pid", "host", "--ipc", "host", "--uts", "host",
        "--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined", "--device", "/dev/fuse",
        "-v", "/etc:/mnt/etc:ro", "-v", f"{tmp_path}:/mnt/plain", "sleep", "1000",
    )  # fmt: skip
    found = explained(shared, "weak")
    said = weakened(found)
    assert said["network"] == "--network host"
    assert (said["pid"], said["ipc"], said["uts"]) == ("--pid host", "--ipc host", "--uts host")
    assert said["capabilities"].startswith("--cap-add (SYS_ADMIN: can mount")
    assert said["system calls"] == "--security-opt seccomp=unconfined"
    assert said["/proc and /sys"] == "--security-opt systempaths=unconfined"
    assert said["devices"] == "--device gives it /dev/fuse"
    assert "configuration, users and passwords" in said["/mnt/etc"]
    assert "/mnt/plain" not in said
    assert found["/mnt/etc"]["Text"] == "/etc of this machine, read-only"
    assert warnings(found) == {}
    shared.ok("rm", "-f", "weak")


def test_privileged_containers_and_those_with_limits_are_told_as_they_are(shared: Engine) -> None:
    shared.detached("strong", "--privileged", "-m", "64m", "--pids-limit", "50", "--cpus", "0.5", "sleep", "1000")
    found = explained(shared, "strong")
    assert {each for each, said in weakened(found).items() if "--privileged" in said} == {
        "capabilities", "system calls", "/proc and /sys", "devices",
    }  # fmt: skip
    assert "SYS_MODULE: can load code into the kernel" in found["capabilities"]["Weakened"]
    assert found["memory"]["Text"] == "at most 64 MiB"
    assert found["processes"]["Text"] == "at most 50"
    assert found["processors"]["Text"].startswith("at most 0.5 of ")
    assert warnings(found) == {}
    shared.ok("rm", "-f", "strong")


def test_what_the_kernel_says_otherwise_is_a_warning(shared: Engine) -> None:
    shared.detached("other", "--privileged", "-m", "64m", "sleep", "1000")
    shared.ok("exec", "other", "mount", "-t", "tmpfs", "none", "/tmp")
    record = shared.root / "containers" / shared.inspect("other")["Id"] / "config.json"
    config = json.loads(record.read_text())
    config["linux"]["namespaces"] = [each for each in config["linux"]["namespaces"] if each["type"] != "pid"]
    config["linux"]["resources"]["memory"]["limit"] = 32 << 20
    config["process"]["capabilities"]["bounding"] = ["CAP_CHOWN"]
    config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": []}
    record.write_text(json.dumps(config))
    found = warnings(explained(shared, "other"))
    assert found["other mounts"] == "something is mounted at /tmp"
    assert found["pid"] == "the kernel says that it is not this machine's"
    assert found["memory"] == "the kernel's limit is 64 MiB"
    assert found["capabilities"].startswith("the kernel lets it have DAC_OVERRIDE")
    assert found["system calls"] == "the kernel says that there is no filter"
    assert "WARNING: the kernel's limit is 64 MiB" in shared.ok("explain", "other")
    shared.ok("rm", "-f", "other")


def test_a_container_that_is_not_there_has_nothing_to_explain(shared: Engine) -> None:
    assert shared("explain", "never").err == "orlop: No such container: never\n"
