"""``orlop ps``."""

from __future__ import annotations

from orlop.options import Option, Parser, integer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from orlop.engine.container import Container
    from orlop.engine.location import Location
    from orlop.filters import Filter
    from orlop.options import Parsed

PARSER = Parser(
    "orlop ps",
    "",
    "List containers",
    (
        Option("-a, --all", "Show all containers (default shows just running)"),
        Option("-f, --filter", "Filter output based on conditions provided", value="filter", many=True),
        Option("--format", "'table', 'table TEMPLATE', 'json', or a template such as '{{.Names}}'", value="string"),
        Option("-n, --last", "Show n last created containers (includes all states)", value="int", read=integer),
        Option("-l, --latest", "Show the latest created container (includes all states)"),
        Option("--no-trunc", "Don't truncate output"),
        Option("-q, --quiet", "Only display container IDs"),
        Option("-s, --size", "Display total file sizes"),
    ),
    at_most=0,
)

_COLUMNS = (
    ("CONTAINER ID", "ID"),
    ("IMAGE", "Image"),
    ("COMMAND", "Command"),
    ("CREATED", "RunningFor"),
    ("STATUS", "Status"),
    ("PORTS", "Ports"),
    ("NAMES", "Names"),
)
_SIZE = ("SIZE", "Size")
_RAW = (
    ("container_id", "ID"),
    ("image", "Image"),
    ("command", "Command"),
    ("created_at", "CreatedAt"),
    ("state", "State"),
    ("status", "Status"),
    ("names", "Names"),
    ("labels", "Labels"),
    ("ports", "Ports"),
)
_RUNNING = ("running", "paused", "restarting")
_STATES = ("created", "dead", "exited", "paused", "removing", "restarting", "running")
_LONGEST_COMMAND = 20
_LONGEST_MOUNT = 15


class _Listed:
    """A container, and its state at the time."""

    __slots__ = ("created", "health", "record", "state", "target")

    def __init__(self, target: Container, ended: dict[str, Any] | None) -> None:
        from orlop.engine import pausing

        self.target = target
        self.record = target.record
        self.created = str(target.record["Created"])
        self.state = ended or pausing.state(target)
        self.health = "none"
        if "Healthcheck" in self.record["Config"]:
            from orlop.engine import health

            known = health.state(target, running=self.state["Running"])
            self.health = known["Status"] if known is not None else "none"

    def mounts(self) -> list[str]:
        """The names of its volumes and the sources of its bind mounts."""
        return [each.get("Name") or each["Source"] for each in self.record.get("Mounts", ())]

    def destinations(self) -> list[str]:
        """Where they are mounted."""
        return [each["Destination"] for each in self.record.get("Mounts", ())]


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop import filters
    from orlop.cli import listing
    from orlop.engine import container, repair
    from orlop.errors import NotFound

    wanted = filters.read(said["filter"], _filters(location))
    ended = repair.everything(location)
    last = 1 if said["latest"] else said["last"] or 0
    everything = said["all"] or last > 0 or "status" in wanted.keys
    found = []
    for container_id in container.every_id(location):
        try:
            each = _Listed(container.Container(location, container_id), ended.get(container_id))
        except NotFound:
            continue  # removed while we looked
        if (everything or each.state["Status"] in _RUNNING) and wanted(each):
            found.append(each)
    found.sort(key=lambda each: each.created, reverse=True)
    sized = said["size"] or ".Size" in (said["format"] or "")
    if sized and location.rootless:
        from orlop.engine import own_namespace

        own_namespace.enter()  # where files of the user's subordinate ids can be seen
    listing.show(
        said["format"] or "table",
        (_row(each, full=said["no-trunc"], sized=sized) for each in found[: last if last > 0 else None]),
        (*_COLUMNS, _SIZE) if said["size"] else _COLUMNS,
        quiet="ID" if said["quiet"] else "",
        raw=(*_RAW, ("size", "Size")) if said["size"] else _RAW,
    )
    return 0


