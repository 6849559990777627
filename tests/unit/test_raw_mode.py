from __future__ import annotations

import os
import termios

from orlop.linux.raw_mode import RawMode


def test_the_old_mode_returns() -> None:
    master, slave = os.openpty()
    before = termios.tcgetattr(slave)
    with RawMode(slave):
        assert not termios.tcgetattr(slave)[3] & termios.ECHO
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)


def test_a_terminal_that_is_gone_is_left_alone() -> None:
    master, slave = os.openpty()
    with RawMode(slave):
        os.close(master)
    os.close(slave)


def test_without_a_terminal_nothing_happens() -> None:
    with RawMode(-1):
        pass
