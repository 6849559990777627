"""How events are printed, and which of them a filter means."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orlop import filters
from orlop.cli import events
from orlop.engine import event_filters
from orlop.errors import InvalidArgument

ID = "4f" * 32


def event(**fields: Any) -> dict[str, Any]:
    return {
        "Type": "container",
        "Action": "start",
        "Actor": {"ID": ID, "Attributes": {"name": "web", "image": "debian:12", "who": "me"}},
        "scope": "local",
        "time": 1700000000,
        "timeNano": 1700000000012345678,
        **fields,
    }


def test_a_line_has_the_time_with_all_digits_and_the_attributes_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    show = events._format("")
    assert show(event()) == (f"2023-11-14T22:13:20.012345678Z container start {ID} (image=debian:12, name=web, who=me)")
    assert show(event(Actor={"ID": "x", "Attributes": {}})).endswith(" container start x")
    monkeypatch.setenv("TZ", "CET-1")
    time.tzset()
    assert show(event()).startswith("2023-11-14T23:13:20.012345678+01:00 ")
    monkeypatch.delenv("TZ")
    time.tzset()


def test_json_has_the_older_fields_that_scripts_read() -> None:
    shown = json.loads(events._format("json")(event()))
    assert list(shown) == ["status", "id", "from", "Type", "Action", "Actor", "scope", "time", "timeNano"]
    assert (shown["status"], shown["id"], shown["from"]) == ("start", ID, "debian:12")
    volume = json.loads(events._format("json")(event(Type="volume")))
    assert "status" not in volume


def test_a_template_sees_the_fields_by_the_names_of_dockers_client() -> None:
    show = events._format("{{.Type}} {{.Action}} {{.Status}} {{.ID}} {{.From}} {{.Actor.Attributes.who}} {{.TimeNano}}")
    assert show(event()) == f"container start start {ID} debian:12 me 1700000000012345678"
    assert events._format("{{json .Actor}}")(event()).startswith('{"ID":"4f')
    assert events._format("{{json .}}")(event()) == events._format("json")(event())


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["container=web"], True),
        (["container=4f4f4f"], True),
        (["container=we"], False),
        (["container="], False),
        (["event=start"], True),
        (["event=die"], False),
        (["event=die", "event=start"], True),
        (["image=debian:12"], True),
        (["image=debian"], True),
        (["image=deb"], False),
        (["label=who"], True),
        (["label=who=me"], True),
        (["label=who=you"], False),
        (["type=container", "event=start", "container=web"], True),
        (["type=image"], False),
        (["volume=web"], False),
        (["scope=local"], True),
    ],
)
def test_a_filter_means_what_it_means_to_docker(words: list[str], *, wanted: bool) -> None:
    assert filters.read(words, event_filters.tests())(event()) is wanted


def test_an_action_with_its_command_is_meant_by_the_action_alone() -> None:
    wanted = filters.read(["event=exec_start"], event_filters.tests())
    assert wanted(event(Action="exec_start: ls -l"))
    assert not wanted(event(Action="exec_die"))


def test_a_volumes_event_is_meant_by_its_name_and_by_the_container_that_mounts_it() -> None:
    mounted = event(Type="volume", Action="mount", Actor={"ID": "data", "Attributes": {"container": ID}})
    assert filters.read(["volume=data"], event_filters.tests())(mounted)
    assert filters.read([f"container={ID}"], event_filters.tests())(mounted)


def test_an_image_is_meant_by_its_name_with_a_registrys_port() -> None:
    assert event_filters._without_tag("localhost:5000/some") == "localhost:5000/some"
    assert event_filters._without_tag("localhost:5000/some:1") == "localhost:5000/some"


def test_a_type_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="must be one of"):
        filters.read(["type=cat"], event_filters.tests())


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1700000000", 1700000000_000000000),
        ("1700000000.5", 1700000000_500000000),
        ("1700000000.012345678", 1700000000_012345678),
        ("2023-11-14T22:13:20Z", 1700000000_000000000),
        ("2023-11-14T22:13:20.012345678Z", 1700000000_012345678),
        ("2023-11-14T23:13:20.5+01:00", 1700000000_500000000),
    ],
)
def test_a_time_is_read_with_all_its_digits(text: str, moment: int) -> None:
    assert filters.nanoseconds(text) == moment
