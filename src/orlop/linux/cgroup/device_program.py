"""Device rules as a BPF program for version 2 (linux/bpf.h, BPF_PROG_TYPE_CGROUP_DEVICE; Linux 4.15).

The program gets the access that somebody tries and returns 1 to allow it. It goes through the rules from
the last to the first: an allowing rule that matches settles the kinds of access that it names, a denying
one that names a kind not settled yet refuses, and what nobody settled is refused.
"""

from __future__ import annotations

from orlop.linux.cgroup.devices import ANY, EVERYTHING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.cgroup.devices import Rule

# Opcodes: class | source | operation (linux/bpf_common.h, linux/bpf.h).
_LOAD_32 = 0x61  # BPF_LDX | BPF_MEM | BPF_W
_MOVE_REGISTER = 0xBF  # BPF_ALU64 | BPF_MOV | BPF_X
_MOVE = 0xB7  # BPF_ALU64 | BPF_MOV | BPF_K
_AND = 0x57  # BPF_ALU64 | BPF_AND | BPF_K
_SHIFT_RIGHT = 0x77  # BPF_ALU64 | BPF_RSH | BPF_K
_JUMP_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_JUMP_NOT_EQUAL = 0x55  # BPF_JMP | BPF_JNE | BPF_K
_EXIT = 0x95  # BPF_JMP | BPF_EXIT

# Registers: the kernel passes the context in r1 and takes the answer from r0.
_ANSWER, _CONTEXT, _TYPE, _ACCESS, _MAJOR, _MINOR, _SCRATCH = 0, 1, 2, 3, 4, 5, 6

_TYPES = {"b": 1, "c": 2}  # BPF_DEVCG_DEV_BLOCK, BPF_DEVCG_DEV_CHAR
INSTRUCTION_SIZE = 8


def assemble(rules: list[Rule]) -> bytes:
    """The instructions (struct bpf_insn, 8 bytes each) that decide as the rules do."""
    program = [
        # struct bpf_cgroup_dev_ctx: u32 access << 16 | type, u32 major, u32 minor
        _instruction(_LOAD_32, _TYPE, _CONTEXT, 0),
        _instruction(_MOVE_REGISTER, _ACCESS, _TYPE),
        _instruction(_AND, _TYPE, value=0xFFFF),
        _instruction(_SHIFT_RIGHT, _ACCESS, value=16),
        _instruction(_LOAD_32, _MAJOR, _CONTEXT, 4),
        _instruction(_LOAD_32, _MINOR, _CONTEXT, 8),
    ]
    for rule in reversed(rules):
        if rule.kind == "a":
            return b"".join(program) + _answer(int(rule.allow))
        program += _rule(rule)
    return b"".join(program) + _answer(0)


def _rule(rule: Rule) -> list[bytes]:
    conditions = [(_TYPE, _TYPES[rule.kind])]
    if rule.major != ANY:
        conditions.append((_MAJOR, rule.major))
    if rule.minor != ANY:
        conditions.append((_MINOR, rule.minor))
    verdict = _verdict(rule)
    code = []
    for position, (register, value) in enumerate(conditions):
        rest = len(conditions) - position - 1 + len(verdict)
        code.append(_instruction(_JUMP_NOT_EQUAL, register, offset=rest, value=value))
    return code + verdict


def _verdict(rule: Rule) -> list[bytes]:
    answer = [_instruction(_MOVE, _ANSWER, value=int(rule.allow)), _instruction(_EXIT)]
    if rule.access == EVERYTHING:
        return answer
    if rule.allow:
        return [
            _instruction(_AND, _ACCESS, value=EVERYTHING & ~rule.access),
            _instruction(_JUMP_NOT_EQUAL, _ACCESS, offset=len(answer), value=0),
            *answer,
        ]
    return [
        _instruction(_MOVE_REGISTER, _SCRATCH, _ACCESS),
        _instruction(_AND, _SCRATCH, value=rule.access),
        _instruction(_JUMP_EQUAL, _SCRATCH, offset=len(answer), value=0),
        *answer,
    ]


def _answer(value: int) -> bytes:
    return _instruction(_MOVE, _ANSWER, value=value) + _instruction(_EXIT)


def _instruction(code: int, target: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    # Every machine that orlop knows is little-endian; 32-bit immediates are signed.
    head = bytes((code, source << 4 | target)) + offset.to_bytes(2, "little", signed=True)
    return head + (value & 0xFFFFFFFF).to_bytes(4, "little")
