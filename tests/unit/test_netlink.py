"""The attributes of routing netlink."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from orlop.linux.netlink import attribute, attributes


def number(value: int, size: int) -> bytes:
    return value.to_bytes(size, sys.byteorder)


def test_an_attribute_is_length_type_value_and_padding() -> None:
    assert attribute(3, b"lo\0") == number(7, 2) + number(3, 2) + b"lo\0" + b"\0"
    assert attribute(28, number(5, 4)) == number(8, 2) + number(28, 2) + number(5, 4)


@given(st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=100))))
def test_what_is_written_is_read(pairs: list[tuple[int, bytes]]) -> None:
    assert attributes(b"".join(attribute(kind, value) for kind, value in pairs)) == pairs


def test_the_bits_beside_the_type_are_not_part_of_it() -> None:
    assert attributes(number(4, 2) + number(0xC005, 2)) == [(5, b"")]


def test_the_last_attribute_may_lack_its_padding() -> None:
    assert attributes(attribute(1, b"abcde")[:9]) == [(1, b"abcde")]


def test_garbage_ends_the_list() -> None:
    assert attributes(attribute(1, b"abcd") + number(3, 2) + number(9, 2) + b"rest") == [(1, b"abcd")]
