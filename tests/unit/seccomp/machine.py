"""A small interpreter for the filters, the way the kernel runs them on ``struct seccomp_data``."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def run(instructions: bytes, audit: int, number: int, arguments: Sequence[int] = (), *, big: bool = False) -> int:
    """What the filter returns for a system call; fails the test on anything that the kernel would refuse."""
    padded = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    words = [number, audit, 0, 0]
    for value in padded:
        halves = [value & 0xFFFFFFFF, value >> 32]
        words += reversed(halves) if big else halves
    program = list(struct.iter_unpack("=HBBI", instructions))
    assert 0 < len(program) <= 4096
    accumulator = 0
    position = 0
    while True:
        code, if_true, if_false, constant = program[position]
        position += 1
        match code:
            case 0x20:
                assert constant % 4 == 0
                accumulator = words[constant // 4]
            case 0x54:
                accumulator &= constant
            case 0x05:
                position += constant
            case 0x15:
                position += if_true if accumulator == constant else if_false
            case 0x25:
                position += if_true if accumulator > constant else if_false
            case 0x35:
                position += if_true if accumulator >= constant else if_false
            case 0x06:
                return int(constant)
            case _:
                raise AssertionError(f"instruction {code:#x} at {position - 1}")
