"""The same calls to Debian's dockerd and to ours have the same answers, beyond what `both` lists with its reason."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.integration.api.both import Both
from tests.integration.api.dockerd import Dockerd
from tests.integration.engine.conftest import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.api.served import Served

LOOP = ["sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done"]
NO_NETWORK = {"NetworkMode": "none"}


@pytest.fixture(scope="module")
def two(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Both, with the same image."""
    directory = tmp_path_factory.mktemp("other")
    other = Dockerd(directory, str(directory / "docker.sock"))
    try:
        saved = served("GET", "/images/plain/get").body
        subprocess.run(["docker", "-H", f"unix://{other.path}", "load"], input=saved, check=True, capture_output=True)
        yield Both(other.path, served.path)
    finally:
        other.close()


@pytest.fixture
def both(two: Both) -> Iterator[Both]:
    """Both, which must have agreed in the end; their containers go."""
    try:
        yield two
        two.agree()
    finally:
        two.differences = []
        for each in {each["Names"][0] for answer in two("GET", "/containers/json?all=1") for each in answer.json()}:
            two("DELETE", f"/containers{each}?force=1&v=1")
        two.differences = []


def create(both: Both, name: str, **fields: Any) -> None:
    """Make a container of that name."""
    body = {"Image": "plain", "Cmd": LOOP, "HostConfig": NO_NETWORK, **fields}
    both("POST", f"/containers/create?name={name}", body, keep={name: lambda answer: str(answer["Id"])})


def filters(**said: Any) -> str:
    """The parameter that a client sends."""
    return "filters=" + quote(json.dumps(said))


