"""Whose a container's version 2 cgroup is: config-linux.md, "Cgroup ownership"."""

from __future__ import annotations

from orlop.runtime.step import step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.linux.cgroup import Group
    from orlop.runtime.namespaces import NamespacePlan


def give(group: Group, plan: NamespacePlan, spec: dict[str, Any]) -> None:
    """Give the group to the container's user if the container is to make groups in it itself.

    It is if it has a cgroup namespace of its own and may write to the hierarchy that is mounted for it.

    Raises:
        StepFailed: the kernel refuses.
    """
    if not plan.new_cgroup or any(kind == "user" for kind, _, _ in plan.joins):
        return  # what a joined user namespace maps is its maker's affair
    uid = ((spec.get("process") or {}).get("user") or {}).get("uid") or 0
    if plan.is_new("user"):
        for each in spec["linux"].get("uidMappings") or ():
            if 0 <= uid - each["containerID"] < each["size"]:
                uid += each["hostID"] - each["containerID"]
                break
    for each in spec.get("mounts") or ():
        if each["destination"] == "/sys/fs/cgroup" and each.get("source") == "cgroup":
            if uid and "ro" not in (each.get("options") or ()):
                with step("give cgroup to user", str(uid)):
                    group.delegate(uid, -1)
            return
