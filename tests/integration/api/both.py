"""One question to Debian's dockerd and to ours, and what their answers differ in beyond what is known to.

What differs by design is listed here, each with its reason. dockerd is version 20.10; where later ones answer otherwise,
ours does as they do.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tests.integration.api.served import ask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.integration.api.served import Answer

#: The version that both speak.
VERSION = "/v1.41"

#: Fields that differ by design: a pattern of where they are, and why.
FIELDS = {
    r"\.(Driver|GraphDriver\..*|DriverStatus.*)": "the storage is another one",
    r"\.(ResolvConfPath|HostnamePath|HostsPath|LogPath|SandboxKey|SandboxID|Mountpoint|Source|DockerRootDir)": "each "
    "engine has its own directories, and says where files will be before they are there",
    r"\.(Size|SizeRw|SizeRootFs|VirtualSize|SharedSize|LayersSize|SpaceReclaimed)": "each counts its own storage",
    r"\.(Created|StartedAt|FinishedAt|LastTagTime|Status|CreatedAt|Pid|time|timeNano)": "times and processes are each engine's own",
    r"\.HostConfig\.(Runtime|MaskedPaths.*|ReadonlyPaths.*|CgroupnsMode)": "the runtime is another one, and isolates more",
    r"\.HostConfig\.(Annotations|Mounts|Sysctls|Tmpfs|Init|StorageOpt)": "what is not set is shown, or left out",
    r"\.HostConfig\.(PidsLimit|RestartPolicy\.Name|Kernel.*|OomKillDisable)": "newer versions say 'no' for none, and have no kernel memory",
    r"\.Config\.(StopSignal|StopTimeout|Image|Hostname)": "what was not said is shown as it will be",
    r"\.(Rootfs|ImageManifestDescriptor|Descriptor|Snapshots)(\..*)?": "there is more to say, some of it since API 1.48",
    r"\.(Container|ContainerConfig|DockerVersion|BuilderSize)(\..*)?": "removed in API 1.45, or of the older builder",
    r".*\.(Aliases|DNSNames|GwPriority|EnableIPv4|DriverOpts)": "as in the description of API 1.51",
    r".*\.(NetworkID|EndpointID|MacAddress|Gateway|IPAddress|IPPrefixLen|Options\.com\.docker.*)": "networks are each engine's own",
    r"\.Containers\..*": "a network of nothing has nobody",
    r"\.Config\.Env\[\d\]": "what a commit adds comes last",
    r".*\.IPAM\.Config.*": "networks are each engine's own",
    r".*\.Mounts\[\d+\]\.(Mode|Propagation)": "dockerd names SELinux's mode, and makes mounts above its own directory slaves",
    r"\.(CachesDeleted|BuildCache).*": "builds keep other things",
    r"\.ProcessConfig\.user": "an empty user is shown",
}
#: Texts of errors that differ by design: the request, and why.
TEXTS = {
    r"DELETE /networks/.*": "ours says whose the endpoints are",
    r"POST /networks/create .*": "dockerd 20.10 speaks of its libraries' parts there, ours of the rules",
    r"GET /distribution/.*": "the registry's client is another one",
    r"POST /containers/create .*(RestartPolicy|Runtime|Isolation|LogConfig|CgroupnsMode).*": "worded as in version 28",
    r"(GET|POST) .*filters=.*": "ours says what the filter may be",
    r"GET /events.*": "ours says what a time may be",
    r"GET .*(since|until)=x.*": "ours says what a time may be",
    r"DELETE /containers/\S+ .*": "worded as in version 28",
    r"POST /containers/\S+/(exec|kill|pause|unpause|resize|rename|restart|start|update).*": "worded as in version 28",
    r"POST /exec/\S+ .*": "worded as in version 28",
    r"PUT /containers/\S+/archive.*": "ours says what is wrong with the archive, or its place",
    r"(GET|DELETE) /images/.*": "worded as in version 28",
    r"POST /images/\S+/tag.*": "ours says which rule is broken",
    r"POST /volumes/create .*": "ours says which rule is broken",
    r"GET /containers/\S+/logs.*": "the container is looked for first",
    r"GET /containers/\S+/archive.*": "a blank was missing",
    r"POST /session.*": "BuildKit's protocol is not served",
    r"POST /containers/create .*Env.*": "ours says what a variable is",
    r"POST /commit.*": "the container is looked for first",
    r"POST /build.*": "worded as newer builders do",
}
#: Status codes that differ by design: the request, dockerd's and ours, and why.
STATUSES = {
    (r".*", 500, 400): "since version 23 bad input is the client's mistake everywhere",
    (r".*", 500, 404): "since version 23 what is not there is not found everywhere",
    (r".*", 500, 409): "since version 23 a state that does not allow something is a conflict everywhere",
    (r"GET /containers/\S+/logs.*", 400, 404): "the container is looked for first",
    (r"POST /exec/x/start .*", 400, 404): "the command is looked for first",
    (r"GET /images/get.*", 200, 400): "an archive of nothing is nobody's wish",
    (r"GET /distribution/.*", 500, 502): "the registry is to blame",
    (r"POST /session.*", 400, 501): "BuildKit's protocol is not served",
    (r"POST /containers/\S+/stop\?signal=.*", 204, 400): "the signal is since API 1.42",
    (r"POST /containers/\S+/wait\?condition=.*", 200, 400): "unknown conditions are refused since version 23",
    (r"POST /networks/create .*", 201, 400): "ours knows at once what cannot be",
    (r"POST /networks/create .*", 201, 409): "a name is used once since API 1.44",
    (r"POST /networks/create .*", 404, 201): "addresses of version 6 have a pool since version 27",
    (r"POST /networks/create .*", 403, 201): "bridges may have several subnets",
    (r"POST /volumes/create .*", 201, 400): "what follows the document is refused since version 23",
    (r"POST /containers/create .*", 201, 400): "ours knows at once what could not be started",
    (r"POST /exec/\S+ .*", 200, 409): "the conflict is told by the status",
    (r"GET /containers/json.*name.*", 200, 400): "what is no pattern is refused",
    (r"GET /networks.*scope.*", 200, 400): "an unknown scope is refused",
    (r"POST /images/\S+/push", 400, 200): "credentials may be absent since version 24",
}
_ID = re.compile(r"\b([0-9a-f]{64}|[0-9a-f]{12})\b")


class Both:
    """dockerd and ours, asked the same; ``kept`` is what was remembered of the answers, for each, by name."""

    def __init__(self, dockerd: str, ours: str) -> None:
        self._places = (dockerd, ours)
        self.kept: tuple[dict[str, str], dict[str, str]] = ({}, {})
        self.differences: list[str] = []

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        *,
        keep: Mapping[str, Callable[[Any], str]] | None = None,
    ) -> tuple[Answer, Answer]:
        """Ask both; ``{name}`` in the path is what was kept. What differs is added to ``differences``."""
        answers = []
        for place, kept in zip(self._places, self.kept, strict=True):
            answer = ask(place, method, VERSION + _filled(path, kept), body, headers)
            for name, find in (keep or {}).items():
                kept[name] = find(answer.json())
            answers.append(answer)
        theirs, ours = answers
        asked = f"{method} {path} {json.dumps(body) if body is not None and not isinstance(body, bytes) else ''}"
        self.differences += [f"{asked}: {each}" for each in _differences(asked, theirs, ours)]
        return theirs, ours

    def agree(self) -> None:
        """Fail if anything differed, with all of it."""
        found, self.differences = self.differences, []
        assert not found, "\n".join(["", *found])


def _filled(path: str, kept: dict[str, str]) -> str:
    for name, value in kept.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def _differences(asked: str, theirs: Answer, ours: Answer) -> Iterator[str]:
    statuses = (theirs.status, ours.status)
    if theirs.status != ours.status and not any(
        re.fullmatch(pattern, asked) and statuses == (was, now) for pattern, was, now in STATUSES
    ):
        yield f"status {theirs.status} of dockerd's, {ours.status} of ours: {ours.body.decode()!r}"
        return
    if max(statuses) >= 400:
        worded = min(statuses) < 400 or _says_the_same(theirs, ours)
        if not worded and not any(re.fullmatch(pattern, asked) for pattern in TEXTS):
            yield f"dockerd says {theirs.body.decode()!r}, ours {ours.body.decode()!r}"
        return
    if "json" not in ours.headers.get("content-type", "") or "json" not in theirs.headers.get("content-type", ""):
        return
    for where, theirs_, ours_ in _unlike(_plain(theirs), _plain(ours), ""):
        if not any(re.fullmatch(f".*{pattern}", where) for pattern in FIELDS):
            yield f"{where} is {theirs_!r} with dockerd, {ours_!r} with ours"


def _says_the_same(theirs: Answer, ours: Answer) -> bool:
    """Whether ours says all that dockerd does; the first letter's case, and what goes before, have changed with its versions."""
    if not theirs.body or "json" not in theirs.headers.get("content-type", ""):
        return True
    said, says = _ID.sub("", theirs.message).lower(), _ID.sub("", ours.message).lower()
    if "json: cannot unmarshal" in said:
        return "json: cannot unmarshal" in says
    if said.startswith("content-type specified"):
        return says.startswith("unsupported content-type header")
    return said.rstrip(" .") in says or says in said or says.removeprefix("invalid json: ") in said


def _plain(answer: Answer) -> Any:
    try:
        return answer.json()
    except ValueError:
        return [json.loads(line) for line in answer.body.splitlines()]


def _unlike(theirs: Any, ours: Any, where: str) -> Iterator[tuple[str, object, object]]:
    """What two values differ in; nothing of one kind is like nothing of another."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted(set(theirs) | set(ours)):
            yield from _unlike(theirs.get(key), ours.get(key), f"{where}.{key}")
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for number, (one, other) in enumerate(zip(theirs, ours, strict=True)):
            yield from _unlike(one, other, f"{where}[{number}]")
    elif (theirs or None) != (ours or None) and _nameless(theirs) != _nameless(ours):
        yield where, theirs, ours


def _nameless(value: object) -> object:
    return _ID.sub("<id>", value) if isinstance(value, str) else value
