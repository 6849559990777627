"""A network is up while containers are on it, and a moment longer.

Up means that the host's part of it is there: a bridge, addresses, rules. The first container's start makes that, and
the monitor of the last one takes it away; not at once, since often another container follows, and making a bridge
takes longer than starting a container. What is up has a directory (`Place.running`), which is locked:

- shared, while a container is being connected: so long nobody takes the network down;
- exclusively, while the host's part is made or removed.

``up`` in it is written when everything is made: the namespace in which it is and the index of the device. The kernel
forgets locks of who is killed; what is there without ``up`` is made anew, and `sweep` finds what nobody uses.
"""

from __future__ import annotations

import fcntl
import os
import time

from orlop.errors import NotFound
from orlop.linux.netlink import Netlink
from orlop.network import addresses, endpoint, home, store
from orlop.network.drivers import choice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orlop.network.place import Place
    from orlop.network.record import Network

#: How long a network stays up that no container is on, in seconds.
LINGER = 0.5

#: Seconds for which a network's record counts as just changed, by somebody who was quicker.
_RECENTLY = 10.0
_UP = "up"
_LINGERING = "lingering"
_GONE = ".gone-"
_OWN_NAMESPACE = "/proc/self/ns/net"


class Held:
    """A network that is up and stays so until `release`; ``base`` is the index of its device."""

    __slots__ = ("_lock", "_netlink", "_network", "_place", "base")

    def __init__(self, place: Place, network: Network, netlink: Netlink) -> None:
        self._place = place
        self._network = network
        self._netlink = netlink
        self._lock = _hold(place, network.id, fcntl.LOCK_SH)
        try:
            self._check_there()
            self.base = _read(place, network.id)
            if self.base:
                choice.find(network.driver).check_up(place)
            else:
                self._bring_up(self.base)
        except BaseException:
            os.close(self._lock)
            raise

    def renew(self) -> None:
        """Make the host's part of the network anew, because somebody has removed it."""
        self._bring_up(self.base)

    def release(self) -> None:
        """Let it be taken down."""
        os.close(self._lock)

    def _check_there(self) -> None:
        """Somebody may have removed the network, or changed it, while its lock was waited for."""
        try:
            changed = os.stat(self._place.record(self._network.id)).st_mtime
        except FileNotFoundError:
            pass
        else:
            if abs(time.time() - changed) < _RECENTLY:
                self._follow()
            return
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        if os.path.isdir(self._place.endpoints(self._network.id)):
            _remove(self._place, self._network.id)
        raise NotFound(f"network {self._network.name} not found")

    def _follow(self) -> None:
        """Have the network be as it is written down: who brought it up may just have put it elsewhere."""
        there = store.read(self._place, self._network.id)
        if there is not None:
            self._network.pools, self._network.options = there.pools, there.options

    def _bring_up(self, known: int) -> None:
        # A container that is waiting for the same may be let in before us: then it is done.
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.base = _read(self._place, self._network.id)
        self._follow()
        if not self.base or self.base == known:
            self.base = choice.find(self._network.driver).up(self._netlink, self._place, self._network)
            _write(self._place, self._network.id, self.base)
        fcntl.flock(self._lock, fcntl.LOCK_SH)


