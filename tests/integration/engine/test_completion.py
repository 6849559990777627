"""Completion of command lines, as the shells themselves do it."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.conftest import PATIENCE, Engine
from tests.integration.engine.image_maker import make

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory, rootfs: Path) -> Iterator[Engine]:
    """An engine with containers that run and do not, an image and a volume."""
    engine = Engine(tmp_path_factory.mktemp("engine"), rootfs)
    make(engine, "plain:latest")
    engine.ok("run", "-d", "--name", "runner", "plain", "sleep", "1000")
    engine.ok("create", "--name", "resting", "plain", "true")
    engine.ok("volume", "create", "vessel")
    engine.ok("snapshot", "resting", "saved-one")
    yield engine
    engine.ok("rm", "-f", "runner", "resting")
    engine.ok("volume", "rm", "vessel")
    engine.ok("rmi", "plain")
    engine.close()


def environment(engine: Engine, directory: Path) -> dict[str, str]:
    """One in which ``orlop`` is this engine's."""
    program = directory / "bin/orlop"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {engine.program} --root {engine.root} --run-root {engine.run_root} "$@"\n')
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:{os.environ['PATH']}", "HOME": str(directory), "TERM": "dumb", "LANG": "C.UTF-8"}


def bash(engine: Engine, directory: Path, line: str) -> set[str]:
    """What bash would offer at the end of a line: its function for it, called as readline does."""
    script = r"""
source <(orlop completion bash)
COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
declare -F _orlop >/dev/null && complete -p orlop >/dev/null || exit 9
_orlop
printf '%s\n' "${COMPREPLY[@]}"
"""
    done = subprocess.run(
        ["bash", "--norc", "--noprofile", "-c", script, "bash", line],
        env=environment(engine, directory), capture_output=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return set(done.stdout.decode().split())


def fish(engine: Engine, directory: Path, line: str) -> set[str]:
    """What fish offers, asked by ``complete -C``."""
    done = subprocess.run(
        ["fish", "--no-config", "-c", 'orlop completion fish | source; complete -C "$argv[1]"', line],
        env=environment(engine, directory), capture_output=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {each.split("\t")[0] for each in done.stdout.decode().splitlines()}


_ZSHRC = """
PS1='ready> '
autoload -Uz compinit && compinit -u -D
source <(orlop completion zsh)
compadd() {{ local -a found; builtin compadd -O found "$@"; print -rl -- $found >> {told}; builtin compadd "$@" }}
complete_and_tell() {{ zle list-choices; print -r -- ':end' >> {told}; zle kill-whole-line }}
zle -N complete_and_tell
bindkey '^X' complete_and_tell
"""


class Zsh:
    """A zsh on a terminal, which is asked for completions there; ``compadd`` tells what it hands to its own lists."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        self.told = directory / "told"
        (directory / ".zshrc").write_text(_ZSHRC.format(told=self.told))
        variables = {**environment(engine, directory), "ZDOTDIR": str(directory)}
        self.child, self.terminal = pty.fork()
        if self.child == 0:
            os.execvpe("zsh", ["zsh", "-i"], variables)
        seen = b""
        end = time.monotonic() + PATIENCE
        while b"ready> " not in seen:
            assert time.monotonic() < end, seen
            if select.select([self.terminal], [], [], 1)[0]:
                seen += os.read(self.terminal, 4096)

    def offers(self, line: str) -> set[str]:
        self.told.unlink(missing_ok=True)
        os.write(self.terminal, line.encode() + b"\x18")
        end = time.monotonic() + PATIENCE
        while not (self.told.exists() and ":end" in self.told.read_text().split()):
            assert time.monotonic() < end, "zsh does not answer"
            if select.select([self.terminal], [], [], 0.05)[0]:
                os.read(self.terminal, 4096)
        return set(self.told.read_text().split("\n")) - {":end", ""}

    def close(self) -> None:
        os.close(self.terminal)
        os.waitpid(self.child, 0)


SHELLS = {"bash": bash, "fish": fish}


@pytest.fixture(params=["bash", "fish", "zsh"])
def offers(request: pytest.FixtureRequest, full: Engine, tmp_path: Path) -> Iterator[Callable[[str], set[str]]]:
    """What a shell offers at the end of a line."""
    if shutil.which(request.param) is None:
        pytest.skip(f"needs {request.param} to complete with")
    if request.param != "zsh":
        yield lambda line: SHELLS[request.param](full, tmp_path, line)
        return
    shell = Zsh(full, tmp_path)
    yield shell.offers
    shell.close()


def test_commands_flags_and_things_are_offered(offers: Callable[[str], set[str]]) -> None:
    assert {"start", "stats", "stop"} <= offers("orlop st")
    assert offers("orlop exec r") == {"runner"}
    assert offers("orlop rm r") == {"runner", "resting"}
    assert offers("orlop start r") == {"resting"}
    assert offers("orlop volume rm v") == {"vessel"}
    assert offers("orlop run --rm pl") >= {"plain:latest"} or offers("orlop run --rm pl") >= {"plain\\:latest"}
    assert {"--network", "--name"} <= offers("orlop run --n")
    assert offers("orlop volume in") == {"inspect"}
    assert offers("orlop restore resting s") == {"saved-one"}
    assert offers("orlop logs --details r") == {"runner", "resting"}


def test_values_of_flags_are_offered(offers: Callable[[str], set[str]]) -> None:
    assert offers("orlop run --restart un") == {"unless-stopped"}
    assert offers("orlop run --cap-add NET_A") == {"NET_ADMIN"}
    assert offers("orlop kill -s SIGT") == {"SIGTERM"}
    assert {each.removeprefix("--restart=") for each in offers("orlop run --restart=un")} == {"unless-stopped"}
    assert "runner:" in {each.replace("\\", "") for each in offers("orlop cp run")}


def test_files_are_offered_where_they_may_be_meant(offers: Callable[[str], set[str]], full: Engine) -> None:
    found = {each.rpartition("/")[2] for each in offers("orlop load /etc/hostn")}
    assert found <= {"etc", "hostname"}  # bash reads the directory itself, after our function
    assert complete(full, "load", "/etc/hostn") == [":files"]
    assert not offers("orlop rename runner x")


def complete(engine: Engine, *words: str) -> list[str]:
    return engine.ok("__complete", "--", *words).splitlines()


def test_partial_ids_are_completed(full: Engine) -> None:
    container = full.inspect("runner")["Id"]
    assert complete(full, "exec", container[:3])[:-1] == [f"{container[:12]}\trunning, plain"]
    assert full.ok("inspect", "--format", "{{.Name}}", container[:3]) == "/runner\n"


def test_every_command_can_be_asked_for_its_flags(full: Engine) -> None:
    from orlop import cli

    lines = [[name] for name, _ in cli.COMMANDS]
    lines += [[group, name] for group, (_, commands) in cli.GROUPS.items() for name, _, _ in commands]
    for words in lines[::3]:
        assert any(line.startswith("--help") for line in complete(full, *words, "-")), words


def test_nothing_comes_of_a_line_that_makes_no_sense(full: Engine) -> None:
    for words in (("never", ""), ("volume", "never", ""), ("--root",), ("run", "--never", "")):
        assert full("__complete", "--", *words).code == 0
    assert complete(full, "never", "") == [":"]
    assert full("completion", "tcsh").code != 0
