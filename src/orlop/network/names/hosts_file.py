"""The text of a container's /etc/hosts (hosts(5))."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

#: What every container's says.
LOCAL = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""


_EVERYWHERE = LOCAL.splitlines(keepends=True)


def line(address: str, *names: str) -> str:
    """One line: what is at an address."""
    return f"{address}\t{' '.join(names)}\n"


def renew(text: str, names: str, addresses: Sequence[str]) -> str:
    """Have exactly these ``names`` be at these addresses and no other; all other lines stay as they are."""
    wanted = [line(address, names) for address in addresses]
    lines = text.splitlines(keepends=True)
    ours = f"\t{names}\n"
    kept = [each for each in lines if each in wanted or each in _EVERYWHERE or not each.endswith(ours)]
    if kept and not kept[-1].endswith("\n"):
        kept[-1] += "\n"
    return "".join([*kept, *(each for each in wanted if each not in kept)])
