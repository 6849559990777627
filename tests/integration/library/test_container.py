"""Live containers as objects."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

import orlop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def container(engine: orlop.Engine) -> Iterator[orlop.Container]:
    """A container that sleeps."""
    with engine.containers.run("plain", ["sleep", "1000"], detach=True, labels={"made": "for", "a": "test"}) as made:
        yield made


def test_a_container_knows_what_it_is(engine: orlop.Engine, container: orlop.Container) -> None:
    assert (container.status, container.image, container.exit_code) == ("running", "plain", None)
    assert container.labels == {"made": "for", "a": "test"}
    assert container.id.startswith(container.short_id)
    assert engine.containers.get(container.name) == container
    assert engine.containers.get(container.id[:10]) == container
    assert engine.containers.list() == [container]
    assert engine.containers.list(labels=["made"]) == engine.containers.list(labels={"a": "test"}) == [container]
    assert engine.containers.list(labels={"a": "other"}) == engine.containers.list(status="exited") == []
    assert engine.containers.list(filters={"ancestor": "plain", "name": [container.name, "x"]}) == [container]
    assert engine.containers.list(filters={"health": "healthy"}) == []
    with pytest.raises(orlop.InvalidArgument, match="ancestor"):
        engine.containers.list(filters={"nothing": "x"})
    assert container.inspect()["Id"] == container.id
    assert not container.oom_killed


def test_a_container_s_life(engine: orlop.Engine, container: orlop.Container) -> None:
    container.pause()
    assert container.status == "paused"
    container.unpause()
    container.rename("another")
    assert container.name == "another"
    container.restart(0)
    assert container.status == "running"
    container.stop(0)
    assert (container.status, container.exit_code) == ("exited", 137)
    container.start()
    container.kill("SIGKILL")
    assert container.wait() == 137
    with pytest.raises(orlop.Conflict):
        container.kill()
    container.remove()
    assert container.status == "removed"
    with pytest.raises(orlop.NotFound):
        engine.containers.get(container.id)
    with pytest.raises(orlop.NotFound):
        container.remove()


def test_limits_change_while_it_runs(container: orlop.Container) -> None:
    container.update(memory="64m", memory_swap=-1, pids_limit=50, cpus=0.5)
    host = container.inspect()["HostConfig"]
    assert (host["Memory"], host["PidsLimit"], host["NanoCpus"]) == (64 << 20, 50, 500_000_000)
    with pytest.raises(orlop.InvalidArgument):
        container.update(memory="1k")


def test_waiting_has_a_limit_and_an_end(container: orlop.Container) -> None:
    with pytest.raises(TimeoutError):
        container.wait(0.05)
    thread = threading.Timer(0.1, container.kill)
    thread.start()
    assert container.wait(20) == 137
    thread.join()
    assert container.wait() == container.wait(1) == 137


def test_commands_run_in_it(container: orlop.Container) -> None:
    result = container.exec(
        ["sh", "-c", "cat; echo $A; pwd; id -u; exit 5"], stdin="in ", env={"A": "b"}, workdir="/tmp", user="web"
    )
    assert (result.exit_code, result.stdout) == (5, b"in b\n/tmp\n1000\n")
    assert result.container_id == container.id
    with pytest.raises(orlop.CommandFailed):
        container.exec("false", check=True)
    with pytest.raises(orlop.StartFailed) as caught:
        container.exec("nosuch")
    assert (caught.value.exit_code, caught.value.container_id) == (127, container.id)


@pytest.mark.parametrize("stdin", [None, b"x" * 3_000_000], ids=["no input", "input that it does not take"])
def test_a_command_that_takes_too_long_is_killed(container: orlop.Container, stdin: bytes | None) -> None:
    with pytest.raises(orlop.TimedOut) as caught:
        container.exec(["sh", "-c", "echo begun; exec sleep 987"], stdin=stdin, timeout=0.3)
    assert caught.value.result.stdout == b"begun\n"
    assert not any("987" in each["CMD"] for each in container.top())


def test_a_command_can_be_talked_to(container: orlop.Container) -> None:
    with container.open(["sh"]) as shell:
        shell.write(b"echo one\n")
        assert shell.read(20) == orlop_output("stdout", b"one\n")
        shell.write(b"echo two >&2\n")
        assert shell.read(20) == orlop_output("stderr", b"two\n")
        with pytest.raises(TimeoutError):
            shell.read(0.05)
        shell.write(b"echo three\n")
        shell.end_input()
        assert [each.data for each in shell] == [b"three\n"]
        assert shell.exit_code == shell.wait() == 0


class orlop_output:  # noqa: N801 - reads as what it stands for
    """Equal to an `orlop.Output` with the same fields."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, stream: str, data: bytes) -> None:
        self.fields = (stream, data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, orlop.Output) and (other.stream, other.data) == self.fields


