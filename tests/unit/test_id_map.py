"""What a mapping to the host's ids is within a namespace that has some of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orlop.errors import InvalidConfig
from orlop.runtime import id_map

if TYPE_CHECKING:
    from pathlib import Path


def mapping(inside: int, host: int, size: int) -> dict[str, int]:
    return {"containerID": inside, "hostID": host, "size": size}


BETWEEN = [(0, 1000, 1), (1, 100_000, 1000), (1001, 300_000, 50)]


def test_a_mapping_like_the_one_between_is_one_of_every_id_to_itself() -> None:
    asked = [mapping(0, 1000, 1), mapping(1, 100_000, 1000), mapping(1001, 300_000, 50)]
    assert id_map.below(asked, BETWEEN) == [mapping(0, 0, 1), mapping(1, 1, 1000), mapping(1001, 1001, 50)]


def test_a_part_of_the_ids_is_found_where_it_is() -> None:
    assert id_map.below([mapping(0, 100_500, 10)], BETWEEN) == [mapping(0, 501, 10)]


def test_what_lies_beside_one_another_outside_only_is_divided() -> None:
    between = [(0, 100_005, 5), (10, 100_000, 5)]
    assert id_map.below([mapping(0, 100_000, 10)], between) == [mapping(0, 10, 5), mapping(5, 0, 5)]


def test_ids_that_are_not_there_are_named() -> None:
    with pytest.raises(InvalidConfig, match="id 100990 of the host"):
        id_map.below([mapping(0, 100_980, 10), mapping(10, 100_990, 20)], [(0, 100_980, 10)])


def test_the_kernels_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "uid_map"
    file.write_text("         0       1000          1\n         1     100000      65536\n")
    assert id_map.read(str(file)) == [(0, 1000, 1), (1, 100_000, 65536)]
