"""Each answer is as the API's own description says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.engine_api_schema import complaints

if TYPE_CHECKING:
    from tests.integration.api.served import Served

LOOP = ["sh", "-c", "echo ready; while :; do sleep 0.05; done"]


def check(served: Served, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
    """Ask, and hold the answer against the description."""
    answer = served(method, path, body)
    assert answer.status == status, answer
    told = answer.json() if answer.headers.get("content-type", "").startswith("application/json") else None
    if told is not None:
        found = complaints(method, path.partition("?")[0], status, told)
        # How a command ended that has not is not known: dockerd's clients expect null there.
        assert [each for each in found if each != "$.ExitCode: None is not of type 'integer'"] == []
    return told


def test_the_engine(served: Served) -> None:
    for path in ("/version", "/info", "/system/df"):
        check(served, "GET", path)


def test_containers(served: Served) -> None:
    body = {
        "Image": "plain",
        "Cmd": LOOP,
        "Labels": {"a": "b"},
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 10**9},
        "ExposedPorts": {"80/tcp": {}},
        "HostConfig": {"NetworkMode": "bridge", "Binds": ["described:/mine"], "Memory": 64 << 20},
    }
    name = check(served, "POST", "/containers/create?name=web", body, status=201)["Id"]
    check(served, "GET", f"/containers/{name}/json")
    check(served, "POST", f"/containers/{name}/start", status=204)
    check(served, "GET", f"/containers/{name}/json?size=1")
    check(served, "GET", "/containers/json?all=1&size=1")
    check(served, "GET", f"/containers/{name}/top")
    check(served, "GET", f"/containers/{name}/stats?stream=0&one-shot=1")
    check(served, "GET", f"/containers/{name}/changes")
    check(served, "POST", f"/containers/{name}/update", {"Memory": 128 << 20, "MemorySwap": -1})
    command = check(served, "POST", f"/containers/{name}/exec", {"Cmd": ["true"]}, status=201)["Id"]
    check(served, "GET", f"/exec/{command}/json")
    check(served, "POST", f"/exec/{command}/start", {"Detach": True})
    check(served, "GET", f"/exec/{command}/json")
    check(served, "POST", f"/containers/{name}/kill", status=204)
    check(served, "POST", f"/containers/{name}/wait")
    check(served, "GET", f"/containers/{name}/json")
    check(served, "POST", f"/commit?container={name}&repo=described", status=201)
    check(served, "DELETE", f"/containers/{name}", status=204)
    check(served, "POST", "/containers/prune")
    check(served, "DELETE", "/images/described")


def test_images(served: Served) -> None:
    check(served, "GET", "/images/json")
    check(served, "GET", "/images/plain/json")
    check(served, "GET", "/images/plain/history")
    check(served, "POST", "/images/plain/tag?repo=named&tag=1", status=201)
    check(served, "DELETE", "/images/named:1")
    check(served, "POST", "/images/prune")
    check(served, "POST", "/build/prune")


def test_volumes_and_networks(served: Served) -> None:
    check(served, "POST", "/volumes/create", {"Name": "described", "Labels": {"a": "b"}}, status=201)
    check(served, "GET", "/volumes")
    check(served, "GET", "/volumes/described")
    check(served, "DELETE", "/volumes/described", status=204)
    check(served, "POST", "/volumes/prune")
    pool = {"Subnet": "10.78.0.0/24", "Gateway": "10.78.0.9"}
    made = check(served, "POST", "/networks/create", {"Name": "lan", "IPAM": {"Config": [pool]}}, status=201)["Id"]
    check(served, "GET", "/networks")
    check(served, "GET", f"/networks/{made}")
    check(served, "DELETE", f"/networks/{made}", status=204)
    check(served, "POST", "/networks/prune")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/containers/nosuch/json", 404),
        ("POST", "/containers/nosuch/start", 404),
        ("GET", "/images/nosuch/json", 404),
        ("GET", "/volumes/nosuch", 404),
        ("GET", "/networks/nosuch", 404),
        ("GET", "/exec/nosuch/json", 404),
        ("GET", "/containers/nosuch/logs?stdout=1", 404),
        ("DELETE", "/containers/nosuch", 404),
        ("GET", "/services", 503),
        ("GET", "/swarm", 503),
        ("GET", "/nodes", 503),
    ],
)
def test_errors(served: Served, method: str, path: str, status: int) -> None:
    check(served, method, path, status=status)
