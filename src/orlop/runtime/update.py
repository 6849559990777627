"""Changing the limits of a container that exists.

What is changed is the part of ``linux.resources`` that is given; it is set in the kernel first, and what the
container's saved ``config.json`` says follows, by rename, only if the kernel took all of it.
"""

from __future__ import annotations

import errno

from orlop.errors import Conflict, InvalidArgument, StepFailed
from orlop.runtime.container import CONFIG_FILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from orlop.runtime.container import Container

_SECTIONS = ("memory", "cpu", "pids", "blockIO")
_WHOLE_SECTIONS = ("hugepageLimits", "network", "rdma", "unified")
# Engines fill in 0 for what is to stay as it is; with these, 0 is a value of its own.
_ZERO_COUNTS = frozenset(["burst", "idle", "swappiness"])


def given(resources: dict[str, Any]) -> dict[str, Any]:
    """The part of ``linux.resources`` that asks for a change.

    A number that is 0 and an empty text mean "leave alone", as they do to runc: containerd sends them for
    all that its user did not name. Device rules are left out: they cannot be changed later.

    Raises:
        InvalidArgument: a section is not an object.
    """
    changes: dict[str, Any] = {}
    for section in _SECTIONS:
        values = resources.get(section)
        if values is None:
            continue
        if type(values) is not dict:
            raise InvalidArgument(f"resources: {section} must be an object")
        asked = {name: value for name, value in values.items() if value or (value == 0 and name in _ZERO_COUNTS)}
        if asked:
            changes[section] = asked
    for section in _WHOLE_SECTIONS:
        if resources.get(section):
            changes[section] = resources[section]
    memory = changes.get("memory", {})
    if memory.get("limit") == -1:
        memory.setdefault("swap", -1)  # swap counts memory too, so a limit there would still be one
    return changes


def update(container: Container, resources: dict[str, Any], *, schemata: Sequence[str] = ()) -> None:
    """Change the limits that ``resources`` gives, in the form of ``linux.resources``; see `given`.

    ``schemata`` are lines for the container's resctrl group (the kernel's filesystems/resctrl.rst).

    Raises:
        Conflict: the container has ended.
        InvalidArgument, InvalidConfig: a value cannot be right.
        Unsupported: the kernel has no controller for it, or with ``schemata`` no resctrl is mounted.
        OSError: the kernel refused a value.
    """
    from orlop.runtime.spec.validation import validate_resources

    changes = given(resources)
    validate_resources(changes)
    with container.lock():
        if container.status() in ("stopped", "creating"):
            raise Conflict("container not running")
        if schemata:
            _change_schemata(container, list(schemata))
        if changes:
            container.cgroup().update(changes)
            _record(container, changes)


def _change_schemata(container: Container, lines: list[str]) -> None:
    """Change the shares of the container's resctrl group, which may have to be made and entered first."""
    from orlop.runtime import cache_allocation, ps

    cache_allocation.mounted("cannot change Intel RDT schemas")
    allocation = container.allocation()
    if allocation is not None:
        allocation.change(lines)
        return
    allocation = cache_allocation.allocate({"schemata": lines}, container.id)
    container.write_record({**(container.record or {}), "resctrl": allocation.record()})
    for pid in ps.pids(container):
        try:
            allocation.add(pid)
        except StepFailed as error:
            if error.errno != errno.ESRCH:  # it has ended meanwhile
                raise


def _record(container: Container, changes: dict[str, Any]) -> None:
    config = container.config()
    known = config.setdefault("linux", {}).setdefault("resources", {})
    for section, values in changes.items():
        if section in _SECTIONS or section == "unified":
            known[section] = {**(known.get(section) or {}), **values}
        else:
            known[section] = values
    container.save(CONFIG_FILE, config)
