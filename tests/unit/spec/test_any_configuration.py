"""Whatever JSON a configuration is, the answer is a list of warnings or one sentence."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orlop import json_text
from orlop.errors import InvalidConfig
from orlop.runtime.spec import default, shapes, validate
from orlop.runtime.spec.mount_options import known, parse
from orlop.runtime.spec.namespaces import TYPES

WORDS = st.sampled_from(
    ["", "/", "/x", "x", "..", "bind", "idmap", "1.0.2", "0-3", "c", "rwm", "2MB", *TYPES]
) | st.text(max_size=5)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | WORDS
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=8
)


def like(shape: Any) -> st.SearchStrategy[Any]:
    """Values of a shape in the table of types, so that the rules behind the types are reached."""
    if shape is str:
        return WORDS
    if shape is bool:
        return st.booleans()
    if isinstance(shape, range):
        return st.sampled_from([0, 1, 5, shape.start, shape.stop - 1]) | st.integers(shape.start, shape.stop - 1)
    if isinstance(shape, list):
        return st.lists(like(shape[0]), max_size=3)
    if isinstance(shape, dict):
        return st.dictionaries(WORDS, like(shape[""]) | SCALARS, max_size=2)
    fields, required = shape
    return st.fixed_dictionaries(
        {name: like(fields[name]) for name in required},
        optional={name: like(field) for name, field in fields.items() if name not in required},
    )


def answers(spec: Any, *, rootless: bool = False) -> None:
    try:
        warnings = validate(spec, rootless=rootless)
    except InvalidConfig as error:
        assert str(error)
        assert "\n" not in str(error)
    else:
        assert all(type(warning) is str for warning in warnings)
        json_text.dumps(spec)


@given(ANYTHING)
def test_any_json(value: Any) -> None:
    answers(value)


@settings(deadline=None)
@given(like(shapes.CONFIG), st.booleans())
def test_any_configuration_with_the_right_types(spec: Any, rootless: bool) -> None:
    spec["ociVersion"] = "1.0.2"
    answers(spec, rootless=rootless)


@st.composite
def nearly_right(draw: st.DrawFn) -> Any:
    """The default configuration with one value somewhere replaced by anything."""
    spec = default.config(mapped=draw(st.sampled_from([None, (1000, 1000)])))
    target: Any = spec
    while True:
        key = draw(st.sampled_from(sorted(target) if isinstance(target, dict) else range(len(target))))
        if isinstance(target[key], dict | list) and target[key] and draw(st.booleans()):
            target = target[key]
        else:
            target[key] = draw(ANYTHING)
            return spec


@given(nearly_right())
def test_any_value_anywhere_in_a_right_configuration(spec: Any) -> None:
    answers(spec)


@given(st.lists(st.sampled_from(known()) | st.text(max_size=8)))
def test_any_mount_options(options: list[str]) -> None:
    result = parse(options)
    assert result.set_attributes & result.clear_attributes & ~0x70 == 0
    assert result.recursive_set & result.recursive_clear & ~0x70 == 0
    assert not set(result.data) & set(known())


def test_every_known_option_is_understood() -> None:
    for option in known():
        assert parse([option]).data == []
    assert parse(["defaults"]).ignored == []