def test_a_command_can_have_a_terminal(container: orlop.Container) -> None:
    with container.open(["sh", "-c", "read line; stty size"], tty=True) as shell:
        shell.resize(12, 34)
        shell.write(b"\n")
        assert b"12 34" in b"".join(each.data for each in shell)


def test_who_attaches_reads_and_writes(engine: orlop.Engine) -> None:
    with engine.containers.run("plain", ["cat"], detach=True, interactive=True) as made, made.attach() as stream:
        stream.write(b"hello\n")
        output = stream.read(20)
        assert output is not None
        assert output.data == b"hello\n"


def test_logs_are_read_and_followed(engine: orlop.Engine) -> None:
    before = time.time()
    script = "echo one; echo two >&2; cat; echo three"
    with engine.containers.run("plain", ["sh", "-c", script], detach=True, interactive=True) as made:
        found = []
        for entry in made.log_entries(follow=True):
            found.append(entry.data)
            if entry.data == b"two\n":
                assert entry.stream == "stderr"
                assert sorted(found) == [b"one\n", b"two\n"]
                made.kill()
        assert made.logs(stderr=False) == b"one\n"
        assert len(made.logs(tail=1).splitlines()) == 1
        assert made.logs(until=before) == b""
        assert len(made.logs(since=before)) == 8


def test_what_it_does_can_be_asked(container: orlop.Container) -> None:
    before = container.stats()
    after = container.stats(before)
    assert after["precpu_stats"] == before["cpu_stats"]
    assert [each["CMD"] for each in container.top()] == ["sleep 1000"]


