"""CVE-2016-9962: processes of the container reach into the process that joins it, before it is the program.

They look at every process that appears as long as it is there: its descriptors, root, memory and rights.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from orlop.errors import OrlopError
from orlop.linux import capability
from orlop.runtime import exec as execution
from tests.security import hostile

if TYPE_CHECKING:
    from tests.integration.conftest import Bundle, BundleMaker, Runtime

WATCH = r"""
import ctypes, json, os, stat
libc = ctypes.CDLL(None, use_errno=True)
own, root, passwd = os.getpid(), os.stat("/"), os.stat("/etc/passwd")
seen = {"processes": [], "rights": 0, "directories": 0, "outside": [], "memory": 0, "traced": 0, "roots": 0, "early": {}}

def same(one, other):
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)

def name_of(pid):
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return ""

def look(pid):
    base = f"/proc/{pid}"
    name = name_of(pid)
    before = {key: seen[key] for key in ("directories", "memory", "traced", "roots")}
    try:
        with open(f"{base}/status") as file:
            rights = next(int(line[7:], 16) for line in file if line.startswith("CapPrm"))
    except OSError:
        return
    if pid not in seen["processes"]:
        seen["processes"].append(pid)
    seen["rights"] |= rights
    try:
        if not same(os.stat(f"{base}/root/"), root):
            seen["outside"].append("root")
        seen["roots"] += 1
        if not same(os.stat(f"{base}/cwd/"), root):
            seen["outside"].append("cwd")
        for number in os.listdir(f"{base}/fd"):
            about = os.stat(f"{base}/fd/{number}")
            seen["directories"] += 1
            if stat.S_ISDIR(about.st_mode) and not same(about, root):
                seen["outside"].append(os.readlink(f"{base}/fd/{number}"))
            elif stat.S_ISREG(about.st_mode) and not same(about, passwd) and "memfd:" not in os.readlink(f"{base}/fd/{number}"):
                seen["outside"].append(os.readlink(f"{base}/fd/{number}"))
    except OSError:
        pass
    try:
        os.close(os.open(f"{base}/mem", os.O_RDWR))
        seen["memory"] += 1
    except OSError:
        pass
    if not libc.ptrace(0x4206, pid, 0, 0):  # PTRACE_SEIZE
        seen["traced"] += 1
        libc.ptrace(0x4207, pid, 0, 0)  # PTRACE_INTERRUPT, and wait: a seized process has to be let go stopped
        try:
            os.waitpid(pid, 0x40000000)
        except ChildProcessError:
            pass
        libc.ptrace(17, pid, 0, 0)  # PTRACE_DETACH
    if name and name != "sleep" and name_of(pid) == name:
        for key, value in before.items():
            seen["early"][key] = seen["early"].get(key, 0) + seen[key] - value
        seen["early"]["looks"] = seen["early"].get("looks", 0) + 1

open("/ready", "w").close()
while not os.path.exists("/stop"):
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) > own:
            look(int(name))
with open("/result.part", "w") as file:
    json.dump(seen, file)
os.rename("/result.part", "/result")
"""
ROUNDS = 10


def watch(runtime: Runtime, bundle: BundleMaker, *capabilities: str, **process: Any) -> tuple[Bundle, dict[str, Any]]:
    """What a container that watches saw of ``exec``."""
    made = bundle(**process)
    made.process["args"] = [hostile.with_python(made), hostile.script(made, WATCH)]
    hostile.grant(made, *capabilities)
    name = hostile.start(runtime, made)
    hostile.eventually((made.rootfs / "ready").exists)
    with (made.path / "config.json").open() as host_file:
        for _ in range(ROUNDS):
            # Standard input is what the caller chose to hand over; a file of the host here would be its own doing.
            runtime("exec", name, "sleep", "0.01", pass_fds=[host_file.fileno()])
    (made.rootfs / "stop").touch()
    seen: dict[str, Any] = json.loads(hostile.text_of(made.rootfs / "result"))
    assert len(seen["processes"]) >= ROUNDS // 2, "the attack saw next to nothing, so it proves nothing"
    return made, seen


def test_cve_2016_9962_whoever_joins_cannot_be_reached(runtime: Runtime, bundle: BundleMaker) -> None:
    _, seen = watch(runtime, bundle, "CAP_DAC_READ_SEARCH")
    # Before it is the program; then it is any process of the container.
    assert seen["early"].pop("looks") > 0
    assert seen["early"] == {"directories": 0, "memory": 0, "traced": 0, "roots": 0}


@pytest.mark.parametrize("no_new_privileges", [True, False])
def test_cve_2016_9962_with_ptrace_there_is_nothing_of_the_host_to_be_had(
    runtime: Runtime, bundle: BundleMaker, *, no_new_privileges: bool
) -> None:
    made, seen = watch(runtime, bundle, *hostile.POWERS, noNewPrivileges=no_new_privileges)
    assert seen["traced"], "the attack could trace nobody, so it proves nothing"
    # What is a file of the caller's choice: its standard streams, temporary files here.
    assert not [what for what in seen["outside"] if not what.endswith("(deleted)")]
    assert seen["rights"] & ~capability.mask(made.process["capabilities"]["bounding"]) == 0


def test_cve_2016_9962_only_a_filter_without_no_new_privileges_takes_one_more_right(
    runtime: Runtime, bundle: BundleMaker
) -> None:
    """What remains possible, written down: the right to install the filter, with which the child is born."""
    made = bundle()
    made.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["acct"], "action": "SCMP_ACT_ERRNO"}],
    }
    made.process["noNewPrivileges"] = False
    made.process["args"] = [hostile.with_python(made), hostile.script(made, WATCH)]
    hostile.grant(made, "CAP_SYS_PTRACE")
    name = hostile.start(runtime, made)
    hostile.eventually((made.rootfs / "ready").exists)
    for _ in range(ROUNDS):
        runtime("exec", name, "sleep", "0.01")
    (made.rootfs / "stop").touch()
    rights = json.loads(hostile.text_of(made.rootfs / "result"))["rights"]
    allowed = capability.mask([*made.process["capabilities"]["bounding"], "CAP_SYS_ADMIN"])
    assert rights & ~allowed == 0


def test_cve_2016_9962_a_forged_birth_is_not_believed() -> None:
    """Who steals the joining process's socket could name any process of the host, to have it signalled."""
    with pytest.raises(OrlopError, match="which it is not"):
        execution._Joining._adopt(1)
    with pytest.raises(OrlopError, match="which it is not"):
        execution._Joining._adopt(os.getppid())
