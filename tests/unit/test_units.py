from __future__ import annotations

import pytest

from orlop import units


@pytest.mark.parametrize(
    ("count", "digits", "text"),
    [
        (0, 4, "0B"),
        (999, 4, "999B"),
        (1000, 4, "1kB"),
        (1234, 4, "1.234kB"),
        (1234, 3, "1.23kB"),
        (124_000_000, 3, "124MB"),
        (999_999, 3, "1MB"),
        (999_949, 4, "999.9kB"),
        (5 * 10**21, 4, "5000EB"),
    ],
)
def test_sizes_are_powers_of_1000_with_significant_digits(count: int, digits: int, text: str) -> None:
    assert units.human_size(count, digits) == text


def test_memory_is_told_in_powers_of_1024() -> None:
    assert [units.binary_size(count) for count in (1023, 1024, 66_584_576)] == ["1023B", "1KiB", "63.5MiB"]
