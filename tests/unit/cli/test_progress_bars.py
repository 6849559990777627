"""Progress on a real pseudoterminal, whose output a small screen shows."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from orlop.cli import progress
from orlop.cli.progress_bars import Bars
from orlop.linux import terminal
from tests.unit.cli.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 20.0
BEFORE = ["$ ls", "file", "$ orlop pull debian"]


class Terminal:
    """A pseudoterminal with some lines on it already; ``bars`` draw on it and ``screen`` is what one sees."""

    def __init__(self, rows: int, columns: int) -> None:
        self.master, slave = os.openpty()
        os.set_blocking(self.master, False)
        self.stream = open(slave, "w", encoding="utf-8")
        self.screen = Screen(rows, columns)
        self.output = ""
        terminal.set_size(slave, rows, columns)
        self.stream.write("".join(f"{line}\n" for line in BEFORE))
        self.stream.flush()
        self.bars = Bars(self.stream)

    def look(self) -> list[str]:
        """What is on the screen and above it, without the lines that were there before."""
        while select.select([self.master], [], [], 0)[0]:
            self._read()
        text = self.screen.text()
        assert text[: len(BEFORE)] == BEFORE
        return text[len(BEFORE) :]

    def wait(self, condition: Callable[[list[str]], bool]) -> list[str]:
        """Read what is drawn until the screen is as it should be."""
        end = time.monotonic() + PATIENCE
        while not condition(text := self.look()):
            if not select.select([self.master], [], [], max(end - time.monotonic(), 0))[0]:
                pytest.fail(f"the screen remained {text}")
        return text

    def resize(self, rows: int, columns: int) -> None:
        self.look()
        terminal.set_size(self.master, rows, columns)
        self.screen.resize(rows, columns)

    def close(self) -> list[str]:
        """End the progress; what then is to be seen."""
        self.bars.close()
        return self.look()

    def _read(self) -> None:
        text = os.read(self.master, 1 << 16).decode()
        self.output += text
        self.screen.feed(text)


@pytest.fixture
def terminals() -> Iterator[Callable[[int, int], Terminal]]:
    """Makes terminals of so many rows and columns."""
    made: list[Terminal] = []

    def make(rows: int, columns: int) -> Terminal:
        made.append(Terminal(rows, columns))
        return made[-1]

    yield make
    for each in made:
        each.bars.close()
        each.stream.close()
        os.close(each.master)


@pytest.fixture
def wide(terminals: Callable[[int, int], Terminal]) -> Terminal:
    return terminals(24, 100)


def layer(number: int) -> str:
    return f"{number:012x}"


def test_each_layer_has_one_line_that_is_drawn_anew(wide: Terminal) -> None:
    bars = wide.bars
    bars.say("latest: Pulling from library/debian")
    bars.update(layer(1), "Downloading", 5_000_000, 10_000_000)
    bars.update(layer(2), "Waiting")
    text = wide.wait(lambda text: len(text) == 3)
    assert text[0] == "latest: Pulling from library/debian"
    assert text[1] == f"{layer(1)}: Downloading [{'=' * 25}>{' ' * 24}]      5MB/10MB"
    assert text[2] == f"{layer(2)}: Waiting"
    bars.say("a warning")
    wide.wait(lambda text: text[1:2] == ["a warning"] and len(text) == 4)
    bars.update(layer(1), "Extracting", 10_000_000, 10_000_000)
    assert wide.wait(lambda text: "Extracting" in text[2])[2].endswith(f"[{'=' * 50}]     10MB/10MB")
    for number in (1, 2):
        bars.update(layer(number), "Pull complete", 10, 10)
    bars.say("Digest: sha256:abc")
    assert wide.close() == [
        "latest: Pulling from library/debian",
        "a warning",
        f"{layer(1)}: Pull complete",
        f"{layer(2)}: Pull complete",
        "Digest: sha256:abc",
    ]
    assert wide.screen.column == 0


def test_what_is_written_after_the_end_stands_below_the_layers(wide: Terminal) -> None:
    wide.bars.update(layer(1), "Pulling fs layer")
    wide.wait(lambda text: len(text) == 1)
    wide.bars.update(layer(1), "Pull complete")
    wide.bars.close()
    wide.stream.write("docker.io/library/debian:latest\n")
    wide.stream.flush()
    assert wide.look() == [f"{layer(1)}: Pull complete", "docker.io/library/debian:latest"]


def test_a_bar_takes_what_a_narrow_terminal_leaves(
    terminals: Callable[[int, int], Terminal],
) -> None:
    for columns in range(24, 90, 7):
        narrow = terminals(10, columns)
        narrow.bars.update(layer(1), "Downloading", 5_000_000, 10_000_000)
        (line,) = narrow.close()
        assert line.startswith(f"{layer(1)}: Downloading"[: columns - 1])
        assert len(line) < columns
        assert ("[" in line) == (columns > 50), line


def test_more_layers_than_rows_are_each_told_once_in_the_end(terminals: Callable[[int, int], Terminal]) -> None:
    small = terminals(6, 60)
    count = 12
    bars = small.bars
    for number in range(count):
        bars.update(layer(number), "Waiting")
    text = small.wait(lambda text: text[-1:] == [f"{count - 4} more: {count - 4} Waiting"])
    assert len(text) == 5
    for number in range(count):
        bars.update(layer(number), "Downloading", 1, 2)
        small.wait(lambda text, number=number: any(layer(number) in line and "Downl" in line for line in text))  # type: ignore[misc]
        bars.update(layer(number), "Pull complete")
    text = small.close()
    assert sorted(text) == [f"{layer(number)}: Pull complete" for number in range(count)]


@pytest.mark.parametrize("size", [(24, 40), (5, 100), (5, 40), (40, 160), (2, 30)])
def test_after_a_change_of_size_the_layers_are_whole_and_nothing_else_is_touched(
    wide: Terminal, size: tuple[int, int]
) -> None:
    for number in range(8):
        wide.bars.update(layer(number), "Downloading", number, 10)
    wide.wait(lambda text: len(text) == 8)
    wide.resize(*size)
    for number in range(8):
        wide.bars.update(layer(number), "Extracting", number, 10)
    wide.wait(lambda text: any("Extracting" in line for line in text))
    for number in range(8):
        wide.bars.update(layer(number), "Pull complete")
    text = wide.close()
    assert text[-8:] == [f"{layer(number)}: Pull complete"[: size[1] - 1] for number in range(8)]
    assert len(wide.screen.lines) == size[0]


def test_ten_frames_a_second_are_enough(wide: Terminal) -> None:
    start = time.monotonic()
    for number in range(20_000):
        wide.bars.update(layer(number % 5), "Downloading", number, 20_000)
    wide.close()
    frames = wide.output.count("\x1b[J")
    assert 1 <= frames <= (time.monotonic() - start) / 0.1 + 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_error_leaves_the_last_state_and_the_cursor_below_it(wide: Terminal, error: type[BaseException]) -> None:
    def pull() -> None:
        with wide.bars:
            wide.bars.update(layer(1), "Downloading", 1, 2)
            raise error

    with pytest.raises(error):
        pull()
    text = wide.look()
    assert len(text) == 1
    assert "1B/2B" in text[0]
    assert (wide.screen.row, wide.screen.column) == (len(BEFORE) + 1, 0)
    wide.bars.update(layer(1), "Pull complete")
    assert wide.look() == text


def test_a_terminal_that_goes_away_does_not_stop_the_work() -> None:
    gone = Terminal(24, 80)
    os.close(gone.master)
    for number in range(100):
        gone.bars.update(layer(number), "Downloading", number, 100)
    gone.bars.close()
    with contextlib.suppress(OSError):
        gone.stream.close()


IN_BACKGROUND = """
import fcntl, os, sys, termios, time
from orlop.cli.progress_bars import Bars
os.setsid()
fcntl.ioctl(1, termios.TIOCSCTTY, 0)
child = os.fork()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
os.setpgid(0, 0)
with Bars(sys.stdout) as bars:
    bars.update("0" * 12, "Downloading", 1, 2)
    while bars._dirty:
        time.sleep(0.001)
    bars.update("0" * 12, "Pull complete")
"""


def test_a_command_in_the_background_draws_only_its_last_state() -> None:
    master, slave = os.openpty()
    subprocess.run(
        [sys.executable, "-c", IN_BACKGROUND],
        stdout=slave,
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    output = os.read(master, 1 << 16).decode()
    os.close(slave)
    os.close(master)
    assert "Pull complete" in output
    assert "Downloading" not in output


def test_a_terminal_gets_bars_unless_it_cannot_move_its_cursor(wide: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(progress.choose(wide.stream), Bars)
    assert isinstance(progress.choose(wide.stream, "plain"), progress.Lines)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(progress.choose(wide.stream), progress.Lines)
