"""Who is asked what no container has the answer to: the host's resolvers, or those that a user named for a container."""

from __future__ import annotations

import os
import time

from orlop.network.names import resolv_conf
from orlop.network.names.resolv_conf import ResolvConf

HOST_FILE = "/etc/resolv.conf"
_LARGEST = 1 << 16
#: Seconds to wait for an answer before the next one is asked, where the host says nothing else. The C library, who asks
#: us, waits for 5 in all.
_PATIENCE = 2.0
_LONGEST_PATIENCE = 30.0
_ROUNDS = 2
_MOST_ROUNDS = 5
#: Seconds that a server which did not answer is asked last.
_PENANCE = 10.0


class Upstream:
    """Resolvers to ask. ``servers`` names them once and for all; without it they are the host's, as they are at the time."""

    __slots__ = ("_conf", "_is_fixed", "_silent_until", "_stamp", "_turn")

    def __init__(self, servers: list[str] | None = None) -> None:
        self._is_fixed = servers is not None
        self._conf = ResolvConf(servers or ())
        self._stamp: tuple[int, ...] = ()
        self._silent_until: dict[str, float] = {}
        self._turn = 0

    def servers(self) -> list[str]:
        """The addresses to ask, in order."""
        self._follow()
        # The host's as many as its C library asks; a user's all that were named.
        most = None if self._is_fixed else resolv_conf.MOST_SERVERS
        found = self._conf.servers[:most] or [resolv_conf.LOCAL]
        if "rotate" in self._conf.options:
            self._turn = (self._turn + 1) % len(found)
            found = found[self._turn :] + found[: self._turn]
        if self._silent_until:
            now = time.monotonic()
            found.sort(key=lambda each: self._silent_until.get(each, 0.0) > now)
        return found

    def was_silent(self, server: str) -> None:
        """Note that a server did not answer."""
        if server in self._conf.servers:  # so that there are no more of them than servers
            self._silent_until[server] = time.monotonic() + _PENANCE

    def has_answered(self, server: str) -> None:
        """Note that a server did."""
        self._silent_until.pop(server, None)

    @property
    def patience(self) -> float:
        """Seconds to wait for one server's answer."""
        said = self._conf.option("timeout")
        return _PATIENCE if said is None else min(max(said, 1), _LONGEST_PATIENCE)

    @property
    def rounds(self) -> int:
        """How often to ask each of them."""
        said = self._conf.option("attempts")
        return _ROUNDS if said is None else min(max(said, 1), _MOST_ROUNDS)

    def _follow(self) -> None:
        """Read the host's file again if it is another one, or was changed."""
        if self._is_fixed:
            return
        stamp: tuple[int, ...] = ()
        text = b""
        try:
            found = os.stat(HOST_FILE)
            stamp = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
            if stamp == self._stamp:
                return
            with open(HOST_FILE, "rb", buffering=0) as file:
                text = file.read(_LARGEST) or b""
        except OSError:
            pass  # none: whoever is on the machine itself is asked
        self._stamp = stamp
        self._conf = resolv_conf.parse(text.decode("utf-8", "replace"))
        self._silent_until = {}