def test_files_are_written_and_read(container: orlop.Container, tmp_path: Path) -> None:
    container.write_bytes("/tmp/file", b"content", mode=0o640, uid=1000)
    assert container.read_bytes("/tmp/file") == b"content"
    assert container.exec(["stat", "-c", "%a %u", "/tmp/file"]).stdout == b"640 1000\n"
    container.write_bytes("/tmp/file", "text")
    container.get_file("/tmp/file", tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "text"
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/leaf").write_text("green")
    container.put_file(tmp_path / "tree", "/tmp")
    assert container.read_bytes("/tmp/tree/leaf") == b"green"
    container.exec(["ln", "-s", "/tmp/file", "/tmp/link"])
    assert container.read_bytes("/tmp/link") == b"text"


def test_files_of_a_container_that_does_not_run(engine: orlop.Engine) -> None:
    with engine.containers.create("plain", ["cat", "/data/in"]) as made:
        assert made.status == "created"
        made.write_bytes("/data/in", b"given before")
        made.start()
        assert made.wait() == 0
        assert made.logs() == b"given before"


def test_what_is_no_file_is_refused(container: orlop.Container) -> None:
    with pytest.raises(orlop.NotFound):
        container.read_bytes("/nosuch")
    with pytest.raises(orlop.InvalidArgument, match="no file"):
        container.read_bytes("/etc")
    with pytest.raises(orlop.NotFound):
        container.write_bytes("/nosuch/file", b"")
    with pytest.raises(orlop.InvalidArgument, match="no path of a file"):
        container.write_bytes("/tmp/", b"")
    container.exec(["sh", "-c", "head -c 5000 /dev/zero > /tmp/large"])
    with pytest.raises(orlop.InvalidArgument, match="more than 4096 bytes"):
        container.read_bytes("/tmp/large", limit="4k")


def test_changes_are_told_committed_and_exported(
    engine: orlop.Engine, container: orlop.Container, tmp_path: Path
) -> None:
    container.exec(["sh", "-c", "echo new > /data/new; rm /data/gone; echo x >> /data/kept"])
    kinds = {each.path: each.kind for each in container.diff()}
    assert kinds == {"/data": "modified", "/data/gone": "deleted", "/data/kept": "modified", "/data/new": "added"}
    image = container.commit("changed:1", message="because", changes=['CMD ["cat", "/data/new"]'])
    assert image.tags == ["changed:1"]
    assert engine.containers.run("changed:1").stdout == b"new\n"
    container.export(tmp_path / "all.tar")
    assert os.stat(tmp_path / "all.tar").st_size > 100_000
    imported = engine.images.import_(tmp_path / "all.tar", "again:1", changes=["ENV A=b"])
    assert engine.containers.run("again:1", ["/bin/busybox", "cat", "/data/new"]).stdout == b"new\n"
    assert engine.images.remove("changed:1").untagged
    assert imported.id in engine.images.remove("again:1").deleted


def test_containers_that_ended_are_pruned(engine: orlop.Engine) -> None:
    result = engine.containers.run("plain", ["true"], remove=False)
    removed, freed = engine.containers.prune()
    assert list(removed) == [result.container_id]
    assert freed >= 0


def test_events_are_iterated(engine: orlop.Engine) -> None:
    begun = time.time()
    result = engine.containers.run("plain", ["true"])
    engine.close()
    found = [each for each in engine.events(since=begun, until=time.time()) if each.id == result.container_id]
    assert [each.action for each in found] == ["create", "start", "die", "destroy"]
    assert found[2].attributes["exitCode"] == "0"
    assert found[0].time >= begun


def test_the_engine_tells_of_itself(engine: orlop.Engine, container: orlop.Container) -> None:
    assert engine.info()["ContainersRunning"] == 1
    usage = engine.df()
    assert set(usage) == {"images", "containers", "volumes", "cache"}
    assert (usage["containers"].total, usage["containers"].active) == (1, 1)
    assert usage["images"].size > 0


def test_its_files_are_saved_gone_back_to_and_cloned(engine: orlop.Engine, container: orlop.Container) -> None:
    container.write_bytes("/answer", "42")
    assert container.snapshots.create("right").name == "right"
    container.write_bytes("/answer", "43")
    container.snapshots.create()
    assert [each.name for each in container.snapshots.list()] == ["right", "2"]
    with container.fork("clone", snapshot="right") as clone:
        assert (clone.name, clone.status, clone.read_bytes("/answer")) == ("clone", "created", b"42")
        clone.start()
        assert clone.exec(["cat", "/answer"]).stdout == b"42"
    with container.fork() as clone:
        assert clone.read_bytes("/answer") == b"43"
    container.snapshots.restore("right", 0)
    assert (container.status, container.read_bytes("/answer")) == ("running", b"42")
    container.snapshots.remove("2")
    assert [each.name for each in container.snapshots.list()] == ["right"]
    with pytest.raises(orlop.NotFound):
        container.snapshots.restore("2")
    with pytest.raises(orlop.Conflict):
        container.snapshots.create("right")


def test_mounts_devices_and_variables_change_while_it_runs(container: orlop.Container, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("shared")
    container.update(
        add_mounts=[orlop.Bind(tmp_path, "/mnt/new"), orlop.Tmpfs("/mnt/memory", size="1m")],
        add_devices=["/dev/fuse:/dev/mine"],
        add_env={"LEVEL": "debug"},
    )
    script = 'cat /mnt/new/file; echo " $LEVEL"; ls /dev/mine'
    assert container.exec(["sh", "-c", script]).text == "shared debug\n/dev/mine\n"
    container.update(remove_mounts=["/mnt/new", "/mnt/memory"], remove_devices=["/dev/mine"], remove_env=["LEVEL"])
    assert container.exec(["sh", "-c", "ls /mnt/new; echo $LEVEL"]).text == "\n"
    with pytest.raises(orlop.NotFound):
        container.update(remove_mounts=["/mnt/new"])
    with pytest.raises(orlop.InvalidArgument, match="update twice"):
        container.update(memory="64m", remove_mounts=["/mnt/new"])
    with pytest.raises(orlop.InvalidArgument, match="add_devices="):
        container.update(add_devices=["/dev/fuse:relative"])
    with pytest.raises(TypeError, match="did you mean 'memory'"):
        container.update(memroy="1m")  # type: ignore[call-arg]


def test_it_is_explained_what_isolates_it(engine: orlop.Engine) -> None:
    with engine.containers.run("plain", ["sleep", "1000"], detach=True, network="host") as container:
        weakened = {each.subject: each.weakened for each in container.explain() if each.weakened}
    assert "--network host" in weakened["network"]


def test_archives_come_and_go(container: orlop.Container, tmp_path: Path) -> None:
    container.exec(["sh", "-c", "mkdir -p /tree/deep /other; echo text > /tree/deep/file"], check=True)
    container.get_archive("/tree", tmp_path / "tree.tar")
    container.put_archive(tmp_path / "tree.tar", "/other")
    assert container.read_bytes("/other/tree/deep/file") == b"text\n"
    with pytest.raises(orlop.NotFound):
        container.get_archive("/nowhere", tmp_path / "nothing.tar")
    assert not (tmp_path / "nothing.tar").exists()
