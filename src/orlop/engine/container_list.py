"""The containers of an engine as lists show them: which are wanted, and their status in Docker's words."""

from __future__ import annotations

from orlop.engine import container, pausing, repair
from orlop.errors import NotFound, OrlopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from orlop.engine.container import Container
    from orlop.engine.location import Location
    from orlop.engine.ports import Ports
    from orlop.filters import Filter, Wanted

#: The states of containers that are listed without being asked for.
RUNNING = ("running", "paused", "restarting")
#: All states of containers.
STATES = ("created", "dead", "exited", "paused", "removing", "restarting", "running")


class Listed:
    """A container, and its state at the time."""

    __slots__ = ("created", "health", "record", "state", "target")

    def __init__(self, target: Container, ended: dict[str, Any] | None) -> None:
        self.target = target
        self.record = target.record
        self.created = str(target.record["Created"])
        self.state = ended or pausing.state(target)
        self.health = "none"
        if "Healthcheck" in self.record["Config"]:
            from orlop.engine import health

            known = health.state(target, running=self.state["Running"])
            self.health = known["Status"] if known is not None else "none"

    def command(self) -> str:
        """What it runs, with words that have blanks between quotes, as Docker lists it."""
        words = (f"'{each}'" if " " in each else each for each in self.record["Args"])
        return " ".join((self.record["Path"], *words))

    def mounts(self) -> list[str]:
        """The names of its volumes and the sources of its bind mounts."""
        return [each.get("Name") or each["Source"] for each in self.record.get("Mounts", ())]

    def networks(self) -> list[str]:
        """The names of the networks that it is on, or would be if it ran; or whose network it has."""
        from orlop.engine import network_mode

        found = list(network_mode.wanted(self.record, everything=True))
        return found or [self.record["HostConfig"]["NetworkMode"]]

    def ports(self) -> Ports:
        """What of its ports can be reached just now."""
        from orlop.engine import ports

        return ports.settings(self.target, is_running=self.state["Running"])

    def destinations(self) -> list[str]:
        """Where they are mounted."""
        return [each["Destination"] for each in self.record.get("Mounts", ())]

    def status(self) -> str:
        """Its state in words: ``Up 5 minutes (healthy)``."""
        from orlop import ago

        state = self.state
        if state["Status"] == "running":
            words = {"none": "", "starting": " (health: starting)"}.get(self.health, f" ({self.health})")
            return f"Up {ago.since(state['StartedAt'])}{words}"
        if state["Status"] == "restarting":
            return f"Restarting ({state['ExitCode']}) {ago.since(state['FinishedAt'])} ago"
        if state["Status"] == "paused":
            return f"Up {ago.since(state['StartedAt'])} (Paused)"
        if state["Status"] == "exited":
            return f"Exited ({state['ExitCode']}) {ago.since(state['FinishedAt'])} ago"
        return str(state["Status"]).capitalize()


class ImageNames:
    """What containers' images are called now: by the name that was given, or by the ID if that name means another image."""

    __slots__ = ("_directory", "_every", "_ids")

    def __init__(self, location: Location) -> None:
        self._directory = f"{location.root}/images"
        #: What the names that were asked for mean, and all names once one was not found quickly.
        self._ids: dict[str, str] = {}
        self._every: dict[str, str] | None = None

    def of(self, record: Mapping[str, Any]) -> str:
        """The name of a container's image, or its ID."""
        name, image_id = str(record["Config"]["Image"]), str(record["Image"])
        # Nothing can have happened to a directory, nor to a name that is an ID or has a digest.
        if not record.get("Manifest") or "@" in name or image_id[7:].startswith(name.removeprefix("sha256:")):
            return name
        if name not in self._ids:
            self._ids[name] = self._meant(name)
        return name if self._ids[name] == image_id else image_id

    def _meant(self, name: str) -> str:
        from orlop.images import index, reference

        try:
            whole = str(reference.parse(name).with_default_tag())
            entry = index.find(self._directory, whole)
            if entry is not None:
                return entry.id
            if self._every is None:
                self._every = {each.name: each.id for each in index.read(self._directory)}
        except OrlopError:
            return ""  # it cannot be known, because the index is damaged: the ID is true in any case
        return self._every.get(whole, "")


def listed(location: Location, wanted: Wanted, *, everything: bool = False, last: int = 0) -> list[Listed]:
    """The containers that run, the newest first; with ``everything``, or a filter for a status, those that do not as well.

    ``last`` is how many of the newest at most, whether they run or not; 0 is no limit.

    Raises:
        OrlopError: a record is damaged.
    """
    ended: Mapping[str, dict[str, Any]] = repair.everything(location)
    everything = everything or last > 0 or "status" in wanted.keys
    found = []
    for container_id in container.every_id(location):
        try:
            each = Listed(container.Container(location, container_id), ended.get(container_id))
        except NotFound:
            continue  # removed while we looked
        if (everything or each.state["Status"] in RUNNING) and wanted(each):
            found.append(each)
    found.sort(key=lambda each: each.created, reverse=True)
    return found[:last] if last > 0 else found


def tests(location: Location) -> dict[str, Filter]:
    """Docker's filters, as far as orlop's containers have what they ask for."""
    from orlop import filters
    from orlop.engine import ports

    def before(name: str) -> Any:
        moment = container.find(location, name).record["Created"]
        return lambda each: each.created < moment

    plain = filters.pattern(lambda each: each.target.name)
    with_slash = filters.pattern(lambda each: f"/{each.target.name}")  # as Docker's API writes it

    def name(text: str) -> Any:
        one, other = plain(text), with_slash(text)
        return lambda each: one(each) or other(each)

    def network(name: str) -> Any:
        from orlop.network import store

        try:
            meant = store.find(location.networks, name)
            known = {name, meant.name, meant.id}
        except OrlopError:
            known = {name}  # of one that is gone containers may still be
        return lambda each: not known.isdisjoint(each.networks())

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
        "name": name,
        "network": network,
        "publish": _ports(lambda each: ports.of_host(each.ports())),
        "since": since,
        "status": filters.same(lambda each: each.state["Status"], *STATES),
        "volume": filters.contains(lambda each: [*each.mounts(), *each.destinations()]),
    }


def _named(text: str) -> Callable[[Any], bool]:
    """Containers in whose name the pattern is found, be it with the slash that Docker's API puts before it: ``^/web$``."""
    from orlop import filters

    found_in = filters.pattern(str)(text)
    return lambda each: found_in(each.target.name) or found_in(f"/{each.target.name}")


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