def take_down(place: Place, network: Network, *, withdraw: Callable[[], None] | None = None) -> bool:
    """Remove the host's part of a network; False if a container is on it, or one is being connected.

    ``withdraw`` has the network be no more, at a moment when nobody can be connecting to it; whoever is just doing that
    is then waited for.

    Raises:
        OSError: the kernel refused.
    """
    if withdraw is not None:
        lock: int | None = _hold(place, network.id, fcntl.LOCK_EX)
    else:
        lock = _lock(place, network.id, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if lock is None:
        return not os.path.isdir(place.running(network.id))
    try:
        if endpoint.containers(place, network.id):
            return False
        try:
            os.unlink(f"{place.running(network.id)}/{_UP}")
        except FileNotFoundError:
            pass  # its making was broken off
        if not place.rootless or home.holder(place):  # else everything has gone with the namespace in which it was
            with Netlink() as netlink:
                choice.find(network.driver).down(netlink, place, network)
        if withdraw is not None:
            withdraw()
        _remove(place, network.id)
    finally:
        os.close(lock)
    return True


def linger(place: Place, network_id: str, take: Callable[[Place, Network], bool] | None = None) -> None:
    """Take a network down once no container has been on it for a while. Returns when that is done, or another's to do.

    ``take`` does it in place of `take_down`.

    Raises:
        OSError: the kernel refused.
        OrlopError: the network's record is damaged.
    """
    while not endpoint.containers(place, network_id):
        try:
            descriptor = os.open(
                f"{place.running(network_id)}/{_LINGERING}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except FileNotFoundError:
            return  # it is down
        try:
            os.utime(descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _wait_unused(place, network_id, descriptor):
                network = store.read(place, network_id)
                if network is not None:
                    (take or take_down)(place, network)
                return
        except BlockingIOError:
            return  # somebody else is at it, and sees by the file's time that it has to wait a little longer
        finally:
            os.close(descriptor)
        # A container has come. If it has gone before we let go of the lock, its monitor left the rest to us.


def _wait_unused(place: Place, network_id: str, lingering: int) -> bool:
    """Wait until a network has been unused for long enough; False if it is used again."""
    while True:
        left = os.fstat(lingering).st_mtime + LINGER - time.time()
        if endpoint.containers(place, network_id):
            return False
        if not 0 < left <= LINGER:
            return True
        time.sleep(left)


def sweep(place: Place, present: Mapping[str, Sequence[str]], runs: Callable[[str], bool]) -> None:
    """Take what crashes left off the networks: containers that do not run, their addresses, and what nobody is on.

    ``present`` are the networks that are up, and which containers were on each a moment ago.
    """
    for name in os.listdir(place.run_directory):
        if name.startswith(_GONE):
            _clear(f"{place.run_directory}/{name}")
    for network_id, container_ids in present.items():
        network = store.read(place, network_id)
        if network is None:
            _sweep_unused(place, network_id)
            continue
        for container_id in container_ids:
            if not runs(container_id):
                endpoint.remove(place, network_id, container_id)
        if addresses.count(place, network_id) > len(container_ids) * len({pool.family for pool in network.pools}):
            addresses.sweep(place, network_id, runs)
        if (
            endpoint.containers(place, network_id)
            or _is_lingering(place, network_id)
            or _is_elsewhere(place, network_id)
        ):
            continue
        take_down(place, network)


def unused(place: Place) -> list[str]:
    """The ids of the networks that are up, or were until a crash, though no container is on them."""
    return [each for each in endpoint.networks(place) if not endpoint.containers(place, each)]


def forget(place: Place, network_ids: Sequence[str]) -> None:
    """Forget that networks were up whose namespace is gone, if no container is on them."""
    for network_id in network_ids:
        lock = _lock(place, network_id, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if lock is None:
            continue
        try:
            if not endpoint.containers(place, network_id):
                _remove(place, network_id)
        finally:
            os.close(lock)


def _sweep_unused(place: Place, network_id: str) -> None:
    """Remove a running directory of which nothing is up: of a network that is gone, or another engine's that shares ours."""
    lock = _lock(place, network_id, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if lock is None:
        return
    try:
        if not _up(place, network_id)[0] and not endpoint.containers(place, network_id):
            _remove(place, network_id)
    finally:
        os.close(lock)


def _is_lingering(place: Place, network_id: str) -> bool:
    try:
        descriptor = os.open(f"{place.running(network_id)}/{_LINGERING}", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _is_elsewhere(place: Place, network_id: str) -> bool:
    """Whether a network is up in another network namespace than ours, where alone it can be taken down."""
    namespace = _up(place, network_id)[0]
    return namespace not in (0, os.stat(_OWN_NAMESPACE).st_ino)


def _hold(place: Place, network_id: str, kind: int) -> int:
    """Lock a network's running directory; it is made if it is not there."""
    while True:
        found = _lock(place, network_id, kind)
        if found is not None:
            return found
        for directory in (place.addresses(network_id), place.endpoints(network_id)):
            try:
                os.makedirs(directory, 0o700, exist_ok=True)
            except FileNotFoundError:
                break  # it is just being removed


def _lock(place: Place, network_id: str, kind: int) -> int | None:
    """Lock a network's running directory; None if it is not there or not complete, or not to be had without waiting."""
    path = place.running(network_id)
    while True:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, kind)
            if os.stat(path).st_ino == os.fstat(descriptor).st_ino and os.path.isdir(place.endpoints(network_id)):
                return descriptor
        except (BlockingIOError, FileNotFoundError):
            os.close(descriptor)
            return None
        os.close(descriptor)  # removed, and another made in its place, while we waited
        if not os.path.isdir(place.endpoints(network_id)):
            return None


def _remove(place: Place, network_id: str) -> None:
    """Remove a running directory, which is locked exclusively: under another name, so that it is there or not."""
    gone = f"{place.run_directory}/{_GONE}{os.urandom(8).hex()}"
    os.rename(place.running(network_id), gone)
    _clear(gone)


def _clear(gone: str) -> None:
    """Remove what was a running directory; somebody else may be at it too."""
    for directory in ("addresses", "endpoints", ""):
        path = f"{gone}/{directory}"
        try:
            for name in os.listdir(path):
                os.unlink(f"{path}/{name}")
            os.rmdir(path)
        except FileNotFoundError:
            continue


def _read(place: Place, network_id: str) -> int:
    """The index of the device of a network that is up in this namespace; 0 if it is not."""
    namespace, index = _up(place, network_id)
    return index if namespace == os.stat(_OWN_NAMESPACE).st_ino else 0


def _up(place: Place, network_id: str) -> tuple[int, int]:
    """The namespace in which a network is up and the index of its device there; 0 and 0 if it is not."""
    try:
        with open(f"{place.running(network_id)}/{_UP}", "rb", buffering=0) as file:
            namespace, _, index = file.read(64).partition(b" ")
            return int(namespace), int(index)
    except (FileNotFoundError, ValueError):
        return 0, 0


def _write(place: Place, network_id: str, base: int) -> None:
    path = f"{place.running(network_id)}/{_UP}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    os.write(descriptor, b"%d %d" % (os.stat(_OWN_NAMESPACE).st_ino, base))
    os.close(descriptor)
