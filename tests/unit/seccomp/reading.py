"""What a profile says about one system call, read directly and slowly."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from orlop.linux.seccomp.architecture import ARCHITECTURES

if TYPE_CHECKING:
    from collections.abc import Sequence

RESULTS = {
    "SCMP_ACT_KILL": 0,
    "SCMP_ACT_KILL_THREAD": 0,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_NOTIFY": 0x7FC00000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
COMPARE = {
    "SCMP_CMP_NE": operator.ne,
    "SCMP_CMP_LT": operator.lt,
    "SCMP_CMP_LE": operator.le,
    "SCMP_CMP_EQ": operator.eq,
    "SCMP_CMP_GE": operator.ge,
    "SCMP_CMP_GT": operator.gt,
}


def result_of(action: str, errno: int | None) -> int:
    base = RESULTS[action]
    if action in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"):
        return base | (1 if errno is None else errno)
    return base


def holds(condition: dict[str, Any], arguments: Sequence[int], bits: int) -> bool:
    mask = (1 << bits) - 1
    argument = arguments[condition["index"]] & mask
    value = condition["value"] & mask
    if condition["op"] == "SCMP_CMP_MASKED_EQ":
        return bool(argument & value == condition.get("valueTwo", 0) & value)
    return bool(COMPARE[condition["op"]](argument, value))


def matches(conditions: list[dict[str, Any]], arguments: Sequence[int], bits: int) -> bool:
    each = [holds(condition, arguments, bits) for condition in conditions]
    indices = [condition["index"] for condition in conditions]
    return any(each) if len(set(indices)) < len(indices) else all(each)


def read(config: dict[str, Any], architecture: str, number: int, arguments: Sequence[int]) -> int:
    """The result for a call of one covered architecture, which must not be one that goes through a multiplexer."""
    arch = ARCHITECTURES[architecture]
    default = result_of(config["defaultAction"], config.get("defaultErrnoRet"))
    table = arch.numbers()
    named = {table[name] for rule in config["syscalls"] for name in rule["names"] if name in table}
    rules = [
        (rule, result)
        for rule in config["syscalls"]
        if (result := result_of(rule["action"], rule.get("errnoRet"))) != default
        and any(table.get(name) == number for name in rule["names"])
    ]
    for rule, result in rules:
        if not rule.get("args"):
            return result
    for rule, result in rules:
        if matches(rule["args"], arguments, 64 if arch.wide else 32):
            return result
    permissive = config["defaultAction"] in ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE")
    if named and number > max(named) and not permissive:
        return 0x00050000 | 38
    return default
