"""What cannot be right is told in one line, with the right exit status, and leaves nothing half made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orlop import cli
from tests.integration.engine import leftovers
from tests.integration.engine.image_maker import make

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.engine.conftest import Engine

_COMMANDS = [
    *([name] for name, _ in cli.COMMANDS if name not in cli.GROUPS),
    *([group, name] for group, (_, commands) in cli.GROUPS.items() for name, _, _ in commands),
]

#: Options of run and create that cannot be right, and a word that the complaint has to have. DIRECTORY has files.
_SETTINGS = {
    "--name a": "name",
    "--name a/b": "name",
    "--memory 1": "memory",
    "--memory much": "much",
    "--cpus -1": "cpus",
    "--cpus many": "many",
    "--cpus 1000": "cpus",
    "--cpuset-cpus 999": "999",
    "--cpuset-mems 77": "77",
    "--cpu-shares x": "x",
    "--pids-limit x": "x",
    "--blkio-weight 5": "weight",
    "--oom-score-adj 5000": "oom",
    "--ulimit nofile=9:5": "nofile",
    "--ulimit nothing=5": "nothing",
    "--sysctl kernel.panic=1": "kernel.panic",
    "--sysctl nothing": "nothing",
    "--user nobody-here": "nobody-here",
    "--group-add nobody-here": "nobody-here",
    "--env-file DIRECTORY/missing": "missing",
    "--env-file DIRECTORY/variables": "two words=1",
    "--label-file DIRECTORY/missing": "missing",
    "--cidfile DIRECTORY/there": "there",
    "--cap-add NOTHING": "NOTHING",
    "--device /dev/nothing": "/dev/nothing",
    "--device-cgroup-rule x": "x",
    "--device nobody.com/gpu=0": "nobody.com/gpu",
    "--mount type=bind,src=/missing,dst=/there": "/missing",
    "--mount type=nothing,dst=/there": "nothing",
    "--mount type=bind": "mount",
    "--mount type=tmpfs,dst=/there,tmpfs-size=x": "x",
    "-v relative/path:/there": "relative/path",
    "-v /tmp:there": "there",
    "-v /tmp:/there:nothing": "nothing",
    "--tmpfs relative": "relative",
    "--volumes-from nobody": "nobody",
    "--network nothing-such": "network",
    "--pid container:nobody": "nobody",
    "--ipc nothing": "ipc",
    "--uts nothing": "uts",
    "--security-opt seccomp=DIRECTORY/broken.json": "broken.json",
    "--security-opt seccomp=DIRECTORY/missing": "missing",
    "--security-opt nothing=1": "nothing",
    "--log-driver nothing": "nothing",
    "--log-opt max-size=x": "x",
    "--log-opt nothing=1": "nothing",
    "--restart sometimes": "sometimes",
    "--restart on-failure:x": "x",
    "--restart always --rm": "--rm",
    "--runtime nothing": "nothing",
    "--stop-signal NOTHING": "NOTHING",
    "--stop-timeout x": "x",
    "--shm-size x": "x",
    "--health-interval x": "x",
    "--health-retries -1": "retries",
    "--workdir relative": "relative",
    "--platform x/y/z/a": "x/y",
    "--pull nothing": "nothing",
    "--storage-opt size=1": "storage",
    "--gpus nothing=1": "gpus",
    "--isolation hyperv": "isolation",
}


@pytest.fixture(scope="module")
def plain(shared: Engine) -> Iterator[Engine]:
    """The engine of all tests here, with an image and a container; after all of them nothing else is there."""
    make(shared, "plain:latest")
    shared.ok("create", "--name", "there", "plain", "true")
    yield shared
    assert shared.names() == ["there"]
    leftovers.settled(shared)


@pytest.mark.parametrize("words", _COMMANDS, ids=" ".join)
def test_an_unknown_flag_is_refused_by_every_command(
    words: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli.main(["--root", f"{tmp_path}/root", "--run-root", f"{tmp_path}/run", *words, "--no-such-flag"]) == 125
    out, errors = capsys.readouterr()
    assert out == ""
    assert errors.count("\n") == 1
    assert "--no-such-flag" in errors
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", _SETTINGS)
def test_a_setting_that_cannot_be_right_is_refused(
    plain: Engine, tmp_path: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "there").touch()
    (tmp_path / "variables").write_text("# one\nONE=1\ntwo words=1\n")
    words = option.replace("DIRECTORY", str(tmp_path)).split(" ")
    done = (
        plain("run", "--name", "bad", *words, "plain", "true")
        if "--name" not in words
        else plain("run", *words, "plain", "true")
    )
    assert done.code in (125, 126, 127), done
    assert len(done.err.splitlines()) == 1, done
    assert "Traceback" not in done.err
    assert _SETTINGS[option].lower() in done.err.lower(), done
    if "bad" in plain.ok("ps", "-a", "--format", "{{.Names}} {{.Status}}"):  # only the kernel could tell
        assert plain.state("bad")["Status"] == "created"
        plain.ok("rm", "bad")
        raise AssertionError(f"half made: {done}")


@pytest.mark.parametrize(("options", "reason"), [("-it", "not a TTY"), ("-d -a stdout", "--attach and --detach")])
def test_what_docker_s_client_refuses_by_itself_has_its_exit_status(plain: Engine, options: str, reason: str) -> None:
    done = plain("run", *options.split(), "plain", "true")
    assert (done.code, reason in done.err) == (1, True), done


@pytest.mark.parametrize("line", [
    "start nobody", "stop nobody", "restart nobody", "kill nobody", "kill -s NOTHING there", "kill -s 0 there", "pause there", "unpause there",
    "rename there a/b", "rename nobody other", "update --memory 1 there", "update nobody", "rm nobody", "exec there true",
    "exec nobody true", "cp nobody:/x -", "cp there:/nothing -", "cp /missing there:/", "logs nobody", "logs --tail x there",
    "logs --since x there", "attach there", "wait nobody", "top there", "top there -bogus", "diff nobody", "port nobody", "inspect nobody",
    "commit nobody", "commit there A:b", "commit -c NOTHING there", "export nobody", "tag nobody a:b", "tag plain A", "rmi nobody",
    "history nobody", "save nobody", "load -i /missing", "volume rm nobody", "volume inspect nobody", "volume create a/b",
    "volume create -d nothing x", "ps --filter nothing=1", "images --filter nothing=1", "events --filter nothing=1 --until 0s",
    "ps -a --format {{.Nothing}}", "stats --no-stream nobody", "image inspect nobody", "container inspect nobody",
    "container prune -f --filter nothing=1", "import /missing", "pull A", "push nobody", "nothing",
])  # fmt: skip
def test_a_command_that_cannot_be_carried_out_says_so_in_one_line(plain: Engine, line: str) -> None:
    done = plain(*line.split(" "))
    assert done.code in (1, 125, 126, 127), done
    # What Docker says in two: what was wrong, and with which.
    assert 1 <= len(done.err.splitlines()) <= (2 if line.startswith(("start", "cp")) else 1), done
    assert "Traceback" not in done.err, done
