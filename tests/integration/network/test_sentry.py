"""Who hears that the rule set was changed, and how often it is looked at then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orlop.errors import OrlopError
from orlop.linux.nftables.changes import Changes
from orlop.network.firewall.sentry import Sentry
from tests.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Iterator


class Clock:
    now = 1000.0


@pytest.fixture
def machine() -> Iterator[Machine]:
    with Machine() as made:
        yield made


def test_a_transaction_is_heard_of_once_however_much_it_changes(machine: Machine) -> None:
    changes = machine.inside(Changes)
    try:
        assert not changes.take()
        machine.run("nft", "-f", "-", text="add table ip x\n" + "".join(f"add chain ip x c{n}\n" for n in range(500)))
        assert changes._socket.recv(1 << 16)
        assert not changes.take()
        machine.run("nft", "flush", "ruleset")
        machine.run("nft", "add", "table", "ip", "y")
        assert changes.take()
        assert not changes.take()
    finally:
        changes.close()


def test_it_is_looked_at_at_once_and_then_less_and_less_often(machine: Machine) -> None:
    clock = Clock()
    looks: list[float] = []

    def check() -> None:
        looks.append(clock.now)
        machine.run("nft", "add", "table", "ip", f"t{len(looks)}")
        raise OrlopError("it cannot be put back")

    sentry = machine.inside(lambda: Sentry(clock, check))
    try:
        sentry.look()
        assert looks == []
        machine.run("nft", "add", "table", "ip", "first")
        sentry.look()
        assert looks == [1000.0]
        for _ in range(300):
            clock.now += 0.1
            sentry.look()
        assert 5 < len(looks) < 12
        assert sentry.has_deadlines
        clock.now += 60
        sentry.tick()
        seen = len(looks)
        clock.now += 1
        sentry.look()
        assert len(looks) == seen + 1, "after a while of quiet it is quick again"
    finally:
        sentry.close()
