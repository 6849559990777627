"""Which subnet a network gets, and which ones it is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orlop.errors import Conflict, InvalidArgument, OrlopError
from orlop.network import creation, pools
from orlop.network.place import Place
from orlop.network.subnet import IPV6, Subnet

if TYPE_CHECKING:
    from pathlib import Path


def taken(*machine: tuple[str, bool]) -> pools.Taken:
    """What a machine has: subnets, and whether they lie behind a gateway."""
    return pools.Taken([], [(Subnet.parse(text), "eth0", beyond) for text, beyond in machine])


def test_the_first_of_the_list_is_taken_that_overlaps_nothing() -> None:
    assert str(pools.choose(taken(("0.0.0.0/0", True)), ())) == "10.210.0.0/20"
    assert str(pools.choose(taken(("10.210.0.0/16", True)), ())) == "10.211.0.0/20"
    assert str(pools.choose(taken(("10.0.0.0/8", True)), ())) == "172.20.0.0/20"
    assert str(pools.choose(taken(("10.210.7.0/24", False)), ())) == "10.210.16.0/20"
    assert str(pools.choose(taken(), [(Subnet.parse("10.210.0.0/19"), "another's")])) == "10.210.32.0/20"
    with pytest.raises(OrlopError, match="no subnet is left"):
        pools.choose(taken(("10.0.0.0/8", True), ("172.16.0.0/12", True), ("192.168.0.0/16", True)), ())


def test_a_user_may_choose_a_part_of_what_lies_behind_a_gateway_and_nothing_else() -> None:
    pools.check(Subnet.parse("10.1.0.0/16"), taken(("10.0.0.0/8", True)), ())
    for text, beyond in (("10.0.0.0/8", False), ("10.1.0.0/16", True), ("10.1.2.0/24", True), ("10.1.2.3/32", False)):
        with pytest.raises(Conflict, match="eth0"):
            pools.check(Subnet.parse("10.1.0.0/16"), taken((text, beyond)), ())


def test_a_claim_of_a_network_that_is_gone_is_worth_nothing(tmp_path: Path) -> None:
    one, two = (Place(f"{tmp_path}/{name}", f"{tmp_path}/run-{name}", rootless=False) for name in ("one", "two"))
    claims = str(tmp_path / "claims")
    network = tmp_path / "one" / ("a" * 64)
    network.mkdir(parents=True)
    with pools.Claims(one, claims) as held:
        held.take(Subnet.parse("10.0.0.0/24"), network.name)
        assert list(held.others(everywhere=True)) == []
    with pools.Claims(two, claims) as held:
        assert [str(each) for each, _ in held.others(everywhere=False)] == ["10.0.0.0/24"]
    network.rmdir()
    with pools.Claims(two, claims) as held:
        assert list(held.others(everywhere=True)) == []
    assert not (tmp_path / "claims").exists(), "the last claim takes the directory along"


def test_ipv6_subnets_are_local_and_random() -> None:
    found = {str(pools.choose_ipv6()) for _ in range(100)}

    assert len(found) == 100
    assert all(Subnet.parse(text).prefix == 64 and text.startswith("fd") for text in found)


@pytest.mark.parametrize("text", ["", "10.0.0.0", "10.0.0.0/33", "10.0.0/8", "fd00::/129", "a/b", "10.0.0.0/-1", "/8"])
def test_what_is_no_subnet_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        Subnet.parse(text)


def test_what_is_said_of_subnets_is_put_together() -> None:
    found = creation.read_pools(
        ["fd00::/64", "10.0.0.0/24"], ["10.0.0.64/26"], ["fd00::9", "10.0.0.9"], {"a": "10.0.0.1", "b": "fd00::1"}
    )

    assert [each.fields() for each in found] == [
        {"Subnet": "fd00::/64", "Gateway": "fd00::9", "AuxiliaryAddresses": {"b": "fd00::1"}},
        {
            "Subnet": "10.0.0.0/24",
            "IPRange": "10.0.0.64/26",
            "Gateway": "10.0.0.9",
            "AuxiliaryAddresses": {"a": "10.0.0.1"},
        },
    ]
    assert found[0].family == IPV6
