from __future__ import annotations

import os
from typing import TYPE_CHECKING

from orlop.engine import removal

if TYPE_CHECKING:
    from pathlib import Path


def test_a_tree_is_removed_and_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    tree = tmp_path / "tree"
    (tree / "a/b").mkdir(parents=True)
    (tree / "a/file").touch()
    (tree / "a/link").symlink_to(outside)
    os.mkdir(tree / "work", 0)
    removal.remove_tree(str(tree))
    assert not tree.exists()
    assert (outside / "kept").exists()


def test_a_tree_that_is_deeper_than_any_stack_is_removed(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    directory = os.open(tree, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=directory)
        below = os.open("d", os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = below
    os.close(directory)
    removal.remove_tree(str(tree))
    assert os.listdir(tmp_path) == []


def test_a_tree_that_is_gone_is_no_error(tmp_path: Path) -> None:
    removal.remove_tree(str(tmp_path / "gone"))
