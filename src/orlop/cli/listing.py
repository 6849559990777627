r"""Lists of objects as Docker's commands print them: a table, or each object in a format of the user's.

A command brings its rows, each a mapping of field names to values, and the columns of its table::

    listing.show(said["format"], rows, (("IMAGE ID", "ID"), ("SIZE", "Size")), headers={"Digest": "DIGEST"})

``--format`` is one of

- ``table``: the columns; also what an empty format means
- ``table {{.ID}}\t{{.Size}}``: a table of these cells, with the headers of the fields that they show
- ``json``: one object a line
- ``raw``: a line for each field, and an empty line after each object, where the command has such lines
- anything else: a template (`orlop.cli.template`), in which ``\t`` and ``\n`` are a tab and a new line
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, TextIO

    from orlop.cli.gotemplate.values import Method

#: What Docker's client gives to Go's text/tabwriter: how wide a cell is at least, and the space after its text.
_NARROWEST = 10
_PADDING = 3


def show(
    format_: str,
    rows: Iterable[dict[str, Any]],
    columns: Sequence[tuple[str, str]],
    *,
    headers: dict[str, str] | None = None,
    quiet: str = "",
    raw: Sequence[tuple[str, str]] = (),
    out: TextIO | None = None,
) -> None:
    """Print the rows in a format, each as soon as it can be: a table when all are there, for its columns' widths.

    ``columns`` are the headers and fields of the table, ``headers`` further fields whose
    header in a table of the user's is not their name in capitals. ``quiet`` is the one field that is shown instead, for ``-q``. ``raw`` are the labels and
    fields of the format ``raw``. ``out`` is standard output if it is not given.

    Raises:
        InvalidArgument: the format cannot be read, or names a field that is not there.
    """
    stream = sys.stdout if out is None else out
    format_ = format_.strip(" ")
    if quiet:
        if format_ not in ("", "table", "raw"):
            sys.stderr.write("WARNING: Ignoring custom format, because both --format and --quiet are set.\n")
        label = next((f"{name}: " for name, field in raw if field == quiet), "") if format_ == "raw" else ""
        for row in rows:
            stream.write(f"{label}{_text(row[quiet])}\n")
    elif format_ in ("", "table"):
        table = [[title for title, _ in columns]]
        table.extend([printable(_text(row[field])) for _, field in columns] for row in rows)
        stream.write(aligned(table))
    elif format_ == "raw" and raw:
        for row in rows:
            lines = [f"{name}: {_text(row[field])}".rstrip(" ") for name, field in raw]
            stream.write("\n".join(lines) + "\n\n")
    else:
        _by_template(format_, rows, {field: title for title, field in columns} | (headers or {}), stream)


class _Headers(dict[str, "str | Method"]):
    """The header of each field: ``CREATED AT`` of ``CreatedAt``, unless it was given another."""

    __slots__ = ()

    def __missing__(self, field: str) -> str | Method:
        from orlop.cli.gotemplate.values import Method

        if field == "Label":  # the last part of a label's key
            return Method(lambda key: key.rpartition(".")[2].replace("-", " ").replace("_", " "))
        small = [place for place in range(1, len(field)) if field[place].isupper() and field[place - 1].islower()]
        words = [field[start:end] for start, end in zip([0, *small], [*small, len(field)], strict=True)]
        return " ".join(words).upper()


def _by_template(format_: str, rows: Iterable[dict[str, Any]], headers: dict[str, str], stream: TextIO) -> None:
    from orlop.cli.gotemplate.values import Row
    from orlop.cli.template import Template

    rows = map(Row, rows)
    if format_.startswith("table"):
        start = len(format_) - len(format_.removeprefix("table").lstrip(" "))
        template = Template(format_, start=start, escapes=True)
        lines = [template.header(_Headers(headers)), *map(template.render, rows)]
        stream.write(aligned([cells.split("\t") for line in lines for cells in line.split("\n")]))
        return
    template = Template(format_, escapes=True)
    stream.writelines(template.render(row) + "\n" for row in rows)


def aligned(lines: Sequence[Sequence[str]], *, narrowest: int = _NARROWEST, padding: int = _PADDING) -> str:
    """Lines of cells, one below the other as text/tabwriter puts them.

    A column is as wide as its widest cell in adjacent lines; a line's last cell belongs to no column.
    """
    counts = [len(line) - 1 for line in lines]
    widths: list[list[int]] = [[] for _ in lines]
    for place in range(max(counts, default=0)):
        block: list[int] = []
        for index, count in enumerate(counts):
            if count > place:
                block.append(index)
            else:
                _widen(lines, widths, place, block, narrowest, padding)
                block = []
        _widen(lines, widths, place, block, narrowest, padding)
    return "".join(
        "".join([_padded(cell, width) for cell, width in zip(line, each, strict=False)]) + line[-1] + "\n"
        for line, each in zip(lines, widths, strict=True)
    )


def _widen(
    lines: Sequence[Sequence[str]], widths: list[list[int]], place: int, block: list[int], narrowest: int, padding: int
) -> None:
    widest = max((_width(lines[index][place]) for index in block), default=0)
    width = max(widest + padding, narrowest)
    for index in block:
        widths[index].append(width)


def _padded(cell: str, width: int) -> str:
    return f"{cell:<{width - _width(cell) + len(cell)}}"


def _width(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import category, east_asian_width

    total = 0
    for character in text:
        if category(character) not in ("Mn", "Me", "Cf"):  # these are drawn over or into what is before them
            total += 2 if east_asian_width(character) in ("W", "F") else 1
    return total


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    from orlop.cli.gotemplate.values import text_of

    return text_of(value)


def printable(text: str) -> str:
    """The text without what moves a terminal's cursor or breaks a table: a label can be anything."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
