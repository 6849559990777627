"""Which capabilities a container's processes get."""

from __future__ import annotations

import os

from orlop.errors import InvalidArgument, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

#: What Docker gives every container, with the capabilities' numbers.
DEFAULT = {
    "CAP_CHOWN": 0,
    "CAP_DAC_OVERRIDE": 1,
    "CAP_FOWNER": 3,
    "CAP_FSETID": 4,
    "CAP_KILL": 5,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_SETPCAP": 8,
    "CAP_NET_BIND_SERVICE": 10,
    "CAP_NET_RAW": 13,
    "CAP_SYS_CHROOT": 18,
    "CAP_MKNOD": 27,
    "CAP_AUDIT_WRITE": 29,
    "CAP_SETFCAP": 31,
}


def normalized(name: str) -> str:
    """``CAP_NET_ADMIN`` from ``net_admin``, ``NET_ADMIN`` or ``CAP_NET_ADMIN``; ``ALL`` stays.

    Raises:
        InvalidArgument: there is no such capability.
    """
    from orlop.linux.capability import NAMES

    upper = name.upper()
    if upper == "ALL":
        return upper
    full = upper if upper.startswith("CAP_") else "CAP_" + upper
    if full not in NAMES:
        raise InvalidArgument(f'unknown capability: "{name}"')
    return full


def choose(add: Sequence[str], drop: Sequence[str], *, privileged: bool, available: int) -> tuple[list[str], list[str]]:
    """The capabilities for these options, and those among them that this machine has not got.

    ``available`` is the bounding set as a bit mask. What is missing is left out, unless it was named.

    Raises:
        InvalidArgument: an unknown name.
        Unsupported: a capability was asked for by name and is not in the bounding set.
    """
    if not (add or drop or privileged):  # as nearly always, and then for nothing
        missing = [name for name, number in DEFAULT.items() if not available >> number & 1]
        return [name for name in DEFAULT if name not in missing], missing
    from orlop.linux.capability import NAMES

    added = [normalized(name) for name in add]
    dropped = {normalized(name) for name in drop}
    named = {name for name in added if name != "ALL"}
    # As Docker does: of --cap-add X --cap-drop X or ALL, X stays; of --cap-add ALL --cap-drop X, X goes.
    if privileged:
        chosen = set(NAMES)
    elif "ALL" in added:
        chosen = set(NAMES) - dropped
    elif "ALL" in dropped:
        chosen = named
    else:
        chosen = set(DEFAULT) - dropped | named
    missing = [name for place, name in enumerate(NAMES) if name in chosen and not available >> place & 1]
    for name in missing:
        if name in added:
            raise Unsupported(f"capability {name} is not in this machine's bounding set, so no container can have it")
    return [name for name in NAMES if name in chosen and name not in missing], missing


def available() -> int:
    """This process's bounding set as a bit mask (``CapBnd`` in /proc/self/status, proc(5))."""
    descriptor = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = os.read(descriptor, 1 << 16)
    finally:
        os.close(descriptor)
    return int(text.partition(b"CapBnd:")[2].split(None, 1)[0], 16)
