"""Copying a large directory of which little has changed is quick, and comes to what copying all of it comes to."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from orlop.build import recopying
from orlop.build.cache import Layer
from orlop.images.config import chain_ids

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.build.conftest import Builder

    Rounds = tuple[tuple[tuple[Callable[[Path], None], ...], bool], ...]


#: Fewer entries than a context has here, and more than change.
MANY = 300


def _fill(context: Path) -> None:
    for number in range(12):
        directory = context / f"d{number}/deep"
        directory.mkdir(parents=True)
        for other in range(30):
            (directory / f"f{other}").write_text(f"{number} {other}")
    (context / "link").symlink_to("d1")
    for path in (context, *context.rglob("*")):
        os.utime(path, (1_600_000_000, 1_600_000_000), follow_symlinks=False)


def _change(context: Path) -> None:
    (context / "d3/deep/f3").write_text("another text, and a longer one")


def _add(context: Path) -> None:
    (context / "d3/deep/f33-new").write_text("new")
    (context / "d3.x/y").mkdir(parents=True)
    (context / "d3.x/y/z").write_text("z")
    (context / "a").symlink_to("nowhere")


def _remove(context: Path) -> None:
    (context / "d4/deep/f4").unlink()
    for number in range(3, 9):
        (context / f"d5/deep/f{number}").unlink()
    shutil.rmtree(context / "d3.x")


def _change_modes(context: Path) -> None:
    (context / "d6").chmod(0o700)
    (context / "d6/deep/f6").chmod(0o4755)


def _replace_links(context: Path) -> None:
    (context / "link").unlink()
    (context / "link").write_text("now a file")
    (context / "d7/deep/f7").unlink()
    (context / "d7/deep/f7").symlink_to("f8")


def _replace_directories(context: Path) -> None:
    (context / "d8/deep/f8").unlink()
    (context / "d8/deep/f8").mkdir()


def _ignore(context: Path) -> None:
    (context / ".dockerignore").write_text("d9/deep/*1\n")


#: Changes that are made together, and whether all is copied after them.
ROUNDS: Rounds = (
    ((_change,), False),
    ((_add, _change_modes, _replace_links), False),
    ((_remove, _ignore), False),
    ((_replace_directories,), True),
)

TARGETS = {
    "a directory that is there and empty": "FROM base\nWORKDIR /app\nCOPY . .\n",
    "a directory that is not there, and others": "FROM base\nCOPY --chown=5:6 . /opt/deep/app/\n",
}


def _files(builder: Builder, image: str) -> int:
    """How many entries the topmost snapshot of an image has of its own."""
    chain = chain_ids(builder.diff_ids(image))[-1]
    return sum(1 for _ in (builder.root / "snapshots/overlay" / chain / "fs").rglob("*"))


@pytest.mark.parametrize(("text", "rounds"), [*zip(TARGETS.values(), (ROUNDS, ROUNDS[:2]), strict=True)], ids=TARGETS)
def test_what_is_copied_again_is_what_copying_everything_makes(builder: Builder, text: str, rounds: Rounds) -> None:
    context = builder.context(text)
    _fill(context)
    assert _files(builder, builder.ok("build", "-q", str(context)).strip()) > MANY
    for changes, is_whole in rounds:
        for change in changes:
            change(context)
        quick = builder.ok("build", "-q", str(context)).strip()
        assert (_files(builder, quick) > MANY) is is_whole
        whole = builder.ok("build", "-q", "--no-cache", str(context)).strip()
        assert builder.diff_ids(quick) == builder.diff_ids(whole)


def test_files_below_the_target_that_are_not_the_copy_s_are_kept(builder: Builder) -> None:
    context = builder.context("FROM base\nRUN mkdir -p /app/d3/deep; echo base >/app/d3/deep/f3\nCOPY . /app\n")
    _fill(context)
    builder.ok("build", "-q", str(context))
    (context / "d3/deep/f3").unlink()
    image = builder.ok("build", "-q", str(context)).strip()
    assert builder.output(image, "cat", "/app/d3/deep/f3") == "base\n"


def test_what_is_known_of_a_copy_goes_with_its_result(builder: Builder) -> None:
    context = builder.context("FROM base\nCOPY . /pruned\n")
    _fill(context)
    builder.ok("build", "-q", str(context))
    known = builder.root / "build/copies"
    assert any(known.iterdir())
    builder.ok("builder", "prune", "-af")
    assert list(known.iterdir()) == []
    _change(context)
    assert _files(builder, builder.ok("build", "-q", str(context)).strip()) > MANY


def test_only_so_many_copies_are_known(tmp_path: Path) -> None:
    copies = recopying.Copies(str(tmp_path))
    copied = recopying.Copied("chain", Layer("a", "b", 1), {"a": "1"}, [(b"a\xff", 0)])
    for number in range(40):
        copies.keep(f"key{number}", copied)
    assert len(list((tmp_path / "build/copies").iterdir())) == 16
    found = copies.find("key39")
    assert found is not None
    assert (found.chain, found.layer, [*found.places]) == ("chain", Layer("a", "b", 1), [(b"a\xff", 0)])
    (tmp_path / "build/copies/key39").write_text('{"version": 1')
    assert copies.find("key39") is None
