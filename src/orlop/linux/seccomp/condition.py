"""Conditions on arguments as BPF.

An argument is 64 bits and BPF compares 32: the halves are loaded one after the other. Each piece of code here
ends by falling through when its condition holds, and jumps ``away`` instructions past its own end when not.
"""

from __future__ import annotations

from _struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.seccomp.rule import Condition

# linux/bpf_common.h
LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
JUMP = 0x05  # BPF_JMP | BPF_JA
IF_EQUAL = 0x15
IF_GREATER = 0x25
IF_GREATER_OR_EQUAL = 0x35
RETURN = 0x06

#: ``struct sock_filter``: code, jump if true, jump if false, constant; packed as ``instruction(code, jt, jf, k)``.
instruction = Struct("=HBBI").pack

_ARGUMENTS = 16  # offset of seccomp_data.args


def code_for(condition: Condition, away: int, *, wide: bool, big: bool) -> bytes:
    """The code of one condition."""
    index, operator, value, value_two = condition
    first = _ARGUMENTS + 8 * index
    high, low = (first, first + 4) if big else (first + 4, first)
    if operator == "SCMP_CMP_MASKED_EQ":
        return _masked(high if wide else None, low, value, value_two, away)
    value_high, value_low = value >> 32, value & 0xFFFFFFFF
    code = instruction(LOAD, 0, 0, low)
    if operator == "SCMP_CMP_EQ":
        code += instruction(IF_EQUAL, 0, away, value_low)
    elif operator == "SCMP_CMP_NE":
        code += instruction(IF_EQUAL, away, 0, value_low)
    elif operator == "SCMP_CMP_GT":
        code += instruction(IF_GREATER, 0, away, value_low)
    elif operator == "SCMP_CMP_GE":
        code += instruction(IF_GREATER_OR_EQUAL, 0, away, value_low)
    elif operator == "SCMP_CMP_LT":
        code += instruction(IF_GREATER_OR_EQUAL, away, 0, value_low)
    else:  # SCMP_CMP_LE
        code += instruction(IF_GREATER, away, 0, value_low)
    if not wide:
        return code
    # Two instructions follow for the lower halves, needed only where the upper ones are equal.
    load = instruction(LOAD, 0, 0, high)
    if operator == "SCMP_CMP_EQ":
        return load + instruction(IF_EQUAL, 0, 2 + away, value_high) + code
    if operator == "SCMP_CMP_NE":
        return load + instruction(IF_EQUAL, 0, 2, value_high) + code
    greater, smaller = (2, 2 + away) if operator in ("SCMP_CMP_GT", "SCMP_CMP_GE") else (2 + away, 2)
    return (
        load
        + instruction(IF_GREATER, greater + 1, 0, value_high)
        + instruction(IF_EQUAL, 0, smaller, value_high)
        + code
    )


def _masked(high: int | None, low: int, mask: int, value: int, away: int) -> bytes:
    value &= mask
    code = b""
    if mask & 0xFFFFFFFF:
        code = (
            instruction(LOAD, 0, 0, low)
            + instruction(AND, 0, 0, mask & 0xFFFFFFFF)
            + instruction(IF_EQUAL, 0, away, value & 0xFFFFFFFF)
        )
    if high is None or not mask >> 32:
        return code
    return (
        instruction(LOAD, 0, 0, high)
        + instruction(AND, 0, 0, mask >> 32)
        + instruction(IF_EQUAL, 0, len(code) // 8 + away, value >> 32)
        + code
    )


def code_for_rule(conditions: tuple[Condition, ...], result: int, *, wide: bool, big: bool) -> bytes:
    """Return ``result`` if all conditions hold, else go on behind this code."""
    code = instruction(RETURN, 0, 0, result)
    for condition in reversed(conditions):
        code = code_for(condition, len(code) // 8, wide=wide, big=big) + code
    return code
