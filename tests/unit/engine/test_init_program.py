from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from orlop.engine import init_code, init_program
from orlop.errors import Unsupported

SCRIPT = Path(__file__).parents[3] / "scripts/build-init"


def script() -> Any:
    """The script that compiles the program, as a module."""
    loader = importlib.machinery.SourceFileLoader("build_init", str(SCRIPT))
    spec = importlib.util.spec_from_loader("build_init", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture
def init(tmp_path: Path) -> str:
    if os.uname().machine not in init_code.PROGRAMS:
        pytest.skip(f"there is no init for {os.uname().machine}")
    init_program.write(str(tmp_path))
    return str(tmp_path / init_program.FILE)


def run(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=20, **options)


def test_the_program_is_what_its_source_says() -> None:
    if shutil.which(f"{os.uname().machine}-linux-gnu-gcc") is None:
        pytest.skip("needs gcc")
    version = run("gcc", "-dumpfullversion").stdout.strip()
    if not version.startswith("12."):
        pytest.skip(f"it was compiled by gcc 12, and this is {version}: another may compile it otherwise")
    assert script().compiled(os.uname().machine) == init_program.content()


def test_anybody_may_execute_it_and_nobody_write_to_it(init: str) -> None:
    assert stat.S_IMODE(os.stat(init).st_mode) == 0o555


def test_a_program_is_looked_for_in_path(init: str, tmp_path: Path) -> None:
    program = tmp_path / "below/program"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$@"\n')
    variables = {"PATH": f"/no-such-place::{tmp_path}/below:/bin"}
    program.chmod(0o644)
    assert run(init, "program", env=variables).returncode == 126
    program.chmod(0o755)
    assert run(init, "program", "a", "b c", env=variables).stdout == "a b c\n"
    assert run(init, str(program), env={}).returncode == 0
    assert run(init, "sh", "-c", "exit 3", env={}).returncode == 3  # without PATH there are the usual places
    assert run(init).returncode == 127
    assert run(init, "x" * 5000, env=variables).returncode == 127


def test_its_signals_are_the_program_s(init: str) -> None:
    script_ = "trap 'echo caught; exit 9' USR1; echo ready; while :; do sleep 0.02; done"
    process = subprocess.Popen([init, "sh", "-c", script_], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(10)
    assert (process.wait(20), process.stdout.read()) == (9, "caught\n")
    process.stdout.close()


def test_another_architecture_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(init_code, "PROGRAMS", {})
    with pytest.raises(Unsupported, match="--init"):
        init_program.content()


def test_the_other_architecture_s_program_works_too(tmp_path: Path) -> None:
    import binascii
    import zlib

    if shutil.which("qemu-aarch64-static") is None:
        pytest.skip("needs qemu-aarch64-static (Debian's qemu-user-static)")
    program = tmp_path / "init"
    program.write_bytes(zlib.decompress(binascii.a2b_base64(init_code.PROGRAMS["aarch64"])))
    program.chmod(0o755)
    assert run("qemu-aarch64-static", str(program), "sh", "-c", "echo here; exit 4").returncode == 4
    assert run("qemu-aarch64-static", str(program), "no-such-program").returncode == 127
