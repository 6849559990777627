"""Health checks: what a container is said to be, and when that changes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.conftest import wait_until
from tests.integration.engine.image_maker import make

if TYPE_CHECKING:
    from typing import Any

    from tests.integration.engine.conftest import Engine

FAST = ("--health-interval", "50ms", "--health-retries", "2")


@pytest.fixture
def images(engine: Engine) -> Engine:
    """An engine with an image, whose containers have files of their own."""
    make(engine, "plain:latest")
    return engine


def health(engine: Engine, name: str) -> dict[str, Any]:
    found: dict[str, Any] = engine.state(name)["Health"]
    return found


def becomes(engine: Engine, name: str, status: str) -> dict[str, Any]:
    """Wait for a status; all that is known then."""

    def look() -> dict[str, Any] | None:
        found = health(engine, name)
        return found if found["Status"] == status else None

    found: dict[str, Any] = wait_until(look, f"a container that is {status}")
    return found


def test_a_container_is_starting_then_healthy_then_unhealthy(images: Engine) -> None:
    check = "echo looked; test -e /healthy"
    images.ok("run", "-d", "--name", "web", "--health-cmd", check, *FAST, "--health-start-period", "1h",
              "--health-start-interval", "50ms", "plain", "sleep", "1000")  # fmt: skip
    first = wait_until(lambda: health(images, "web") if health(images, "web")["Log"] else None)
    assert (first["Status"], first["FailingStreak"]) == ("starting", 0)  # failures do not count yet
    assert (first["Log"][0]["ExitCode"], first["Log"][0]["Output"]) == (1, "looked\n")
    assert "(health: starting)" in images.ok("ps")
    images.ok("exec", "web", "touch", "/healthy")
    assert becomes(images, "web", "healthy")["FailingStreak"] == 0
    assert "(healthy)" in images.ok("ps")
    images.ok("exec", "web", "rm", "/healthy")
    ill = becomes(images, "web", "unhealthy")
    assert ill["FailingStreak"] >= 2
    assert len(ill["Log"]) <= 5
    lines = images.ok("events", "--since", "1h", "--until", "0s", "--filter", "event=health_status", "--format", "json")
    actions = [json.loads(line)["Action"] for line in lines.splitlines()]
    assert actions == ["health_status: healthy", "health_status: unhealthy"]
    images.ok("stop", "-t", "0", "web")
    assert health(images, "web")["Status"] == "unhealthy"


def test_a_check_that_takes_too_long_is_ended_and_counts_as_failed(engine: Engine) -> None:
    engine.detached("web", "--health-cmd", "echo begun; sleep 500", "--health-timeout", "100ms", *FAST, "sleep", "1000")
    found = becomes(engine, "web", "unhealthy")
    assert found["Log"][-1]["ExitCode"] == -1
    assert found["Log"][-1]["Output"].startswith("Health check exceeded timeout (0.1s)")
    engine.ok("exec", "web", "true")
    assert "sleep 500" not in engine.ok("top", "web") or len(found["Log"]) >= 2


def test_the_image_s_check_is_made_and_can_be_changed_in_parts_or_left_out(engine: Engine) -> None:
    check = {"Test": ["CMD", "test", "-e", "/data/kept"], "Interval": 50_000_000, "Retries": 7}
    make(engine, "checked:latest", config={"Cmd": ["sleep", "1000"], "Env": ["PATH=/bin"], "Healthcheck": check})
    engine.ok("run", "-d", "--name", "web", "checked")
    becomes(engine, "web", "healthy")
    engine.ok("run", "-d", "--name", "other", "--health-retries", "3", "checked")
    assert engine.inspect("other")["Config"]["Healthcheck"] == {**check, "Retries": 3}
    engine.ok("run", "-d", "--name", "none", "--no-healthcheck", "checked")
    assert "Health" not in engine.state("none")


def test_a_check_s_long_output_is_cut_and_its_command_may_be_missing(engine: Engine) -> None:
    script = "i=0; while [ $i -lt 1000 ]; do echo 0123456789; i=$((i+1)); done"
    engine.detached("long", "--health-cmd", script, *FAST, "sleep", "1000")
    output = becomes(engine, "long", "healthy")["Log"][-1]["Output"]
    assert len(output) == 4096 + 3
    assert output.endswith("...")
    make(
        engine,
        "odd:latest",
        config={"Healthcheck": {"Test": ["CMD", "/no/such"], "Interval": 50_000_000, "Retries": 1}},
    )
    engine.ok("run", "-d", "--name", "odd", "odd", "sleep", "1000")
    assert "/no/such" in becomes(engine, "odd", "unhealthy")["Log"][-1]["Output"]


def test_a_paused_container_is_not_checked(engine: Engine) -> None:
    engine.detached("web", "--health-cmd", "true", *FAST, "sleep", "1000")
    becomes(engine, "web", "healthy")
    engine.ok("pause", "web")
    last = health(engine, "web")["Log"][-1]
    wait_until(lambda: health(engine, "web")["Log"][-1]["End"] >= last["End"])
    paused = health(engine, "web")
    assert paused["FailingStreak"] == 0
    engine.ok("unpause", "web")
    wait_until(lambda: health(engine, "web")["Log"][-1]["Start"] > paused["Log"][-1]["Start"])
    assert health(engine, "web")["Status"] == "healthy"


def test_options_that_contradict_each_other_are_refused(engine: Engine) -> None:
    result = engine("run", "--no-healthcheck", "--health-cmd", "true", "--rootfs", "ROOTFS", "true")
    assert result.code == 125
    assert "--no-healthcheck conflicts" in result.err
    result = engine("run", "--health-interval", "10us", "--rootfs", "ROOTFS", "true")
    assert result.code == 125
