from __future__ import annotations

import time
from typing import Any

import pytest

from orlop import filters
from orlop.errors import InvalidArgument

KNOWN: dict[str, Any] = {
    "dangling": filters.flag(lambda each: each["dangling"]),
    "exited": filters.number(lambda each: each["exited"]),
    "id": filters.prefix(lambda each: each["id"]),
    "label": filters.label(lambda each: each["labels"]),
    "label!": filters.without_label(lambda each: each["labels"]),
    "name": filters.pattern(lambda each: each["name"]),
    "status": filters.same(lambda each: each["status"], "up", "down"),
    "until": filters.until(lambda each: each["created"]),
    "volume": filters.contains(lambda each: each["volumes"]),
}
CANDIDATE = {
    "dangling": False,
    "exited": 3,
    "id": "abcdef",
    "labels": {"a": "1", "b": ""},
    "name": "web-1",
    "status": "up",
    "created": "2020-06-01T12:00:00Z",
    "volumes": ["data", "/srv"],
}


@pytest.mark.parametrize(
    ("words", "passes"),
    [
        ([], True),
        (["id=abc"], True),
        (["id=bc"], False),
        (["status=down", "status=up"], True),
        (["status=down"], False),
        (["status=up", "id=x"], False),
        (["label=a"], True),
        (["label=a=1", "label=b"], True),
        (["label=a=1", "label=c"], False),
        (["label=b="], True),
        (["label=a=2"], False),
        (["label!=c", "label!=a=2"], True),
        (["label!=c", "label!=a"], False),
        (["name=eb"], True),
        (["name=^web-[0-9]$"], True),
        (["name=^eb"], False),
        (["dangling=0"], True),
        (["dangling=true"], False),
        (["exited=3"], True),
        (["exited=0"], False),
        (["volume=/srv"], True),
        (["volume=/"], False),
        (["until=2020-06-02"], True),
        (["until=2020-05-31T00:00:00Z"], False),
        (["until=24h"], True),
        (["until=1590000000"], False),
        ([" STATUS = up "], True),
    ],
)
def test_an_object_passes_all_keys_and_one_value_of_each(words: list[str], *, passes: bool) -> None:
    assert filters.read(words, KNOWN)(CANDIDATE) is passes


def test_the_keys_that_were_given_are_known() -> None:
    assert filters.read(["label=a", "label!=b", "id=1"], KNOWN).keys == {"label", "label!", "id"}


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("colour=red", "invalid filter 'colour': must be one of dangling, exited, id, label, label!, name, status"),
        ("dangling", "invalid filter 'dangling': must be KEY=VALUE"),
        ("dangling=maybe", "invalid filter 'dangling=maybe': must be true or false"),
        ("status=sideways", "invalid filter 'status=sideways': must be one of up, down"),
        ("exited=x", "invalid filter 'exited=x': must be a whole number"),
        ("name=(", "invalid filter 'name=(': is not a regular expression"),
        ("until=soon", "invalid filter 'until=soon': must be a date"),
    ],
)
def test_what_cannot_be_a_filter_is_refused(word: str, complaint: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        filters.read([word], KNOWN)
    assert str(caught.value).startswith(complaint)


def test_a_time_ago_counts_from_now() -> None:
    assert time.time() - filters.moment("1h30m") == pytest.approx(5400, abs=60)
    assert filters.moment("1590000000.5") == 1590000000.5
    assert filters.moment("2020-05-31T00:00:00+02:00") == 1590876000
