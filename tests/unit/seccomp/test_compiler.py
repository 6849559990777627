"""What compiled filters decide, instruction by instruction."""

from __future__ import annotations

from typing import Any

import pytest

from orlop.errors import InvalidConfig, Unsupported
from orlop.linux import seccomp
from orlop.linux.seccomp.architecture import ARCHITECTURES
from orlop.linux.seccomp.numbers import every_name
from tests.unit.seccomp.machine import run
from tests.unit.seccomp.reading import RESULTS, read

ALLOW = RESULTS["SCMP_ACT_ALLOW"]
EPERM = RESULTS["SCMP_ACT_ERRNO"] | 1
ENOSYS = RESULTS["SCMP_ACT_ERRNO"] | 38
KILL = RESULTS["SCMP_ACT_KILL"]
X86_64, X86, AARCH64, ARM = 0xC000003E, 0x40000003, 0xC00000B7, 0x40000028
X32_BIT = 0x40000000


def config(*rules: dict[str, Any], default: str = "SCMP_ACT_ALLOW", **more: Any) -> dict[str, Any]:
    return {"defaultAction": default, "syscalls": list(rules), **more}


def rule(*names: str, action: str = "SCMP_ACT_ERRNO", args: list[dict[str, Any]] | None = None, **more: Any) -> Any:
    return {"names": list(names), "action": action, "args": args or [], **more}


def when(index: int, op: str, value: int, two: int = 0) -> dict[str, Any]:
    return {"index": index, "op": f"SCMP_CMP_{op}", "value": value, "valueTwo": two}


def decide(settings: dict[str, Any], number: int, *arguments: int, audit: int = X86_64, machine: str = "x86_64") -> int:
    return run(seccomp.compile(settings, machine).instructions, audit, number, arguments)


def test_an_empty_profile_gives_every_call_the_default() -> None:
    assert decide(config(), 0) == ALLOW
    assert decide(config(default="SCMP_ACT_ERRNO"), 400) == EPERM


@pytest.mark.parametrize(("action", "result"), sorted(RESULTS.items()))
def test_each_action_becomes_the_kernels_value(action: str, result: int) -> None:
    default = "SCMP_ACT_LOG" if action == "SCMP_ACT_ALLOW" else "SCMP_ACT_ALLOW"
    expected = result | 1 if action in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE") else result
    assert decide(config(rule("getcwd", action=action), default=default, listenerPath="/x"), 79) == expected


def test_errno_and_trace_carry_their_number() -> None:
    assert decide(config(rule("getcwd", errnoRet=95)), 79) == RESULTS["SCMP_ACT_ERRNO"] | 95
    assert decide(config(rule("getcwd", action="SCMP_ACT_TRACE", errnoRet=40000)), 79) == 0x7FF00000 | 40000
    assert decide(config(default="SCMP_ACT_ERRNO", defaultErrnoRet=13), 79) == RESULTS["SCMP_ACT_ERRNO"] | 13


@pytest.mark.parametrize("op", ["NE", "LT", "LE", "EQ", "GE", "GT"])
@pytest.mark.parametrize("value", [0, 1, 0xFFFFFFFF, 0x100000000, 0x100000001, 0x8000000080000000, (1 << 64) - 1])
def test_comparisons_see_all_64_bits(op: str, value: int) -> None:
    settings = config(rule("write", args=[when(2, op, value)]))
    program = seccomp.compile(settings, "x86_64").instructions
    for near in (value - (1 << 32), value - 1, value, value + 1, value + (1 << 32), 0, 1 << 63, (1 << 64) - 1):
        argument = near % (1 << 64)
        assert run(program, X86_64, 1, (0, 0, argument)) == read(settings, "SCMP_ARCH_X86_64", 1, (0, 0, argument))


