"""What the verbs that start nothing do to real containers."""

from __future__ import annotations

import json
import os
import select
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orlop.runtime.container import Container

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import BundleMaker, Runtime


def until(true: Callable[[], Any], seconds: float = 10) -> None:
    """Wait for something that has no event to wait for."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.005)


def directory(runtime: Runtime, name: str, controller: str) -> Path:
    """The container's cgroup directory of a controller, in whatever hierarchy it is."""
    group = Container.load(str(runtime.root), name).cgroup()
    where = group.directory(controller) or group.directory("")
    assert where is not None
    return Path(where)


def one_of(directory: Path, *names: str) -> str:
    """The content of the first of these files that is there: cgroup v1's or v2's."""
    for name in names:
        if (directory / name).exists():
            return (directory / name).read_text().strip()
    pytest.skip(f"no {' or '.join(names)} here: the controller is not available")


# kill


def test_kill_delivers_the_signal_that_was_named(runtime: Runtime, bundle: BundleMaker) -> None:
    script = "trap 'exit 0' USR1; touch /ready; while :; do sleep 0.01; done"
    made = bundle("sh", "-c", script)
    name = runtime.start(made)
    until((made.rootfs / "ready").exists)
    runtime("kill", name, "usr1")
    until(lambda: runtime.state(name)["status"] == "stopped")


def test_kill_ends_a_paused_container(runtime: Runtime, bundle: BundleMaker) -> None:
    name = runtime.start(bundle("sleep", "1000"))
    runtime("pause", name)
    runtime("kill", name, "KILL")
    until(lambda: runtime.state(name)["status"] == "stopped")


def test_killing_an_init_without_a_pid_namespace_ends_all_of_the_container(
    runtime: Runtime, bundle: BundleMaker
) -> None:
    made = bundle("sh", "-c", "sleep 1000 & touch /ready; wait")
    made.linux["namespaces"] = [entry for entry in made.linux["namespaces"] if entry["type"] != "pid"]
    made.config["mounts"] = [mount for mount in made.config["mounts"] if mount["destination"] != "/proc"]
    made.linux["maskedPaths"] = made.linux["readonlyPaths"] = []
    made.write()
    name = runtime.start(made)
    until((made.rootfs / "ready").exists)
    assert len(runtime("ps", "--format", "json", name).json()) == 2
    runtime("kill", name, "9")
    until(lambda: runtime("ps", "--format", "json", name).json() == [])


def test_kill_all_reaches_what_outlived_the_init(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "trap 'exit 0' TERM; sleep 1000 & touch /ready; while :; do sleep 0.01; done")
    made.linux["namespaces"] = [entry for entry in made.linux["namespaces"] if entry["type"] != "pid"]
    made.config["mounts"] = [mount for mount in made.config["mounts"] if mount["destination"] != "/proc"]
    made.linux["maskedPaths"] = made.linux["readonlyPaths"] = []
    made.write()
    name = runtime.start(made)
    until((made.rootfs / "ready").exists)
    runtime("kill", name, "TERM")
    until(lambda: runtime.state(name)["status"] == "stopped")
    assert runtime("ps", "--format", "json", name).json() != []
    runtime("kill", "--all", name, "9")
    until(lambda: runtime("ps", "--format", "json", name).json() == [])


def test_kill_never_hits_another_process_with_the_number(runtime: Runtime, bundle: BundleMaker) -> None:
    name = runtime.start(bundle("sleep", "1000"))
    bystander = subprocess.Popen(["sleep", "1000"])
    try:
        container = Container.load(str(runtime.root), name)
        assert container.record is not None
        real = container.pid
        container.write_record({**container.record, "pid": bystander.pid})
        result = runtime.call("kill", name, "9")
        assert result.status == 1
        assert "container not running" in result.errors
        assert bystander.poll() is None
        container.write_record({**container.record, "pid": real})
    finally:
        bystander.kill()
        bystander.wait()


# delete


def test_delete_leaves_nothing(runtime: Runtime, bundle: BundleMaker) -> None:
    name = runtime.start(bundle("sleep", "1000"))
    pid = runtime.state(name)["pid"]
    places = [
        Path(h.directory(g.path)) for g in [Container.load(str(runtime.root), name).cgroup()] for h in g.hierarchies
    ]
    assert any(place.is_dir() for place in places)
    runtime("delete", "--force", name)
    assert not any(place.exists() for place in places)
    assert not (runtime.root / name).exists()
    assert not Path(f"/proc/{pid}/exe").exists()


