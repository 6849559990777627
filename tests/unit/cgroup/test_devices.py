"""Device rules: their meaning, the version 1 state and the version 2 program that enforce it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from orlop.errors import InvalidConfig, Unsupported
from orlop.linux.cgroup import device_program, devices, devices_v1
from orlop.linux.cgroup.devices import ANY, EVERYTHING, MKNOD, READ, WRITE, Rule

if TYPE_CHECKING:
    from pathlib import Path


def decide(rules: list[Rule], kind: str, major: int, minor: int, access: int) -> bool:
    """What the specification says, in the plainest words: for each kind of access the last match decides."""
    for bit in (MKNOD, READ, WRITE):
        allowed = False
        for rule in rules:
            applies = rule.kind == "a" or (
                rule.kind == kind
                and rule.major in (ANY, major)
                and rule.minor in (ANY, minor)
                and bool(rule.access & bit)
            )
            if applies:
                allowed = rule.allow
        if access & bit and not allowed:
            return False
    return True


def execute(program: bytes, kind: str, major: int, minor: int, access: int) -> bool:
    """Interpret the few BPF instructions that a device program uses."""
    context = [access << 16 | {"b": 1, "c": 2}[kind], major, minor]
    registers = [0] * 11
    position = 0
    for _ in range(10_000):
        code, operands = program[position], program[position + 1]
        offset = int.from_bytes(program[position + 2 : position + 4], "little", signed=True)
        value = int.from_bytes(program[position + 4 : position + 8], "little", signed=True)
        target, source = operands & 15, operands >> 4
        position += 8
        match code:
            case 0x61:
                assert source == 1
                registers[target] = context[offset // 4]
            case 0xBF:
                registers[target] = registers[source]
            case 0xB7:
                registers[target] = value
            case 0x57:
                registers[target] &= value
            case 0x77:
                registers[target] >>= value
            case 0x15:
                position += 8 * offset if registers[target] == value else 0
            case 0x55:
                position += 8 * offset if registers[target] != value else 0
            case 0x95:
                return bool(registers[0])
            case _:
                pytest.fail(f"instruction {code:#x}")
    pytest.fail("the program does not end")


def state_allows(state: devices_v1.State, kind: str, major: int, minor: int, access: int) -> bool:
    """How the kernel decides by its state: security/device_cgroup.c, in words in cgroup-v1/devices.rst."""
    for bit in (MKNOD, READ, WRITE):
        if not access & bit:
            continue
        excepted = any(
            device[0] == kind and device[1] in (ANY, major) and device[2] in (ANY, minor) and bool(bits & bit)
            for device, bits in state.exceptions.items()
        )
        if excepted == state.allow:
            return False
    return True


NUMBERS = some.sampled_from([ANY, 1, 2])
RULES = some.lists(
    some.one_of(
        some.builds(Rule, some.booleans(), some.just("a"), some.just(ANY), some.just(ANY), some.just(EVERYTHING)),
        some.builds(Rule, some.booleans(), some.sampled_from("bc"), NUMBERS, NUMBERS, some.integers(1, 7)),
    ),
    max_size=8,
)
TRIES = list(itertools.product("bc", (1, 2, 3), (1, 2, 3), range(1, 8)))


@given(RULES)
def test_the_program_decides_as_the_rules_do(rules: list[Rule]) -> None:
    program = device_program.assemble(rules)

    for attempt in TRIES:
        assert execute(program, *attempt) == decide(rules, *attempt), (rules, attempt)


@given(RULES)
def test_the_v1_state_decides_as_the_rules_do_or_is_refused(rules: list[Rule]) -> None:
    try:
        state = devices_v1.state_of(rules)
    except Unsupported:
        return

    for attempt in TRIES:
        assert state_allows(state, *attempt) == decide(rules, *attempt), (rules, attempt)


def test_a_hole_in_a_range_cannot_be_made_on_v1_and_can_on_v2() -> None:
    rules = [Rule(True, "c", 10, ANY, EVERYTHING), Rule(False, "c", 10, 200, WRITE)]

    with pytest.raises(Unsupported, match="c 10:200 w"):
        devices_v1.state_of(rules)
    program = device_program.assemble(rules)
    assert execute(program, "c", 10, 200, READ)
    assert not execute(program, "c", 10, 200, READ | WRITE)


def test_an_entry_without_type_is_about_all_devices() -> None:
    assert devices.parse([{"allow": False, "access": "rwm"}]) == [Rule(False, "a", ANY, ANY, EVERYTHING)]
    assert devices.parse([{"allow": True, "type": "a"}]) == [Rule(True, "a", ANY, ANY, EVERYTHING)]


def test_an_entry_for_all_types_with_numbers_is_not_about_everything() -> None:
    assert devices.parse([{"allow": True, "type": "a", "major": 1, "minor": 3, "access": "rw"}]) == [
        Rule(True, "b", 1, 3, READ | WRITE),
        Rule(True, "c", 1, 3, READ | WRITE),
    ]


def test_minus_one_and_absent_numbers_are_wildcards() -> None:
    assert devices.parse([{"allow": True, "type": "c", "major": 5, "minor": -1, "access": "m"}]) == [
        Rule(True, "c", 5, ANY, MKNOD)
    ]
    assert devices.parse([{"allow": True, "type": "b"}]) == [Rule(True, "b", ANY, ANY, EVERYTHING)]


@pytest.mark.parametrize(
    "entry",
    [{}, {"allow": 1}, {"allow": True, "type": "x"}, {"allow": True, "access": "rx"}, {"allow": True, "major": "1"}],
)
def test_an_entry_that_the_specification_does_not_know_is_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig):
        devices.parse([entry])


def test_a_container_without_rules_has_its_default_devices_and_no_other() -> None:
    program = device_program.assemble(list(devices.DEFAULTS))

    assert execute(program, "c", 1, 3, READ | WRITE)
    assert execute(program, "c", 136, 7, READ | WRITE)
    assert execute(program, "b", 8, 0, MKNOD)
    assert not execute(program, "b", 8, 0, READ)
    assert not execute(program, "c", 1, 1, READ)


def test_only_rules_that_end_in_allowing_all_deny_nothing() -> None:
    everything = Rule(True, "a", ANY, ANY, EVERYTHING)

    assert devices.everything_allowed([everything, *devices.DEFAULTS])
    assert not devices.everything_allowed([everything, Rule(False, "c", 1, 1, READ), *devices.DEFAULTS])
    assert not devices.everything_allowed(list(devices.DEFAULTS))


def test_an_update_on_v1_writes_only_the_difference(tmp_path: Path) -> None:
    (tmp_path / "devices.list").write_text("c 1:3 rwm\nc 10:200 rw\nb *:* m\n")
    (tmp_path / "devices.allow").touch()
    (tmp_path / "devices.deny").touch()
    rules = [Rule(True, "c", 1, 3, EVERYTHING), Rule(True, "c", 10, 200, READ), Rule(True, "b", ANY, ANY, READ | MKNOD)]

    devices_v1.apply(rules, str(tmp_path), new=False)

    assert (tmp_path / "devices.allow").read_text() == "b *:* r"
    assert (tmp_path / "devices.deny").read_text() == "c 10:200 w"


def test_a_new_privileged_group_below_one_that_may_use_all_needs_no_write(tmp_path: Path) -> None:
    (tmp_path / "devices.list").write_text("a *:* rwm\n")

    devices_v1.apply([Rule(True, "a", ANY, ANY, EVERYTHING)], str(tmp_path), new=True)

    assert not (tmp_path / "devices.allow").exists()
