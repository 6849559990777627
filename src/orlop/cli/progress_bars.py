"""Progress on a terminal: a line for each layer, redrawn in place.

One thread writes, and writes whole frames. So an exception or a Ctrl-C, which come to other threads, never cut an
escape sequence in two, and whoever reports an update never waits for the terminal.

The cursor rests on the line below the block of layers. A frame moves it up by as many lines as the last one had,
writes each line and erases what is behind it (ECMA-48: CUU, EL, ED). No line is as wide as the terminal and the block
is less than its height, so nothing wraps or scrolls on its own. When there are more layers than fit, those that are
done are written above the block for good, and of the others those that wait share one line. The size is asked for at
each frame; when the terminal became narrower, it may itself have broken lines of the last frame, whose upper ends
then stay behind: what stood there before is never overwritten.
"""

from __future__ import annotations

import os
import threading

from orlop.cli import progress
from orlop.images import progress_messages
from orlop.images.progress import COUNTED, DOWNLOADED, PREPARING, PULLING, WAITING, is_final
from orlop.linux import terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

_INTERVAL = 0.1  # seconds between two frames
_WIDEST = 50
_NARROWEST = 8
_IDLE = (DOWNLOADED, PREPARING, PULLING, WAITING)


class _Layer:
    """What was last told of one layer."""

    __slots__ = ("action", "current", "identifier", "total")

    def __init__(self, identifier: str) -> None:
        self.identifier = identifier
        self.action = ""
        self.current = 0
        self.total = 0

    def line(self, width: int) -> str:
        """At most ``width`` characters; the bar takes what the rest leaves."""
        text = f"{self.identifier}: {self.action}"
        if self.action in COUNTED and (self.current or self.total):
            text = f"{text:<{len(self.identifier) + 14}}"  # "Downloading" and "Extracting" have bars below each other
            numbers = progress_messages.bar(self.current, self.total, 0)
            room = min(width - len(text) - len(numbers) - 3, _WIDEST)
            text += progress_messages.bar(self.current, self.total, room if room >= _NARROWEST else 0)
        return text[:width]


class Bars(progress.Shown):
    """For a terminal. It must be closed, which leaves every layer's last line readable, and the cursor below."""

    __slots__ = ("_above", "_changed", "_dirty", "_drawn", "_layers", "_over", "_painter", "_stream")

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._changed = threading.Condition()
        self._layers: dict[str, _Layer] = {}
        self._above: list[str | _Layer] = []  # what is written above the block, and then left alone
        self._drawn = 0
        self._dirty = False
        self._over = False
        self._painter: threading.Thread | None = None

    def update(self, identifier: str, action: str, current: int | None = None, total: int | None = None) -> None:
        """Show this within a tenth of a second."""
        with self._changed:
            layer = self._layers.get(identifier)
            if layer is None:
                layer = self._layers[identifier] = _Layer(identifier)
            layer.action = action
            layer.current = current or 0
            layer.total = total or 0
            self._touch()

    def say(self, text: str) -> None:
        """Write the line: below the layers if all of them are done, else above."""
        with self._changed:
            if all(is_final(layer.action) for layer in self._layers.values()):
                self._above += self._layers.values()
                self._layers.clear()
            self._above.append(text)
            self._touch()

    def close(self) -> None:
        """Draw the last state."""
        with self._changed:
            self._over = True
            self._changed.notify()
        if self._painter is not None:
            self._painter.join()
            self._painter = None

    def _touch(self) -> None:
        if self._painter is None and not self._over:
            self._painter = threading.Thread(target=self._paint, name="progress", daemon=True)
            self._painter.start()
        if not self._dirty:
            self._dirty = True
            self._changed.notify()

    def _paint(self) -> None:
        over = False
        while not over:
            with self._changed:
                self._changed.wait_for(lambda: self._dirty or self._over)
                over = self._over
                frame = self._frame()
            try:
                self._stream.write(frame)
                self._stream.flush()
            except OSError:
                return  # the terminal is gone, and with it whoever could look; the work itself goes on
            with self._changed:
                self._changed.wait_for(lambda: self._over, _INTERVAL)

    def _frame(self) -> str:
        """What changes the screen into what it should be now."""
        self._dirty = False
        if not (self._over or self._in_foreground()):
            self._drawn = 0  # what was drawn is no longer above the cursor: the shell writes there
            return ""
        rows, columns = self._size()
        start = "\r"
        if self._drawn and rows > 1:
            start += f"\x1b[{min(self._drawn, rows - 1)}A"
        block = self._block(rows - 1, columns - 1)
        above = [each if isinstance(each, str) else each.line(columns - 1) for each in self._above]
        self._above.clear()
        self._drawn = len(block)
        if above:
            start += "\x1b[J"  # they may be longer than a line
        return start + "".join(f"{line}\x1b[K\n" for line in above + block) + "\x1b[J"

    def _block(self, room: int, width: int) -> list[str]:
        """The lines of the layers; those that there is no room for, and that are done, are moved above."""
        excess = 0 if self._over else len(self._layers) - max(room, 1)
        for layer in [each for each in self._layers.values() if is_final(each.action)][: max(excess, 0)]:
            self._above.append(self._layers.pop(layer.identifier))
            excess -= 1
        layers = list(self._layers.values())
        if excess <= 0:
            return [layer.line(width) for layer in layers]
        busiest = sorted(range(len(layers)), key=lambda index: layers[index].action in _IDLE)
        shown = sorted(busiest[: max(room - 1, 0)])
        rest: dict[str, int] = {}
        for index in busiest[max(room - 1, 0) :]:
            rest[layers[index].action] = rest.get(layers[index].action, 0) + 1
        summary = f"{sum(rest.values())} more: {', '.join(f'{count} {action}' for action, count in rest.items())}"
        return [*(layers[index].line(width) for index in shown), summary[:width]]

    def _size(self) -> tuple[int, int]:
        """Rows and columns, of which a terminal that does not know its size has 24 and 80."""
        try:
            rows, columns = terminal.get_size(self._stream.fileno())
        except OSError:
            rows = columns = 0
        return rows or 24, columns or 80

    def _in_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._stream.fileno()) == os.getpgrp()
        except OSError:
            return True  # it is not the terminal of our session, so no shell shares it
