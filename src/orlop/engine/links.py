"""Docker's legacy links, ``--link CONTAINER:ALIAS``: what a container on the default network is told of others there.

It finds them by the alias in its /etc/hosts and is told of their ports and variables in its own environment. On networks
that a user made a link is a name, which `orlop.network.names` knows, and nothing else.

Where a container that others are linked to starts anew, its new address goes into their files. So that this costs the
others nothing, a link is also a file, ``<run root>/networks/.links/<to>/<from>``.
"""

from __future__ import annotations

import os

from orlop.engine import container, network_files, network_mode
from orlop.errors import Conflict, InvalidArgument, NotFound
from orlop.network import endpoint, record, store
from orlop.network.names import hosts_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orlop.engine.container import Container
    from orlop.engine.location import Location
    from orlop.engine.settings import Settings
    from orlop.network.place import Place

#: Variables that every container has for itself.
_OWN = ("HOME", "PATH", "HOSTNAME", "TERM")


def parse(text: str) -> tuple[str, str]:
    """The container and the alias of ``CONTAINER[:ALIAS]``.

    Raises:
        InvalidArgument: it has another form.
    """
    name, _, alias = text.partition(":")
    if not name:
        raise InvalidArgument("empty string specified for links")
    if ":" in alias:
        raise InvalidArgument(f"bad format for links: {text}")
    return name.removeprefix("/"), alias.rpartition("/")[2] or name.removeprefix("/")


def resolve(location: Location, settings: Settings) -> None:
    """Make of the names of other containers, before one is made, their ids; on a user's network leave them to that.

    Raises:
        InvalidArgument: a link is malformed, or the container is going to be on no network.
        NotFound: a container that is named is not there.
    """
    if not network_mode.is_connected(settings.network):
        raise InvalidArgument(f"conflicting options: links and the network mode {settings.network}")
    if settings.network != record.BRIDGE:
        networks = {name: dict(said) for name, said in (settings.networks or {settings.network: {}}).items()}
        first = next(iter(networks.values()))
        first["Links"] = [*(first.get("Links") or ()), *(":".join(parse(text)) for text in settings.links)]
        settings.networks = networks
        del settings.links
        return
    found = []
    for text in settings.links:
        name, alias = parse(text)
        try:
            found.append(f"{container.find(location, name).id}:{alias}")
        except NotFound:
            raise NotFound(f"could not get container for {name}") from None
    settings.links = found


def described(target: Container) -> list[str]:
    """A container's links as Docker shows them: ``/CONTAINER:/OWN-NAME/ALIAS``."""
    found = []
    for text in target.record["HostConfig"].get("Links") or ():
        other_id, _, alias = text.partition(":")
        try:
            name = container.Container(target.location, other_id).name
        except NotFound:
            continue  # removed, and the link with it
        found.append(f"/{name}:/{target.name}/{alias}")
    return found


def remove(location: Location, text: str) -> None:
    """Remove a link, ``CONTAINER/ALIAS``: what the container was told of by it stays until it starts again.

    Raises:
        NotFound: there is no such container, or it has no such link.
        Conflict: it is the container's own name.
    """
    name, slash, alias = text.removeprefix("/").partition("/")
    target = container.find(location, name)
    if not slash:
        raise Conflict(f"cannot remove the default name link of container {target.name}: remove the container instead")
    lock = container.lock(target.directory)
    if lock is None:
        raise NotFound(f"no such container: {name}")
    try:
        about = dict(container.Container(location, target.id).record)
        kept = [each for each in about["HostConfig"].get("Links") or () if each.partition(":")[2] != alias]
        if len(kept) == len(about["HostConfig"].get("Links") or ()):
            raise NotFound(f"no such link: {text}")
        about["HostConfig"] = {**about["HostConfig"], "Links": kept}
        container.write(f"{target.directory}/{container.RECORD_FILE}", about)
    finally:
        os.close(lock)


class Linked:
    """A container that another one is linked to, by an alias; ``address`` is where it is on the default network."""

    __slots__ = ("address", "alias", "target")

    def __init__(self, target: Container, alias: str, address: str) -> None:
        self.target = target
        self.alias = alias
        self.address = address

    @property
    def names(self) -> str:
        """What it is called in /etc/hosts."""
        wanted = (self.alias, self.target.record["Config"]["Hostname"], self.target.name)
        return " ".join(dict.fromkeys(each for each in wanted if each))


