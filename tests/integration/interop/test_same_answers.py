"""What orlop's runtime tells its callers is what runc tells them: JSON, exit statuses, reasons of failures."""

from __future__ import annotations

import json
import shutil
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.interop.home import eventually
from tests.integration.interop.pair import Pair

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.interop.home import Result
    from tests.integration.interop.pair import Config
    from tests.integration.interop.side_by_side import SideBySide


def _waiting_pair(runtime: Path, root_filesystem: Path, directory: Path) -> Pair:
    """Two bundles of a container that waits."""
    if shutil.which("runc") is None:
        pytest.skip("needs runc, which is not installed")

    def wait(config: Config) -> None:
        config["process"]["args"] = ["/bin/sleep", "1000"]
        config["annotations"] = {"org.example.note": "kept"}

    return Pair(directory / uuid.uuid4().hex[:8], runtime, root_filesystem, wait)


@pytest.fixture
def pair(runtime: Path, root_filesystem: Path, public_directory: Path) -> Iterator[Pair]:
    pair = _waiting_pair(runtime, root_filesystem, public_directory)
    yield pair
    pair.close()


def _shape(value: object) -> object:
    """The keys and the types, without the values."""
    if isinstance(value, dict):
        return {key: _shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shape(item) for item in value[:1]]
    return type(value).__name__


def _take(one: SideBySide, steps: list[list[str]]) -> list[Result]:
    """Take one runtime through the steps, and end what is left."""
    words = {"ID": one.identity, "BUNDLE": str(one.bundle)}
    results = [one(*(words.get(word, word) for word in step)) for step in steps]
    one("delete", "--force", one.identity)
    return results


def _take_both(pair: Pair, *steps: list[str]) -> tuple[list[Result], list[Result]]:
    """One after the other, as they use the same cgroup."""
    return _take(pair.runc, list(steps)), _take(pair.ours, list(steps))


def _status(one: SideBySide) -> str:
    status: str = json.loads(one("state", one.identity).out)["status"]
    return status


CREATE = ["create", "--bundle", "BUNDLE", "ID"]


QUESTIONS = {"state": ["state", "ID"], "list": ["list", "--format=json"], "ps": ["ps", "--format=json", "ID"]}
STATUSES = ["created", "running", "paused", "running"]


@pytest.fixture(scope="module")
def lives(runtime: Path, root_filesystem: Path, public_directory: Path) -> Iterator[list[dict[str, list[Any]]]]:
    """What each runtime answered to each question in each status, runc first."""
    pair = _waiting_pair(runtime, root_filesystem, public_directory)
    answers = []
    for one in pair.both:
        steps = []
        for command in (CREATE, ["start", "ID"], ["pause", "ID"], ["resume", "ID"]):
            steps += [command, *QUESTIONS.values()]
        results = _take(one, steps)
        assert {result.code for result in results} == {0}, results
        said = [[json.loads(result.out) for result in results[step + 1 : step + 4]] for step in range(0, 16, 4)]
        answers.append(dict(zip(QUESTIONS, map(list, zip(*said, strict=True)), strict=True)))
    yield answers
    pair.close()


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_json_for_engines_has_the_same_shape(lives: list[dict[str, list[Any]]], question: str) -> None:
    runc, ours = lives
    assert [_shape(answer) for answer in ours[question]] == [_shape(answer) for answer in runc[question]]


def test_the_status_goes_through_the_same_words(lives: list[dict[str, list[Any]]]) -> None:
    for answers in lives:
        assert [answer["status"] for answer in answers["state"]] == STATUSES
        assert [answer[0]["status"] for answer in answers["list"]] == STATUSES


def test_a_stopped_container_has_the_same_state(pair: Pair) -> None:
    states = []
    for one in pair.both:
        assert one("create", "--bundle", str(one.bundle), one.identity).code == 0
        one("kill", one.identity, "KILL")
        eventually(lambda one=one: _status(one) == "stopped")  # type: ignore[misc]
        state = json.loads(one("state", one.identity).out)
        states.append((_shape(state), state["pid"], state["annotations"]))
        assert one("delete", one.identity).code == 0
    assert states[1] == states[0]


def test_the_statistics_have_the_same_shape(pair: Pair) -> None:
    runc, ours = _take_both(pair, CREATE, ["start", "ID"], ["events", "--stats", "ID"])
    theirs, data = json.loads(runc[2].out), json.loads(ours[2].out)
    assert (data["type"], data["id"]) == (theirs["type"], theirs["id"])
    assert set(_leaves(theirs["data"])) - set(_leaves(data["data"])) == set()