def _row(each: _Listed, *, full: bool, sized: bool) -> dict[str, Any]:
    from orlop import ago
    from orlop.cli.gotemplate.values import Method, quote

    record = each.record
    labels = record["Config"]["Labels"]
    command = " ".join([record["Path"], *record["Args"]])
    mounts = each.mounts()
    if not full:
        command = _shortened(command, _LONGEST_COMMAND)
        mounts = [_shortened(name, _LONGEST_MOUNT) for name in mounts]
    return {
        "Command": quote(command),
        "CreatedAt": ago.local(each.created),
        "ID": each.target.id if full else each.target.id[:12],
        "Image": record["Config"]["Image"],
        "Label": Method(lambda key: labels.get(key, "")),
        "Labels": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        "LocalVolumes": str(sum(point["Type"] == "volume" for point in record.get("Mounts", ()))),
        "Mounts": ",".join(mounts),
        "Names": each.target.name,
        "Networks": record["HostConfig"]["NetworkMode"],
        "Ports": "",
        "RunningFor": f"{ago.since(each.created)} ago",
        "Size": _size(each.target) if sized else "0B",
        "State": each.state["Status"],
        "Status": _status(each.state, each.health),
    }


def _size(target: Container) -> str:
    from orlop.cli import units
    from orlop.engine import container_size

    size = container_size.of(target)
    text = units.human_size(size.own, 3)
    return f"{text} (virtual {units.human_size(size.whole, 3)})" if size.whole else text


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _status(state: dict[str, Any], health: str) -> str:
    from orlop import ago

    if state["Status"] == "running":
        words = {"none": "", "starting": " (health: starting)"}.get(health, f" ({health})")
        return f"Up {ago.since(state['StartedAt'])}{words}"
    if state["Status"] == "restarting":
        return f"Restarting ({state['ExitCode']}) {ago.since(state['FinishedAt'])} ago"
    if state["Status"] == "paused":
        return f"Up {ago.since(state['StartedAt'])} (Paused)"
    if state["Status"] == "exited":
        return f"Exited ({state['ExitCode']}) {ago.since(state['FinishedAt'])} ago"
    return str(state["Status"]).capitalize()


def _filters(location: Location) -> dict[str, Filter]:
    """Docker's, as far as orlop's containers have what they ask for."""
    from orlop import filters
    from orlop.engine import container, ports

    def before(name: str) -> Any:
        moment = container.find(location, name).record["Created"]
        return lambda each: each.created < moment

    def since(name: str) -> Any:
        moment = container.find(location, name).record["Created"]
        return lambda each: each.created > moment

    return {
        "ancestor": lambda name: lambda each: _is_of(each.record, name),
        "before": before,
        "expose": _ports(lambda each: each.record["Config"].get("ExposedPorts") or ()),
        "exited": filters.number(lambda each: each.state["ExitCode"] if each.state["Status"] == "exited" else None),
        "health": filters.same(lambda each: each.health, "starting", "healthy", "unhealthy", "none"),
        "id": filters.prefix(lambda each: each.target.id),
        "is-task": filters.flag(lambda _: False),  # of a swarm
        "label": filters.label(lambda each: each.record["Config"]["Labels"]),
        "name": filters.pattern(lambda each: each.target.name),
        "network": filters.same(lambda each: each.record["HostConfig"]["NetworkMode"]),
        "publish": _ports(lambda each: ports.published(each.target)),
        "since": since,
        "status": filters.same(lambda each: each.state["Status"], *_STATES),
        "volume": filters.contains(lambda each: [*each.mounts(), *each.destinations()]),
    }


def _ports(of: Callable[[Any], Iterable[str]]) -> Filter:
    """Containers that have one of some ports: ``80``, ``80/udp``, ``8000-8080/tcp``."""

    def make(text: str) -> Callable[[Any], bool]:
        from orlop.options import natural

        numbers, slash, protocol = text.partition("/")
        first, dash, last = numbers.partition("-")
        low, high = natural(first), natural(last if dash else first)
        if low > high or high > 65535 or (slash and protocol not in ("tcp", "udp", "sctp")):
            raise ValueError("must be PORT or FROM-TO, with /tcp, /udp or /sctp or without")
        wanted = protocol or "tcp"

        def test(each: Any) -> bool:
            for port in of(each):
                number, _, kind = port.partition("/")
                if (kind or "tcp") == wanted and low <= int(number) <= high:
                    return True
            return False

        return test

    return make


def _is_of(record: dict[str, Any], image: str) -> bool:
    """Whether a container was made of an image, which is named as it was then, or by its ID."""
    name = record["Config"]["Image"]
    if image in (name, f"{name}:latest") or name == f"{image}:latest":
        return True
    return bool(image) and record["Image"].removeprefix("sha256:").startswith(image.removeprefix("sha256:"))
