"""The programs without a C library are what their sources say, and the thin client's become the interpreter where nobody serves them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

REPOSITORY = Path(__file__).parents[2]
#: Echoes its words, each on a line.
ECHO = ["/usr/bin/printf", "%s\n"]


def make_programs() -> ModuleType:
    path = REPOSITORY / "scripts/make_programs.py"
    spec = importlib.util.spec_from_file_location("make_programs", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script: Any = make_programs()
CLIENT = "client/client.c"


@pytest.fixture(params=list(script.COMPILERS))
def runner(request: pytest.FixtureRequest) -> list[str]:
    """What runs a machine's program here: nothing else for this one, an emulator for another."""
    program = str(script.program(CLIENT, request.param))
    if request.param == os.uname().machine:
        return [program]
    emulator = shutil.which(f"qemu-{request.param}-static")
    if emulator is None:
        pytest.skip(f"needs qemu-{request.param}-static (Debian's qemu-user-static)")
    return [emulator, program]


@pytest.mark.parametrize("machine", list(script.COMPILERS))
@pytest.mark.parametrize("source", list(script.PROGRAMS))
def test_a_program_is_what_its_source_says(source: str, machine: str, tmp_path: Path) -> None:
    reason = script.problem(machine)
    if reason:
        pytest.skip(reason)
    script.compile_to(tmp_path / "program", source, machine)
    assert (tmp_path / "program").read_bytes() == script.program(source, machine).read_bytes()


@pytest.mark.parametrize("machine", list(script.COMPILERS))
@pytest.mark.parametrize("source", list(script.PROGRAMS))
def test_a_program_can_be_executed_by_everybody_and_is_small(source: str, machine: str) -> None:
    status = script.program(source, machine).stat()
    assert status.st_mode & 0o555 == 0o555
    assert status.st_size < 4096


def test_without_a_socket_it_becomes_the_interpreter(runner: list[str]) -> None:
    words = ["/nowhere", *ECHO, "program", "a b", ""]
    done = subprocess.run([*runner, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "program\na b\n\n", "")


def test_an_interpreter_without_a_path_is_looked_up(runner: list[str]) -> None:
    done = subprocess.run([*runner, "/nowhere", "printf", *ECHO[1:], "found"], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"found\n")


def test_a_socket_s_path_that_is_too_long_is_no_reason_to_fail(runner: list[str]) -> None:
    done = subprocess.run([*runner, "/" + "x" * 200, *ECHO, "still"], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"still\n")


def test_an_interpreter_that_is_not_there_is_an_error(runner: list[str]) -> None:
    words = ["/nowhere", "/nowhere", "-IS", "program"]
    done = subprocess.run([*runner, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (126, "orlop: its Python interpreter cannot be executed\n")
