from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orlop.errors import Unsupported
from orlop.linux.cgroup import Group, Hierarchy, Layout
from orlop.linux.cgroup.oom import OomWatch

if TYPE_CHECKING:
    from pathlib import Path


def unified_group(mountpoint: Path) -> Group:
    return Group(Layout([], Hierarchy(2, (), str(mountpoint), "/")), "/box")


def test_version_2_counts_the_kills_since_the_last_look(tmp_path: Path) -> None:
    events = tmp_path / "box/memory.events"
    events.parent.mkdir()
    events.write_text("low 0\nhigh 9\nmax 9\noom 5\noom_kill 2\n")
    watch = OomWatch(unified_group(tmp_path))
    try:
        assert watch.count() == 0
        events.write_text("low 0\nhigh 9\nmax 9\noom 7\noom_kill 3\n")
        assert watch.count() == 1
        assert watch.count() == 0
    finally:
        watch.close()


def test_without_a_memory_controller_there_is_nothing_to_watch(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="no memory controller"):
        OomWatch(unified_group(tmp_path))
