"""Rules for the rare fields of processors and memory nodes: ``scheduler``, ``ioPriority``, affinity, memory policy."""

from __future__ import annotations

from orlop.errors import InvalidConfig
from orlop.linux.scheduling import FLAGS, IO_CLASSES, MEMORY_FLAGS, MEMORY_MODES, POLICIES
from orlop.runtime.spec import number_list

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def check(process: dict[str, Any]) -> None:
    """The rules of ``process.scheduler``, ``process.ioPriority`` and ``process.execCPUAffinity``.

    Raises:
        InvalidConfig: naming the field.
    """
    if "scheduler" in process:
        _check_scheduler(process["scheduler"])
    if "ioPriority" in process:
        wanted = process["ioPriority"]
        if wanted["class"] not in IO_CLASSES:
            raise InvalidConfig(f"process.ioPriority.class {wanted['class']!r} is none of {', '.join(IO_CLASSES)}")
        if not 0 <= wanted.get("priority", 0) <= 7:
            raise InvalidConfig(f"process.ioPriority.priority must be from 0 to 7, not {wanted['priority']}")
    for name, text in process.get("execCPUAffinity", {}).items():
        if name in ("initial", "final"):
            number_list.parse(text, f"process.execCPUAffinity.{name}")


def _check_scheduler(wanted: dict[str, Any]) -> None:
    policy = wanted["policy"]
    if policy not in POLICIES:
        raise InvalidConfig(f"process.scheduler.policy {policy!r} is none of {', '.join(POLICIES)}")
    for flag in wanted.get("flags", ()):
        if flag not in FLAGS:
            raise InvalidConfig(f"process.scheduler.flags: {flag!r} is none of {', '.join(FLAGS)}")
    if not -20 <= wanted.get("nice", 0) <= 19:
        raise InvalidConfig(f"process.scheduler.nice must be from -20 to 19, not {wanted['nice']}")
    priority = wanted.get("priority", 0)
    if policy in ("SCHED_FIFO", "SCHED_RR"):
        if not 1 <= priority <= 99:
            raise InvalidConfig(f"process.scheduler.priority must be from 1 to 99 for {policy}, not {priority}")
    elif priority:
        raise InvalidConfig("process.scheduler.priority is only for SCHED_FIFO and SCHED_RR")
    for name in ("runtime", "deadline", "period"):
        if wanted.get(name) and policy != "SCHED_DEADLINE":
            raise InvalidConfig(f"process.scheduler.{name} is only for SCHED_DEADLINE")


def check_memory_policy(wanted: dict[str, Any]) -> None:
    """The rules of ``linux.memoryPolicy``; which nodes a mode takes is set_mempolicy(2)'s.

    Raises:
        InvalidConfig: naming the field.
    """
    mode = wanted["mode"]
    if mode not in MEMORY_MODES:
        raise InvalidConfig(f"linux.memoryPolicy.mode {mode!r} is none of {', '.join(MEMORY_MODES)}")
    flags = wanted.get("flags", ())
    for flag in flags:
        if flag not in MEMORY_FLAGS:
            raise InvalidConfig(f"linux.memoryPolicy.flags: {flag!r} is none of {', '.join(MEMORY_FLAGS)}")
    if "MPOL_F_STATIC_NODES" in flags and "MPOL_F_RELATIVE_NODES" in flags:
        raise InvalidConfig("linux.memoryPolicy.flags must not have both MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES")
    nodes = number_list.parse(wanted.get("nodes", ""), "linux.memoryPolicy.nodes")
    if mode in ("MPOL_DEFAULT", "MPOL_LOCAL"):
        if nodes:
            raise InvalidConfig(f"linux.memoryPolicy.nodes must be empty for {mode}")
    elif not nodes and mode != "MPOL_PREFERRED":
        raise InvalidConfig(f"linux.memoryPolicy.nodes is required for {mode}")
