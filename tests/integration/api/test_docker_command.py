"""The docker command, which knows nothing of orlop."""

from __future__ import annotations

import io
import json
import os
import shlex
import signal
import subprocess
import tarfile
from typing import TYPE_CHECKING

from tests.integration.api.conftest import machine_of
from tests.integration.engine.conftest import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.api.served import Served
    from tests.integration.engine.screen import Screen

RUN = ("run", "--rm", "--network", "none")
LOOP = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done"


def detached(served: Served, name: str, *words: str) -> str:
    return served.ok("run", "-d", "--name", name, "--network", "none", "plain", *words).strip()


def test_a_program_runs_with_its_streams_apart_and_its_exit_code(served: Served) -> None:
    done = served.docker(*RUN, "plain", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.code, done.out, done.err) == (3, "out\n", "err\n")
    assert served.engine.names() == []


def test_input_goes_to_the_program_to_its_end(served: Served) -> None:
    data = bytes(range(256)) * 4096
    done = served.ok(*RUN, "-i", "plain", "sh", "-c", "wc -c; echo end", given=data)
    assert done.split() == [str(len(data)), "end"]


def test_a_programs_fast_end_loses_no_output(served: Served) -> None:
    for _ in range(5):
        assert len(served.ok(*RUN, "plain", "sh", "-c", "yes 0123456 | head -n 20000")) == 160000


def test_a_terminal_has_a_size_and_can_be_left(served: Served, screen: Screen) -> None:
    environment = [f"{name}={value}" for name, value in served.environment().items() if name.startswith("DOCKER_")]
    docker = ["docker", "run", "-it", "--name", "term", "--network", "none", "plain", "sh"]
    screen.start(["env", *environment, *docker])
    screen.type("stty size; echo is-$((40 + 2))\r")
    screen.expect("24 80")
    screen.expect("is-42")
    screen.resize(30, 90)

    def has_new_size() -> bool:
        os.killpg(screen.process.pid if screen.process else 0, signal.SIGWINCH)  # the client may not look for it yet
        return served.engine("exec", "term", "sh", "-c", "stty size </dev/console").out == "30 90\n"

    wait_until(has_new_size, "the new size")
    screen.type("\x10\x11")
    assert screen.wait() == 0
    assert served.engine.state("term")["Running"]


def test_a_program_that_is_not_there_is_127(served: Served) -> None:
    done = served.docker(*RUN, "plain", "nosuch")
    assert done.code == 127, done
    assert "nosuch" in done.err
    assert served.engine.names() == []


def test_logs_are_followed_to_the_end(served: Served) -> None:
    detached(served, "web", "sh", "-c", "for i in 1 2 3; do echo line $i; sleep 0.05; done; echo last >&2")
    done = served.docker("logs", "-f", "web")
    assert (done.out, done.err) == ("line 1\nline 2\nline 3\n", "last\n")
    assert served.ok("logs", "--tail", "1", "web") == ""
    stamped = served.docker("logs", "-t", "--tail", "2", "web").out
    assert stamped.endswith("Z line 3\n")


def test_a_command_is_executed_with_its_exit_code_and_input(served: Served) -> None:
    detached(served, "web", "sh", "-c", LOOP)
    done = served.docker(
        "exec", "-i", "-e", "A=b", "-w", "/tmp", "web", "sh", "-c", "pwd; echo $A; cat; exit 4", given=b"in"
    )
    assert (done.code, done.out) == (4, "/tmp\nb\nin")
    assert served.docker("exec", "web", "nosuch").code in (126, 127)
    assert served.docker("exec", "-d", "web", "touch", "/tmp/detached").code == 0
    wait_until(lambda: served.docker("exec", "web", "ls", "/tmp/detached").code == 0)


def test_several_terminals_see_the_same(served: Served) -> None:
    served.ok("create", "-i", "--name", "echo", "--network", "none", "plain", "sh", "-c", "read line; echo got $line")
    command = ["docker", "attach", "--no-stdin", "echo"]
    starting = subprocess.Popen(
        ["docker", "start", "-ai", "echo"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=served.environment(),
    )
    wait_until(lambda: served.engine.state("echo")["Running"])
    other = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=served.environment())
    monitored = f"/{served.engine.inspect('echo')['Id']}"

    def connections() -> int:
        with open(f"/proc/{machine_of(served)}/net/unix") as file:
            return sum(line.split()[-1].endswith(monitored) for line in file)

    wait_until(lambda: connections() == 4, "both, and that both wait for the end")
    out, _ = starting.communicate(b"hello\n", timeout=20)
    assert out == b"got hello\n"
    assert other.communicate(timeout=20)[0] == b"got hello\n"


