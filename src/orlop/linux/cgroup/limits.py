"""Setting the limits of ``linux.resources`` on a group, whichever version each controller is in."""

from __future__ import annotations

import errno
import os

from orlop.errors import Unsupported
from orlop.linux.cgroup import file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from orlop.linux.cgroup.controller import Setting
    from orlop.linux.cgroup.group import Group
    from orlop.linux.cgroup.layout import Hierarchy

    Planner = Callable[[Any, str], list[Setting]]


def apply(group: Group, resources: dict[str, Any], *, new: bool, rootless: bool) -> None:
    """Set what ``resources`` asks for, everything else is left as it is; see `Group.create`.

    Raises:
        Unsupported: a limit needs a controller or a file that is not there.
        InvalidConfig: a value cannot be what it is.
        OSError: the kernel refused; the text has the value, ``filename`` the file.
    """
    unified = group.layout.unified
    unavailable: dict[str, OSError] = {}
    if unified is not None and not group.layout.v1:
        from orlop.linux.cgroup import subtree

        unavailable = subtree.enable(unified, group.path, None)
    for key, controller, v1_file, v2_file in _PLANS:
        section = resources.get(key)
        if section:
            _apply_controller(group, section, controller, v1_file, v2_file, unavailable)
    if resources.get("unified"):
        _apply_unified(group, resources["unified"], unavailable)
    if new or resources.get("devices") is not None:
        from orlop.linux.cgroup import devices

        devices.apply(group, resources.get("devices") or [], new=new, rootless=rootless)


# What a section of linux.resources needs: its controller, and the function that plans it for version 1
# and for version 2 as "module.function" of `orlop.linux.cgroup.controller` (empty: no such thing there).
_PLANS = (
    ("memory", "memory", "memory.v1", "memory.v2"),
    ("cpu", "cpu", "cpu.v1", "cpu.v2"),
    ("cpu", "cpuset", "cpuset.v1", "cpuset.v2"),
    ("pids", "pids", "pids.v1", "pids.v2"),
    ("blockIO", "blkio", "block_io.v1", "block_io.v2"),
    ("hugepageLimits", "hugetlb", "hugetlb.v1", "hugetlb.v2"),
    ("network", "net_cls", "network.net_cls", ""),
    ("network", "net_prio", "network.net_prio", ""),
    ("rdma", "rdma", "rdma.v1", "rdma.v2"),
)
_V2_NAMES = {"blkio": "io"}


def _planner(name: str) -> Planner:
    """Import only the controllers that are asked for: each costs as much as creating the group."""
    module_name, _, function = name.partition(".")
    package = "orlop.linux.cgroup.controller"
    module = getattr(__import__(package, fromlist=[module_name]), module_name)
    planner: Planner = getattr(module, function)
    return planner


def _apply_controller(
    group: Group, section: Any, controller: str, v1: str, v2: str, unavailable: dict[str, OSError]
) -> None:
    hierarchy = group.layout.v1_hierarchy(controller)
    if hierarchy is not None:
        directory = hierarchy.directory(group.path)
        carry_out(_planner(v1)(section, directory), directory, controller)
        return
    unified = group.layout.unified
    modern = _V2_NAMES.get(controller, controller)
    if v2 and unified is not None and modern in _controllers(unified):
        if group.layout.v1:
            from orlop.linux.cgroup import subtree

            unavailable = subtree.enable(unified, group.path, (modern,))
        directory = unified.directory(group.path)
        settings = [s for s in _planner(v2)(section, directory) if not (s.unlimited and modern in unavailable)]
        if settings and modern in unavailable:
            raise unavailable[modern]
        carry_out(settings, directory, modern)
        return
    planner = _planner(v2 if v2 and group.layout.kind == "v2" else v1)
    for setting in planner(section, ""):
        if not setting.unlimited:
            raise _missing(group, setting.file, controller if group.layout.v1 else modern)


def _controllers(unified: Hierarchy) -> list[str]:
    return (file.read_if_there(unified.mountpoint + "/cgroup.controllers") or "").split()


def _missing(group: Group, name: str, controller: str) -> Exception:
    if controller in group.refused:
        return PermissionError(
            errno.EACCES,
            f"{name} cannot be set: no permission to make cgroups of the controller {controller}; "
            "it needs root, or a cgroup v2 that is delegated to the user",
        )
    if group.layout.kind == "none":
        return Unsupported(f"{name} cannot be set: no cgroup hierarchy is mounted, or none may be used")
    return Unsupported(f"{name} cannot be set: this kernel has no cgroup controller {controller} mounted")


def _apply_unified(group: Group, section: dict[str, Any], unavailable: dict[str, OSError]) -> None:
    unified = group.layout.unified
    settings = _planner("unified.v2")(section, "")
    if group.layout.kind != "v2" or unified is None:
        raise Unsupported(
            f"linux.resources.unified ({settings[0].file}) needs cgroup v2 alone, not {group.layout.kind}"
        )
    for setting in settings:
        controller = setting.file.partition(".")[0]
        if controller in unavailable:
            raise unavailable[controller]
        carry_out([setting], unified.directory(group.path), controller)


def carry_out(settings: list[Setting], directory: str, controller: str) -> None:
    """Write settings in order; those that may have to wait for a later one are tried again at the end.

    Raises:
        Unsupported: the kernel's controller has no such file.
        OSError: the kernel refused a value.
    """
    refused = []
    for setting in settings:
        try:
            _write(setting, directory, controller)
        except OSError as error:
            if not setting.again or error.errno != errno.EINVAL:
                raise
            refused.append(setting)
    for setting in refused:
        _write(setting, directory, controller)


def _write(setting: Setting, directory: str, controller: str) -> None:
    path = f"{directory}/{setting.file}"
    try:
        file.write(path, setting.value)
    except FileNotFoundError:
        if not os.path.isdir(directory):
            raise
        if not setting.unlimited:
            raise Unsupported(
                f"{setting.file} cannot be set to {setting.value}: "
                f"this kernel's cgroup controller {controller} has no such file ({path})"
            ) from None
