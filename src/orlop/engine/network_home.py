"""The home of an ordinary user's networks (`orlop.network.home`): there while a container needs it, and entered by children.

Whoever connects a container has a `Hold` on it. It is made by the first, and ended by whoever finds that nobody needs it;
both have its directory locked meanwhile, and holds are shared locks. If its holder is killed, its devices are gone: whoever
repairs makes another one below the same user namespace, and puts the containers on their networks again.
"""

from __future__ import annotations

import fcntl
import os

from orlop.engine import monitor_lock, network_errand, network_holder, network_mode, user_network
from orlop.errors import OrlopError
from orlop.network import activation, connecting, endpoint, home
from orlop.network.endpoint import Endpoint
from orlop.network.names import sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from orlop.engine.location import Location
    from orlop.network.connecting import Joiner
    from orlop.network.place import Place
    from orlop.network.record import Network

_USERS = "users"
_PROGRAM = "program"
_INTERFACE = "outside"
_NS_GET_PARENT = 0xB702  # ioctl_ns(2)


class Hold:
    """The home, which stays from now on until `release`, and after that while this container is there.

    ``users`` is a descriptor of its user namespace, the caller's until `close`.

    Raises:
        OrlopError: it cannot be made.
    """

    __slots__ = ("_lock", "users")

    def __init__(self, location: Location, container_id: str) -> None:
        place = location.networks
        self._lock = _lock(location, fcntl.LOCK_SH)
        try:
            if not home.holder(place):
                os.close(self._lock)
                self._lock = _lock(location, fcntl.LOCK_EX)
                if not home.holder(place):
                    _begin(location)
            _note(location, container_id)  # so that nobody ends it while the lock is changed
            fcntl.flock(self._lock, fcntl.LOCK_SH)
            if not home.holder(place):
                raise OrlopError("the process that holds the networks has just ended: try again")
            self.users = os.open(f"/proc/{home.holder(place)}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            os.close(self._lock)
            raise OrlopError(f"cannot hold the networks: {error.strerror}") from None
        except BaseException:
            os.close(self._lock)
            raise

    def release(self) -> None:
        """Have the container alone keep it. Nothing happens the second time."""
        if self._lock >= 0:
            fcntl.flock(self._lock, fcntl.LOCK_UN)  # for children, too, that have the descriptor
            os.close(self._lock)
            os.close(self.users)
            self._lock = -1


def run(location: Location, action: Callable[[], None]) -> None:
    """Do something to networks where they are: root at once, an ordinary user by a child in the home, if that is there.

    Raises:
        OrlopError, OSError: as ``action``.
    """
    if not location.rootless:
        action()
        return

    def act() -> tuple[None, Sequence[int]]:
        action()
        return None, ()

    call(location, act)


def call(location: Location, action: Callable[[], tuple[Any, Sequence[int]]]) -> tuple[Any, list[int]]:
    """Do something to networks where they are; returns what it does: something that JSON knows, and a few descriptors.

    Raises:
        OrlopError, OSError: as ``action``.
    """
    if not location.rootless:
        value, descriptors = action()
        return value, list(descriptors)
    holder = home.holder(location.networks)
    if not holder:
        sweep(location)  # it was killed, if anybody needs it
        holder = home.holder(location.networks)
    if not holder:
        raise OrlopError("the process that holds the networks has ended: 'orlop ps' has another one made")
    return network_errand.call(holder, action)


def is_there(location: Location) -> bool:
    """Whether there is anything to do things in; root is always where networks are."""
    return not location.rootless or bool(home.holder(location.networks))


def users(location: Location) -> list[str]:
    """The ids of the containers whose namespaces are below it."""
    try:
        return os.listdir(f"{home.directory(location.networks)}/{_USERS}")
    except FileNotFoundError:
        return []


def leave(location: Location, container_id: str) -> None:
    """A container has ended; nothing happens if it was not there."""
    try:
        os.unlink(f"{home.directory(location.networks)}/{_USERS}/{container_id}")
    except FileNotFoundError:
        return


def connect(
    location: Location,
    networks: Sequence[tuple[Network, Mapping[str, Any]]],
    joining: Joiner,
    *,
    names: bool = False,
) -> tuple[list[Endpoint], list[int]]:
    """Put a container on networks, as `orlop.network.connecting.connect`, by a child in the home.

    With ``names`` sockets at which it asks for names are opened, too, and returned.

    Raises:
        OrlopError, OSError: as there.
    """

    def act() -> tuple[list[dict[str, Any]], Sequence[int]]:
        made = connecting.connect(
            location.networks, networks, joining, lambda container_id: monitor_lock.is_held(location, container_id)
        )
        ends = sockets.open_in(joining.namespace) if names else ()
        return [each.fields() for each in made], ends

    made, ends = call(location, act)
    return [Endpoint.from_fields(each) for each in made], ends


def end_unused(location: Location) -> None:
    """End the home of an ordinary user if nobody needs it; nothing happens if there is none."""
    if location.rootless and os.path.isdir(home.directory(location.networks)):
        end(location)


def taker(location: Location) -> Callable[[Place, Network], bool]:
    """What takes networks down, as `orlop.network.activation.take_down`, by a child in the home."""

    def take(place: Place, network: Network) -> bool:
        taken, _ = call(location, lambda: (activation.take_down(place, network), ()))
        return bool(taken)

    return take


def sweep_networks(location: Location) -> None:
    """Take down what nobody is on, where it is, and then the home.

    Raises:
        OrlopError, OSError: it cannot be done.
    """
    place = location.networks
    left = activation.unused(place)
    if left and home.holder(place):
        run(
            location,
            lambda: activation.sweep(
                place, dict.fromkeys(left, ()), lambda container_id: monitor_lock.is_held(location, container_id)
            ),
        )
    elif left:
        activation.forget(place, left)
    if not users(location):
        end(location)


def end(location: Location) -> None:
    """End the home if nobody needs it."""
    place = location.networks
    lock = _try_to_lock(location)
    if lock is None:
        return
    try:
        if users(location):
            return
        if not home.holder(place):
            activation.forget(place, activation.unused(place))
        if endpoint.networks(place):
            return
        network_holder.end(home.holder(place))
        _end_program(location)
        directory = home.directory(place)
        for name in os.listdir(directory):
            if name != _USERS:
                os.unlink(f"{directory}/{name}")
        os.rmdir(f"{directory}/{_USERS}")
        os.rmdir(directory)
    finally:
        os.close(lock)


def sweep(location: Location) -> None:
    """Forget containers that are gone, and put back what of the home was killed while others need it.

    Raises:
        OrlopError: it cannot be put back.
    """
    for container_id in users(location):
        if not monitor_lock.is_held(location, container_id):
            leave(location, container_id)
    place = location.networks
    if not users(location):
        if not endpoint.networks(place):
            end(location)
        return
    if home.holder(place) and _is_connected(location):
        return
    lock = _try_to_lock(location)
    if lock is None:
        return  # somebody is at it
    try:
        if not users(location):
            return
        if not home.holder(place):
            _begin(location)
        elif not _is_connected(location):
            _connect(location)
    finally:
        os.close(lock)


def _begin(location: Location) -> None:
    """Make it, and all devices of those containers that there are; the directory is locked exclusively."""
    _end_program(location)
    below = _user_namespace(location)
    path = f"{home.directory(location.networks)}/{home.HOLDER}"

    def note(pid: int, start_time: int) -> None:
        with open(path, "w", encoding="ascii") as file:
            file.write(f"{pid} {start_time}\n")

    try:
        network_holder.start(note, below)
    finally:
        if below >= 0:
            os.close(below)
    _connect(location)
    place = location.networks
    if any(endpoint.containers(place, each) for each in endpoint.networks(place)):
        run(location, lambda: connecting.restore(place))


def _user_namespace(location: Location) -> int:
    """The user namespace that the containers' are below; -1 if there is none yet."""
    from orlop.runtime.container import Container as RuntimeContainer

    for container_id in users(location):
        try:
            pid = RuntimeContainer.load(location.runtime, container_id).pid
            own = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        except (OSError, OrlopError):
            continue  # it is only just being started, or has ended
        try:
            return fcntl.ioctl(own, _NS_GET_PARENT)
        except OSError:
            continue
        finally:
            os.close(own)
    return -1


def _connect(location: Location) -> None:
    """Have a program connect the home to the outside, if there is one that can."""
    mode = network_mode.able()
    if not mode:
        return
    pid = home.holder(location.networks)
    attachment = user_network.Attachment(_program(location), mode, _INTERFACE)
    try:
        attachment.look(pid)
        attachment.begin()
        attachment.finish()
    finally:
        attachment.close()


def _program(location: Location) -> str:
    return f"{home.directory(location.networks)}/{_PROGRAM}"


def _is_connected(location: Location) -> bool:
    return bool(user_network.running(_program(location))) or not network_mode.able()


def _end_program(location: Location) -> None:
    network_holder.end(user_network.running(_program(location)))


def _note(location: Location, container_id: str) -> None:
    path = f"{home.directory(location.networks)}/{_USERS}/{container_id}"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _lock(location: Location, kind: int) -> int:
    """Lock the directory, which is made if it is not there."""
    directory = home.directory(location.networks)
    while True:
        os.makedirs(f"{directory}/{_USERS}", 0o700, exist_ok=True)
        try:
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # it was just ended
        fcntl.flock(descriptor, kind)
        try:
            if os.stat(directory).st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)


def _try_to_lock(location: Location) -> int | None:
    """Lock the directory exclusively; None if it is not there, or somebody else has it."""
    directory = home.directory(location.networks)
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.stat(directory).st_ino == os.fstat(descriptor).st_ino:
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None
