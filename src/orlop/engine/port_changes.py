"""Publishing and unpublishing ports of a container that is there, also while it runs.

The record is what counts: it is replaced first, after the ports that are new were claimed, and what is in force is then
made to be what the record says. A mark, ``<run root>/altering-ports/<id>``, is there meanwhile, by which the next command
finishes that if it was broken off (`finish`). Everything holds for later starts as well.
"""

from __future__ import annotations

import _socket
import contextlib
import os
import sys
import time

from orlop.engine import (
    container,
    control_socket,
    events,
    frames,
    monitor_lock,
    network_mode,
    port_holder,
    publishing,
    repair,
)
from orlop.errors import Conflict, InvalidArgument, NotFound, OrlopError
from orlop.network import endpoint
from orlop.network.ports import claims, published, specification
from orlop.network.ports import publishing as network
from orlop.network.ports.published import InForce

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from orlop.engine.location import Location
    from orlop.network.ports.published import Published

    Bindings = dict[str, list[dict[str, Any]]]

_ROOM = _socket.CMSG_SPACE(4)
#: Seconds that a monitor has for an answer.
_PATIENCE = 10


def publish(target: container.Container, wanted: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Published]:
    """Publish more ports: ``wanted`` are Docker's ``PortBindings`` (`orlop.network.ports.specification.bindings`).

    Returns what is in force of them now; nothing of a container that does not run, whose next start publishes them.

    Raises:
        Conflict: somebody has the port, whom the message names; or the container is restarting.
        InvalidArgument: the container has no network whose ports could be published.
        NotFound: the container was removed.
        OrlopError: as `orlop.network.ports.claims.Claims.add`.
    """
    with _Change(target) as change:
        before = change.bindings()
        for port, more in wanted.items():
            for binding in more:
                if binding in before.get(port, ()):
                    raise Conflict(f"container {change.name} publishes {_shown(port, binding)} already")
        after = {port: [*before.get(port, ()), *wanted.get(port, ())] for port in {**before, **wanted}}
        found = change.claim(wanted)
        change.write(after)
        change.settle()
    _tell(target, "publish", wanted)
    return found


def unpublish(target: container.Container, texts: Sequence[str]) -> None:
    """Publish ports no more: each of ``texts`` is what ``-p`` takes, or a container's port, which means all that leads there.

    Connections that there are end.

    Raises:
        NotFound: one of them is not published, or the container was removed.
        InvalidArgument: a text is neither.
        Conflict: the container is restarting.
    """
    gone: Bindings = {}
    with _Change(target) as change:
        after = change.bindings()
        for text in texts:
            for port, binding in change.find(text, after):
                after[port].remove(binding)
                gone.setdefault(port, []).append(binding)
        change.write({port: bindings for port, bindings in after.items() if bindings})
        change.settle()
    _tell(target, "unpublish", gone)


@contextlib.contextmanager
def follow(target: container.Container) -> Iterator[None]:
    """Afterwards, have the ports of a container lead to the addresses that it has then: what is done changes its networks.

    Raises:
        OrlopError: a port that was not in force until then is somebody's, or the kernel refused.
    """
    if not publishing.is_wanted(target.record):
        yield
        return
    _mark(target.location, target.id)
    yield
    with _Change(target, following=True) as change:
        change.settle()


def finish(location: Location) -> None:
    """Finish what was broken off."""
    try:
        marked = os.listdir(_marks(location))
    except FileNotFoundError:
        return  # never used, or nothing was
    for container_id in marked:
        target = container.Container(location, container_id)
        lock = container.lock(target.directory, wait=False)
        if lock is None:
            if not os.path.isdir(target.directory):
                _unmark(location, container_id)
            continue  # or somebody is at it
        os.close(lock)
        try:
            with _Change(target, following=True) as change:
                change.settle()
        except OrlopError:
            continue  # why, the one hears who changes or starts it next


