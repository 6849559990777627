"""Read the rules of a ``linux.seccomp`` object and check them."""

from __future__ import annotations

from orlop.errors import InvalidConfig
from orlop.linux.seccomp.action import NOTIFY, result_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    #: Argument's index, operator, value, valueTwo.
    Condition = tuple[int, str, int, int]

OPERATORS = frozenset(
    (
        "SCMP_CMP_NE",
        "SCMP_CMP_LT",
        "SCMP_CMP_LE",
        "SCMP_CMP_EQ",
        "SCMP_CMP_GE",
        "SCMP_CMP_GT",
        "SCMP_CMP_MASKED_EQ",
    ),
)

_MAX_VALUE = (1 << 64) - 1


class Rule:
    """What to return for some system calls.

    ``alternatives`` holds the sets of conditions of which any one suffices; none at all means always.
    """

    __slots__ = ("alternatives", "names", "result")

    def __init__(self, names: list[str], result: int, alternatives: list[tuple[Condition, ...]]) -> None:
        self.names = names
        self.result = result
        self.alternatives = alternatives


def read_rules(config: Mapping[str, Any]) -> list[Rule]:
    """The rules of a profile, in its order.

    Raises:
        InvalidConfig: a rule breaks the specification.
    """
    entries = config.get("syscalls") or []
    if not isinstance(entries, list):
        raise InvalidConfig("linux.seccomp.syscalls is not a list")
    rules = []
    for position, entry in enumerate(entries):
        where = f"linux.seccomp.syscalls[{position}]"
        if not isinstance(entry, dict):
            raise InvalidConfig(f"{where} is not an object")
        names = entry.get("names")
        if not isinstance(names, list) or not names:
            raise InvalidConfig(f"{where}.names is not a list of system calls")
        for name in names:
            if not isinstance(name, str) or not name:
                raise InvalidConfig(f"{where}.names: {name!r} is not the name of a system call")
        result = result_of(entry, "action", "errnoRet", where)
        if result == NOTIFY and "write" in names:
            # The process must still be able to say which descriptor its listener has.
            raise InvalidConfig(f"{where}: SCMP_ACT_NOTIFY cannot be used for write")
        rules.append(Rule(names, result, _alternatives(entry, where)))
    return rules


def _alternatives(entry: Mapping[str, Any], where: str) -> list[tuple[Condition, ...]]:
    arguments = entry.get("args")
    if not arguments:
        return []
    if not isinstance(arguments, list):
        raise InvalidConfig(f"{where}.args is not a list")
    conditions = [_condition(argument, f"{where}.args[{position}]") for position, argument in enumerate(arguments)]
    if len({condition[0] for condition in conditions}) < len(conditions):
        return [(condition,) for condition in conditions]
    return [tuple(conditions)]


def _condition(argument: Any, where: str) -> Condition:
    if not isinstance(argument, dict):
        raise InvalidConfig(f"{where} is not an object")
    index = argument.get("index")
    if not isinstance(index, int) or not 0 <= index <= 5:
        raise InvalidConfig(f"{where}: index {index!r} is not that of an argument, 0 to 5")
    operator = argument.get("op")
    if not isinstance(operator, str) or operator not in OPERATORS:
        raise InvalidConfig(f"{where}: unknown operator {operator!r}")
    value = _value(argument.get("value"), where)
    return index, operator, value, _value(argument.get("valueTwo", 0), where)


def _value(number: Any, where: str) -> int:
    if not isinstance(number, int) or not 0 <= number <= _MAX_VALUE:
        raise InvalidConfig(f"{where}: {number!r} is not a 64-bit value")
    return number
