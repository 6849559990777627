"""The text of /etc/resolv.conf (resolv.conf(5))."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

#: As many servers as the C library asks.
MOST_SERVERS = 3
#: Whom it asks if none is named.
LOCAL = "127.0.0.1"


class ResolvConf:
    """What one says: ``servers`` are addresses, in the order in which they are asked."""

    __slots__ = ("options", "search", "servers")

    def __init__(self, servers: Sequence[str] = (), search: Sequence[str] = (), options: Sequence[str] = ()) -> None:
        self.servers = list(servers)
        self.search = list(search)
        self.options = list(options)

    def option(self, name: str) -> int | None:
        """The number of an option such as ``ndots``; None if it is not said, or not as a number."""
        found = None
        for each in self.options:
            key, _, value = each.partition(":")
            if key == name and value.isascii() and value.isdigit():
                found = int(value)
        return found

    def text(self) -> str:
        """The file's text."""
        lines = [f"nameserver {each}" for each in self.servers]
        if self.search:
            lines.append(f"search {' '.join(self.search)}")
        if self.options:
            lines.append(f"options {' '.join(self.options)}")
        return "".join(f"{line}\n" for line in lines)


def parse(text: str) -> ResolvConf:
    """What a text says; lines that mean nothing are passed over, as the C library does."""
    found = ResolvConf()
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0][0] in "#;":
            continue
        if words[0] == "nameserver":
            found.servers.append(words[1])
        elif words[0] in ("search", "domain"):  # the last one counts
            found.search = [each for each in words[1:] if each != "."]
        elif words[0] == "options":
            found.options += words[1:]
    return found
