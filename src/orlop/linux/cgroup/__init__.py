"""Control groups: version 1, version 2 and hybrid layouts behind one interface (cgroups(7)).

::

    layout = cgroup.detect()
    group = layout.group(layout.path(config_path, container_id))
    group.create(resources)             # directories and limits
    into = group.clone_fd()             # for clone3, or None
    files = group.join_files(unified=into is None)
    …                                   # the child writes b"0" to each of the files
    state["cgroup"] = group.record()    # and later: cgroup.from_record(state["cgroup"])
    group.kill()
    group.remove()
"""

from __future__ import annotations

from orlop.linux.cgroup import layout as _layout
from orlop.linux.cgroup.group import Group
from orlop.linux.cgroup.layout import Hierarchy, Layout, detect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Group", "Hierarchy", "Layout", "detect", "from_record"]


def from_record(record: dict[str, Any]) -> Group:
    """The group that `Group.record` wrote down."""
    group = Group(_layout.from_record(record["hierarchies"]), record["path"])
    group.refused = tuple(record.get("refused", ()))
    return group
