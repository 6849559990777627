from __future__ import annotations

import json

import pytest

from orlop.cli import ago, template
from orlop.errors import InvalidArgument

VALUE = {
    "Id": "abc",
    "State": {"Status": "exited", "Running": False, "ExitCode": 3},
    "Entrypoint": None,
    "Binds": ["/a"],
}


@pytest.mark.parametrize(
    ("format_", "text"),
    [
        ("{{.Id}}", "abc"),
        ("{{ .State.Status }}/{{.State.ExitCode}}", "exited/3"),
        ("{{.State.Running}}", "false"),
        ("{{json .Binds}}", '["/a"]'),
        ("{{.Entrypoint}}", "<no value>"),
    ],
)
def test_templates_show_fields(format_: str, text: str) -> None:
    assert template.render(format_, VALUE) == text


def test_json_is_the_whole_object() -> None:
    assert json.loads(template.render("json", VALUE)) == VALUE
    assert json.loads(template.render("{{json .}}", VALUE)) == VALUE


@pytest.mark.parametrize("format_", ["{{.Id", "{{Id}}", "{{.Nope}}", "{{range .Binds}}", "{{.Id.Deeper}}", "{{}}"])
def test_what_is_not_understood_is_refused(format_: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid --format"):
        template.render(format_, VALUE)


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
