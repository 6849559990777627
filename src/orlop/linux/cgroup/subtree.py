"""Handing version 2 controllers down to a group: ``cgroup.subtree_control`` along its path.

A controller's files exist in a cgroup only if its parent hands the controller down, and a cgroup that
has processes of its own, unless it is the root, cannot do so (cgroup-v2.rst, "No Internal Process
Constraint").
"""

from __future__ import annotations

import errno

from orlop.linux.cgroup import file
from orlop.linux.cgroup import path as path_rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from orlop.linux.cgroup.layout import Hierarchy


def enable(hierarchy: Hierarchy, path: str, wanted: Iterable[str] | None) -> dict[str, OSError]:
    """Hand the ``wanted`` controllers (None: all that there are) down from the root to the cgroup ``path``.

    Returns the controllers that do not get there, each with the kernel's reason. What is enabled already
    is left alone, so that nothing above a delegated cgroup needs to be writable.
    """
    failures: dict[str, OSError] = {}
    left: list[str] | None = None if wanted is None else list(wanted)
    control = ""
    missing: list[str] = []
    for above in ("/", *reversed(path_rules.parents(path))):
        directory = hierarchy.directory(above)
        if left is None:
            left = file.read(directory + "/cgroup.controllers").split()
        control = directory + "/cgroup.subtree_control"
        enabled = file.read(control).split()
        missing = [controller for controller in left if controller not in enabled]
        if missing:
            failures.update(_enable_in(control, missing))
            left = [controller for controller in left if controller not in failures]
    if left and not missing:
        _await_files(control, left)
    return failures


def _await_files(control: str, controllers: list[str]) -> None:
    """Wait until the files of controllers that another process is just enabling are there.

    The kernel shows a controller as enabled before it makes the files. Enabling it once more changes
    nothing, but takes the lock under which it does so.
    """
    try:
        file.write(control, " ".join("+" + controller for controller in controllers))
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        # Somebody else's to enable, who did so before we came.


def _enable_in(control: str, controllers: list[str]) -> dict[str, OSError]:
    try:
        file.write(control, " ".join("+" + controller for controller in controllers))
        return {}
    except OSError as error:
        if error.errno in (errno.EBUSY, errno.EOPNOTSUPP):
            # Not one by one: those that count by thread would be accepted, and make every cgroup below one
            # that no process can join ("domain invalid").
            return {controller: _failure(control, controller, error) for controller in controllers}
    failures = {}
    for controller in controllers:
        try:
            file.write(control, "+" + controller)
        except OSError as error:
            failures[controller] = _failure(control, controller, error)
    return failures


def _failure(control: str, controller: str, error: OSError) -> OSError:
    text = f"hand down controller {controller}: {error.strerror}"
    if error.errno == errno.EBUSY:
        text += " (the cgroup has processes of its own, which must move to a cgroup below it first)"
    return OSError(error.errno, text, control)
