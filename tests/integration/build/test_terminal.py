"""The tree that a terminal shows."""

from __future__ import annotations

import os
import re
import select
from typing import TYPE_CHECKING

from tests.integration.engine.screen import Screen

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.build.conftest import Builder


def shown(builder: Builder, context: Path, *, columns: int = 70) -> tuple[list[str], int]:
    """What is on a terminal at the end of a build, and the build's exit status."""
    screen = Screen(40, columns)
    try:
        screen.start(builder.command("build", "--progress", "tty", str(context)))
        os.close(screen.slave)
        text = b""
        while select.select([screen.master], [], [], 60)[0]:
            try:
                data = os.read(screen.master, 1 << 16)
            except OSError:
                break  # nobody has the terminal any more
            text += data
        status = screen.wait()
    finally:
        screen.slave = os.open("/dev/null", os.O_RDWR)
        screen.close()
    return _screen(text.decode()), status


def _screen(text: str) -> list[str]:
    """The lines of a terminal after everything that goes up, clears and writes."""
    lines: list[str] = []
    row = 0
    for part in re.findall(r"\x1b\[\d*[A-Za-z]|\r|\n|[^\x1b\r\n]+", text):
        if part.endswith("A") and part.startswith("\x1b"):
            row -= int(part[2:-1])
        elif part == "\x1b[J":
            del lines[row:]
        elif part == "\n":
            row += 1
        elif not part.startswith("\x1b") and part != "\r":
            lines += [""] * (row + 1 - len(lines))
            lines[row] += part
    return [line.rstrip() for line in lines]


def test_a_terminal_shows_stages_with_their_steps_and_what_was_cached(builder: Builder) -> None:
    context = builder.context(
        "FROM base AS one\nRUN echo hello >/t1\nFROM base\nCOPY --from=one /t1 /t1\nRUN echo very long line \\\n  that goes on and on and on and on and on\n"
    )
    lines, status = shown(builder, context)
    assert status == 0
    assert lines[0].startswith("[+] Building ")
    assert lines[0].endswith("s (3/3) FINISHED")
    assert [line for line in lines if not line.startswith((" =", "[", "sha256:"))] == [" one", " stage-1"]
    done = [line for line in lines if line.startswith(" =")]
    assert [line.split()[2] for line in done] == ["RUN", "COPY", "RUN"]
    assert all(len(line) <= 70 for line in lines if not line.startswith("sha256:"))
    again, _ = shown(builder, context, columns=60)
    assert sum(line.endswith(" CACHED") for line in again) == 3


def test_a_terminal_shows_the_whole_log_of_the_step_that_failed(builder: Builder) -> None:
    context = builder.context(
        "FROM base\nRUN for i in 1 2 3 4 5 6 7 8 9 10; do echo line $i; done; printf '\\033[2Jx\\n'; exit 4\nRUN true\n"
    )
    lines, status = shown(builder, context)
    assert status == 4
    assert sum(line.startswith(" !") for line in lines) == 1
    assert [f"line {number}" for number in range(1, 11)] == [line for line in lines if re.fullmatch(r"line \d+", line)]
    assert "\N{REPLACEMENT CHARACTER}[2Jx" in lines
