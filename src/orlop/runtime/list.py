"""The containers below a state root."""

from __future__ import annotations

from orlop.runtime.container import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_COLUMNS = ("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER")
_NARROWEST = 12
_GAP = 3


def states(root: str, damaged: Callable[[str], None]) -> list[dict[str, Any]]:
    """The OCI state of each container, sorted by id; ``damaged`` is told of those whose state cannot be read."""
    return [container.state_with_owner() for container in containers(root, damaged)]


def table(rows: list[dict[str, Any]]) -> str:
    """The states as lines of a table, laid out as runc lays it out."""
    cells = [_COLUMNS, *(tuple(str(row[column.lower()]) for column in _COLUMNS) for row in rows)]
    last = len(_COLUMNS) - 1
    widths = [max(_NARROWEST, *(len(row[column]) + _GAP for row in cells)) for column in range(last)]
    return "".join(
        "".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=False)) + row[last] + "\n"
        for row in cells
    )
