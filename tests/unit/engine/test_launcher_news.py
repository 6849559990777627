"""What a launcher makes of its children's ends, which it may hear of before it hears that they were used."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from orlop.engine.launcher import Launcher
from orlop.engine.location import Location

if TYPE_CHECKING:
    from pathlib import Path

USED, COMMANDED = b"\0", b"\xff"
NOBODY_IS_READY, STILL_READY, BROKEN = 10, 11, 12


def after_an_end(place: Path, role: str, words: bytes) -> int:
    """What a launcher thinks of the child in this role, which has ended, when these words came and were not yet read."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    status = BROKEN
    try:
        launcher = Launcher(Location(str(place), str(place), rootless=False), None)
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        launcher._children.add(child)
        setattr(launcher, role, child)
        os.write(launcher._news[1], words)
        launcher._reap()
        status = STILL_READY if getattr(launcher, role) else NOBODY_IS_READY
    finally:
        os._exit(status)


@pytest.mark.parametrize(("role", "word"), [("_spare", USED), ("_command", COMMANDED)])
def test_a_child_that_said_it_was_used_is_no_reason_to_end(tmp_path: Path, role: str, word: bytes) -> None:
    assert after_an_end(tmp_path, role, word) == STILL_READY


@pytest.mark.parametrize("role", ["_spare", "_command"])
@pytest.mark.parametrize("words", [b"", b"\x11"])
def test_a_child_that_ended_without_a_word_was_killed(tmp_path: Path, role: str, words: bytes) -> None:
    assert after_an_end(tmp_path, role, words) == NOBODY_IS_READY
