"""Output as json-file records: whatever bytes come in whatever pieces, each record is the JSON that Docker writes."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from orlop.engine.log_file import LogFile
from orlop.engine.log_lines import LONGEST

if TYPE_CHECKING:
    from collections.abc import Iterable

#: What is escaped, what is nearly so, and pieces of characters.
_TEXTS = (
    "text",
    "\n",
    "\r",
    "\t",
    "\0",
    "\x1b[32m",
    "\x7f",
    '"',
    "\\",
    "<a>&",
    "grüße",
    "\u2028",
    "\u2029",
    "“—”",
    "😀",
)
_PIECES = st.sampled_from([*(each.encode() for each in _TEXTS), b"\xff", b"\xed\xa0\x80", b"\xe2", b"\xe2\x80"])


def _logged(pieces: Iterable[bytes]) -> list[str]:
    """The lines of a log to which these were written."""
    descriptor = os.memfd_create("log", os.MFD_CLOEXEC)
    copy = os.dup(descriptor)
    log = LogFile(descriptor, lambda: ("", {"max-size": "0"}, ""))
    for piece in pieces:
        log.write("stdout", piece)
    log.close()
    with os.fdopen(copy, "rb") as file:
        file.seek(0)
        return file.read().decode().splitlines(keepends=True)


def _said(text: bytes) -> str:
    """Text as Go makes it of bytes: one U+FFFD for each byte that is part of no character."""
    decoded = text.decode("utf-8", "surrogateescape")
    return "".join("\ufffd" if "\udc80" <= each <= "\udcff" else each for each in decoded)


def _split(data: bytes) -> list[bytes]:
    *whole, rest = data.split(b"\n")
    return [*(line + b"\n" for line in whole), *([rest] if rest else [])]


@given(st.lists(st.lists(_PIECES, max_size=12).map(b"".join), max_size=6))
def test_records_say_what_was_written(pieces: list[bytes]) -> None:
    records = _logged(pieces)
    assert [json.loads(each)["log"] for each in records] == [_said(line) for line in _split(b"".join(pieces))]
    for each in records:
        escaped = each.removeprefix('{"log":"').rpartition('","stream":"stdout","time":"')[0]
        assert not set(escaped) & {"<", ">", "&", "\u2028", "\u2029", *map(chr, range(32))}


def test_a_long_line_is_several_records_the_last_of_which_ends_it() -> None:
    line = b'"' * (2 * LONGEST + 1)
    records = [json.loads(each)["log"] for each in _logged([line[:100], line[100:] + b"\n"])]
    assert [len(each) for each in records] == [LONGEST, LONGEST, 2]
    assert "".join(records) == line.decode() + "\n"
