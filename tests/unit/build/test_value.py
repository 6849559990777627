"""Values, which everything of a Dockerfile is made of."""

from __future__ import annotations

import pytest

from orlop.build.value import Value


class Point(Value):
    x: int
    y: int = 0


class Named(Value, kw_only=True):
    name: str


class NamedPoint(Named):
    x: int
    y: int = 0


def test_a_value_has_its_fields_by_place_or_name() -> None:
    point = Point(1, y=2)
    assert (point.x, point.y, Point(1).y) == (1, 2, 0)
    named = NamedPoint(3, name="a")
    assert (named.name, named.x, named.y) == ("a", 3, 0)


def test_values_with_the_same_fields_are_equal_and_of_one_kind() -> None:
    assert Point(1) == Point(x=1, y=0)
    assert hash(Point(1)) == hash(Point(x=1))
    assert Point(1) != Point(2)
    assert Point(1) != NamedPoint(1, name="")
    assert repr(Point(1)) == "Point(x=1, y=0)"


def test_a_value_cannot_be_changed_and_can_be_made_anew() -> None:
    point = Point(1)
    with pytest.raises(AttributeError):
        point.x = 2  # type: ignore[misc]
    assert point.replace(y=5) == Point(1, 5)
    assert point == Point(1)


def test_fields_that_lack_or_are_too_many_are_told() -> None:
    for arguments, named in (((), {}), ((1, 2, 3), {}), ((1,), {"z": 1})):
        with pytest.raises(TypeError):
            Point(*arguments, **named)
