"""Which capabilities a container's processes get."""

from __future__ import annotations

from orlop.errors import InvalidArgument, Unsupported
from orlop.linux.capability import NAMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: What Docker gives every container.
DEFAULT = tuple(
    "CAP_" + name
    for name in (
        "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP",
        "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
    )
)  # fmt: skip


def normalized(name: str) -> str:
    """``CAP_NET_ADMIN`` from ``net_admin``, ``NET_ADMIN`` or ``CAP_NET_ADMIN``; ``ALL`` stays.

    Raises:
        InvalidArgument: there is no such capability.
    """
    upper = name.upper()
    if upper == "ALL":
        return upper
    full = upper if upper.startswith("CAP_") else "CAP_" + upper
    if full not in NAMES:
        raise InvalidArgument(f'unknown capability: "{name}"')
    return full


def choose(add: Iterable[str], drop: Iterable[str], *, privileged: bool, available: int) -> tuple[list[str], list[str]]:
    """The capabilities for these options, and those among them that this machine has not got.

    ``available`` is the bounding set as a bit mask. What is missing is left out, unless it was named.

    Raises:
        InvalidArgument: an unknown name.
        Unsupported: a capability was asked for by name and is not in the bounding set.
    """
    added = [normalized(name) for name in add]
    dropped = {normalized(name) for name in drop}
    everything = privileged or "ALL" in added
    chosen = set(NAMES) if everything else set() if "ALL" in dropped else set(DEFAULT)
    if not privileged:
        chosen |= {name for name in added if name != "ALL"}
        # As Docker does: of --cap-add X --cap-drop ALL, X stays; of --cap-add ALL --cap-drop X, X goes.
        chosen -= dropped
        if "ALL" in dropped and not everything:
            chosen |= {name for name in added if name != "ALL"}
    missing = [name for place, name in enumerate(NAMES) if name in chosen and not available >> place & 1]
    for name in missing:
        if name in added:
            raise Unsupported(f"capability {name} is not in this machine's bounding set, so no container can have it")
    return [name for name in NAMES if name in chosen and name not in missing], missing
