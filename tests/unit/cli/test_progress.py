from __future__ import annotations

import io
import json
import threading

import pytest

from orlop.cli import progress
from orlop.errors import InvalidArgument
from orlop.images import progress_messages


def tell(shown: progress.Shown) -> None:
    """What a pull of one layer tells."""
    with shown:
        shown.say("latest: Pulling from library/debian")
        shown.update("a" * 12, "Pulling fs layer")
        for count in range(0, 1001, 10):
            shown.update("a" * 12, "Downloading", count, 1000)
        shown.update("a" * 12, "Verifying Checksum", 1000, 1000)
        shown.update("a" * 12, "Pull complete")
        shown.update("a" * 12, "Pull complete")


def test_a_pipe_gets_each_action_once_and_no_numbers() -> None:
    out = io.StringIO()
    tell(progress.choose(out))
    assert out.getvalue().splitlines() == [
        "latest: Pulling from library/debian",
        f"{'a' * 12}: Pulling fs layer",
        f"{'a' * 12}: Verifying Checksum",
        f"{'a' * 12}: Pull complete",
    ]


def test_a_program_gets_docker_s_messages() -> None:
    out = io.StringIO()
    tell(progress.choose(out, "json"))
    messages = [json.loads(line) for line in out.getvalue().splitlines()]
    assert messages[0] == {"status": "latest: Pulling from library/debian"}
    assert messages[1] == {"status": "Pulling fs layer", "progressDetail": {}, "id": "a" * 12}
    last = [each for each in messages if each["status"] == "Downloading"][-1]
    assert last == {
        "status": "Downloading",
        "progressDetail": {"current": 1000, "total": 1000},
        "progress": f"[{'=' * 50}]      1kB/1kB",
        "id": "a" * 12,
    }
    assert [each for each in messages if each["status"] != "Downloading"][2:] == [
        {"status": action, "progressDetail": {}, "id": "a" * 12} for action in ("Verifying Checksum", "Pull complete")
    ]
    assert len(messages) < 100


def test_without_a_total_there_is_only_the_number() -> None:
    assert progress_messages.bar(1500, 0, 50) == "   1.5kB"
    assert progress_messages.bar(1500, 1000, 50) == "   1.5kB"
    assert progress_messages.bar(500, 1000, 10) == "[=====>    ]     500B/1kB"
    assert progress_messages.bar(0, 1000, 4) == "[>   ]       0B/1kB"


def test_quiet_says_nothing_and_others_are_refused() -> None:
    out = io.StringIO()
    tell(progress.choose(out, "quiet"))
    assert out.getvalue() == ""
    with pytest.raises(InvalidArgument, match="'loud': must be one of auto, plain, json, quiet"):
        progress.choose(out, "loud")


@pytest.mark.parametrize("how", ["plain", "json"])
def test_lines_of_several_threads_are_whole(how: str) -> None:
    out = io.StringIO()
    shown = progress.choose(out, how)

    def count(number: int) -> None:
        for each in range(200):
            shown.update(str(number), str(each))

    threads = [threading.Thread(target=count, args=(number,)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    lines = out.getvalue().splitlines()
    assert len(lines) == 800
    wanted = '{"status"' if how == "json" else ("0: ", "1: ", "2: ", "3: ")
    assert all(line.startswith(wanted) for line in lines)
