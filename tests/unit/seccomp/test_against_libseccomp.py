"""Random profiles, compared with libseccomp's programs and with a direct reading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orlop.linux import seccomp
from orlop.linux.call import MACHINE
from orlop.linux.seccomp.architecture import ARCHITECTURES, native
from orlop.linux.seccomp.multiplex import MULTIPLEXED
from tests.unit.seccomp.library import TOKENS, compiled
from tests.unit.seccomp.machine import run
from tests.unit.seccomp.reading import COMPARE, read

if TYPE_CHECKING:
    from collections.abc import Sequence

NATIVE = native(MACHINE).name
# libseccomp 2.5 knows these; the newer ones it would skip.
NAMES = sorted(
    {
        name
        for architecture in ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_ARM")
        for name, number in ARCHITECTURES[architecture].numbers().items()
        if number & 0xFFFF < 445 and name not in ("uretprobe", "uprobe")
    }
)
VALUES = st.one_of(
    st.sampled_from([0, 1, 2, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32, (1 << 32) + 1, 1 << 63, (1 << 64) - 1]),
    st.integers(0, (1 << 64) - 1),
)
CONDITIONS = st.builds(
    lambda index, op, value, two: {"index": index, "op": op, "value": value, "valueTwo": two},
    st.integers(0, 5),
    st.sampled_from([*COMPARE, "SCMP_CMP_MASKED_EQ"]),
    VALUES,
    VALUES,
)
# A default that permits: runc's ENOSYS is not libseccomp's.
DEFAULTS = st.sampled_from(
    [("SCMP_ACT_ALLOW", None), ("SCMP_ACT_LOG", None), ("SCMP_ACT_TRACE", 7), ("SCMP_ACT_ERRNO", 38)]
)
ACTIONS = ["SCMP_ACT_ALLOW", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL", "SCMP_ACT_TRAP", "SCMP_ACT_LOG"]


@st.composite
def profiles(draw: st.DrawFn, *, multiplexed: bool = False, alternatives: int = 1) -> dict[str, Any]:
    """A profile with rules for a few calls, each with up to so many alternatives, all with one action."""
    default, errno = draw(DEFAULTS)
    # libseccomp 2.5.4 forgets to load the number of an x86_64 call where x32 is covered and no rule concerns x32.
    rules: list[dict[str, Any]] = [{"names": ["getpid"], "action": "SCMP_ACT_KILL_PROCESS", "args": []}]
    names = [name for name in NAMES if name != "getpid" and (multiplexed or name not in MULTIPLEXED)]
    for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=5, unique=True)):
        action = draw(st.sampled_from(ACTIONS))
        for _ in range(draw(st.integers(1, alternatives))):
            conditions = [] if multiplexed else draw(st.lists(CONDITIONS, max_size=3))
            if alternatives == 1:
                conditions = list({each["index"]: each for each in conditions}.values())
            rules.append({"names": [name], "action": action, "args": conditions})
    others = [name for name in TOKENS if name.startswith(("SCMP_ARCH_X", "SCMP_ARCH_A"))]
    config: dict[str, Any] = {
        "defaultAction": default,
        "architectures": [NATIVE, *draw(st.lists(st.sampled_from(others), max_size=3, unique=True))],
        "syscalls": rules,
    }
    if errno is not None:
        config["defaultErrnoRet"] = errno
    return config


def interesting(config: dict[str, Any], architecture: str) -> set[int]:
    """The numbers that a profile names, and their neighbours."""
    table = ARCHITECTURES[architecture].numbers()
    named = {table[name] for rule in config["syscalls"] for name in rule["names"] if name in table}
    return {abs(number + step) for number in named for step in (-1, 0, 1)} | {min(table.values()), max(table.values())}


def argument_sets(config: dict[str, Any]) -> list[list[int]]:
    """Arguments around the values that the conditions compare with."""
    sets = [[0] * 6, [(1 << 64) - 1] * 6]
    for rule in config["syscalls"]:
        for step in (-1, 0, 1):
            values = [0] * 6
            for condition in rule["args"]:
                key = "valueTwo" if condition["op"] == "SCMP_CMP_MASKED_EQ" else "value"
                values[condition["index"]] = (condition[key] + step) % (1 << 64)
            sets.append(values)
    return sets


def cut(values: Sequence[int], architecture: str) -> list[int]:
    """What the kernel shows of a 32-bit process's registers."""
    return [value & 0xFFFFFFFF for value in values] if not ARCHITECTURES[architecture].wide else list(values)


@given(profiles())
@settings(max_examples=40, deadline=None)
def test_conditions_decide_as_in_libseccomp(config: dict[str, Any]) -> None:
    # Without alternatives: libseccomp merges them into one tree, in which it does not come back from a branch to
    # try the next, so that rules which match by themselves may be missed.
    ours, theirs = seccomp.compile(config).instructions, compiled(config)
    for architecture in config["architectures"]:
        audit = ARCHITECTURES[architecture].audit
        for number in interesting(config, architecture):
            for values in argument_sets(config):
                arguments = cut(values, architecture)
                assert run(ours, audit, number, arguments) == run(theirs, audit, number, arguments)


@given(profiles(alternatives=3))
@settings(max_examples=40, deadline=None)
def test_conditions_and_alternatives_decide_as_the_profile_says(config: dict[str, Any]) -> None:
    ours = seccomp.compile(config).instructions
    for architecture in config["architectures"]:
        audit = ARCHITECTURES[architecture].audit
        for number in interesting(config, architecture):
            if architecture == "SCMP_ARCH_X86_64" and number & 0x40000000:
                continue  # x32's
            for values in argument_sets(config):
                arguments = cut(values, architecture)
                assert run(ours, audit, number, arguments) == read(config, architecture, number, arguments)


@given(profiles(multiplexed=True))
@settings(max_examples=40, deadline=None)
def test_multiplexed_calls_are_found_as_libseccomp_finds_them(config: dict[str, Any]) -> None:
    ours = seccomp.compile(config).instructions
    theirs = compiled(config)
    for architecture in config["architectures"]:
        table = ARCHITECTURES[architecture].numbers()
        entries = {table[name] for name in ("socketcall", "ipc") if name in table}
        for number in interesting(config, architecture) | entries:
            for first in range(26) if number in entries else (0,):
                audit = ARCHITECTURES[architecture].audit
                assert run(ours, audit, number, (first,)) == run(theirs, audit, number, (first,)), (number, first)


@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=200), st.sampled_from(["SCMP_ACT_ERRNO", "SCMP_ACT_KILL"]))
@settings(max_examples=20, deadline=None)
def test_a_list_of_allowed_calls_allows_those_and_answers_enosys_to_newer_ones(names: list[str], default: str) -> None:
    config = {
        "defaultAction": default,
        "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}],
    }
    ours = seccomp.compile(config, "x86_64").instructions
    for number in range(480):
        assert run(ours, 0xC000003E, number) == read(config, "SCMP_ARCH_X86_64", number, [0] * 6)


def test_foreign_architectures_and_x32_are_killed_as_libseccomp_does() -> None:
    config = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": [NATIVE],
        "syscalls": [{"names": ["read"], "action": "SCMP_ACT_TRAP"}],
    }
    ours, theirs = seccomp.compile(config).instructions, compiled(config)
    for audit in (ARCHITECTURES[NATIVE].audit, 0x40000003, 0xC00000B7, 0):
        for number in (0, 1, 500, 0x40000000, 0x40000001, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF):
            assert run(ours, audit, number) == run(theirs, audit, number), (hex(audit), hex(number))
