"""An ordinary user has the same from Python, also in a process with threads."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import REPOSITORY
from tests.integration.engine.image_maker import make
from tests.integration.engine.ordinary_user import make_engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.engine.conftest import Engine as CommandLine

_PROGRAM = """
import sys, threading, warnings
warnings.simplefilter("error")
sys.path.insert(0, sys.argv[1])
import os, orlop
assert os.geteuid() != 0
if sys.argv[5] == "threads":
    os.fork = None
    threading.Thread(target=threading.Event().wait, daemon=True).start()
with orlop.Engine(sys.argv[2], sys.argv[3]) as engine:
    assert engine.containers.run(rootfs=sys.argv[4], command=["id", "-u"]).stdout == b"0\\n"
    assert engine.containers.run("plain", ["cat"], stdin="in", timeout=30).stdout == b"in"
    with engine.containers.run("plain", ["sleep", "1000"], detach=True, user="web") as container:
        assert container.exec(["id", "-u"]).stdout == b"1000\\n"
        container.write_bytes("/tmp/file", b"content", uid=1000)
        assert container.read_bytes("/tmp/file") == b"content"
        assert {each.path for each in container.diff()} >= {"/tmp/file"}
        image = container.commit("changed:1")
        assert engine.containers.run("changed:1", ["stat", "-c", "%u", "/tmp/file"]).stdout == b"1000\\n"
    assert engine.images.get("changed:1") == image
    engine.images.remove("changed:1")
    made = engine.containers.create("plain", ["true"])
    assert engine.containers.list(all=True) == [made]
    made.remove()
    assert engine.containers.list(all=True) == []
    assert engine.df()["images"].total == 1
print("done")
"""


@pytest.fixture(scope="module")
def user(rootfs: Path) -> Iterator[CommandLine]:
    """The engine of a user, by the command line."""
    with make_engine("library", ranges=True) as engine:
        make(engine, "plain:latest")
        yield engine


@pytest.fixture(autouse=True)
def nothing_is_left() -> None:
    """The program looks for itself."""


@pytest.mark.parametrize("threads", ["", "threads"], ids=["alone", "with threads"])
def test_an_ordinary_user_s_containers(user: CommandLine, threads: str) -> None:
    words = [str(REPOSITORY / "src"), str(user.root), str(user.run_root), user.rootfs, threads]
    command = [*user.prefix, sys.executable, "-c", textwrap.dedent(_PROGRAM), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
