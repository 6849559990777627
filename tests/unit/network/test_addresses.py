"""Who has which address: taken by whoever is first, in turn, and back from whoever is gone."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from orlop.errors import Conflict, InvalidArgument, OrlopError
from orlop.network import addresses
from orlop.network.place import Place
from orlop.network.record import Network, Pool
from orlop.network.subnet import IPV4, IPV6

if TYPE_CHECKING:
    from pathlib import Path


def everybody(_container: str) -> bool:
    return True


def nobody(_container: str) -> bool:
    return False


def made(tmp_path: Path, *pools: Pool) -> tuple[Place, Network]:
    """A place, and a network with these subnets that is up."""
    place = Place(f"{tmp_path}/root", f"{tmp_path}/run", rootless=False)
    network = Network("a" * 64, "net", "bridge")
    network.pools = list(pools)
    os.makedirs(place.addresses(network.id))
    return place, network


def take(place: Place, network: Network, container: str = "one", wanted: str = "", family: int = IPV4) -> str:
    return addresses.take(place, network, family, container, wanted, everybody)


def test_addresses_come_in_turn_without_those_that_are_kept(tmp_path: Path) -> None:
    pool = Pool("10.0.0.0/24", "10.0.0.8/29", "10.0.0.9", {"router": "10.0.0.10"})
    place, network = made(tmp_path, pool)

    found = [take(place, network, str(number)) for number in range(6)]

    assert found == [f"10.0.0.{last}/24" for last in (8, 11, 12, 13, 14, 15)]
    with pytest.raises(OrlopError, match="no available IPv4 addresses on network net"):
        take(place, network, "late")
    addresses.release(place, network.id, "10.0.0.12/24", "2")
    assert take(place, network, "late") == "10.0.0.12/24"


def test_the_thousandth_address_is_found_as_fast_as_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, network = made(tmp_path, Pool("10.0.0.0/20", "", "10.0.0.1", {}))
    for number in range(999):
        take(place, network, str(number))
    calls: list[str] = []
    monkeypatch.setattr(addresses, "_taken", calls.append)

    assert take(place, network, "last") == "10.0.3.233/20"
    assert calls == [], "nobody had to look which are taken"


def test_an_address_just_freed_is_the_last_to_be_given_out_again(tmp_path: Path) -> None:
    place, network = made(tmp_path, Pool("10.0.0.0/29", "", "10.0.0.1", {}))
    found = []
    for _ in range(6):
        found.append(take(place, network))
        addresses.release(place, network.id, found[-1], "one")

    assert found[:5] == [f"10.0.0.{last}/29" for last in range(2, 7)]
    assert found[5] == found[0]


def test_many_who_take_at_once_get_different_ones(tmp_path: Path) -> None:
    place, network = made(tmp_path, Pool("10.0.0.0/24", "", "10.0.0.1", {}))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: take(place, network, str(number)), range(200)))

    assert len(set(found)) == 200


def test_an_address_that_is_asked_for_is_had_or_refused(tmp_path: Path) -> None:
    place, network = made(tmp_path, Pool("10.0.0.0/24", "10.0.0.128/25", "10.0.0.1", {"a": "10.0.0.7"}))

    assert take(place, network, "one", "10.0.0.7") == "10.0.0.7/24"
    assert take(place, network, "one", "10.0.0.7") == "10.0.0.7/24"
    with pytest.raises(Conflict, match="already in use by container one"):
        take(place, network, "two", "10.0.0.7")
    assert addresses.take(place, network, IPV4, "two", "10.0.0.7", nobody) == "10.0.0.7/24"
    for wanted in ("10.0.0.0", "10.0.0.255", "10.0.0.1", "10.0.1.1", "fd00::1", "nothing", "../../etc"):
        with pytest.raises(InvalidArgument):
            take(place, network, "two", wanted)


def test_what_the_dead_have_is_given_to_the_living(tmp_path: Path) -> None:
    place, network = made(tmp_path, Pool("10.0.0.0/30", "", "10.0.0.1", {}))
    take(place, network, "dead")

    with pytest.raises(OrlopError, match="every address is taken"):
        take(place, network, "late")
    assert addresses.take(place, network, IPV4, "late", "", nobody) == "10.0.0.2/30"
    addresses.release(place, network.id, "10.0.0.2", "dead")
    assert addresses.count(place, network.id) == 1, "who does not have it cannot give it back"
    addresses.sweep(place, network.id, nobody)
    assert addresses.count(place, network.id) == 0


def test_the_smallest_subnets_and_the_largest_have_addresses(tmp_path: Path) -> None:
    place, network = made(tmp_path, Pool("10.0.0.0/31", "", "10.0.0.0", {}), Pool("fd00::/64", "", "fd00::1", {}))

    assert take(place, network) == "10.0.0.1/31"
    assert take(place, network, family=IPV6) == "fd00::2/64"
    assert take(place, network, "two", "fd00:0::ffff", IPV6) == "fd00::ffff/64"


def test_a_turn_that_is_damaged_begins_anew(tmp_path: Path) -> None:
    place, network = made(tmp_path, Pool("10.0.0.0/24", "", "10.0.0.1", {}))
    for text in ("nonsense", "f" * 32, "", "-1"):
        with open(f"{place.running(network.id)}/turn-a000000", "w", encoding="ascii") as file:
            file.write(text)
        address = take(place, network)
        assert address == "10.0.0.2/24"
        addresses.release(place, network.id, address, "one")
