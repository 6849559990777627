"""What is done to a container after it was made: start and restart, pause, rename, update, and what is told of it."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.engine.conftest import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.engine.conftest import Engine


@pytest.fixture
def sleeper(owner: Engine) -> Iterator[str]:
    """A running container."""
    owner.ok("run", "-d", "--name", "sleeper", "-l", "who=me", "plain", "sh", "-c", "trap exit TERM; sleep 1000 & wait")
    yield "sleeper"
    for name in owner.names():
        owner.ok("rm", "-f", name)


def actions(owner: Engine, *filters: str) -> list[str]:
    """What the events tell of that has happened."""
    words = [word for each in filters for word in ("--filter", each)]
    return owner.ok("events", "--since", "1h", "--until", "0s", "--format", "{{.Action}}", *words).split()


def test_a_container_that_has_ended_is_started_again_with_its_files_and_log(owner: Engine) -> None:
    script = "echo x >> /log; echo life $(wc -l < /log); exit $(wc -l < /log)"
    assert owner("run", "--name", "again", "plain", "sh", "-c", script).code == 1
    assert owner.ok("start", "again") == "again\n"
    wait_until(lambda: not owner.state("again")["Running"])
    assert owner.state("again")["ExitCode"] == 2
    result = owner("start", "-a", "again")
    assert (result.code, result.out) == (3, "life 3\n")
    assert owner.ok("logs", "again") == "life 1\nlife 2\nlife 3\n"
    owner.ok("rm", "again")
    told = actions(owner, "container=again")
    assert [each for each in told if each != "attach"] == ["create", *["start", "die"] * 3, "destroy"]


def test_input_and_a_terminal_are_there_at_each_start(owner: Engine) -> None:
    owner.ok("run", "-i", "--name", "cat", "plain", "cat", given=b"")
    assert owner.ok("start", "-ai", "cat", given=b"hello\n") == "hello\n"
    owner.ok("rm", "cat")


def test_starting_what_runs_is_no_error_and_what_is_paused_is(owner: Engine, sleeper: str) -> None:
    before = owner.state(sleeper)["Pid"]
    assert owner.ok("start", sleeper) == f"{sleeper}\n"
    assert owner.state(sleeper)["Pid"] == before
    result = owner("start", sleeper, "nobody")
    assert (result.code, result.out) == (1, f"{sleeper}\n")
    assert result.err == "Error: No such container: nobody\nError: failed to start containers: nobody\n"
    result = owner("start", "-a", sleeper, "nobody")
    assert "you cannot start and attach multiple containers at once" in result.err
    if owner("pause", sleeper).code == 0:
        assert "cannot start a paused container, try unpause instead" in owner("start", sleeper).err


def test_a_start_that_fails_can_be_repeated_and_leaves_nothing_running(owner: Engine) -> None:
    result = owner("run", "--name", "bad", "plain", "nothing-like-this")
    assert result.code == 127
    result = owner("start", "bad")
    assert (result.code, "nothing-like-this" in result.err) == (1, True)
    assert owner.state("bad")["Running"] is False
    assert owner.state("bad")["ExitCode"] == 127
    owner.ok("rm", "bad")


def test_a_container_that_was_created_waits_for_its_start_and_then_removes_itself(owner: Engine) -> None:
    owner.ok("create", "--rm", "--name", "waits", "plain", "echo", "hello")
    assert owner.ok("ps", "-a", "--format", "{{.State}}") == "created\n"
    assert owner.ok("start", "-a", "waits") == "hello\n"
    wait_until(lambda: owner.containers() == [])


def test_several_starts_at_once_make_one_life(owner: Engine) -> None:
    owner("run", "--name", "once", "plain", "sh", "-c", "echo begun; test -e /go || touch /go; sleep 0.2")
    threads = [threading.Thread(target=owner, args=("start", "once")) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    wait_until(lambda: not owner.state("once")["Running"])
    starts = len(owner.ok("logs", "once").splitlines())
    assert starts == actions(owner, "container=once", "event=start").count("start")
    assert starts == actions(owner, "container=once", "event=die").count("die")
    owner.ok("rm", "once")


def test_a_restart_is_a_stop_and_a_start_also_of_what_does_not_run(owner: Engine, sleeper: str) -> None:
    before = owner.state(sleeper)
    assert owner.ok("restart", sleeper) == f"{sleeper}\n"
    after = owner.state(sleeper)
    assert after["Running"]
    assert after["StartedAt"] > before["StartedAt"]
    assert actions(owner, f"container={sleeper}")[-5:] == ["kill", "die", "stop", "start", "restart"]
    owner.ok("stop", sleeper)
    owner.ok("restart", "-t", "0", sleeper)
    assert owner.state(sleeper)["Running"]
    assert owner("restart", "nobody").code == 1


def test_a_container_that_removes_itself_survives_a_restart(owner: Engine) -> None:
    owner.ok(
        "run", "-d", "--rm", "--name", "brief", "plain", "sh", "-c", "echo x >> /lives; wc -l < /lives; sleep 1000"
    )
    container_id = owner.inspect("brief")["Id"]
    owner.ok("restart", "-t", "0", "brief")
    assert owner.inspect("brief")["Id"] == container_id
    wait_until(lambda: owner.ok("logs", "brief") == "1\n2\n")
    owner.ok("stop", "-t", "0", "brief")
    wait_until(lambda: owner.containers() == [])


def test_a_paused_container_stands_still_until_it_is_let_go_on(owner: Engine, sleeper: str) -> None:
    if owner.prefix:
        assert "no cgroup" in owner("pause", sleeper).err
        pytest.skip("an ordinary user's containers have no freezer here")
    owner.ok("pause", sleeper)
    assert owner.state(sleeper) | {"Status": "paused", "Paused": True, "Running": True} == owner.state(sleeper)
    assert "(Paused)" in owner.ok("ps", "--format", "{{.Status}}")
    assert owner.ok("ps", "-q", "--filter", "status=paused")
    assert owner("pause", sleeper).err == f"Error: container {sleeper} is already paused\n"
    owner.ok("unpause", sleeper)
    assert owner("unpause", sleeper).err == f"Error: container {sleeper} is not paused\n"
    owner.ok("pause", sleeper)
    owner.ok("stop", sleeper)
    state = owner.state(sleeper)
    assert (state["Status"], state["ExitCode"]) == ("exited", 143)
    assert owner("pause", sleeper).err == f"Error: container {sleeper} is not running\n"


def test_a_renamed_container_has_its_new_name_everywhere(owner: Engine, sleeper: str) -> None:
    owner.ok("rename", sleeper, "other")
    assert owner.inspect("other")["Name"] == "/other"
    assert owner.names() == ["other"]
    assert owner("inspect", sleeper).code == 1
    owner.ok("run", "--rm", "--name", sleeper, "plain", "true")
    owner.ok("stop", "other")
    about = owner.ok("events", "--since", "1h", "--until", "0s", "--filter", "event=rename", "--format", "json")
    attributes = json.loads(about)["Actor"]["Attributes"]
    assert attributes == {"image": "plain", "name": "other", "oldName": f"/{sleeper}", "who": "me"}
    dead = owner.ok("events", "--since", "1h", "--until", "0s", "--filter", "event=die", "--format", "json")
    assert json.loads(dead.splitlines()[-1])["Actor"]["Attributes"]["name"] == "other"


def test_a_renamed_container_that_removes_itself_frees_its_new_name(owner: Engine) -> None:
    process = owner.popen("run", "-i", "--rm", "--name", "first", "plain", "cat", stdin=subprocess.PIPE)
    wait_until(lambda: owner.names() == ["first"] and owner.state("first")["Running"])
    owner.ok("rename", "first", "second")
    process.communicate(b"", timeout=60)
    owner.ok("run", "--rm", "--name", "second", "plain", "true")
    owner.ok("run", "--rm", "--name", "first", "plain", "true")


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("sleeper", "sleeper", "same name"),
        ("sleeper", "bad name", "invalid container name"),
        ("sleeper", "", "neither old nor new names may be empty"),
        ("nobody", "some", "No such container: nobody"),
        ("sleeper", "taken", "already in use"),
    ],
)
def test_a_name_that_cannot_be_is_refused_and_the_old_one_stays(
    owner: Engine, sleeper: str, old: str, new: str, error: str
) -> None:
    owner.ok("run", "--name", "taken", "plain", "true")
    result = owner("rename", old, new)
    assert (result.code, error in result.err) == (1, True), result
    assert sorted(owner.names()) == [sleeper, "taken"]


def test_a_rename_that_was_broken_off_is_finished_by_the_next_command(owner: Engine, sleeper: str) -> None:
    if owner.prefix:
        pytest.skip("once is enough")
    (owner.root / "names/half").symlink_to(owner.inspect(sleeper)["Id"])
    owner.ok("ps")
    assert not os.path.lexists(owner.root / "names/half")
    assert owner.names() == [sleeper]


def limit(controller: str, name: str, container: dict[str, Any]) -> str:
    for top in (f"/sys/fs/cgroup/{controller}", "/sys/fs/cgroup"):
        path = Path(top, "orlop", container["Id"], name)
        if path.exists():
            return path.read_text().strip()
    pytest.skip(f"needs {name} of the controller {controller}")


def test_limits_are_changed_at_once_and_for_the_next_start(owner: Engine, sleeper: str) -> None:
    if owner.prefix:
        pytest.skip("an ordinary user's containers have no control groups here")
    assert owner.ok("update", "-m", "64m", "--memory-swap", "128m", "--pids-limit", "33", sleeper) == f"{sleeper}\n"
    owner.ok("update", "--cpus", "0.5", sleeper)
    for _ in range(2):
        about = owner.inspect(sleeper)
        assert limit("memory", "memory.limit_in_bytes", about) == str(64 << 20)
        assert limit("pids", "pids.max", about) == "33"
        assert limit("cpu", "cpu.cfs_quota_us", about) == "50000"
        host = about["HostConfig"]
        assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (64 << 20, 128 << 20, 500_000_000)
        owner.ok("restart", "-t", "0", sleeper)
    result = owner("update", "-m", "1g", sleeper)
    assert (result.code, "--memory-swap" in result.err) == (1, True)
    result = owner("update", "--cpu-quota", "1000", sleeper)
    assert (result.code, "conflicting options" in result.err) == (1, True)
    result = owner("update", "--cpuset-cpus", "4000", sleeper)
    assert (result.code, "requested CPUs are not available" in result.err) == (1, True)
    assert owner.inspect(sleeper)["HostConfig"]["Memory"] == 64 << 20


def test_a_restart_policy_is_changed_while_the_container_runs(owner: Engine) -> None:
    script = "echo x >> /lives; until test -e /end; do sleep 0.01; done; test $(wc -l < /lives) -ge 3; rm /end; exit 7"
    owner.ok("run", "-d", "--name", "cat", "plain", "sh", "-c", script)
    owner.ok("update", "--restart", "always", "cat")
    assert owner.inspect("cat")["HostConfig"]["RestartPolicy"] == {"Name": "always", "MaximumRetryCount": 0}
    owner.ok("exec", "cat", "touch", "/end")
    wait_until(lambda: owner.inspect("cat")["State"].get("RestartCount", owner.inspect("cat")["RestartCount"]) == 1)
    wait_until(lambda: owner.state("cat")["Status"] == "running")
    owner.ok("stop", "-t", "0", "cat")
    assert owner.state("cat")["Status"] == "exited"
    owner.ok("rm", "cat")


def test_nothing_to_update_is_an_error(owner: Engine, sleeper: str) -> None:
    result = owner("update", sleeper)
    assert (result.code, result.err) == (1, "you must provide one or more flags when using this command\n")
    result = owner("update", "--pids-limit", "5", "nobody")
    assert (result.code, result.err) == (1, "Error: No such container: nobody\n")


def test_processes_are_listed_as_ps_does(owner: Engine, sleeper: str) -> None:
    wait_until(lambda: owner.ok("top", sleeper).count("\n") == 3)
    header, first, second = owner.ok("top", sleeper).splitlines()
    assert header.split() == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert first.split()[1] == second.split()[2] == str(owner.state(sleeper)["Pid"])
    header, *lines = owner.ok("top", sleeper, "-o", "pid,args").splitlines()
    assert header == "PID                 COMMAND"
    assert lines[1].endswith("sleep 1000")
    result = owner("top", sleeper, "-o", "comm")
    assert (result.code, "PID" in result.err) == (1, True)
    owner.ok("stop", sleeper)
    assert "is not running" in owner("top", sleeper).err


def test_changed_files_are_listed_as_docker_does(owner: Engine) -> None:
    script = "rm /data/gone; echo new > /data/new; mkdir -p /q/r; chmod 700 /data/kept; rm -r /root"
    owner.ok("run", "--name", "changed", "plain", "sh", "-c", script)
    expected = "C /data\nD /data/gone\nC /data/kept\nA /data/new\nA /q\nA /q/r\nD /root\n"
    assert owner.ok("diff", "changed") == expected
    assert owner.ok("container", "diff", "changed") == expected
    assert owner("diff", "nobody").code == 1
    owner.ok("rm", "changed")


def test_what_containers_use_is_shown(owner: Engine, sleeper: str) -> None:
    owner.ok("run", "--name", "ended", "plain", "true")
    shown = [json.loads(each) for each in owner.ok("stats", "-a", "--no-stream", "--format", "json").splitlines()]
    by_name = {each["Name"]: each for each in shown}
    assert by_name["ended"]["PIDs"] == "0"
    assert by_name[sleeper]["PIDs"] == "2"
    assert by_name[sleeper]["CPUPerc"].endswith("%")
    assert by_name[sleeper]["ID"] == owner.inspect(sleeper)["Id"][:12]
    assert owner("stats", "--no-stream", "nobody").code == 1
    owner.ok("rm", "-f", sleeper)
    assert owner.ok("stats", "--no-stream").split("  ")[0] == "CONTAINER ID"


def test_statistics_stream_until_the_container_is_removed(owner: Engine, sleeper: str) -> None:
    if owner.prefix:
        pytest.skip("once is enough")
    process = owner.popen("stats", "--format", "{{.Name}}", sleeper, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == f"{sleeper}\n".encode()
    owner.ok("rm", "-f", sleeper)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert set(rest.split()) <= {sleeper.encode()}


def test_a_container_without_a_network_publishes_no_ports(owner: Engine, sleeper: str) -> None:
    assert owner.ok("port", sleeper) == ""
    result = owner("port", sleeper, "80/tcp")
    assert (result.code, result.err) == (1, f"Error: no public port '80/tcp' published for {sleeper}\n")
    assert "invalid port" in owner("port", sleeper, "http").err


def test_stopped_containers_are_pruned_by_their_labels_and_age(owner: Engine, sleeper: str) -> None:
    for name in ("one", "two"):
        owner.ok("run", "--name", name, "-l", f"number={name}", "plain", "true")
    assert "Deleted Containers" not in owner.ok("container", "prune", "-f", "--filter", "until=1h")
    ids = owner.inspect("one")["Id"]
    assert owner.ok("container", "prune", "-f", "--filter", "label=number=one").startswith(
        f"Deleted Containers:\n{ids}\n\nTotal"
    )
    owner.ok("container", "prune", "-f", "--filter", "label!=number")
    assert sorted(owner.names()) == [sleeper, "two"]
    owner.ok("container", "prune", given=b"n\n")
    assert sorted(owner.names()) == [sleeper, "two"]
    owner.ok("container", "prune", given=b"y\n")
    assert owner.names() == [sleeper]


def test_events_come_as_they_happen_and_end_in_time(owner: Engine) -> None:
    process = owner.popen(
        "events", "--filter", "type=container", "--filter", "event=die", "--format", "{{.Actor.Attributes.exitCode}}",
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        codes = []
        # Nothing says when it has begun to listen, so something happens until it has.
        reader = threading.Thread(target=lambda: codes.append(process.stdout.readline()))  # type: ignore[union-attr]
        reader.start()
        while reader.is_alive():
            owner("run", "--rm", "plain", "sh", "-c", "exit 5")
            reader.join(0.01)
        assert codes == [b"5\n"]
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def test_what_happens_to_images_is_told(owner: Engine) -> None:
    owner.ok("tag", "plain", "told:1")
    owner.ok("rmi", "told:1")
    image = json.loads(owner.ok("inspect", "--type", "image", "plain"))[0]["Id"]
    out = owner.ok(
        "events",
        "--since",
        "1h",
        "--until",
        "0s",
        "--filter",
        "type=image",
        "--format",
        "{{.Action}} {{.ID}} {{.Actor.Attributes.name}}",
    )
    assert f"tag {image} told:1\nuntag {image} told:1\n" in out


def test_mounting_and_unmounting_volumes_is_told(owner: Engine) -> None:
    owner.ok("run", "--rm", "-v", "kept:/there:ro", "plain", "true")
    owner.ok("volume", "rm", "kept")
    out = owner.ok(
        "events", "--since", "1h", "--until", "0s", "--filter", "type=volume", "--filter", "volume=kept",
        "--format", '{{.Action}} {{.Actor.ID}} {{index .Actor.Attributes "read/write"}}',
    )  # fmt: skip
    found = [line.split()[:2] for line in out.splitlines()]
    assert found == [[each, "kept"] for each in ("create", "mount", "unmount", "destroy")]
    assert "mount kept false" in out


def test_an_unknown_filter_or_time_of_events_is_refused(owner: Engine) -> None:
    assert "invalid filter 'foo'" in owner("events", "--filter", "foo=bar").err
    assert 'invalid value "garbage" for --since' in owner("events", "--since", "garbage").err


def test_the_engine_tells_about_itself(owner: Engine, sleeper: str) -> None:
    about = json.loads(owner.ok("info", "-f", "json"))
    assert (about["Containers"], about["ContainersRunning"], about["Images"]) == (1, 1, 1)
    assert about["ID"] == json.loads(owner.ok("system", "info", "-f", "json"))["ID"]
    assert about["DockerRootDir"] == str(owner.root)
    assert ("name=rootless" in about["SecurityOptions"]) is bool(owner.prefix)
    assert "\n  Running: 1\n" in owner.ok("info")
    assert owner.ok("info", "-f", "{{.ClientInfo.Context}} {{.Swarm.LocalNodeState}}") == "default inactive\n"


def test_ps_tells_what_a_container_takes_on_the_disk(owner: Engine) -> None:
    owner.ok("run", "--name", "large", "plain", "busybox", "dd", "if=/dev/zero", "of=/file", "bs=1M", "count=3")
    header, line = owner.ok("ps", "-as").splitlines()
    assert header.endswith("SIZE")
    own, _, whole = line.split("  ")[-1].strip().partition(" (virtual ")
    assert own.startswith("3.1")
    assert own.endswith("MB")
    assert whole.endswith("MB)")
    assert owner.ok("ps", "-a", "--format", "{{.Size}}").startswith("3.1")
    about = json.loads(owner.ok("container", "inspect", "-s", "large"))[0]
    assert 3 << 20 <= about["SizeRw"] < about["SizeRootFs"]
    assert "SizeRw" not in owner.inspect("large")
    owner.ok("rm", "large")


def test_containers_are_found_by_the_ports_that_they_expose(owner: Engine) -> None:
    owner.ok("create", "--name", "exposed", "--expose", "8080", "--expose", "53/udp", "plain")
    for words, found in (("8080", 1), ("8000-9000/tcp", 1), ("53", 0), ("53/udp", 1), ("8080/udp", 0)):
        assert owner.ok("ps", "-a", "--format", "{{.Names}}", "--filter", f"expose={words}").count("exposed") == found
    assert owner.ok("ps", "-aq", "--filter", "publish=8080") == ""
    assert "must be PORT or FROM-TO" in owner("ps", "--filter", "expose=9-8").err
    owner.ok("rm", "exposed")


def test_a_container_s_name_is_not_removed_as_a_link(owner: Engine, sleeper: str) -> None:
    assert "cannot remove the default name link" in owner("rm", "--link", sleeper).err
    assert "no such link" in owner("rm", "--link", f"{sleeper}/other").err
