"""Doing one thing to each of several containers, as Docker's commands do: name by name, errors at their turn."""

from __future__ import annotations

import sys

from orlop.engine import container, repair
from orlop.errors import NotFound, OrlopError, told
from orlop.options import Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orlop.engine.location import Location
    from orlop.options import Parsed, Parser

#: An option of podman's that saves a line from asking ``ps -q`` first.
ALL = Option("-a, --all", "All containers to which it can be done, instead of some that are named")


def chosen(location: Location, said: Parsed, parser: Parser, *statuses: str) -> Sequence[str]:
    """The containers that a command line names, or with `ALL` the names of those in one of these states, or in any.

    Raises:
        InvalidArgument: none is named, or with `ALL` one is.
    """
    if said["all"]:
        from orlop import filters
        from orlop.engine import container_list

        if said.arguments:
            raise parser.mistake("with --all no container can be named")
        repair.everything(location)
        listed = container_list.listed(location, filters.read((), {}), everything=True)
        return [each.target.name for each in listed if not statuses or each.state["Status"] in statuses]
    if not said.arguments:
        raise parser.mistake(f"'{parser.program}' takes at least 1 argument, 0 given")
    return said.arguments


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


def remove_each(location: Location, said: Parsed, remove: Callable[[Location, str], object], *, tells_all: bool) -> int:
    """Remove what is named and print each name; 1 if any failed. ``--force`` lets what is not there count as removed.

    Whether the name of such a thing is printed as well (``tells_all``) differs from one of Docker's commands to the other.
    """
    repair.everything(location)
    status = 0
    for name in said.arguments:
        try:
            remove(location, name)
        except OrlopError as error:
            if not (said["force"] and isinstance(error, NotFound)):
                sys.stderr.write(f"Error: {told(error)}\n")
                status = 1
                continue
            if not tells_all:
                continue
        sys.stdout.write(f"{name}\n")
    return status
