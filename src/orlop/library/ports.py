"""Published ports in Python's words."""

from __future__ import annotations

from orlop.engine import ports
from orlop.errors import InvalidArgument
from orlop.network.ports import specification

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orlop.engine.container import Container
    from orlop.engine.settings import Settings
    from orlop.network.ports.published import Published

    #: Where a port is on the host: its number (None: any), a text of Docker's such as ``127.0.0.1:8080``, or address and number.
    Place = int | str | None | tuple[str, int | None]
    #: Texts as ``-p`` takes them, or the container's ports (``80``, ``53/udp``) with where each is, be it at several places.
    Ports = Sequence[str] | Mapping[int | str, Place | Sequence[Place]]


class HostPort:
    """A port of the host: its ``address``, such as ``0.0.0.0`` or ``::1``, and its ``number``."""

    __slots__ = ("address", "number")

    def __init__(self, address: str, number: int) -> None:
        self.address = address
        self.number = number

    def __repr__(self) -> str:
        return f"HostPort({self.address!r}, {self.number})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HostPort) and (other.address, other.number) == (self.address, self.number)

    def __hash__(self) -> int:
        return hash((self.address, self.number))


def texts(value: Ports) -> list[str]:
    """What was said as texts that ``-p`` would take.

    Raises:
        InvalidArgument: it is neither of the forms.
    """
    if isinstance(value, str):
        raise InvalidArgument(f"ports must be a mapping or a list of texts, not {value!r}")
    if hasattr(value, "items"):
        return [_text(str(port), place) for port, places in value.items() for place in _places(places)]
    return [str(each) for each in value]


def _places(said: Place | Sequence[Place]) -> Sequence[Place]:
    return said if isinstance(said, list) else [said]  # type: ignore[list-item] # a tuple is one place


def _text(port: str, place: Place) -> str:
    if isinstance(place, tuple):
        address, number = place
        host = f"[{address}]" if ":" in address else address
        return f"{host}:{'' if number is None else number}:{port}"
    return port if place is None else f"{place}:{port}"


def add(wanted: Settings, value: Ports) -> None:
    """Have a container publish ports, which are exposed, too."""
    bindings = specification.bindings(texts(value))
    wanted.port_bindings = bindings
    wanted.exposed_ports += [port for port in bindings if port not in wanted.exposed_ports]


def expose(wanted: Settings, value: Sequence[int | str]) -> None:
    """Have a container expose ports."""
    if isinstance(value, str):
        raise InvalidArgument(f"expose must be a list of ports, not {value!r}")
    named = [port for each in value for port in specification.exposed(str(each))]
    wanted.exposed_ports += [port for port in named if port not in wanted.exposed_ports]


def of_container(target: Container) -> dict[str, list[HostPort]]:
    """Where each of a container's ports is on the host just now; nowhere if it is only exposed."""
    known = ports.settings(target, is_running=bool(target.state()["Running"]))
    return {
        port: [HostPort(each["HostIp"], int(each["HostPort"])) for each in bindings or ()]
        for port, bindings in known.items()
    }


def told(published: Sequence[Published]) -> dict[str, list[HostPort]]:
    """Where ports are that were just published."""
    found: dict[str, list[HostPort]] = {}
    for each in published:
        found.setdefault(each.port, []).extend(HostPort(address, each.number) for address in each.addresses())
    return found
