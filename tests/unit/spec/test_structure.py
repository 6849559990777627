"""The types of a configuration's fields."""

from __future__ import annotations

from typing import Any

import pytest

from orlop.errors import InvalidConfig
from orlop.runtime.spec import validate, validate_process, validate_resources
from tests.unit.spec.changes import ABSENT, changed

_INT64_RANGE = "from -9223372036854775808 to 9223372036854775807"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("ociVersion", 1, "ociVersion must be a string"),
        ("ociVersion", ABSENT, "ociVersion is required"),
        ("root", ABSENT, "root is required"),
        ("root", [], "root must be an object"),
        ("root.path", ABSENT, "root.path is required"),
        ("root.path", 7, "root.path must be a string"),
        ("root.path", "", "root.path must not be empty"),
        ("root.readonly", "true", "root.readonly must be true or false"),
        ("process", "sh", "process must be an object"),
        ("process.args", ABSENT, "process.args is required"),
        ("process.args", "sh", "process.args must be an array of strings"),
        ("process.args", ["sh", 1], "process.args must be an array of strings"),
        ("process.args", ["sh", "\0"], "process.args must not contain a NUL character"),
        ("process.cwd", ABSENT, "process.cwd is required"),
        ("process.cwd", True, "process.cwd must be a string"),
        ("process.cwd", "/a\0b", "process.cwd must not contain a NUL character"),
        ("process.terminal", 1, "process.terminal must be true or false"),
        ("process.env", {"A": "b"}, "process.env must be an array of strings"),
        ("process.user.uid", "root", "process.user.uid must be an integer"),
        ("process.user.uid", True, "process.user.uid must be an integer"),
        ("process.user.uid", 1.0, "process.user.uid must be an integer"),
        ("process.user.uid", -1, "process.user.uid must be from 0 to 4294967295, not -1"),
        ("process.user.gid", 1 << 32, "process.user.gid must be from 0 to 4294967295, not 4294967296"),
        ("process.user.additionalGids", [5, "6"], "process.user.additionalGids must be an array of integers"),
        ("process.user.additionalGids", [-5], "process.user.additionalGids[0] must be from 0 to 4294967295, not -5"),
        ("process.consoleSize", {"height": 1}, "process.consoleSize.width is required"),
        ("process.capabilities", ["CAP_KILL"], "process.capabilities must be an object"),
        ("process.capabilities.bounding", "CAP_KILL", "process.capabilities.bounding must be an array of strings"),
        ("process.rlimits", {}, "process.rlimits must be an array of objects"),
        ("process.rlimits", [1], "process.rlimits must be an array of objects"),
        ("process.rlimits.0.hard", ABSENT, "process.rlimits[0].hard is required"),
        ("process.rlimits.0.soft", -1, "process.rlimits[0].soft must be from 0 to 18446744073709551615, not -1"),
        ("process.scheduler", {}, "process.scheduler.policy is required"),
        ("process.ioPriority", {"priority": 1}, "process.ioPriority.class is required"),
        ("mounts", {}, "mounts must be an array of objects"),
        ("mounts.2.destination", ABSENT, "mounts[2].destination is required"),
        ("mounts.1.options", "ro", "mounts[1].options must be an array of strings"),
        ("mounts.0.uidMappings", [{"hostID": 1, "size": 1}], "mounts[0].uidMappings[0].containerID is required"),
        ("hostname", ["x"], "hostname must be a string"),
        ("annotations", {"a": 1}, "annotations.a must be a string"),
        ("annotations", {"a\n": 1}, "annotations.'a\\n' must be a string"),
        ("linux.sysctl", {"net.a\n": "1"}, "linux.sysctl must not have a key with control characters: 'net.a\\n'"),
        ("hooks", [], "hooks must be an object"),
        ("hooks.prestart", {"path": "/x"}, "hooks.prestart must be an array of objects"),
        ("hooks.prestart", [{}], "hooks.prestart[0].path is required"),
        ("hooks.poststop", [{"path": "/x", "timeout": "1"}], "hooks.poststop[0].timeout must be an integer"),
        ("linux", True, "linux must be an object"),
        ("linux.namespaces", ["pid"], "linux.namespaces must be an array of objects"),
        ("linux.namespaces", [{"path": "/x"}], "linux.namespaces[0].type is required"),
        ("linux.devices", [{"type": "c"}], "linux.devices[0].path is required"),
        ("linux.seccomp", "none", "linux.seccomp must be an object"),
        ("linux.sysctl", {"net.a": 1}, "linux.sysctl.net.a must be a string"),
        (
            "linux.timeOffsets",
            {"boottime": {"secs": 1 << 63}},
            f"{{}}.boottime.secs must be {_INT64_RANGE}, not {1 << 63}",
        ),
        ("linux.personality", {}, "linux.personality.domain is required"),
        ("linux.memoryPolicy", {}, "linux.memoryPolicy.mode is required"),
        ("linux.intelRdt", {"schemata": "L3"}, "linux.intelRdt.schemata must be an array of strings"),
        ("linux.netDevices", {"eth0": "eth1"}, "linux.netDevices.eth0 must be an object"),
        ("linux.resources.memory", {"limit": "1g"}, "linux.resources.memory.limit must be an integer"),
        ("linux.resources.pids", {}, "linux.resources.pids.limit is required"),
        ("linux.resources.cpu", {"cpus": 1}, "linux.resources.cpu.cpus must be a string"),
        ("linux.resources.devices", [{}], "linux.resources.devices[0].allow is required"),
        (
            "linux.resources.blockIO",
            {"weight": 1 << 16},
            "linux.resources.blockIO.weight must be from 0 to 65535, not 65536",
        ),
        (
            "linux.resources.blockIO",
            {"throttleReadBpsDevice": [{"major": 8}]},
            "linux.resources.blockIO.throttleReadBpsDevice[0].minor is required",
        ),
        ("linux.resources.unified", {"memory.max": 1}, "linux.resources.unified.memory.max must be a string"),
    ],
)
def test_a_wrong_type_is_named_with_its_path(path: str, value: Any, message: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        validate(changed({path: value}))
    assert str(caught.value) == message.format(path)


@pytest.mark.parametrize("value", [[], None, 1, "{}"])
def test_a_configuration_is_an_object(value: Any) -> None:
    with pytest.raises(InvalidConfig, match="the configuration must be an object"):
        validate(value)


def test_null_counts_as_absent_and_is_removed() -> None:
    spec = changed({"hooks": None, "process.env": None, "linux.seccomp": None, "mounts.0.options": None})
    assert validate(spec) == []
    assert "hooks" not in spec
    assert "env" not in spec["process"]
    assert "seccomp" not in spec["linux"]
    assert "options" not in spec["mounts"][0]


def test_null_for_a_required_field_is_a_missing_field() -> None:
    with pytest.raises(InvalidConfig, match=r"process\.cwd is required"):
        validate(changed({"process.cwd": None}))


def test_unknown_fields_and_other_platforms_are_ignored() -> None:
    spec = changed(
        {"windows": 1, "solaris": [], "vm": "x", "zos": None, "freebsd": 2, "new": {"": 1}, "process.commandLine": 7}
    )
    assert validate(spec) == []


def test_a_process_to_add_is_checked_alone() -> None:
    assert validate_process({"args": ["true"], "cwd": "/"}) == []
    with pytest.raises(InvalidConfig, match=r"^process\.cwd 'tmp' must be an absolute path$"):
        validate_process({"args": ["true"], "cwd": "tmp"})
    with pytest.raises(InvalidConfig, match=r"^process\.args is required$"):
        validate_process({"cwd": "/"})


def test_resources_to_change_are_checked_alone() -> None:
    validate_resources({"memory": {"limit": 1 << 20}, "pids": {"limit": -1}})
    with pytest.raises(InvalidConfig, match=r"^linux\.resources\.memory\.limit must be an integer$"):
        validate_resources({"memory": {"limit": "1M"}})
    with pytest.raises(InvalidConfig, match=r"^linux\.resources must be an object$"):
        validate_resources([])  # type: ignore[arg-type]
