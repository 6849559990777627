"""Doing one thing to each of several containers, as Docker's commands do: name by name, errors at their turn."""

from __future__ import annotations

import sys

from orlop.engine import container, repair
from orlop.errors import NotFound, OrlopError, told

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orlop.engine.location import Location


def for_each(
    location: Location,
    names: Sequence[str],
    action: Callable[[container.Container], None],
    *,
    may_be_missing: bool = False,
) -> int:
    """Do ``action`` to each container and print its name; 1 if any failed. The engine is repaired first."""
    repair.everything(location)
    status = 0
    for name in names:
        try:
            action(container.find(location, name))
        except NotFound as error:
            sys.stderr.write(f"Error: {told(error)}\n")
            status = status if may_be_missing else 1
            continue
        except OrlopError as error:
            sys.stderr.write(f"Error: {told(error)}\n")
            status = 1
            continue
        sys.stdout.write(f"{name}\n")
    return status