def _leaves(value: object, path: str = "") -> Iterator[str]:
    """The paths of all numbers in a tree; those of memory's raw counters are the kernel's, not the runtime's."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key not in {"raw", "intel_rdt"}:
                yield from _leaves(item, f"{path}.{key}")
    elif value is not None:
        yield path


REFUSALS = {
    "state of an unknown container": ([["state", "ID"]], "does not exist"),
    "start of an unknown container": ([["start", "ID"]], "does not exist"),
    "kill of an unknown container": ([["kill", "ID", "9"]], "does not exist"),
    "exec in an unknown container": ([["exec", "ID", "true"]], "does not exist"),
    "delete of an unknown container": ([["delete", "ID"]], "does not exist"),
    "delete --force of an unknown container": ([["delete", "--force", "ID"]], ""),
    "start twice": ([CREATE, ["start", "ID"], ["start", "ID"]], "cannot start"),
    "delete of a running container": ([CREATE, ["start", "ID"], ["delete", "ID"]], "not stopped"),
    "create twice": ([CREATE, CREATE], "exist"),
    "create without a bundle": ([["create", "--bundle", "/no/such/bundle", "ID"]], "/no/such/bundle"),
    "create with a bad name": ([["create", "--bundle", "BUNDLE", "a/b"]], "invalid"),
    "resume of what runs": ([CREATE, ["start", "ID"], ["resume", "ID"]], "not paused"),
    "an unknown signal": ([CREATE, ["kill", "ID", "NOSUCH"]], "signal"),
    "exec of what is not there": ([CREATE, ["start", "ID"], ["exec", "ID", "no-such"]], 'exec: "no-such"'),
    "exec of what cannot be run": ([CREATE, ["start", "ID"], ["exec", "ID", "/etc/passwd"]], "permission denied"),
    "exec in a paused container": ([CREATE, ["start", "ID"], ["pause", "ID"], ["exec", "ID", "true"]], "paused"),
    "exec that fails": ([CREATE, ["start", "ID"], ["exec", "ID", "sh", "-c", "exit 42"]], ""),
    "exec that is killed": ([CREATE, ["start", "ID"], ["exec", "ID", "sh", "-c", "kill -9 $$"]], ""),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_failures_have_the_same_status_and_name_the_same_reason(pair: Pair, case: str) -> None:
    steps, phrase = REFUSALS[case]
    runc, ours = _take_both(pair, *steps)
    assert [result.code for result in ours] == [result.code for result in runc], (ours, runc)
    assert phrase in _said(runc)
    assert phrase in _said(ours)


def _said(results: list[Result]) -> str:
    """The last error as a reader sees it: the text form of the log quotes quotation marks."""
    return results[-1].err.replace("\\", "").lower()


BAD_PROCESSES = {
    "not there": ({"args": ["no-such"]}, 'exec: "no-such": executable file not found in $path'),
    "not there, absolute": ({"args": ["/no/such"]}, "no such file or directory"),
    "not executable": ({"args": ["/etc/passwd"]}, 'exec: "/etc/passwd": permission denied'),
    "a directory": ({"args": ["/etc"]}, 'exec: "/etc": permission denied'),
    "a file as working directory": ({"cwd": "/etc/passwd"}, "not a directory"),
}


@pytest.mark.parametrize("case", BAD_PROCESSES)
def test_a_process_that_cannot_be_started_is_refused_alike(pair: Pair, case: str) -> None:
    change, phrase = BAD_PROCESSES[case]
    for one in pair.both:
        config = json.loads((one.bundle / "config.json").read_text())
        config["process"].update(change)
        one.write(config)
    runc, ours = _take_both(pair, CREATE)
    assert ours[0].code == runc[0].code == 1
    assert phrase in _said(runc)
    assert phrase in _said(ours)


def test_a_create_that_failed_leaves_nothing(pair: Pair) -> None:
    config = json.loads((pair.ours.bundle / "config.json").read_text())
    config["process"]["args"] = ["no-such"]
    pair.ours.write(config)
    assert pair.ours.run().code == 1
    assert pair.ours("delete", pair.identity).code == 1
    assert list((pair.ours.state / "root").iterdir()) == []