@pytest.mark.parametrize("mask", [0, 0xFF, 0xFF00000000, 0xF0000000F, (1 << 64) - 1])
def test_masked_comparisons_see_only_the_mask(mask: int) -> None:
    settings = config(rule("write", args=[when(0, "MASKED_EQ", mask, 0x500000005)]))
    program = seccomp.compile(settings, "x86_64").instructions
    for argument in (0, 5, 0x500000005, 0xF500000005, 0x5FFFFFFF05, (1 << 64) - 1):
        assert run(program, X86_64, 1, (argument,)) == read(settings, "SCMP_ARCH_X86_64", 1, (argument,))


def test_big_endian_machines_have_the_high_half_first() -> None:
    settings = config(rule("write", args=[when(0, "EQ", 0x100000002)]))
    program = seccomp.compile(settings, "s390x").instructions
    assert run(program, 0x80000016, 4, (0x100000002,), big=True) == EPERM
    assert run(program, 0x80000016, 4, (0x200000001,), big=True) == ALLOW


def test_32_bit_architectures_compare_the_low_half_only() -> None:
    settings = config(rule("write", args=[when(0, "EQ", 0xFFFFFFFFFFFFFFFF)]), architectures=["SCMP_ARCH_X86"])
    assert decide(settings, 4, 0xFFFFFFFF, audit=X86) == EPERM
    assert decide(settings, 1, 0xFFFFFFFF) == ALLOW


def test_conditions_on_different_arguments_must_all_hold() -> None:
    settings = config(rule("write", args=[when(0, "EQ", 1), when(1, "GT", 5)]))
    assert decide(settings, 1, 1, 6) == EPERM
    assert decide(settings, 1, 1, 5) == ALLOW
    assert decide(settings, 1, 2, 6) == ALLOW


def test_of_conditions_on_one_argument_any_suffices() -> None:
    settings = config(rule("write", args=[when(0, "EQ", 1), when(0, "EQ", 2)]))
    assert [decide(settings, 1, value) for value in (1, 2, 3)] == [EPERM, EPERM, ALLOW]


def test_several_rules_for_one_call_are_alternatives() -> None:
    settings = config(rule("write", args=[when(0, "EQ", 1)]), rule("write", args=[when(1, "EQ", 7)]))
    assert [decide(settings, 1, *pair) for pair in ((1, 0), (0, 7), (0, 0))] == [EPERM, EPERM, ALLOW]


def test_of_conditional_rules_that_both_match_the_first_decides() -> None:
    settings = config(
        rule("write", args=[when(0, "GT", 1)], errnoRet=7),
        rule("write", args=[when(0, "GT", 0)], errnoRet=8),
    )
    assert [decide(settings, 1, value) & 0xFFFF for value in (2, 1)] == [7, 8]


def test_a_rule_without_conditions_decides_alone() -> None:
    conditional = rule("write", args=[when(0, "EQ", 1)], errnoRet=7)
    always = rule("write", errnoRet=8)
    assert decide(config(conditional, always), 1, 1) & 0xFFFF == 8
    assert decide(config(always, conditional), 1, 1) & 0xFFFF == 8
    assert decide(config(always, rule("write", errnoRet=9)), 1) & 0xFFFF == 8


def test_a_rule_equal_to_the_default_says_nothing() -> None:
    settings = config(rule("write"), rule("write", action="SCMP_ACT_ALLOW"), default="SCMP_ACT_ERRNO")
    assert decide(settings, 1) == ALLOW


def test_calls_newer_than_the_profile_get_enosys_where_the_default_refuses() -> None:
    settings = config(rule("read", "openat2", action="SCMP_ACT_ALLOW"), default="SCMP_ACT_ERRNO")
    assert [decide(settings, number) for number in (0, 1, 436, 437, 438, 9999)] == [
        ALLOW, EPERM, EPERM, ALLOW, ENOSYS, ENOSYS,
    ]  # fmt: skip


@pytest.mark.parametrize("default", ["SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP"])
def test_newer_calls_get_enosys_also_where_the_default_kills(default: str) -> None:
    settings = config(rule("read", action="SCMP_ACT_ALLOW"), default=default)
    assert decide(settings, 500) == ENOSYS


