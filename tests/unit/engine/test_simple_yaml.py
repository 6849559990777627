from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orlop.engine.simple_yaml import loads

_DOCUMENT = """\
---
# a comment
cdiVersion: "0.6.0"   # another
kind: vendor.com/class
devices:
- name: 0
  containerEdits:
    deviceNodes:
    - path: /dev/a
      major: 0x10
    - path: '/dev/it''s'
    env: [A=1, "B=2, 3"]
-   name: "one"
    nothing:
nested:
  - - 1
    - two
  -
    key: value
text: |
  line one
    line two
folded: >-
  one
  two
url: http://host:80/#anchor
flow: {a: 1, "b": [true, null],
  c: -2.5}
empty: []
yes: true
"""


def test_what_tools_write_is_read() -> None:
    assert loads(_DOCUMENT) == {
        "cdiVersion": "0.6.0",
        "kind": "vendor.com/class",
        "devices": [
            {
                "name": 0,
                "containerEdits": {
                    "deviceNodes": [{"path": "/dev/a", "major": 16}, {"path": "/dev/it's"}],
                    "env": ["A=1", "B=2, 3"],
                },
            },
            {"name": "one", "nothing": None},
        ],
        "nested": [[1, "two"], {"key": "value"}],
        "text": "line one\n  line two\n",
        "folded": "one two",
        "url": "http://host:80/#anchor",
        "flow": {"a": 1, "b": [True, None], "c": -2.5},
        "empty": [],
        "yes": True,
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("just text", "just text"),
        ("- a\n- b: c\n  d: e", ["a", {"b": "c", "d": "e"}]),
        ("a:\n- 1\n- 2\nb: 3", {"a": [1, 2], "b": 3}),
        ("'a b': \"x\\ty\\u00e9\"", {"a b": "x\ty\u00e9"}),
        ("a: 1.5\nb: 007\nc: ~\nd: 0o17\ne: 1.2.3", {"a": 1.5, "b": 7, "c": None, "d": 15, "e": "1.2.3"}),
    ],
)
def test_small_documents(text: str, value: Any) -> None:
    assert loads(text) == value


@pytest.mark.parametrize(
    "text",
    ["a: &anchor 1", "a: *alias", "a: !tag 1", "a: [1, 2", "a: 'open", "a: 1\na: 2", "a:\n  b: 1\n c: 2", "\ta: 1", "a: 1\n---\nb: 2"],
)  # fmt: skip
def test_what_is_not_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="."):
        loads(text)


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text(st.characters(codec="ascii", exclude_categories=["Cc"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=4),
    max_leaves=10,
)


@given(_VALUES)
def test_json_is_yaml(value: Any) -> None:
    assert loads(json.dumps(value)) == value


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        loads(text)
    except ValueError:
        return
