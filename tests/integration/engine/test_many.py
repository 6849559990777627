"""Many containers at once."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.integration.engine import leftovers

if TYPE_CHECKING:
    from tests.integration.engine.conftest import Engine


def run_at_once(engine: Engine, count: int) -> None:
    """Start so many, four at a time; all of them run, can be reached, and can be taken away."""
    names = [f"c{number}" for number in range(count)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: engine.detached(name, "sh", "-c", f"echo {name}; sleep 1000"), names))
    told = json.loads(engine.ok("inspect", *names))
    assert [each["State"]["Status"] for each in told] == ["running"] * count
    assert len({each["State"]["Pid"] for each in told}) == count
    engine.ok("exec", names[-1], "true")
    assert engine.ok("logs", names[0]) == "c0\n"
    leftovers.settled(engine)
    engine.ok("rm", "-f", *names)
    leftovers.settled(engine)


def test_fifty_containers_run_at_once(shared: Engine) -> None:
    run_at_once(shared, 50)
