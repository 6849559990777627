"""From a ``linux.seccomp`` object to a program.

The program looks at the architecture, then searches the number of the call in a balanced tree of ranges: neighbours
that end alike share one, so that 400 calls are some 100 ranges and 7 comparisons. Every piece of code ends in a
return and refers to nothing outside itself; pieces are put together by concatenation, and only the jump over the
lower half of a tree can be too long for the 8 bits that a conditional jump has.
"""

from __future__ import annotations

from orlop.errors import InvalidConfig
from orlop.linux.call import MACHINE
from orlop.linux.seccomp.action import (
    ENOSYS_RESULT,
    KILL_THREAD,
    NOTIFY,
    flags_of,
    permissiveness,
    refuses,
    result_of,
)
from orlop.linux.seccomp.architecture import ARCHITECTURES, X32_BIT, covered
from orlop.linux.seccomp.condition import (
    IF_EQUAL,
    IF_GREATER_OR_EQUAL,
    JUMP,
    LOAD,
    RETURN,
    code_for_rule,
    instruction,
)
from orlop.linux.seccomp.multiplex import MULTIPLEXED
from orlop.linux.seccomp.program import Program
from orlop.linux.seccomp.rule import read_rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from orlop.linux.seccomp.architecture import Architecture
    from orlop.linux.seccomp.rule import Condition, Rule

    #: Rules with conditions for one call: their conditions and results, in order.
    Conditional = list[tuple[tuple[Condition, ...], int]]

#: BPF_MAXINSNS, of linux/bpf_common.h.
LONGEST = 4096

_LOAD_NUMBER = instruction(LOAD, 0, 0, 0)
_LOAD_ARCHITECTURE = instruction(LOAD, 0, 0, 4)
_FAR = 255

# What a call of an architecture that the filter does not cover gets.
_FOREIGN = instruction(RETURN, 0, 0, KILL_THREAD)
_ENOSYS = instruction(RETURN, 0, 0, ENOSYS_RESULT)

#: s390 passes numbers that do not fit the instruction through call 0, and leaves 0 there if it does not know them.
_NUMBER_ZERO_IS_ANY = ("SCMP_ARCH_S390", "SCMP_ARCH_S390X")


def compile_config(config: Mapping[str, Any], machine: str | None = None) -> Program:
    """Compile; see `orlop.linux.seccomp.compile`."""
    if not isinstance(config, dict):
        raise InvalidConfig("linux.seccomp is not an object")
    default = result_of(config, "defaultAction", "defaultErrnoRet", "linux.seccomp")
    if default == NOTIFY:
        raise InvalidConfig("linux.seccomp: SCMP_ACT_NOTIFY cannot be the default action")
    rules = read_rules(config)
    notify = any(rule.result == NOTIFY for rule in rules)
    if notify and not config.get("listenerPath"):
        raise InvalidConfig("linux.seccomp: SCMP_ACT_NOTIFY needs a listenerPath")
    if config.get("listenerMetadata") and not config.get("listenerPath"):
        raise InvalidConfig("linux.seccomp: listenerMetadata is set without a listenerPath")
    flags = flags_of(config, notify)

    architectures = covered(config, machine or MACHINE)
    blocks = _blocks(architectures, rules, default)
    program = _FOREIGN
    for audit, block in reversed(blocks):
        size = len(block) // 8
        if size <= _FAR:
            program = instruction(IF_EQUAL, 0, size, audit) + block + program
        else:
            program = instruction(IF_EQUAL, 1, 0, audit) + instruction(JUMP, 0, 0, size) + block + program
    program = _LOAD_ARCHITECTURE + program
    length = len(program) // 8
    if length > LONGEST:
        raise InvalidConfig(
            f"linux.seccomp: the filter has {length} instructions, the kernel takes {LONGEST}; "
            "use fewer conditions or architectures",
        )
    return Program(program, flags, _unmatched(architectures, rules))


def _unmatched(architectures: list[Architecture], rules: list[Rule]) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for rule in rules:
        names.update(dict.fromkeys(rule.names))
    missing = set(names).difference(*(architecture.numbers() for architecture in architectures))
    if any(architecture.multiplexed for architecture in architectures):
        missing.difference_update(MULTIPLEXED)
    return tuple(name for name in names if name in missing)


