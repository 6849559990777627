"""Every example in the documentation works: each page is executed from its beginning to its end."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.conftest import REPOSITORY
from tests.integration.engine import image_maker

if TYPE_CHECKING:
    from tests.integration.engine.conftest import Engine as CommandLine

_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: Parts of the standard library that no example needs.
_LEFT_OUT = ("ensurepip", "idlelib", "lib2to3", "site-packages", "dist-packages", "test", "tkinter", "turtledemo")


@pytest.fixture(scope="module", autouse=True)
def python_image(command: CommandLine) -> None:
    """An image like ``python:3.13-slim``: this machine's own interpreter and what it needs."""
    program = os.path.realpath(sys._base_executable)  # type: ignore[attr-defined]
    library = sysconfig.get_path("stdlib")
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:

        def chosen(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
            parts = entry.name.removeprefix(library.lstrip("/")).split("/")
            return None if "__pycache__" in parts or (parts[1:2] and parts[1] in _LEFT_OUT) else entry

        archive.add(library, filter=chosen)
        for each in [program, *_needed(program)]:
            archive.add(os.path.realpath(each), arcname=each.lstrip("/"))
        link = tarfile.TarInfo("usr/local/bin/python3")
        link.type, link.linkname = tarfile.SYMTYPE, program
        archive.addfile(link)
    base = image_maker.base(
        image_maker.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
        image_maker.file("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    )
    path = {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"], "Cmd": ["python3"]}
    image_maker.make(command, "python:3.13-slim", [base, output.getvalue()], path)


def _needed(program: str) -> set[str]:
    """The libraries of the interpreter and its modules."""
    modules = [str(path) for path in Path(sysconfig.get_path("stdlib"), "lib-dynload").glob("*.so")]
    done = subprocess.run(["ldd", program, *modules], capture_output=True, text=True, check=False)
    return {word for word in done.stdout.split() if word.startswith("/") and not word.endswith(":")}


def blocks(page: str) -> list[str]:
    found = _BLOCK.findall((REPOSITORY / "docs" / page).read_text())
    assert found
    return found


@pytest.mark.parametrize("page", ["library.md", "untrusted-code.md"])
def test_every_example_works(page: str, command: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORLOP_ROOT", str(command.root))
    monkeypatch.setenv("ORLOP_RUN_ROOT", str(command.run_root))
    names: dict[str, Any] = {"__name__": "example"}
    for number, block in enumerate(blocks(page)):
        if block.startswith("# test_"):
            _run_pytest(block, command, tmp_path)
        else:
            exec(compile(block, f"{page}, example {number}", "exec"), names)


def _run_pytest(block: str, command: CommandLine, directory: Path) -> None:
    (directory / block.split()[1]).write_text(block)
    own = ["--orlop-root", str(command.root), "--orlop-run-root", str(command.run_root)]
    words = [sys.executable, "-m", "pytest", "-q", "-p", "orlop.pytest_plugin", "-p", "no:cacheprovider", *own]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [*words, str(directory)],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