def test_delete_runs_the_poststop_hooks_with_the_stopped_state(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "1000")
    told = made.path / "told"
    hook = {"path": "/bin/sh", "args": ["sh", "-c", f"cat >> {told}"]}
    failing = {"path": "/bin/sh", "args": ["sh", "-c", "exit 3"]}
    made.config["hooks"] = {"poststop": [failing, hook]}
    made.write()
    name = runtime.start(made)
    log = made.path / "log"
    runtime("--log", str(log), "delete", "--force", name)
    state = json.loads(told.read_text())
    assert (state["id"], state["status"], state["pid"]) == (name, "stopped", 0)
    assert "level=warning" in log.read_text()
    assert "exit status 3" in log.read_text()


def test_two_deletions_at_once_both_end_well(runtime: Runtime, bundle: BundleMaker) -> None:
    name = runtime.start(bundle("sleep", "1000"))
    results: list[int] = []
    threads = [
        threading.Thread(target=lambda: results.append(runtime.call("delete", "--force", name).status)) for _ in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [0, 0]


def test_delete_clears_away_what_an_interrupted_create_left(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "1000")
    name = made.path.name
    (runtime.root / name).mkdir(parents=True)
    (runtime.root / name / "config.json").write_text(json.dumps(made.config))
    assert runtime.state(name)["status"] == "creating"
    runtime("delete", name)
    assert os.listdir(runtime.root) == []


# pause


def test_a_paused_container_does_nothing_until_it_is_resumed(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "while :; do echo >> /beats; sleep 0.005; done")
    name = runtime.start(made)
    beats = made.rootfs / "beats"
    until(beats.exists)
    runtime("pause", name)
    assert runtime.state(name)["status"] == "paused"
    before = beats.stat().st_size
    time.sleep(0.05)
    assert beats.stat().st_size == before
    runtime("resume", name)
    until(lambda: beats.stat().st_size > before)


def test_pausing_twice_is_refused(runtime: Runtime, bundle: BundleMaker) -> None:
    name = runtime.start(bundle("sleep", "1000"))
    runtime("pause", name)
    assert runtime.call("pause", name).status == 1


# update


def test_update_changes_the_limits_that_are_given(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "1000")
    made.linux["resources"]["pids"] = {"limit": 50}
    made.write()
    name = runtime.start(made)
    runtime("update", "--memory", "64m", "--cpu-share", "512", name)
    assert one_of(directory(runtime, name, "memory"), "memory.limit_in_bytes", "memory.max") == str(64 << 20)
    assert one_of(directory(runtime, name, "pids"), "pids.max") == "50"
    runtime("update", "--pids-limit", "7", name)
    assert one_of(directory(runtime, name, "pids"), "pids.max") == "7"
    assert one_of(directory(runtime, name, "memory"), "memory.limit_in_bytes", "memory.max") == str(64 << 20)
    resources = Container.load(str(runtime.root), name).config()["linux"]["resources"]
    assert resources["pids"] == {"limit": 7}
    assert resources["memory"] == {"limit": 64 << 20}


def test_update_reads_what_containerd_sends(runtime: Runtime, bundle: BundleMaker) -> None:
    name = runtime.start(bundle("sleep", "1000"))
    sent = {
        "memory": {"limit": 134217728, "reservation": 0, "swap": 268435456, "kernel": 0},
        "cpu": {"shares": 0, "quota": 50000, "period": 100000},
        "pids": {"limit": 50},
        "blockIO": {"weight": 0},
    }
    runtime("update", "--resources", "-", name, given=json.dumps(sent))
    assert one_of(directory(runtime, name, "memory"), "memory.limit_in_bytes", "memory.max") == "134217728"
    assert one_of(directory(runtime, name, "cpu"), "cpu.cfs_quota_us", "cpu.max").split()[0] == "50000"
    assert one_of(directory(runtime, name, "pids"), "pids.max") == "50"


def test_an_update_that_the_kernel_refuses_is_not_recorded(runtime: Runtime, bundle: BundleMaker) -> None:
    name = runtime.start(bundle("sleep", "1000"))
    before = (runtime.root / name / "config.json").read_bytes()
    result = runtime.call("update", "--cpuset-cpus", "4000", name)
    assert result.status == 1
    assert "cpuset" in result.errors
    assert (runtime.root / name / "config.json").read_bytes() == before


@pytest.mark.parametrize("text", ["", "{", "[]", '{"memory": 5}', '{"memory": {"limit": "much"}}'])
def test_resources_that_are_none_are_refused(text: str, runtime: Runtime, bundle: BundleMaker) -> None:
    name = runtime.start(bundle("sleep", "1000"))
    assert runtime.call("update", "--resources", "-", name, given=text).status == 1


def test_intel_schemas_need_resctrl(runtime: Runtime, bundle: BundleMaker) -> None:
    if " - resctrl " in Path("/proc/self/mountinfo").read_text():
        pytest.skip("this machine has resctrl mounted")
    name = runtime.start(bundle("sleep", "1000"))
    result = runtime.call("update", "--l3-cache-schema", "L3:0=f", name)
    assert result.status == 1
    assert "no resctrl file system is mounted" in result.errors


# events


def test_events_come_at_each_interval_and_end_with_the_container(runtime: Runtime, bundle: BundleMaker) -> None:
    name = runtime.start(bundle("sleep", "1000"))
    command = runtime.command("events", "--interval", "20ms", name)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as events:
        assert events.stdout is not None
        for _ in range(3):
            event = json.loads(events.stdout.readline())
            assert (event["type"], event["id"]) == ("stats", name)
            assert event["data"]["pids"]["current"] >= 1
        runtime("kill", name, "9")
        events.communicate(timeout=10)  # as many as there were until the end
        assert events.returncode == 0


def test_running_out_of_memory_is_an_event(runtime: Runtime, bundle: BundleMaker) -> None:
    hog = "read go < /go; exec tail /dev/zero"
    made = bundle("sh", "-c", hog)
    made.linux["resources"]["memory"] = {"limit": 16 << 20, "swap": 16 << 20}
    made.linux["resources"]["devices"] = [{"allow": True, "access": "rwm"}]
    made.write()
    os.mkfifo(made.rootfs / "go")
    name = runtime.start(made)
    if (
        not (directory(runtime, name, "memory") / "memory.oom_control").exists()
        and not (directory(runtime, name, "memory") / "memory.events").exists()
    ):
        pytest.skip("no memory controller here")
    command = runtime.command("events", "--interval", "10ms", name)
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0) as events:
        assert events.stdout is not None
        assert select.select([events.stdout], [], [], 10)[0]
        events.stdout.readline()  # it watches
        with open(made.rootfs / "go", "w") as go:
            go.write("go\n")
        kinds = [json.loads(line)["type"] for line in events.stdout]
        assert "oom" in kinds
        assert events.wait(10) == 0