def test_files_are_copied_both_ways(served: Served, tmp_path: Path) -> None:
    (tmp_path / "one").write_text("1")
    served.ok("create", "--name", "web", "--network", "none", "plain", "true")
    served.ok("cp", str(tmp_path / "one"), "web:/tmp/two")
    served.ok("cp", "web:/tmp/two", str(tmp_path / "three"))
    assert (tmp_path / "three").read_text() == "1"
    archive = tarfile.open(
        fileobj=io.BytesIO(
            subprocess.run(
                ["docker", "cp", "web:/tmp/two", "-"], capture_output=True, check=True, env=served.environment()
            ).stdout
        )
    )
    assert archive.getnames() == ["two"]
    missing = served.docker("cp", "web:/nosuch", str(tmp_path))
    assert missing.code == 1
    assert served.ok("diff", "web") == "C /tmp\nA /tmp/two\n"


def test_a_container_lives_as_docker_says(served: Served) -> None:
    detached(served, "web", "sh", "-c", LOOP)
    wait_until(lambda: served.ok("logs", "web") == "ready\n")
    refused = served.docker("rm", "web")
    assert refused.code == 1
    assert "container is running: stop the container before removing or force remove" in refused.err
    served.ok("pause", "web")
    assert served.ok("ps", "--format", "{{.Status}}").endswith("(Paused)\n")
    served.ok("unpause", "web")
    served.ok("rename", "web", "other")
    served.ok("update", "--memory", "64m", "--memory-swap", "128m", "--restart", "on-failure:3", "other")
    shown = json.loads(served.ok("inspect", "other"))[0]["HostConfig"]
    assert (shown["Memory"], shown["RestartPolicy"]["MaximumRetryCount"]) == (64 << 20, 3)
    assert "sleep" in served.ok("top", "other", "-o", "pid,args")
    assert served.ok("stats", "--no-stream", "--format", "{{.Name}}", "other") == "other\n"
    served.ok("update", "--restart", "no", "other")
    waiting = subprocess.Popen(["docker", "wait", "other"], stdout=subprocess.PIPE, env=served.environment())
    served.ok("stop", "other")
    assert waiting.communicate(timeout=20)[0] == b"5\n"
    served.ok("start", "other")
    served.ok("restart", "-t", "0", "other")
    served.ok("kill", "other")
    assert served.ok("container", "prune", "-f").startswith("Deleted Containers:\n")
    assert served.ok("ps", "-aq") == ""


def test_a_name_that_is_taken_is_a_conflict(served: Served) -> None:
    first = served.ok("create", "--name", "web", "--network", "none", "plain").strip()
    done = served.docker("create", "--name", "web", "--network", "none", "plain")
    assert done.code == 1
    assert f'The container name "/web" is already in use by container "{first}"' in done.err


def test_images_are_named_saved_loaded_and_removed(served: Served, tmp_path: Path) -> None:
    served.ok("tag", "plain", "other:1")
    assert sorted(served.ok("images", "--format", "{{.Repository}}:{{.Tag}}").split()) == ["other:1", "plain:latest"]
    served.ok("save", "-o", str(tmp_path / "saved.tar"), "other:1")
    assert served.ok("rmi", "other:1") == "Untagged: other:1\n"
    assert served.ok("load", "-i", str(tmp_path / "saved.tar")) == "Loaded image: other:1\n"
    served.ok("run", "--name", "changed", "--network", "none", "plain", "touch", "/made")
    made = served.ok("commit", "-m", "message", "-c", 'CMD ["ls", "/made"]', "changed", "changed:1").strip()
    assert served.ok(*RUN, "changed:1") == "/made\n"
    assert "message" in served.ok("history", "changed:1")
    assert served.ok("inspect", "-f", "{{.Id}}", "changed:1").strip() == made
    exported = subprocess.run(
        ["docker", "export", "changed"], capture_output=True, check=True, env=served.environment()
    ).stdout
    served.ok("import", "-c", 'CMD ["/bin/ls", "/made"]', "-", "imported:1", given=exported)
    assert served.ok(*RUN, "imported:1") == "/made\n"
    served.ok("rmi", "-f", "imported:1", "other:1")
    served.ok("rm", "changed")
    served.ok("rmi", "changed:1")
    missing = served.docker("inspect", "--type", "image", "nosuch")
    assert "No such image: nosuch:latest" in missing.err


def test_a_pull_that_cannot_be_says_why(served: Served) -> None:
    done = served.docker("pull", "127.0.0.1:1/no/such")
    assert done.code == 1
    assert "127.0.0.1:1" in done.err


def test_volumes_and_networks_come_and_go(served: Served) -> None:
    assert served.ok("volume", "create", "--label", "a=b", "data") == "data\n"
    served.ok(*RUN, "-v", "data:/mine", "plain", "touch", "/mine/file")
    assert served.ok(*RUN, "-v", "data:/mine", "plain", "ls", "/mine") == "file\n"
    assert served.ok("volume", "ls", "-q", "--filter", "label=a") == "data\n"
    served.ok("volume", "rm", "data")
    assert "no such volume" in served.docker("volume", "inspect", "data").err
    served.ok("network", "create", "--subnet", "10.77.0.0/24", "lan")
    assert (
        served.ok("network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}} {{.Driver}}", "lan")
        == "10.77.0.0/24 bridge\n"
    )
    served.ok("run", "-d", "--name", "on", "--network", "lan", "plain", "sh", "-c", LOOP)
    address = served.ok("inspect", "-f", '{{(index .NetworkSettings.Networks "lan").IPAddress}}', "on").strip()
    assert address.startswith("10.77.0.")
    served.ok("network", "disconnect", "lan", "on")
    served.ok("rm", "-f", "on")
    served.ok("network", "rm", "lan")


