"""Capabilities: names, and the five sets of a process (capabilities(7))."""

from __future__ import annotations

from orlop.linux import number, prctl
from orlop.linux.call import buffer, syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: Names in the order of their numbers, as of Linux 5.9; none was added since.
NAMES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)
NUMBERS = {name: value for value, name in enumerate(NAMES)}

SYS_ADMIN = NUMBERS["CAP_SYS_ADMIN"]
SYS_NICE = NUMBERS["CAP_SYS_NICE"]
SYS_RESOURCE = NUMBERS["CAP_SYS_RESOURCE"]

_VERSION_3 = 0x20080522
HEADER = _VERSION_3.to_bytes(4, "little") + bytes(4)


def mask(names: Iterable[str]) -> int:
    """The bit mask of a list of names; unknown ones are left out (the specification asks for a warning only)."""
    bits = 0
    for name in names:
        value = NUMBERS.get(name)
        if value is not None:
            bits |= 1 << value
    return bits


def names(bits: int) -> list[str]:
    """The names in a bit mask, in numerical order."""
    return [name for value, name in enumerate(NAMES) if bits >> value & 1]


def get() -> tuple[int, int, int]:
    """This process's effective, permitted and inheritable sets as bit masks (capget(2))."""
    storage = bytearray(24)
    syscall(number.CAPGET, "capget", None, HEADER, buffer(storage))
    words = [int.from_bytes(storage[at : at + 4], "little") for at in range(0, 24, 4)]
    return words[0] | words[3] << 32, words[1] | words[4] << 32, words[2] | words[5] << 32


def set_all(effective: int, permitted: int, inheritable: int) -> None:
    """Set the three sets at once (capset(2))."""
    syscall(number.CAPSET, "capset", None, HEADER, words_of(effective, permitted, inheritable))


def words_of(effective: int, permitted: int, inheritable: int) -> bytes:
    """The three sets as capset(2) takes them, beside `HEADER`."""
    low, high = 0xFFFFFFFF, 32
    words = (
        effective & low,
        permitted & low,
        inheritable & low,
        effective >> high,
        permitted >> high,
        inheritable >> high,
    )
    return b"".join(word.to_bytes(4, "little") for word in words)


def bounding() -> int:
    """The bounding set as a bit mask."""
    bits = 0
    for value in range(64):
        try:
            if prctl.has_bounding_capability(value):
                bits |= 1 << value
        except OSError:  # past the last one that the kernel knows
            break
    return bits


def limit_bounding(keep: int) -> None:
    """Drop everything that is not in ``keep`` from the bounding set; needs CAP_SETPCAP if there is anything to drop."""
    value = 0
    while value < 64:
        if not keep >> value & 1:
            try:
                prctl.drop_bounding_capability(value)
            except OSError as error:
                if error.errno == 22:  # EINVAL: past the last one that the kernel knows
                    return
                if prctl.has_bounding_capability(value):
                    raise
        value += 1


def set_ambient(bits: int) -> None:
    """Replace the ambient set; each must already be permitted and inheritable."""
    prctl.clear_ambient_capabilities()
    for value in range(64):
        if bits >> value & 1:
            prctl.raise_ambient_capability(value)