def of_container(target: Container) -> list[Linked]:
    """What a container is linked to that is about to start.

    Raises:
        Conflict: one of them does not run.
        NotFound: one of them is gone.
    """
    place = target.location.networks
    found = []
    for text in target.record["HostConfig"].get("Links") or ():
        other_id, _, alias = text.partition(":")
        other = container.Container(target.location, other_id)
        there = endpoint.read(place, _default(place), other_id)
        if there is None or not there.addresses:
            raise Conflict(
                f"cannot link to a non running container: /{other.name} AS /{target.name}/{alias} "
                "(on the default network): start it first"
            )
        found.append(Linked(other, alias, there.addresses[0]))
    return found


def lines(target: Container) -> list[str]:
    """Lines for the hosts of a container that starts; from now on it is told when they change.

    Raises:
        Conflict, NotFound: as `of_container`.
    """
    place = target.location.networks
    for text in target.record["HostConfig"].get("Links") or ():
        directory = f"{place.links}/{text.partition(':')[0]}"
        os.makedirs(directory, 0o700, exist_ok=True)
        os.close(os.open(f"{directory}/{target.id}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    return [hosts_file.line(each.address, each.names) for each in of_container(target)]


def tell(target: Container) -> None:
    """Have containers that are linked to one that starts find it where it is now."""
    place = target.location.networks
    directory = f"{place.links}/{target.id}"
    try:
        linked = os.listdir(directory)
    except FileNotFoundError:
        return  # nobody is, as a rule
    default = _default(place)
    there = endpoint.read(place, default, target.id)
    for other_id in linked:
        if endpoint.read(place, default, other_id) is None:
            _forget(directory, other_id)
        elif there is not None and there.addresses:
            other = container.Container(target.location, other_id)
            for text in other.record["HostConfig"].get("Links") or ():
                link, _, alias = text.partition(":")
                if link == target.id:
                    me = Linked(target, alias, there.addresses[0])
                    network_files.renew_hosts(other.directory, me.names, [me.address])


def forget(place: Place, container_id: str) -> None:
    """A container has ended that may have been linked to others."""
    for other_id in os.listdir(place.links):
        _forget(f"{place.links}/{other_id}", container_id)


def environment(target: Container) -> list[str]:
    """The variables that tell a container of what it is linked to.

    Raises:
        Conflict, NotFound: as `of_container`.
    """
    found: list[str] = []
    for each in of_container(target):
        prefix = each.alias.upper().replace("-", "_")
        ports = _sorted(each.target.record["Config"].get("ExposedPorts") or ())
        for number, protocol in ports[:1]:
            found.append(f"{prefix}_PORT={protocol}://{each.address}:{number}")
        for number, protocol in ports:
            name = f"{prefix}_PORT_{number}_{protocol.upper()}"
            found += [
                f"{name}={protocol}://{each.address}:{number}",
                f"{name}_ADDR={each.address}",
                f"{name}_PORT={number}",
                f"{name}_PROTO={protocol}",
            ]
        found.append(f"{prefix}_NAME=/{target.name}/{each.alias}")
        for variable in each.target.record["Config"].get("Env") or ():
            name, equals, value = variable.partition("=")
            if equals and name not in _OWN:
                found.append(f"{prefix}_ENV_{name}={value}")
    return found


def _sorted(ports: Iterable[str]) -> Sequence[tuple[int, str]]:
    """Exposed ports, by number, those of TCP first."""
    found = []
    for text in ports:
        number, _, protocol = text.partition("/")
        if number.isascii() and number.isdigit():
            found.append((int(number), protocol or "tcp"))
    return sorted(found, key=lambda each: (each[1] != "tcp", each))


def _default(place: Place) -> str:
    return store.find(place, record.BRIDGE).id


def _forget(directory: str, container_id: str) -> None:
    try:
        os.unlink(f"{directory}/{container_id}")
        os.rmdir(directory)
        os.rmdir(os.path.dirname(directory))
    except OSError:
        return  # others are linked to it too, or it was forgotten already