def archive(**files: bytes) -> bytes:
    """A tar archive."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as made:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mtime = 1000
            made.addfile(entry, io.BytesIO(content))
    return data.getvalue()


UNKNOWN = """
GET /nosuch; GET /containers/x/json; POST /containers/x/start; POST /containers/x/stop; POST /containers/x/restart
POST /containers/x/kill; POST /containers/x/pause; POST /containers/x/unpause; POST /containers/x/rename?name=y
POST /containers/x/wait; GET /containers/x/top; GET /containers/x/stats; GET /containers/x/logs?stdout=1; GET /containers/x/logs
GET /containers/x/archive?path=/; HEAD /containers/x/archive?path=/; PUT /containers/x/archive?path=/
GET /containers/x/changes; GET /containers/x/export; POST /commit; POST /commit?container=x; DELETE /containers/x
POST /containers/x/resize?h=1&w=1; POST /containers/x/resize?h=x&w=1; GET /exec/x/json; POST /exec/x/resize?h=1&w=1
GET /images/x/json; GET /images/x/history; POST /images/x/tag?repo=y; DELETE /images/x; DELETE /images/x?force=1
GET /images/x/get; GET /images/get?names=x; GET /images/get; GET /networks/x; DELETE /networks/x; GET /volumes/x
DELETE /volumes/x; DELETE /volumes/x?force=1; GET /distribution/127.0.0.1:1/x/json; GET /swarm; GET /services
GET /services/x; POST /services/create; GET /tasks; GET /tasks/x; GET /nodes; GET /nodes/x; DELETE /nodes/x; GET /secrets
DELETE /secrets/x; GET /configs; GET /configs/x; GET /swarm/unlockkey; POST /swarm/leave; GET /plugins; GET /plugins/x/json
DELETE /plugins/x; POST /plugins/x/disable; POST /session; GET /session; POST /build/cancel; POST /build/cancel?id=x
GET /images/search?term=x&limit=1000; GET /images/json?limit=x; GET /containers/json?limit=x; POST /containers/json
POST /containers/x/update; GET /events?until=1; GET /events?since=5&until=1; GET /events?since=x
"""


def test_what_is_not_there(both: Both) -> None:
    for each in UNKNOWN.replace("\n", ";").split(";"):
        if each.strip():
            method, path = each.split()
            both(method, path, {} if path.endswith(("/update", "/create")) else None)
    both("POST", "/containers/x/exec", {"Cmd": ["true"]})
    both("POST", "/exec/x/start", {})
    for verb in ("connect", "disconnect"):
        both("POST", f"/networks/x/{verb}", {"Container": "y"})
        both("POST", f"/networks/x/{verb}", {})


def test_bodies_that_are_none(both: Both) -> None:
    for path in (
        "/containers/create",
        "/containers/x/exec",
        "/exec/x/start",
        "/networks/create",
        "/networks/x/connect",
        "/containers/x/update",
        "/commit?container=x",
    ):
        for body in (b"{", b"x", b"[]", b'"a"', b'{"Image":1,"Cmd":1,"Name":1,"Container":1,"Memory":"x","Detach":1}'):
            both("POST", path, body, {"Content-Type": "application/json"})
        both("POST", path, b"{}", {"Content-Type": "text/plain"})


CONFLICTS: list[dict[str, Any]] = [
    {"Memory": 1},
    {"Memory": -1},
    {"MemorySwap": 1},
    {"Memory": 64 << 20, "MemorySwap": 32 << 20},
    {"Memory": 64 << 20, "MemoryReservation": 128 << 20},
    {"MemoryReservation": 1},
    {"MemorySwappiness": 101},
    {"NanoCpus": -1},
    {"NanoCpus": 10**15},
    {"NanoCpus": 10**9, "CpuPeriod": 1000},
    {"CpuPeriod": 1},
    {"CpuQuota": 1},
    {"CpusetCpus": "99"},
    {"CpusetCpus": "x"},
    {"CpusetMems": "9"},
    {"ShmSize": -1},
    {"OomScoreAdj": 2000},
    {"Binds": ["/tmp:/x", "/tmp:/x"]},
    {"Mounts": [{"Type": "bind", "Source": "/nosuch", "Target": "/x"}]},
    {"Mounts": [{"Type": "bind", "Target": "/x"}]},
    {"Mounts": [{"Type": "bind", "Source": "rel", "Target": "/x"}]},
    {"Mounts": [{"Type": "bind", "Source": "/tmp"}]},
    {"Mounts": [{"Type": "bind", "Source": "/tmp", "Target": "/"}]},
    {"Mounts": [{"Type": "nosuch", "Source": "/tmp", "Target": "/x"}]},
    {"Mounts": [{"Source": "/tmp", "Target": "/x"}]},
    {"Mounts": [{"Type": "volume", "Source": "v", "Target": "rel"}]},
    {"Mounts": [{"Type": "tmpfs", "Source": "x", "Target": "/x"}]},
    {"Mounts": [{"Type": "bind", "Source": "/tmp", "Target": "/x", "VolumeOptions": {}}]},
    {"Mounts": [{"Type": "volume", "Target": "/x", "BindOptions": {}}]},
    {"RestartPolicy": {"Name": "nosuch"}},
    {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 1}},
    {"RestartPolicy": {"Name": "always"}, "AutoRemove": True},
    {"NetworkMode": "container:"},
    {"NetworkMode": "container:base", "Links": ["base:b"]},
    {"NetworkMode": "host", "Links": ["base:b"]},
    {"NetworkMode": "container:base", "Dns": ["1.1.1.1"]},
    {"NetworkMode": "container:base", "ExtraHosts": ["a:1.1.1.1"]},
    {"NetworkMode": "container:base", "PublishAllPorts": True},
    {"IpcMode": "container:nosuch"},
    {"PidMode": "container:nosuch"},
    {"CgroupnsMode": "nosuch"},
    {"Isolation": "hyperv"},
    {"Runtime": "nosuch"},
    {"LogConfig": {"Type": "json-file", "Config": {"nosuch": "1"}}},
    {"ExtraHosts": ["x"]},
    {"ExtraHosts": ["x:y"]},
    {"VolumesFrom": ["nosuch"]},
    {"PortBindings": {"x": [{}]}},
    {"PortBindings": {"80/tcp": [{"HostPort": "x"}]}},
]
CONFIGURATIONS: list[dict[str, Any]] = [
    {"Image": "nosuch"},
    {"Image": "UPPER"},
    {"Image": "a b"},
    {"Image": "sha256:" + "0" * 64},
    {"WorkingDir": "rel"},
    {"StopSignal": "x"},
    {"Env": ["=x"]},
    {"Healthcheck": {"Interval": 1}},
    {"Healthcheck": {"Retries": -1}},
    {"NetworkingConfig": {"EndpointsConfig": {"bridge": None}}},
]


def test_containers_that_cannot_be(both: Both) -> None:
    create(both, "base")
    for host in CONFLICTS:
        both("POST", "/containers/create", {"Image": "plain", "Cmd": ["true"], "HostConfig": {**NO_NETWORK, **host}})
    for config in CONFIGURATIONS:
        both("POST", "/containers/create", {"Image": "plain", "Cmd": ["true"], "HostConfig": NO_NETWORK, **config})
    for name in ("base", "a", "a+b", "-a", "/"):
        both("POST", f"/containers/create?name={name}", {"Image": "plain", "Cmd": ["true"]})


def test_the_life_of_a_container(both: Both) -> None:
    create(both, "web", Env=["A=b"], Labels={"x": "y"}, ExposedPorts={"80/tcp": {}}, Healthcheck={"Test": ["NONE"]})
    for verb in ("pause", "unpause", "kill", "stop"):
        both("POST", f"/containers/web/{verb}")
    both("GET", "/containers/web/top")
    both("GET", "/containers/web/json")
    both("POST", "/containers/web/start")
    both("POST", "/containers/web/start")
    wait_until(lambda: all(b"ready" in each.body for each in both("GET", "/containers/web/logs?stdout=1")))
    both("GET", "/containers/web/json")
    both("GET", "/containers/json?size=1")
    for query in ("stdout=1&stderr=1", "stdout=1&tail=0", "stdout=1&tail=x", "stdout=1&until=1", "stderr=1&since=1.5"):
        theirs, ours = both("GET", f"/containers/web/logs?{query}")
        assert theirs.body == ours.body
    for query in ("signal=nosuch", "signal=99", "signal=0", "signal=SIGWINCH"):
        both("POST", f"/containers/web/kill?{query}")
    for query in ("stop?t=x", "restart?t=x", "resize?h=1", "rename?name=", "rename?name=web", "rename?name=a+b"):
        both("POST", f"/containers/web/{query}")
    both("POST", "/containers/web/pause")
    both("GET", "/containers/json")
    both("POST", "/containers/web/pause")
    both("POST", "/containers/web/exec", {"Cmd": ["true"]})
    both("POST", "/containers/web/unpause")
    both("POST", "/containers/web/unpause")
    both("DELETE", "/containers/web")
    for change in ({}, {"Memory": 1}, {"Memory": "x"}, {"CpusetCpus": "99"}, {"CpuShares": 100}, {"PidsLimit": 10}):
        both("POST", "/containers/web/update", change)
    both("POST", "/containers/web/rename?name=other")
    both("POST", "/containers/other/stop?t=9")
    both("POST", "/containers/other/stop")
    both("GET", "/containers/other/json")
    both("POST", "/containers/other/wait")
    both("POST", "/containers/other/kill")
    both("GET", "/containers/json?all=1")
    both("DELETE", "/containers/other")
    both("DELETE", "/containers/other")


def test_starts_that_fail(both: Both) -> None:
    create(both, "base")
    for name, fields in (
        ("absent", {"Cmd": ["nosuch"]}),
        ("directory", {"Cmd": ["/etc"]}),
        ("joining", {"HostConfig": {"NetworkMode": "container:base"}}),
    ):
        create(both, name, **fields)
        both("POST", f"/containers/{name}/start")
    for name in ("absent", "directory"):
        theirs, ours = both("GET", f"/containers/{name}/json")
        assert theirs.json()["State"]["ExitCode"] == ours.json()["State"]["ExitCode"]
    both.differences = [each for each in both.differences if ".State.Error" not in each]  # who says it is another


def test_commands_in_a_container(both: Both) -> None:
    create(both, "web")
    both("POST", "/containers/web/start")
    wrong: Any
    for wrong in ({}, {"Cmd": []}, {"Cmd": "true"}, {"Cmd": ["true"], "DetachKeys": "zz"}):
        both("POST", "/containers/web/exec", wrong)
    body: dict[str, Any] = {
        "Cmd": ["sh", "-c", "echo out$A$PWD; exit 3"],
        "AttachStdout": True,
        "Env": ["A=b"],
        "WorkingDir": "/tmp",
    }
    both("POST", "/containers/web/exec", body, keep={"command": lambda answer: str(answer["Id"])})
    both("GET", "/exec/{command}/json")
    theirs, ours = both("POST", "/exec/{command}/start", {"Detach": False})
    assert theirs.body[8:] == ours.body[8:]  # in how many frames is a matter of time
    both("GET", "/exec/{command}/json")
    both("POST", "/exec/{command}/start", {"Detach": False})


def test_files_of_a_container(both: Both) -> None:
    create(both, "web")
    for path in ("", "?path=", "?path=/nosuch", "?path=/etc/nosuch/x", "?path=/bin/busybox"):
        for method in ("HEAD", "GET"):
            both(method, f"/containers/web/archive{path}")
    for path, data in (
        ("/tmp", b"garbage"),
        ("/etc/passwd", b""),
        ("/tmp", archive(file=b"bytes")),
        ("/nosuch", archive(file=b"bytes")),
        ("/&noOverwriteDirNonDir=true", archive(tmp=b"x")),
    ):
        both("PUT", f"/containers/web/archive?path={path}", data)
    both("GET", "/containers/web/changes")
    copies = [each.body for each in both("GET", "/containers/web/archive?path=/tmp/file")]
    entries = [tarfile.open(fileobj=io.BytesIO(each)).getmember("file") for each in copies]
    assert len({(each.size, each.mode & 0o7777, each.mtime, each.uid, each.type) for each in entries}) == 1


def test_images(both: Both) -> None:
    for path in ("plain/json", "plain:latest/json", "plain/history", "docker.io/library/plain/json"):
        both("GET", f"/images/{path}")
    for query in (
        "repo=UPPER",
        "repo=a+b",
        "repo=x&tag=a+b",
        "",
        "repo=x@sha256:" + "0" * 64,
        "repo=" + "0" * 64,
        "repo=ok&tag=1",
        "repo=ok:2&tag=3",
        "repo=127.0.0.1:5000/a/b&tag=t",
    ):
        both("POST", f"/images/plain/tag?{query}")
    for said in (
        {"reference": ["ok"]},
        {"reference": ["*/*/b"]},
        {"dangling": ["x"]},
        {"before": ["nosuch"]},
        {"before": ["plain"]},
        {"nosuch": ["x"]},
    ):
        both("GET", f"/images/json?{filters(**said)}")
    for name in (
        "ok:1",
        "sha256:" + "0" * 64,
        "0" * 12,
        "UPPER",
        "127.0.0.1:5000/a/b:t",
        "ok@sha256:" + "0" * 64,
        "ok:2",
    ):
        both("GET", f"/images/{name}/json")
    create(both, "user", Image="ok:1")
    both("POST", "/containers/user/start")
    both("POST", "/commit?container=user&repo=ok&tag=1")
    both("GET", "/containers/json")  # the container's image is called by its ID now
    for name in ("ok:1", "127.0.0.1:5000/a/b:t", "ok:3", "plain?noprune=x", "plain", "nosuch:1"):
        both("DELETE", f"/images/{name}")
    both("POST", "/images/prune?" + filters(dangling=["x"]))
    both("POST", "/images/load", b"garbage", {"Content-Type": "application/x-tar"})
    both.differences = [each for each in both.differences if "/images/load" not in each]  # each says it its own way
    for query in ("fromImage=UPPER", "fromImage=x&tag=a+b", "fromSrc=-&repo=UPPER", "fromSrc=-&changes=NOSUCH"):
        both("POST", f"/images/create?{query}", b"" if "fromSrc" in query else None)
    both("POST", "/images/create?fromSrc=-&repo=imported", archive(file=b"x"))
    both("GET", "/images/imported/json")
    both("DELETE", "/images/imported")
    both("POST", "/commit?container=user&repo=made&comment=c&author=a&changes=ENV+x=y", {"Labels": {"a": "b"}})
    both("GET", "/images/made/json")
    both("POST", "/commit?container=user&repo=UPPER")
    both("POST", "/commit?container=user&changes=RUN+x")
    both("DELETE", "/images/made")


def test_networks(both: Both) -> None:
    def network(**said: Any) -> None:
        both("POST", "/networks/create", said)

    one = {"Config": [{"Subnet": "10.77.0.0/24", "Gateway": "10.77.0.1", "AuxiliaryAddresses": {"a": "10.77.0.5"}}]}
    network(Name="one", IPAM=one, Labels={"a": "b"}, Internal=True, Attachable=True)
    network(Name="one", CheckDuplicate=True)
    for name in ("bridge", "host", "none", "default", ""):
        network(Name=name)
    network(Name="two", IPAM={"Config": [{"Subnet": "10.77.0.0/24"}]})
    both.differences = [each for each in both.differences if "status 403" not in each]  # a conflict, ours says
    network(Name="two", IPAM={"Config": [{"Subnet": "x"}]})
    network(Name="two", Scope="swarm")
    for name in ("one", "host", "none"):
        both("GET", f"/networks/{name}")
    for said in (
        {"driver": ["host"]},
        {"label": ["a=b"]},
        {"type": ["custom"]},
        {"nosuch": ["x"]},
        {"type": ["x"]},
    ):
        both("GET", f"/networks?{filters(**said)}")
    create(both, "web", HostConfig={"NetworkMode": "one"})
    both("POST", "/containers/web/start")
    both("GET", "/containers/web/json")
    both("DELETE", "/networks/one")
    for container, answers in (("web", {"EndpointConfig": 5}), ("nosuch", {}), (5, {})):
        both("POST", "/networks/one/connect", {"Container": container, **answers})
    both("POST", "/networks/one/disconnect", {"Container": "web"})
    both(
        "POST",
        "/networks/one/connect",
        {"Container": "web", "EndpointConfig": {"IPAMConfig": {"IPv4Address": "10.77.0.9"}}},
    )
    for path in ("one", "bridge", "host"):
        both("DELETE", f"/networks/{path}")
    both("POST", "/containers/web/kill")
    both("DELETE", "/containers/web")
    both("DELETE", "/networks/one")
    both("DELETE", "/networks/one")


def test_volumes(both: Both) -> None:
    tmpfs = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}
    for said in (
        {"Name": "one", "Labels": {"a": "b"}},
        {"Name": "one"},
        {"Name": "x"},
        {"Name": "a b"},
        {"Name": "two", "DriverOpts": {"nosuch": "x"}},
        {"Name": "two", "DriverOpts": {"type": "tmpfs"}},
        {"Name": "two", "DriverOpts": tmpfs},
        {"Name": "three", "Labels": 5},
    ):
        both("POST", "/volumes/create", said)
    for name in ("one", "two"):
        both("GET", f"/volumes/{name}")
    for chosen in ({"name": ["one"]}, {"label": ["a"]}, {"label": ["a=c"]}, {"dangling": ["x"]}, {"nosuch": ["x"]}):
        both("GET", f"/volumes?{filters(**chosen)}")
    create(both, "user", HostConfig={**NO_NETWORK, "Binds": ["one:/v:ro"]})
    both("GET", "/containers/user/json")
    both("DELETE", "/volumes/one")
    both("DELETE", "/containers/user")
    for name in ("one", "one", "one?force=1", "two"):
        both("DELETE", f"/volumes/{name}")


def test_lists_and_their_filters(both: Both) -> None:
    create(both, "first", Labels={"a": "b"})
    create(both, "second", Cmd=["true"])
    both("POST", "/containers/second/start")
    both("POST", "/containers/second/wait")
    for said in (
        {"status": ["exited"]},
        {"status": ["nosuch"]},
        {"exited": ["0"]},
        {"label": ["a"]},
        {"label": {"a=b": True}},
        {"nosuch": ["x"]},
        {"id": ["zz"]},
        {"name": ["^/first$"]},
        {"ancestor": ["plain"]},
        {"ancestor": ["nosuch"]},
        {"before": ["second"]},
        {"since": ["first"]},
        {"since": ["nosuch"]},
        {"volume": ["x"]},
        {"network": ["none"]},
        {"health": ["none"]},
        {"is-task": ["true"]},
        {"is-task": ["x"]},
        {"isolation": ["default"]},
    ):
        both("GET", f"/containers/json?all=1&{filters(**said)}")
    for text in ("x", "[]", '{"a":1}', "null", '{"label":{"x":1}}'):
        both("GET", f"/containers/json?all=1&filters={quote(text)}")
    both("GET", "/containers/json?limit=1")
    for path in ("containers", "images", "networks", "volumes"):
        both("POST", f"/{path}/prune?" + filters(nosuch=["x"]))
    both("POST", "/containers/prune?" + filters(label=["a"]))
