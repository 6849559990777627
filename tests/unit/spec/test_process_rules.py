"""What a configuration's version, process and hooks may be."""

from __future__ import annotations

from typing import Any

import pytest

from orlop.errors import InvalidConfig
from orlop.runtime.spec import validate
from tests.unit.spec.changes import changed

_POLICIES = "SCHED_OTHER, SCHED_FIFO, SCHED_RR, SCHED_BATCH, SCHED_ISO, SCHED_IDLE, SCHED_DEADLINE"
_FLAGS = (
    "SCHED_FLAG_RESET_ON_FORK, SCHED_FLAG_RECLAIM, SCHED_FLAG_DL_OVERRUN, SCHED_FLAG_KEEP_POLICY, "
    "SCHED_FLAG_KEEP_PARAMS, SCHED_FLAG_UTIL_CLAMP_MIN, SCHED_FLAG_UTIL_CLAMP_MAX"
)


@pytest.mark.parametrize("version", ["1.0.0", "1.0.2-dev", "1.2.1+dev", "1.3.0-rc.1+x.007", "1.99.0", "1.0.0--1"])
def test_every_version_1_is_accepted(version: str) -> None:
    assert validate(changed({"ociVersion": version})) == []


@pytest.mark.parametrize(
    "version",
    ["", "1", "1.0", "1.0.0.0", "v1.0.0", "1.00.0", "1.0.x", "1.0.0-", "1.0.0-01", "1.0.0+", "1.0.0-a..b", "1.0.²"],
)
def test_a_version_that_is_none_is_refused(version: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        validate(changed({"ociVersion": version}))
    assert str(caught.value) == f"ociVersion {version!r} is no semantic version like 1.3.0"


def rlimit(kind: str, soft: int = 1, hard: int = 1) -> dict[str, Any]:
    return {"type": kind, "soft": soft, "hard": hard}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("ociVersion", "0.5.0-dev", "ociVersion 0.5.0-dev is a draft from before 1.0.0, the oldest that can be run"),
        ("ociVersion", "2.0.0", "ociVersion 2.0.0 is not supported: only 1.x is"),
        ("process.args", [], "process.args must have at least one entry"),
        ("process.cwd", "", "process.cwd '' must be an absolute path"),
        ("process.cwd", "tmp", "process.cwd 'tmp' must be an absolute path"),
        ("process.env", ["A=1", "B"], "process.env[1] 'B' must have the form NAME=value"),
        ("process.env", ["=1"], "process.env[0] '=1' must have the form NAME=value"),
        (
            "process.consoleSize",
            {"height": 1, "width": 1 << 16},
            "process.consoleSize.width must not be more than 65535",
        ),
        ("process.rlimits.0.type", "RLIMIT_TEA", "process.rlimits[0].type 'RLIMIT_TEA' is no resource limit of Linux"),
        (
            "process.rlimits",
            [rlimit("RLIMIT_CPU"), rlimit("RLIMIT_CPU")],
            "process.rlimits lists RLIMIT_CPU twice",
        ),
        (
            "process.rlimits",
            [rlimit("RLIMIT_CORE", 2, 1)],
            "process.rlimits[0]: RLIMIT_CORE has the soft limit 2 above its hard limit 1",
        ),
        ("process.oomScoreAdj", 1001, "process.oomScoreAdj must be from -1000 to 1000, not 1001"),
        ("process.oomScoreAdj", -1001, "process.oomScoreAdj must be from -1000 to 1000, not -1001"),
        ("process.scheduler", {"policy": "SCHED_X"}, f"process.scheduler.policy 'SCHED_X' is none of {_POLICIES}"),
        (
            "process.scheduler",
            {"policy": "SCHED_OTHER", "flags": ["X"]},
            f"process.scheduler.flags: 'X' is none of {_FLAGS}",
        ),
        (
            "process.scheduler",
            {"policy": "SCHED_OTHER", "nice": 20},
            "process.scheduler.nice must be from -20 to 19, not 20",
        ),
        (
            "process.scheduler",
            {"policy": "SCHED_BATCH", "priority": 1},
            "process.scheduler.priority is only for SCHED_FIFO and SCHED_RR",
        ),
        (
            "process.scheduler",
            {"policy": "SCHED_RR"},
            "process.scheduler.priority must be from 1 to 99 for SCHED_RR, not 0",
        ),
        (
            "process.scheduler",
            {"policy": "SCHED_OTHER", "runtime": 1},
            "process.scheduler.runtime is only for SCHED_DEADLINE",
        ),
        (
            "process.ioPriority",
            {"class": "BEST", "priority": 0},
            "process.ioPriority.class 'BEST' is none of IOPRIO_CLASS_RT, IOPRIO_CLASS_BE, IOPRIO_CLASS_IDLE",
        ),
        (
            "process.ioPriority",
            {"class": "IOPRIO_CLASS_BE", "priority": 8},
            "process.ioPriority.priority must be from 0 to 7, not 8",
        ),
        (
            "process.execCPUAffinity",
            {"initial": "0-"},
            "process.execCPUAffinity.initial '0-' is no list of numbers like 0-3,7",
        ),
        (
            "process.execCPUAffinity",
            {"final": "3-1"},
            "process.execCPUAffinity.final '3-1' has a range that ends before it starts",
        ),
        (
            "process.execCPUAffinity",
            {"final": "0-4294967295"},
            "process.execCPUAffinity.final '0-4294967295' has a number above 65535",
        ),
        ("hooks.prestart", [{"path": "bin/x"}], "hooks.prestart[0].path 'bin/x' must be an absolute path"),
        ("hooks.createRuntime", [{"path": ""}], "hooks.createRuntime[0].path '' must be an absolute path"),
        (
            "hooks.createContainer",
            [{"path": "/x", "timeout": 0}],
            "hooks.createContainer[0].timeout must be greater than zero, not 0",
        ),
        (
            "hooks.startContainer",
            [{"path": "/x"}, {"path": "/x", "timeout": -1}],
            "hooks.startContainer[1].timeout must be greater than zero, not -1",
        ),
        ("hooks.poststart", [{"path": "x"}], "hooks.poststart[0].path 'x' must be an absolute path"),
        ("hooks.poststop", [{"path": "x"}], "hooks.poststop[0].path 'x' must be an absolute path"),
        ("annotations", {"": "x"}, "annotations must not have an empty key"),
    ],
)
def test_a_broken_rule_is_named(path: str, value: Any, message: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        validate(changed({path: value}))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("process.env", ["A=", "B=c=d", "lower case=1"]),
        ("process.user", {"uid": 1, "gid": 2, "umask": 63, "additionalGids": [0, 4294967295]}),
        ("process.rlimits", [rlimit("RLIMIT_AS", 0, (1 << 64) - 1), rlimit("RLIMIT_RTTIME")]),
        ("process.oomScoreAdj", -1000),
        ("process.scheduler", {"policy": "SCHED_FIFO", "priority": 99, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}),
        ("process.scheduler", {"policy": "SCHED_DEADLINE", "runtime": 1, "deadline": 2, "period": 3}),
        ("process.scheduler", {"policy": "SCHED_OTHER", "nice": -20}),
        ("process.ioPriority", {"class": "IOPRIO_CLASS_IDLE"}),
        ("process.execCPUAffinity", {"initial": "7", "final": "0-3, 7"}),
        ("process.execCPUAffinity", {"initial": ""}),
        ("hooks", {"prestart": [{"path": "/x", "args": ["x"], "env": ["A=1"], "timeout": 1}], "unknown": 1}),
    ],
)
def test_what_the_specification_allows_is_accepted(path: str, value: Any) -> None:
    assert validate(changed({path: value})) == []


def test_the_console_size_is_ignored_without_a_terminal() -> None:
    spec = changed({"process.terminal": False, "process.consoleSize": {"height": 1 << 16, "width": 1}})
    assert validate(spec) == []


def test_an_unknown_capability_is_a_warning_said_once() -> None:
    spec = changed({"process.capabilities": {"bounding": ["CAP_KILL", "CAP_TEA"], "ambient": ["CAP_TEA", "kill"]}})
    assert validate(spec) == [
        "process.capabilities: 'CAP_TEA' is no capability and is ignored",
        "process.capabilities: 'kill' is no capability and is ignored",
    ]
