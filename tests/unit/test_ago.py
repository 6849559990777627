from __future__ import annotations

import calendar
import time

import pytest

from orlop import ago


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (61, "About a minute"),
        (180, "3 minutes"),
        (3700, "About an hour"),
        (7300, "2 hours"),
        (3 * 86400, "3 days"),
        (20 * 86400, "2 weeks"),
        (100 * 86400, "3 months"),
        (800 * 86400, "2 years"),
    ],
)
def test_time_is_told_in_docker_s_words(seconds: float, words: str) -> None:
    assert ago.words(seconds) == words


@pytest.mark.parametrize(
    "moment",
    [
        "0001-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "2000-02-29T12:00:00.123456789Z",
        "2100-03-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
    ],
)
def test_a_moment_is_so_many_seconds_after_1970(moment: str) -> None:
    assert ago.seconds(moment) == calendar.timegm(time.strptime(moment[:19], "%Y-%m-%dT%H:%M:%S"))


def test_a_list_shows_a_moment_in_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC-2")
    time.tzset()
    try:
        assert ago.local("2026-01-02T23:04:05.6Z") == "2026-01-03 01:04:05 +0200 UTC"
    finally:
        monkeypatch.undo()
        time.tzset()
