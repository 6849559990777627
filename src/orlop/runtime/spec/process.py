"""Rules about ``process``: also for the process that ``exec`` adds, which has no configuration around it."""

from __future__ import annotations

from orlop.errors import InvalidConfig
from orlop.linux import rlimit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SETS = ("bounding", "effective", "inheritable", "permitted", "ambient")


def check(process: dict[str, Any]) -> list[str]:
    """Every rule of the section but its types; returns warnings.

    Raises:
        InvalidConfig: naming the field.
    """
    if not process["args"]:
        raise InvalidConfig("process.args must have at least one entry")
    cwd = process["cwd"]
    if not cwd or cwd[0] != "/":
        raise InvalidConfig(f"process.cwd {cwd!r} must be an absolute path")
    for index, variable in enumerate(process.get("env", ())):
        if variable.find("=") < 1:
            raise InvalidConfig(f"process.env[{index}] {variable!r} must have the form NAME=value")
    if process.get("terminal") and "consoleSize" in process:
        for name in ("height", "width"):
            if process["consoleSize"][name] > 0xFFFF:  # struct winsize, ioctl_tty(2)
                raise InvalidConfig(f"process.consoleSize.{name} must not be more than 65535")
    if "rlimits" in process:
        _check_rlimits(process["rlimits"])
    adjustment = process.get("oomScoreAdj", 0)
    if not -1000 <= adjustment <= 1000:
        raise InvalidConfig(f"process.oomScoreAdj must be from -1000 to 1000, not {adjustment}")
    if "scheduler" in process or "ioPriority" in process or "execCPUAffinity" in process:
        from orlop.runtime.spec import scheduling  # few containers ask

        scheduling.check(process)
    if "capabilities" in process:
        return _unknown_capabilities(process["capabilities"])
    return []


def _check_rlimits(rlimits: list[dict[str, Any]]) -> None:
    seen = []
    for index, limit in enumerate(rlimits):
        kind = limit["type"]
        if kind not in rlimit.NUMBERS:
            raise InvalidConfig(f"process.rlimits[{index}].type {kind!r} is no resource limit of Linux")
        if kind in seen:
            raise InvalidConfig(f"process.rlimits lists {kind} twice")
        if limit["soft"] > limit["hard"]:
            raise InvalidConfig(
                f"process.rlimits[{index}]: {kind} has the soft limit {limit['soft']} above its hard limit {limit['hard']}"
            )
        seen.append(kind)


def _unknown_capabilities(sets: dict[str, list[str]]) -> list[str]:
    from orlop.linux.capability import NAMES

    unknown = []
    for which in _SETS:
        for name in sets.get(which, ()):
            if name not in NAMES and name not in unknown:
                unknown.append(name)
    return [f"process.capabilities: {name!r} is no capability and is ignored" for name in unknown]