class _Change:
    """A container's record and what is in force of it, on their way from one state to the next; it is locked meanwhile."""

    __slots__ = ("_claims", "_lock", "_record", "_runs", "_target", "name")

    def __init__(self, target: container.Container, *, following: bool = False) -> None:
        repair.look_after(target)
        lock = container.lock(target.directory)  # waits for a start that is under way
        if lock is None:
            raise NotFound(f"no such container: {target.id[:12]}")
        self._lock = lock
        self._claims: claims.Claims | None = None
        try:
            self._target = container.Container(target.location, target.id)
            self._record = dict(self._target.record)
            self.name = self._target.name
            status = self._target.state()["Status"]
            self._runs = status == "running"
            if not network_mode.has_ports(self._record) and not following:
                raise InvalidArgument(f"container {self.name} has no network of its own whose ports could be published")
            if status == "restarting":
                raise Conflict(f"container {self.name} is restarting: wait until it is running")
            _mark(target.location, target.id)
        except BaseException:
            os.close(lock)
            raise

    def __enter__(self) -> _Change:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._claims is not None:
            self._claims.close()
        if kind is None or issubclass(kind, OrlopError):
            _unmark(self._target.location, self._target.id)
        os.close(self._lock)

    def bindings(self) -> Bindings:
        """All that is asked for, with what ``PublishAllPorts`` adds said singly."""
        return {port: [dict(each) for each in bindings] for port, bindings in publishing.asked(self._record).items()}

    def find(self, text: str, bindings: Bindings) -> list[tuple[str, dict[str, Any]]]:
        """The bindings that a text means."""
        if ":" not in text and "=" not in text:
            found = [(port, each) for port in specification.exposed(text) for each in bindings.get(port, ())]
        else:
            found = [
                (port, each)
                for port, said in specification.parse(text)
                for each in bindings.get(port, ())
                if self._is_meant(port, each, said)
            ]
        if not found:
            raise NotFound(f"container {self.name} does not publish {text}")
        return found

    def _is_meant(self, port: str, there: Mapping[str, Any], said: Mapping[str, Any]) -> bool:
        if said["HostIp"] and specification.canonical(said["HostIp"]) != specification.canonical(there["HostIp"]):
            return False
        if said["HostPort"] in ("", there["HostPort"]):
            return True
        known = published.read(self._target.location.networks, self._target.id)
        return known is not None and any(
            each.port == port and _is_of(each, there) and str(each.number) == said["HostPort"] for each in known.ports
        )

    def claim(self, wanted: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Published]:
        """Claim ports for a container that runs; those that are not its own yet."""
        if not self._runs:
            return []
        try:
            return self._held().add(self._placed(wanted))
        except claims.Taken as taken:
            raise port_holder.explain(self._target.location, taken) from None

    def _placed(self, bindings: Mapping[str, Sequence[Mapping[str, Any]]]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        return publishing.placed(self._target.location, self._record, bindings)

    def write(self, bindings: Bindings) -> None:
        """Write down what is asked for from now on."""
        config = dict(self._record["Config"])
        config["ExposedPorts"] = {**(config.get("ExposedPorts") or {}), **{port: {} for port in bindings}}
        host = {**self._record["HostConfig"], "PortBindings": bindings}
        if host.get("PublishAllPorts"):
            host["PublishAllPorts"] = False
        self._record.update(Config=config, HostConfig=host)
        container.write(f"{self._target.directory}/{container.RECORD_FILE}", self._record)

    def settle(self) -> None:
        """Have that be in force which the record asks for."""
        place, container_id = self._target.location.networks, self._target.id
        if not self._runs:
            return
        held = self._held()
        missing, surplus = _compared(self._placed(publishing.asked(self._record)), held.published)
        held.remove(surplus)
        self.claim(missing)
        before = published.read(place, container_id)
        after = InForce(held.published, network.targets(place, endpoint.of_container(place, container_id)))
        if self._record["HostConfig"]["NetworkMode"] in network_mode.USERS:
            after.inside = int(self._target.state()["Pid"])
        if not after.targets and not after.inside:
            held.remove(list(held.published))
            after.ports = []
        try:
            publishing.exchange(self._target.location, container_id, before, after)
        except OSError as error:
            raise OrlopError(f"cannot publish ports of container {self.name}: {error.strerror or error}") from None
        queue, watched = held.pack(network.served(place, after))
        descriptors = [queue] if watched < 0 else [queue, watched]
        try:
            _ask(self._target, descriptors)
        finally:
            for each in descriptors:
                os.close(each)

    def _held(self) -> claims.Claims:
        """The claims of a running container, as its monitor holds them."""
        if self._claims is None:
            queue = _ask(self._target)
            if queue is None:
                self._claims = claims.Claims()
            else:
                self._claims, _ = claims.unpack(queue)
                os.close(queue)
        return self._claims


def _compared(
    wanted: Mapping[str, Iterable[Mapping[str, Any]]], there: Iterable[Published]
) -> tuple[Bindings, list[Published]]:
    """What is asked for and not there, and what is there and not asked for."""
    surplus = list(there)
    missing: Bindings = {}
    for port, bindings in wanted.items():
        for binding in bindings:
            fitting = next((each for each in surplus if each.port == port and _is_of(each, binding)), None)
            if fitting is not None:
                surplus.remove(fitting)
            else:
                missing.setdefault(port, []).append(dict(binding))
    return missing, surplus


def _is_of(there: Published, binding: Mapping[str, Any]) -> bool:
    """Whether what is in force may be what a binding asks for."""
    first, _, last = str(binding.get("HostPort") or "0").partition("-")
    fits = int(first) == 0 or int(first) <= there.number <= int(last or first)
    said = (
        specification.canonical(binding.get("HostIp") or ""),
        tuple(binding.get("From") or ()),
        binding.get("On") or "",
    )
    return fits and (there.address, there.sources, there.interface) == said


def _ask(target: container.Container, descriptors: Sequence[int] = ()) -> int | None:
    """Have a container's monitor tell what holds the claims, None if it has none; or hold other ones."""
    client = control_socket.connect(target.location, target.id)
    if client is None:
        raise Conflict(f"container {target.name} has just ended")
    packed = b"".join(each.to_bytes(4, sys.byteorder) for each in descriptors)
    passed = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)] if packed else []
    end = time.monotonic() + _PATIENCE
    try:
        client.sendmsg([frames.PORTS], passed, _socket.MSG_NOSIGNAL)
        while (left := end - time.monotonic()) > 0:
            client.settimeout(left)
            data, ancillary, _, _ = client.recvmsg(frames.LARGEST + 1, _ROOM, _socket.MSG_CMSG_CLOEXEC)
            if data == frames.PORTS:
                return int.from_bytes(ancillary[0][2][:4], sys.byteorder) if ancillary else None
            if not data:
                break
    except TimeoutError:
        pass
    except OSError:
        raise Conflict(f"container {target.name} has just ended") from None
    finally:
        client.close()
    if monitor_lock.is_held(target.location, target.id):
        raise OrlopError(f"the monitor of container {target.name} does not answer")
    raise Conflict(f"container {target.name} has just ended")


def _tell(target: container.Container, action: str, bindings: Mapping[str, Iterable[Mapping[str, Any]]]) -> None:
    ports = ",".join(
        _shown(port, each) for port in sorted(bindings, key=specification.order) for each in bindings[port]
    )
    events.of_container(container.Container(target.location, target.id), action, {"ports": ports})


def _shown(port: str, binding: Mapping[str, Any]) -> str:
    host = str(binding.get("HostPort") or "")
    address = str(binding.get("HostIp") or "")
    if address:
        return f"{f'[{address}]' if ':' in address else address}:{host}:{port}"
    return f"{host}:{port}" if host else port


def _marks(location: Location) -> str:
    return f"{location.run_root}/altering-ports"


def _mark(location: Location, container_id: str) -> None:
    while True:
        try:
            os.close(os.open(f"{_marks(location)}/{container_id}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            return
        except FileNotFoundError:  # nobody was at it, or whoever was is just done
            os.makedirs(_marks(location), 0o700, exist_ok=True)


def _unmark(location: Location, container_id: str) -> None:
    try:
        os.unlink(f"{_marks(location)}/{container_id}")
        os.rmdir(_marks(location))
    except OSError:
        return  # somebody else has finished it, or is at another