@pytest.mark.parametrize("default", ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"])
def test_newer_calls_get_the_default_where_it_permits(default: str) -> None:
    settings = config(rule("read"), default=default)
    assert decide(settings, 500) & 0xFFFF0000 == RESULTS[default]


def test_the_newest_call_counts_even_in_a_rule_that_is_skipped() -> None:
    settings = config(rule("openat2"), default="SCMP_ACT_ERRNO")
    assert [decide(settings, number) for number in (437, 438)] == [EPERM, ENOSYS]


def test_an_architecture_that_is_not_listed_is_killed() -> None:
    assert decide(config(), 0, audit=X86) == KILL
    assert decide(config(), 0, audit=AARCH64) == KILL


def test_x32_calls_are_killed_where_x32_is_not_listed() -> None:
    assert decide(config(), X32_BIT) == KILL
    assert decide(config(), X32_BIT | 0x12345) == KILL
    assert decide(config(rule("read", action="SCMP_ACT_ALLOW"), default="SCMP_ACT_ERRNO"), X32_BIT) == KILL


def test_a_call_that_a_tracer_skips_is_not_an_x32_call() -> None:
    assert decide(config(), 0xFFFFFFFF) == ALLOW


def test_x86_64_x86_and_x32_each_have_their_own_numbers() -> None:
    settings = config(
        rule("ioctl", "open"),
        architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    )
    assert decide(settings, 16) == EPERM
    assert decide(settings, 54, audit=X86) == EPERM
    assert decide(settings, 16, audit=X86) == ALLOW
    assert decide(settings, X32_BIT | 514) == EPERM  # x32's ioctl
    assert decide(settings, X32_BIT | 2) == EPERM  # open, as on x86_64
    assert decide(settings, X32_BIT | 16) == ALLOW
    assert decide(settings, 514) == ALLOW


def test_x32_has_a_newest_call_of_its_own() -> None:
    settings = config(rule("read", action="SCMP_ACT_ALLOW"), default="SCMP_ACT_ERRNO", architectures=["SCMP_ARCH_X32"])
    assert [decide(settings, n) for n in (0, 1, X32_BIT, X32_BIT + 1)] == [ALLOW, ENOSYS, ALLOW, ENOSYS]


def test_the_machines_own_architecture_is_always_covered() -> None:
    settings = config(rule("read"), architectures=["SCMP_ARCH_X86"])
    assert decide(settings, 0) == EPERM


def test_arms_private_calls_do_not_raise_the_newest() -> None:
    settings = config(
        rule("read", "set_tls", action="SCMP_ACT_ALLOW"), default="SCMP_ACT_ERRNO", architectures=["SCMP_ARCH_ARM"]
    )

    def arm(number: int) -> int:
        return decide(settings, number, audit=ARM, machine="aarch64")

    assert [arm(n) for n in (3, 4, 0xEFFFF, 0xF0001, 0xF0005, 0xF0006)] == [ALLOW, ENOSYS, ENOSYS, EPERM, ALLOW, ENOSYS]


def test_s390_answers_enosys_for_the_number_zero() -> None:
    settings = config(rule("read", action="SCMP_ACT_ALLOW"), default="SCMP_ACT_ERRNO")
    assert decide(settings, 0, audit=0x80000016, machine="s390x") == ENOSYS


def test_sockets_are_also_decided_in_socketcall() -> None:
    settings = config(rule("bind"), architectures=["SCMP_ARCH_X86"])
    assert decide(settings, 361, audit=X86) == EPERM
    assert decide(settings, 102, 2, audit=X86) == EPERM
    assert decide(settings, 102, 3, audit=X86) == ALLOW


@pytest.mark.parametrize("name", sorted(name for name, each in ARCHITECTURES.items() if each.multiplexed))
def test_every_multiplexing_architecture_has_both_entries(name: str) -> None:
    architecture = ARCHITECTURES[name]
    table = architecture.numbers()
    program = seccomp.compile(config(rule("bind", "shmat"), architectures=[name]), "x86_64").instructions
    for entry, call in (("socketcall", 2), ("ipc", 21)):
        assert run(program, architecture.audit, table[entry], (call,), big=architecture.big) == EPERM
        assert run(program, architecture.audit, table[entry], (call + 1,), big=architecture.big) == ALLOW


def test_ipc_cannot_hide_a_call_behind_its_version() -> None:
    settings = config(rule("shmat"), architectures=["SCMP_ARCH_X86"])
    assert decide(settings, 117, 21, audit=X86) == EPERM
    assert decide(settings, 117, 0x10000 | 21, audit=X86) == EPERM
    assert decide(settings, 117, 22, audit=X86) == ALLOW


def test_conditions_that_socketcall_hides_forbid_the_call_or_do_not_permit_it() -> None:
    forbid = config(rule("socket", args=[when(0, "EQ", 38)]), architectures=["SCMP_ARCH_X86"])
    assert decide(forbid, 102, 1, audit=X86) == EPERM
    permit = config(
        rule("socket", action="SCMP_ACT_ALLOW", args=[when(0, "EQ", 2)]),
        default="SCMP_ACT_ERRNO",
        architectures=["SCMP_ARCH_X86"],
    )
    assert decide(permit, 359, 2, audit=X86) == ALLOW
    assert decide(permit, 102, 1, audit=X86) == EPERM


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_every_architecture_of_the_specification_has_its_table(name: str) -> None:
    architecture = ARCHITECTURES[name]
    settings = config(rule("execve", "pidfd_open"), architectures=[name])
    program = seccomp.compile(settings, "x86_64").instructions
    table = architecture.numbers()
    for call in ("execve", "pidfd_open"):
        assert run(program, architecture.audit, table[call]) == EPERM
    assert run(program, architecture.audit, table["getpid"]) == ALLOW
    assert set(table) <= every_name.NAMES


def test_all_architectures_fit_into_one_filter() -> None:
    settings = config(rule("write", args=[when(0, "EQ", 1)]), architectures=sorted(ARCHITECTURES))
    for name, architecture in ARCHITECTURES.items():
        program = seccomp.compile(settings, "x86_64").instructions
        number = architecture.numbers()["write"]
        assert run(program, architecture.audit, number, (1,), big=architecture.big) == EPERM, name


def test_jumps_over_more_than_255_instructions_arrive() -> None:
    table = dict(list(ARCHITECTURES["SCMP_ARCH_X86_64"].numbers().items())[::3])
    settings = config(
        *(
            rule(name, args=[when(0, "EQ", number << 33), when(1, "GT", number)], errnoRet=number)
            for name, number in table.items()
        ),
        architectures=["SCMP_ARCH_X86"],
    )
    program = seccomp.compile(settings, "x86_64").instructions
    assert len(program) // 8 > 2 * 255
    for number in table.values():
        expected = RESULTS["SCMP_ACT_ERRNO"] | number
        assert run(program, X86_64, number, (number << 33, number + 1)) == expected
        assert run(program, X86_64, number, (number << 33, number)) == ALLOW
    assert run(program, X86, 4) == ALLOW
    assert run(program, AARCH64, 4) == KILL


def test_the_search_is_balanced() -> None:
    names = sorted(every_name.NAMES)
    program = seccomp.compile(config(rule(*names[::2])), "x86_64")
    cuts = len(program) // 2
    assert cuts > 100
    # One comparison per level: 2 ** 10 ranges would need 10.
    depth = max(_depth(program.instructions, number) for number in range(480))
    assert depth <= 10


def _depth(instructions: bytes, number: int) -> int:
    import struct

    program = list(struct.iter_unpack("=HBBI", instructions))
    position, comparisons = 3, 0
    while program[position][0] == 0x35:
        _, if_true, if_false, constant = program[position]
        comparisons += 1
        position += 1 + (if_true if number >= constant else if_false)
    return comparisons


def test_a_filter_that_is_too_long_is_refused_with_its_length() -> None:
    rules = [rule("write", args=[when(i % 6, "EQ", i) for i in range(6)]) for _ in range(400)]
    with pytest.raises(InvalidConfig, match=r"instructions, the kernel takes 4096"):
        seccomp.compile(config(*rules))


def test_names_that_no_architecture_has_are_reported() -> None:
    program = seccomp.compile(config(rule("read", "arm_fadvise64_64", "frobnicate")), "x86_64")
    assert program.unmatched == ("arm_fadvise64_64", "frobnicate")
    assert program.unknown == ("frobnicate",)


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        (config(default="SCMP_ACT_MAYBE"), "SCMP_ACT_MAYBE"),
        (config(rule("read", action="SCMP_ACT_MAYBE")), "SCMP_ACT_MAYBE"),
        ({"syscalls": []}, "unknown seccomp action None"),
        (config(rule("read", args=[when(0, "ALMOST", 1)])), "SCMP_CMP_ALMOST"),
        (config(rule("read", args=[when(6, "EQ", 1)])), "index 6"),
        (config(rule("read", args=[when(0, "EQ", 1 << 64)])), "64-bit"),
        (config(rule("read", args=[{"index": 0, "op": "SCMP_CMP_EQ"}])), "None is not a 64-bit value"),
        (config(architectures=["SCMP_ARCH_Z80"]), "SCMP_ARCH_Z80"),
        (config(flags=["SECCOMP_FILTER_FLAG_FAST"]), "SECCOMP_FILTER_FLAG_FAST"),
        (config(rule("read", action="SCMP_ACT_KILL", errnoRet=1)), "errnoRet has no meaning for SCMP_ACT_KILL"),
        (config(defaultErrnoRet=1), "defaultErrnoRet has no meaning"),
        (config(rule("read", errnoRet=5000)), "5000 is not an errno"),
        (config(rule("read", errnoRet=-1)), "-1 is not an errno"),
        (config(rule()), "names"),
        (config(rule("")), "'' is not the name"),
        (config({"names": "read", "action": "SCMP_ACT_ALLOW"}), "names"),
        (config(rule("write", action="SCMP_ACT_NOTIFY"), listenerPath="/x"), "cannot be used for write"),
        (config(rule("read", action="SCMP_ACT_NOTIFY")), "listenerPath"),
        (config(default="SCMP_ACT_NOTIFY", listenerPath="/x"), "default"),
        (config(listenerMetadata="x"), "listenerMetadata"),
        (config(syscalls={}), "syscalls"),
    ],
)
def test_a_profile_that_breaks_the_specification_is_refused_by_name(broken: dict[str, Any], named: str) -> None:
    if broken.get("syscalls") == {}:
        broken["syscalls"] = {"read": 1}
    with pytest.raises(InvalidConfig) as caught:
        seccomp.compile(broken)
    assert named in str(caught.value)


def test_a_machine_without_a_table_is_unsupported() -> None:
    with pytest.raises(Unsupported, match="vax"):
        seccomp.compile(config(), "vax")


@pytest.mark.parametrize(
    ("given", "flags"),
    [
        ({}, 4),  # SPEC_ALLOW
        ({"flags": []}, 0),
        ({"flags": ["SECCOMP_FILTER_FLAG_LOG"]}, 2),
        ({"flags": ["SECCOMP_FILTER_FLAG_TSYNC"]}, 1 | 16),
        ({"flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]}, 0),
    ],
)
def test_flags_become_the_kernels(given: dict[str, Any], flags: int) -> None:
    program = seccomp.compile(config(**given))
    assert (program.flags, program.notify) == (flags, False)


def test_notifying_asks_for_a_listener() -> None:
    settings = config(
        rule("mkdir", action="SCMP_ACT_NOTIFY"),
        flags=["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
        listenerPath="/run/agent",
    )
    program = seccomp.compile(settings)
    assert (program.flags, program.notify) == (32 | 8, True)
