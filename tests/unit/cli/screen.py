"""A terminal's screen, as far as progress bars use one: what is on it after some output, and what scrolled off it."""

from __future__ import annotations


class Screen:
    """Characters in rows; the cursor waits behind the last column until something follows, as real ones do."""

    def __init__(self, rows: int, columns: int) -> None:
        self.rows = rows
        self.columns = columns
        self.lines = [""] * rows
        self.history: list[str] = []
        self.row = 0
        self.column = 0
        self._pending = ""

    def feed(self, text: str) -> None:
        """Show some output, which may end within an escape sequence."""
        text = self._pending + text
        self._pending = ""
        place = 0
        while place < len(text):
            character = text[place]
            if character == "\x1b":
                end = place + 2
                while end < len(text) and not text[end].isalpha():
                    end += 1
                if end >= len(text):
                    self._pending = text[place:]
                    return
                self._escape(text[place + 2 : end], text[end])
                place = end + 1
                continue
            place += 1
            if character == "\r":
                self.column = 0
            elif character == "\n":
                self._feed_line()
            else:
                assert character.isprintable(), repr(character)
                self._put(character)

    def resize(self, rows: int, columns: int) -> None:
        """Take another size without breaking lines anew, as xterm does: a lower screen loses its upper lines."""
        while len(self.lines) > rows:
            if self.row < len(self.lines) - 1:
                del self.lines[-1]
            else:
                self.history.append(self.lines.pop(0))
                self.row -= 1
        self.lines += [""] * (rows - len(self.lines))
        self.lines = [line[:columns] for line in self.lines]
        self.rows, self.columns = rows, columns
        self.column = min(self.column, columns - 1)

    def text(self) -> list[str]:
        """All lines that are not empty, those that scrolled off the screen first."""
        return [line.rstrip() for line in self.history + self.lines if line.strip()]

    def _escape(self, argument: str, letter: str) -> None:
        if letter == "A":
            self.row = max(self.row - int(argument or 1), 0)
        elif letter == "K":
            assert argument in ("", "0")
            self.lines[self.row] = self.lines[self.row][: self.column]
        elif letter == "J":
            assert argument in ("", "0")
            self.lines[self.row] = self.lines[self.row][: self.column]
            self.lines[self.row + 1 :] = [""] * (self.rows - self.row - 1)
        else:
            raise AssertionError(f"an escape sequence that this screen does not know: {argument}{letter}")

    def _feed_line(self) -> None:
        if self.row < self.rows - 1:
            self.row += 1
        else:
            self.history.append(self.lines.pop(0))
            self.lines.append("")

    def _put(self, character: str) -> None:
        if self.column == self.columns:
            self.column = 0
            self._feed_line()
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[: self.column] + character + line[self.column + 1 :]
        self.column += 1
