"""Profiles in Docker's format, resolved for a container."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from orlop.engine import seccomp_profile
from orlop.engine.default_seccomp import PROFILE
from orlop.errors import InvalidArgument
from orlop.linux import seccomp

SPECS = Path(os.environ.get("ORLOP_SPECS", Path(__file__).parents[4] / "shared/specs"))
PUBLIC = SPECS / "docker-seccomp-default.json"
CAPABILITIES = sorted(
    {
        capability
        for rule in PROFILE["syscalls"]  # type: ignore[attr-defined]
        for capability in rule.get("includes", {}).get("caps", ())
    }
)


def profile(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": list(rules), **more}


def rule(name: str, **more: Any) -> dict[str, Any]:
    return {"names": [name], "action": "SCMP_ACT_ALLOW", **more}


def names(
    given: dict[str, Any], *capabilities: str, machine: str = "x86_64", kernel: str = "6.1.0-9-amd64"
) -> list[str]:
    resolved = seccomp_profile.resolve(given, capabilities, machine, kernel)
    return [name for each in resolved["syscalls"] for name in each["names"]]


def test_a_rule_may_depend_on_capabilities_that_are_held() -> None:
    given = profile(rule("reboot", includes={"caps": ["CAP_SYS_BOOT", "CAP_SYS_ADMIN"]}))
    assert names(given, "CAP_SYS_BOOT") == []
    assert names(given, "CAP_SYS_BOOT", "CAP_SYS_ADMIN") == ["reboot"]


def test_a_rule_may_be_excluded_by_any_capability() -> None:
    given = profile(rule("clone3", excludes={"caps": ["CAP_SYS_ADMIN", "CAP_BPF"]}))
    assert names(given) == ["clone3"]
    assert names(given, "CAP_BPF") == []


def test_a_rule_may_depend_on_the_architecture() -> None:
    given = profile(
        rule("arch_prctl", includes={"arches": ["amd64", "x32"]}), rule("clone", excludes={"arches": ["s390x"]})
    )
    assert names(given) == ["arch_prctl", "clone"]
    assert names(given, machine="aarch64") == ["clone"]
    assert names(given, machine="s390x") == []


@pytest.mark.parametrize(
    ("kernel", "included"),
    [("4.7.10", False), ("4.8.0", True), ("4.10", True), ("5.0-rc1", True), ("3.19", False)],
)
def test_a_rule_may_depend_on_the_kernels_version(kernel: str, included: bool) -> None:
    given = profile(rule("ptrace", includes={"minKernel": "4.8"}), rule("old", excludes={"minKernel": "4.8"}))
    assert names(given, kernel=kernel) == (["ptrace"] if included else ["old"])


def test_the_machines_family_of_architectures_is_chosen() -> None:
    given = profile(
        archMap=[
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
            {"architecture": "SCMP_ARCH_RISCV64", "subArchitectures": None},
        ]
    )

    def architectures(machine: str) -> Any:
        return seccomp_profile.resolve(given, (), machine).get("architectures")

    assert architectures("x86_64") == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
    assert architectures("riscv64") == ["SCMP_ARCH_RISCV64"]
    assert architectures("ppc64le") is None


def test_the_older_spelling_with_one_name_is_read() -> None:
    assert names(profile({"name": "read", "action": "SCMP_ACT_ALLOW"})) == ["read"]


def test_what_the_runtime_needs_is_kept_and_conditions_are_not() -> None:
    args = [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]
    given = profile(
        rule("write", args=args, errnoRet=5, comment="why", includes={"minKernel": "3.0"}, excludes={}),
        defaultErrnoRet=13,
        flags=["SECCOMP_FILTER_FLAG_LOG"],
        listenerPath="/run/agent",
        listenerMetadata="x",
    )
    assert seccomp_profile.resolve(given, (), "x86_64", "6.1") == {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 13,
        "flags": ["SECCOMP_FILTER_FLAG_LOG"],
        "listenerPath": "/run/agent",
        "listenerMetadata": "x",
        "syscalls": [{"names": ["write"], "action": "SCMP_ACT_ALLOW", "args": args, "errnoRet": 5}],
    }


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        ([], "not an object"),
        (profile({"name": "a", "names": ["b"], "action": "SCMP_ACT_ALLOW"}), "both name and names"),
        (profile(architectures=["SCMP_ARCH_X86"], archMap=[{}]), "both architectures and archMap"),
        (profile(rule("a", includes={"minKernel": "new"})), "'new' is not a kernel version"),
        (profile(rule("a", includes=["amd64"])), "includes of syscalls[0]"),
        ({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": {}}, "syscalls of the profile"),
        (profile("read"), "syscalls[0] is not an object"),  # type: ignore[arg-type]
    ],
)
def test_a_broken_profile_is_refused_by_name(broken: Any, named: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        seccomp_profile.resolve(broken, ())
    assert named in str(caught.value)


def test_a_file_is_read_and_resolved(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(profile(rule("reboot", includes={"caps": ["CAP_SYS_BOOT"]}))))
    assert seccomp_profile.load(str(path), ["CAP_SYS_BOOT"])["syscalls"][0]["names"] == ["reboot"]


@pytest.mark.parametrize("content", [None, "{", "[]", " " * (1 << 20) + "{}"])
def test_a_file_that_is_no_profile_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "profile.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidArgument, match=str(path)):
        seccomp_profile.load(str(path), ())


def test_the_default_profile_is_resolved_once_for_each_set_of_capabilities() -> None:
    assert seccomp_profile.default(["CAP_CHOWN", "CAP_KILL"]) is seccomp_profile.default(["CAP_KILL", "CAP_CHOWN"])
    assert seccomp_profile.default(["CAP_SYS_ADMIN"]) != seccomp_profile.default([])


@pytest.mark.skipif(not PUBLIC.exists(), reason="the public default profile is not here (ORLOP_SPECS)")
@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "s390x", "ppc64le", "riscv64", "loongarch64"])
def test_the_default_profile_decides_as_the_public_default_does(machine: str) -> None:
    public = json.loads(PUBLIC.read_text())
    for capabilities in ((), CAPABILITIES, *([capability] for capability in CAPABILITIES)):
        theirs = seccomp_profile.resolve(public, capabilities, machine)
        ours = seccomp_profile.resolve(PROFILE, capabilities, machine)
        assert ours["architectures" if "architectures" in theirs else "defaultAction"]
        assert seccomp.compile(ours, machine).instructions == seccomp.compile(theirs, machine).instructions


def test_the_default_profile_names_no_unknown_system_call() -> None:
    assert seccomp.compile(seccomp_profile.default(CAPABILITIES)).unknown == ()