def _blocks(architectures: list[Architecture], rules: list[Rule], default: int) -> list[tuple[int, bytes]]:
    """For each AUDIT_ARCH the code that decides about its calls."""
    otherwise = instruction(RETURN, 0, 0, default)
    newer = _ENOSYS if refuses(default) else otherwise
    ranges: dict[int, _Ranges] = {}
    for architecture in architectures:
        spans = ranges.setdefault(architecture.audit, _Ranges())
        codes, named = _decide(architecture, rules, default, otherwise)
        if named and newer is _ENOSYS and architecture.name in _NUMBER_ZERO_IS_ANY:
            codes[0] = _ENOSYS
        private = architecture.private
        if private and named and max(named) >= private:
            spans.add(private, {k: v for k, v in codes.items() if k >= private}, otherwise, newer, max(named))
            codes = {k: v for k, v in codes.items() if k < private}
            named = {number for number in named if number < private}
        first = X32_BIT if architecture.name == "SCMP_ARCH_X32" else 0
        if named:
            spans.add(first, codes, otherwise, newer, max(named))
        else:
            spans.add(first, codes, otherwise, otherwise)
    x86_64 = ranges.get(ARCHITECTURES["SCMP_ARCH_X86_64"].audit)
    if x86_64 is not None:
        for name, first in (("SCMP_ARCH_X86_64", 0), ("SCMP_ARCH_X32", X32_BIT)):
            if ARCHITECTURES[name] not in architectures:
                x86_64.add(first, {}, _FOREIGN, _FOREIGN)
        # Not an x32 call although the bit is set: a tracer writes -1 to have a call skipped.
        x86_64.add(0xFFFFFFFF, {}, otherwise, otherwise)
    return [(audit, _LOAD_NUMBER + spans.tree()) for audit, spans in ranges.items()]


def _decide(
    architecture: Architecture, rules: list[Rule], default: int, otherwise: bytes
) -> tuple[dict[int, bytes], set[int]]:
    """The code for each number that the rules decide, and all numbers that they name."""
    numbers = architecture.numbers()
    wide, big = architecture.wide, architecture.big
    decided: dict[int, bytes] = {}
    conditional: dict[int, Conditional] = {}
    named: set[int] = set()
    for rule in rules:
        found = {number for number in map(numbers.get, rule.names) if number is not None}
        named |= found
        if rule.result == default:
            continue
        if rule.alternatives:
            for number in found:
                conditional.setdefault(number, []).extend((conditions, rule.result) for conditions in rule.alternatives)
        else:
            decided.update(dict.fromkeys(found.difference(decided), instruction(RETURN, 0, 0, rule.result)))
        if (
            architecture.multiplexed
            and not MULTIPLEXED.keys().isdisjoint(rule.names)
            and (not rule.alternatives or permissiveness(rule.result) < permissiveness(default))
        ):
            for name in rule.names:
                entry = MULTIPLEXED.get(name)
                if entry is not None:
                    conditional.setdefault(numbers[entry[0]], []).append(((entry[1],), rule.result))
    for number, choices in conditional.items():
        if number not in decided:
            decided[number] = (
                b"".join(code_for_rule(conditions, result, wide=wide, big=big) for conditions, result in choices)
                + otherwise
            )
    return decided, named


class _Ranges:
    """Numbers from 0 to 2**32 - 1, cut where the code for them changes."""

    __slots__ = ("_pieces",)

    def __init__(self) -> None:
        self._pieces: list[tuple[int, list[tuple[int, bytes]]]] = []

    def add(self, first: int, codes: dict[int, bytes], between: bytes, after: bytes, newest: int = -1) -> None:
        """Fill the numbers from ``first`` on.

        They get their ``codes``, ``between`` up to ``newest`` where they have none, and ``after`` beyond it.
        """
        cuts: list[tuple[int, bytes]] = []
        current = b""
        follows = first
        for number in sorted(codes):
            if number > follows and current != between:
                cuts.append((follows, between))
                current = between
            code = codes[number]
            if code != current:
                cuts.append((number, code))
                current = code
            follows = number + 1
        if follows <= newest:
            if current != between:
                cuts.append((follows, between))
                current = between
            follows = newest + 1
        if current != after:
            cuts.append((follows, after))
        self._pieces.append((first, cuts))

    def tree(self) -> bytes:
        """The code that finds the range of the number in the accumulator."""
        cuts = [cut for _, piece in sorted(self._pieces) for cut in piece]
        return _search(cuts, 0, len(cuts))


def _search(cuts: list[tuple[int, bytes]], low: int, high: int) -> bytes:
    if high - low == 1:
        return cuts[low][1]
    middle = (low + high) // 2
    left = _search(cuts, low, middle)
    right = _search(cuts, middle, high)
    first, size = cuts[middle][0], len(left) // 8
    if size <= _FAR:
        return instruction(IF_GREATER_OR_EQUAL, size, 0, first) + left + right
    return instruction(IF_GREATER_OR_EQUAL, 0, 1, first) + instruction(JUMP, 0, 0, size) + left + right
