"""Who has which address: one symbolic link for each that is taken, which only one process can make.

``<run root>/networks/<network id>/addresses/<address>`` points to the id of the container that has it. A link whose
container does not run any more is stale: whoever needs the address, or repairs, takes it away.

Addresses are given out in turn, so that one that was just given back is not the next to be given out: who was talking
to its holder would go on talking to another. Where the turn is stands in a file beside, which needs no lock: two that
read the same of it find out by the link which of them was first.
"""

from __future__ import annotations

import fcntl
import os

from orlop.errors import Conflict, InvalidArgument, OrlopError
from orlop.network import subnet as subnets
from orlop.network.subnet import BITS, IPV4, Subnet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from orlop.network.place import Place
    from orlop.network.record import Network, Pool

#: How many addresses in a row are tried before somebody looks which are taken.
_TRIES = 16
_WORDS = {IPV4: "IPv4", subnets.IPV6: "IPv6"}


def take(
    place: Place, network: Network, family: int, container_id: str, wanted: str, runs: Callable[[str], bool]
) -> str:
    """Take an address of a network for a container; returns it with the length of its subnet's prefix.

    The caller keeps the network's running directory from being removed. ``wanted`` is the address that the user chose,
    or empty; ``runs`` tells of a container's id whether it runs or is being started, and so keeps what it has.

    Raises:
        InvalidArgument: the address is in none of the network's subnets, or cannot be a container's.
        Conflict: another container has it.
        OrlopError: all are taken.
    """
    directory = place.addresses(network.id)
    if wanted:
        pool, number = _pool_of(network, family, wanted)
        _take_this(directory, subnets.write(family, number), container_id, runs)
        return pool.parsed().text(number)
    for pool in network.pools_of(family):
        number = _take_next(place, network, pool, container_id, runs)
        if number >= 0:
            return pool.parsed().text(number)
    raise OrlopError(f"no available {_WORDS[family]} addresses on network {network.name}: every address is taken")


def release(place: Place, network_id: str, address: str, container_id: str) -> None:
    """Give an address back, with or without its prefix; nothing happens if it is not this container's."""
    path = f"{place.addresses(network_id)}/{address.partition('/')[0]}"
    if _holder(path) == container_id:
        try:
            os.unlink(path)
        except FileNotFoundError:
            return  # whoever repairs was quicker


def sweep(place: Place, network_id: str, runs: Callable[[str], bool]) -> None:
    """Take back the addresses of containers that do not run."""
    directory = place.addresses(network_id)
    for address in _taken(directory):
        holder = _holder(f"{directory}/{address}")
        if holder is not None and not runs(holder):
            _take_stale(directory, address, runs)


def count(place: Place, network_id: str) -> int:
    """How many addresses are taken."""
    return len(_taken(place.addresses(network_id)))


def check(network: Network, family: int, wanted: str) -> None:
    """Whether a user may choose an address for a container.

    Raises:
        InvalidArgument: as `take`.
    """
    _pool_of(network, family, wanted)


def _pool_of(network: Network, family: int, wanted: str) -> tuple[Pool, int]:
    said, number = subnets.parse(wanted)
    for pool in network.pools_of(family) if said == family else ():
        whole = pool.parsed()
        if whole.contains(number):
            if number in _kept(pool, whole, auxiliary=False):
                raise InvalidArgument(f"invalid address {wanted}: it is the gateway's, or that of all of {whole}")
            return pool, number
    raise InvalidArgument(
        f"invalid config for network {network.name}: no configured subnet contains {_WORDS[family]} address {wanted}"
    )


def _take_this(directory: str, address: str, container_id: str, runs: Callable[[str], bool]) -> None:
    path = f"{directory}/{address}"
    while True:
        try:
            os.symlink(container_id, path)
            return
        except FileExistsError:
            holder = _holder(path)
        if holder == container_id:
            return
        if holder is not None and not _take_stale(directory, address, runs):
            raise Conflict(f"address {address} is already in use by container {holder[:12]}")


def _take_next(place: Place, network: Network, pool: Pool, container_id: str, runs: Callable[[str], bool]) -> int:
    """Take whichever address it is the turn of; -1 if there is none."""
    whole = pool.parsed()
    share = Subnet.parse(pool.ip_range) if pool.ip_range else whole
    kept = _kept(pool, whole)
    directory = place.addresses(network.id)
    turn = f"{place.running(network.id)}/turn-{share.base:x}"
    first = number = _after(_read(turn), share)
    for _ in range(min(_TRIES, share.size)):
        if number not in kept and _try(directory, subnets.write(share.family, number), container_id):
            _write(turn, number)
            return number
        number = _after(number, share)
    for _ in range(2):  # the second time without those that nobody has any more
        taken = {subnets.parse(address)[1] for address in _taken(directory)} | kept
        number = first
        while True:
            if number not in taken and _try(directory, subnets.write(share.family, number), container_id):
                _write(turn, number)
                return number
            number = _after(number, share)
            if number == first:
                break
        sweep(place, network.id, runs)
    return -1


def _kept(pool: Pool, whole: Subnet, *, auxiliary: bool = True) -> set[int]:
    """The addresses of a subnet that no container gets by itself."""
    kept = set()
    if pool.gateway:
        kept.add(subnets.parse(pool.gateway)[1])
    if auxiliary:
        kept.update(subnets.parse(each)[1] for each in pool.auxiliary.values())
    if BITS[whole.family] - whole.prefix > 1:  # in smaller ones every address is somebody's (RFC 3021, RFC 6164)
        kept.add(whole.base)
        if whole.family == IPV4:
            kept.add(whole.last)
    return kept


def _after(number: int, share: Subnet) -> int:
    return number + 1 if share.base <= number < share.last else share.base


def _try(directory: str, address: str, container_id: str) -> bool:
    try:
        os.symlink(container_id, f"{directory}/{address}")
    except FileExistsError:
        return False
    return True


def _holder(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None


def _taken(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def _take_stale(directory: str, address: str, runs: Callable[[str], bool]) -> bool:
    """Free an address whose container does not run; False if it does."""
    # Two processes that saw the same stale link: the second must not remove the first one's new one.
    try:
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        holder = _holder(f"{directory}/{address}")
        if holder is not None:
            if runs(holder):
                return False
            os.unlink(f"{directory}/{address}")
        return True
    except FileNotFoundError:
        return True  # its holder has just given it back
    finally:
        os.close(lock)


def _read(path: str) -> int:
    """The address that was given out last, or -1."""
    try:
        with open(path, "rb", buffering=0) as file:
            return int(file.read(64) or b"-1", 16)
    except (FileNotFoundError, ValueError):
        return -1


def _write(path: str, number: int) -> None:
    """Note whose turn it was. A text of one length, so that who reads it in the middle of a write reads a number."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.write(descriptor, b"%032x" % number)
    os.close(descriptor)