def test_the_interval_must_be_a_time(runtime: Runtime, bundle: BundleMaker) -> None:
    name = runtime.start(bundle("sleep", "1000"))
    assert runtime.call("events", "--interval", "often", name).status == 1


# list and ps


def test_the_list_has_every_container_sorted(runtime: Runtime, bundle: BundleMaker) -> None:
    names = sorted(runtime.start(bundle("sleep", "1000")) for _ in range(2))
    assert runtime("list", "--quiet").output.split() == names
    assert [state["id"] for state in runtime("list", "--format", "json").json()] == names


def test_an_empty_root_lists_nothing(runtime: Runtime) -> None:
    assert runtime("list", "--format=json").json() == []
    assert runtime("list", "-q").output == ""


def test_ps_counts_what_exec_added(runtime: Runtime, bundle: BundleMaker) -> None:
    name = runtime.start(bundle("sleep", "1000"))
    runtime("exec", "--detach", name, "sleep", "500")
    pids = runtime("ps", "--format", "json", name).json()
    assert pids == sorted(pids)
    assert len(pids) == 2
    assert runtime("ps", name).output.count("sleep") == 2


# without a cgroup, as for a user to whom none is delegated


def test_without_a_cgroup_the_pid_namespace_tells_who_belongs_to_the_container(
    runtime: Runtime, bundle: BundleMaker
) -> None:
    name = runtime.start(bundle("sleep", "1000"))
    runtime("exec", "--detach", name, "sleep", "500")
    with_cgroup = runtime("ps", "--format", "json", name).json()
    container = Container.load(str(runtime.root), name)
    assert container.record is not None
    record = container.record
    container.write_record({**record, "cgroup": {**record["cgroup"], "hierarchies": []}})
    try:
        assert runtime("ps", "--format", "json", name).json() == with_cgroup
        result = runtime.call("pause", name)
        assert result.status == 1
        assert "no cgroup" in result.errors
        runtime("kill", "--all", name, "9")
        until(lambda: runtime.state(name)["status"] == "stopped")
        assert runtime("ps", "--format", "json", name).json() == []
    finally:
        container.write_record(record)