def test_ports_are_published_and_links_removed(served: Served) -> None:
    served.ok("run", "-d", "--name", "web", "-p", "127.0.0.1:8080:80", "-p", "53:53/udp", "plain", "sh", "-c", LOOP)
    assert served.ok("port", "web", "80") == "127.0.0.1:8080\n"
    shown = served.ok("ps", "--format", "{{.Ports}}")
    assert "127.0.0.1:8080->80/tcp" in shown
    assert "0.0.0.0:53->53/udp" in shown
    taken = served.docker("run", "-p", "127.0.0.1:8080:80", "plain", "true")
    assert taken.code == 125
    assert "8080" in taken.err
    served.ok("run", "-d", "--name", "app", "--link", "web:site", "plain", "sh", "-c", LOOP)
    assert json.loads(served.ok("inspect", "app"))[0]["HostConfig"]["Links"] == ["/web:/app/site"]
    served.ok("rm", "--link", "/app/site")
    assert not json.loads(served.ok("inspect", "app"))[0]["HostConfig"]["Links"]
    served.ok("rm", "-f", "app", "web")


def test_events_are_told_as_they_happen(served: Served) -> None:
    following = subprocess.Popen(
        ["docker", "events", "--filter", "type=container", "--format", "{{.Action}}"],
        stdout=subprocess.PIPE,
        env=served.environment(),
    )
    assert following.stdout is not None
    served("GET", "/_ping")
    seen = b""
    while b"create" not in seen:  # until it listens
        served.docker(*RUN, "plain", "true")
        seen = following.stdout.readline()
    actions = [following.stdout.readline().strip() for _ in range(3)]
    following.terminate()
    following.communicate(timeout=20)
    assert actions == [b"start", b"die", b"destroy"] or b"attach" in actions


def test_what_the_engine_is_and_takes_is_told(served: Served) -> None:
    assert json.loads(served.ok("info", "-f", "{{json .ServerVersion}}"))
    assert json.loads(served.ok("version", "-f", "{{json .Server}}"))["MinAPIVersion"] == "1.24"
    served.ok("create", "--name", "web", "--network", "none", "plain")
    kinds = {line.split()[0] for line in served.ok("system", "df").splitlines()}
    assert {"Images", "Containers"} <= kinds
    assert "not a swarm manager" in served.docker("service", "ls").err


def test_an_image_is_built_from_a_context_with_the_cache_used(served: Served, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        'FROM plain\nARG WHO=nobody\nRUN echo built for $WHO > /made; cat /made\nCOPY file /copied\nCMD ["cat", "/made"]\n'
    )
    (tmp_path / "file").write_text("1")
    words = ("build", "--network", "none", "--build-arg", "WHO=me", "-t", "built:1", str(tmp_path))
    first = served.docker(*words)
    assert first.code == 0, first
    assert "built for me\n" in first.out
    assert "Successfully tagged built:1" in first.out
    assert served.docker(*words).out.count("Using cache") == 4
    assert served.ok(*RUN, "built:1") == "built for me\n"
    assert served.ok("build", "-q", *words[1:]).startswith("sha256:")
    (tmp_path / "Dockerfile").write_text("FROM plain\nRUN exit 4\n")
    failed = served.docker(*words)
    assert failed.code == 4, failed
    (tmp_path / "Dockerfile").write_text("FROM plain\nRNU true\n")
    wrong = served.docker(*words)
    assert "did you mean RUN?" in wrong.err
    served.ok("rmi", "built:1")
    assert "Total reclaimed space" in served.ok("builder", "prune", "-f")
    assert "Total reclaimed space" in served.ok("system", "prune", "-f")


def test_docker_reaches_an_engine_through_ssh(served: Served, tmp_path: Path) -> None:
    (served.engine.run_root / "docker.sock").symlink_to(served.path)  # where a server listens that is not told where
    words = shlex.join(served.engine.command("system", "dial-stdio"))
    (tmp_path / "ssh").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nexec {words}\n')
    (tmp_path / "ssh").chmod(0o755)
    environment = {
        **served.environment(), "DOCKER_HOST": "ssh://me@far", "PATH": f"{tmp_path}:{os.environ['PATH']}",
    }  # fmt: skip
    data = bytes(range(256)) * 4096
    done = subprocess.run(
        ["docker", *RUN, "-i", "plain", "cat"],
        input=data, capture_output=True, timeout=60, check=False, env=environment,
    )  # fmt: skip
    assert (done.returncode, done.stdout == data, done.stderr) == (0, True, b"")
    assert "docker system dial-stdio" in (tmp_path / "asked").read_text()
    (served.engine.run_root / "docker.sock").unlink()
    missing = served.engine("system", "dial-stdio")
    assert (missing.code, "start 'orlop serve' there" in missing.err) == (1, True)
