from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from orlop.engine import host_view

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def machine(tmp_path: Path) -> str:
    """Something like a machine's root directory."""
    for name in ("usr/bin", "etc", "var/lib/orlop", "proc", "sys", "dev", "run", "tmp", "mnt/disk"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "bin").symlink_to("usr/bin")
    return str(tmp_path)


def test_whole_directories_are_overlaid_and_the_kernel_s_are_not_shown(machine: str) -> None:
    plan = host_view.plan([], [], machine)
    assert plan.overlaid == ["/etc", "/mnt", "/usr", "/var"]
    assert plan.plain == ["/bin"]


def test_a_directory_with_mounts_below_it_is_taken_apart(machine: str) -> None:
    plan = host_view.plan(["/", "/mnt/disk", "/var/lib/orlop"], [], machine)
    assert plan.overlaid == ["/etc", "/mnt/disk", "/usr", "/var/lib/orlop"]
    assert plan.plain == ["/bin", "/mnt", "/var", "/var/lib"]


def test_a_hidden_directory_is_in_no_part_of_the_plan(machine: str) -> None:
    plan = host_view.plan(["/var/lib/other"], ["/var/lib/orlop"], machine)
    assert "/var/lib/orlop" not in plan.overlaid + plan.plain
    assert host_view.plan([], ["/etc"], machine).overlaid == ["/mnt", "/usr", "/var"]


def test_a_directory_that_may_not_be_read_is_left_out(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, _mode: not path.endswith("/etc"))
    assert host_view.plan([], [], machine).overlaid == ["/mnt", "/usr", "/var"]
