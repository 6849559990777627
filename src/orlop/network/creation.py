"""Making networks and removing them, by Docker's rules."""

from __future__ import annotations

import os

from orlop.errors import Conflict, InvalidArgument, OrlopError, Unsupported
from orlop.network import activation, pools, record, store, subnet
from orlop.network.drivers import choice
from orlop.network.record import Pool
from orlop.network.subnet import IPV4, IPV6, Subnet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orlop.network.place import Place
    from orlop.network.record import Network

_IPAM_DRIVERS = ("default", "null")


def read_pools(
    subnets: Sequence[str], ranges: Sequence[str], gateways: Sequence[str], auxiliary: Mapping[str, str]
) -> list[Pool]:
    """The subnets of a network from what was said of each, in any order; a pool's gateway is empty if none was named.

    Raises:
        InvalidArgument: something is no address, or in none of the subnets, or said twice.
    """
    found: list[tuple[Subnet, Pool]] = []
    for text in subnets:
        whole = Subnet.parse(text)
        if str(whole) != _canonical(text):
            raise InvalidArgument(f"invalid network config: invalid subnet {text}: it should be {whole}")
        if any(whole.overlaps(each) for each, _ in found):
            raise InvalidArgument(f"multiple overlapping subnet configuration is not supported: {text}")
        found.append((whole, Pool(str(whole), "", "", {})))
    for text in ranges:
        share = Subnet.parse(text)
        whole, pool = _containing(found, share.family, share.base, f"no matching subnet for range {text}")
        if not whole.includes(share):
            raise InvalidArgument(f"no matching subnet for range {text}")
        if pool.ip_range:
            raise InvalidArgument(
                f"cannot configure multiple ranges ({text}, {pool.ip_range}) on the same subnet {whole}"
            )
        pool.ip_range = str(share)
    for text in gateways:
        family, number = subnet.parse(text)
        whole, pool = _containing(found, family, number, f"no matching subnet for gateway {text}")
        if pool.gateway:
            raise InvalidArgument(f"cannot configure multiple gateways ({text}, {pool.gateway}) for subnet {whole}")
        pool.gateway = subnet.write(family, number)
    for name, text in auxiliary.items():
        family, number = subnet.parse(text)
        whole, pool = _containing(found, family, number, f"no matching subnet for aux-address {text}")
        pool.auxiliary = {**pool.auxiliary, name: subnet.write(family, number)}
    return [pool for _, pool in found]


def _canonical(text: str) -> str:
    address, _, prefix = text.partition("/")
    return f"{subnet.write(*subnet.parse(address))}/{int(prefix)}"


def _containing(found: Sequence[tuple[Subnet, Pool]], family: int, number: int, otherwise: str) -> tuple[Subnet, Pool]:
    for whole, pool in found:
        if whole.family == family and whole.contains(number):
            return whole, pool
    raise InvalidArgument(otherwise)


def create(place: Place, network: Network) -> None:
    """Make a network from what a user said of it: it gets an id, and subnets and gateways where none were named.

    Raises:
        InvalidArgument: something cannot be right.
        Conflict: the name is in use, or a subnet is.
        Unsupported: there is no such driver, or this machine lacks what it takes.
    """
    store.validate_name(network.name)
    if network.is_predefined or network.name == "default" or network.name.startswith("container:"):
        raise InvalidArgument(f"operation is not permitted on predefined {network.name} network")
    if place.rootless and network.driver in (record.MACVLAN, record.IPVLAN):
        raise Unsupported(
            f"a network of the driver {network.driver} needs root, since it lies upon a device of the machine's: "
            "use the driver bridge"
        )
    if network.ipam_driver not in _IPAM_DRIVERS:
        raise Unsupported(
            f'error looking up IPAM plugin {network.ipam_driver}: plugin "{network.ipam_driver}" not found'
        )
    if not network.ipv4 and not network.ipv6:
        raise InvalidArgument("IPv4 or IPv6 must be enabled")
    if record.ENABLE_IPV6 in network.options:
        network.ipv6 = network.ipv6 or network.options[record.ENABLE_IPV6] == "true"
    for pool in network.pools:
        if pool.family == IPV6 and not network.ipv6:
            raise InvalidArgument(
                f"invalid network config: IPv6 is not enabled, and {pool.subnet} is a subnet of it: say --ipv6"
            )
        if pool.family == IPV4 and not network.ipv4:
            raise InvalidArgument(f"invalid network config: IPv4 is disabled, and {pool.subnet} is a subnet of it")
    if not network.config_only:
        choice.find(network.driver).check(network)
    network.id = os.urandom(32).hex()
    store.ensure_predefined(place)
    with store.Changing(place) as changing:
        if not changing.is_free(network.name):
            raise Conflict(f"network with name {network.name} already exists")
        if network.config_only:
            changing.publish(network)
            return
        _check_device(network, changing.networks())
        with pools.Claims(place) as claims:
            if network.ipam_driver == "default":
                _fill(network, pools.taken(changing.networks()), claims)
            for pool in network.pools:
                _choose_gateway(network, pool)
                if network.driver == record.BRIDGE:
                    claims.take(pool.parsed(), network.id)
            changing.publish(network)


def _check_device(network: Network, others: Sequence[Network]) -> None:
    for each in others:
        if network.driver == each.driver == record.BRIDGE and network.bridge == each.bridge:
            raise Conflict(f"networks {network.name} and {each.name} cannot have the same bridge {each.bridge}")


def _fill(network: Network, taken: pools.Taken, claims: pools.Claims) -> None:
    """Check the subnets that were named, and choose where none was."""
    for pool in network.pools:
        if network.driver == record.BRIDGE:
            pools.check(pool.parsed(), taken, claims.others(everywhere=False))
        else:  # a subnet of the machine's own network is what it is to be
            pools.check(pool.parsed(), taken.without_machine(), ())
    if network.ipv4 and not network.pools_of(IPV4):
        network.pools.insert(0, Pool(str(pools.choose(taken, claims.others(everywhere=True))), "", "", {}))
    if network.ipv6 and not network.pools_of(IPV6):
        network.pools.append(Pool(str(pools.choose_ipv6()), "", "", {}))


def _choose_gateway(network: Network, pool: Pool) -> None:
    if pool.gateway or network.options.get("ipvlan_mode", "").startswith("l3"):
        return
    whole = pool.parsed()
    share = Subnet.parse(pool.ip_range) if pool.ip_range else whole
    first = share.base + (1 if share.base == whole.base and whole.size > 2 else 0)
    reserved = set(pool.auxiliary.values())
    while subnet.write(whole.family, first) in reserved:
        first += 1
    if not whole.contains(first):
        raise OrlopError(f"no address of {whole} is left for the gateway")
    pool.gateway = subnet.write(whole.family, first)


def remove(place: Place, network: Network, runs: Callable[[str], bool]) -> None:
    """Remove a network, and what of it is still on the machine.

    Raises:
        InvalidArgument: it is one that every engine has.
        Conflict: a running container is on it.
    """
    if network.is_predefined:
        raise InvalidArgument(f"{network.name} is a pre-defined network and cannot be removed")
    with store.Changing(place) as changing:
        changing.check_unused(network, runs)
        if network.config_only:
            changing.withdraw(network)
            return

        def withdraw() -> None:
            with pools.Claims(place) as claims:
                claims.give_back([pool.parsed() for pool in network.pools], network.id)
                changing.withdraw(network)

        if not activation.take_down(place, network, withdraw=withdraw):
            changing.check_unused(network, runs)
            raise Conflict(f"error while removing network: network {network.name} is just getting a container")
