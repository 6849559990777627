"""An engine on a machine of its own, so that what it does to devices, routes and rules is nobody else's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.integration.engine.conftest import Engine, wait_until
from tests.machine import Machine

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


class NetworkedEngine(Engine):
    """orlop's command line on a `Machine`."""

    def __init__(self, directory: Path, rootfs: Path) -> None:
        self.machine = Machine()
        # Only its network is the machine's: control groups are below /sys, which is mounted anew there.
        super().__init__(
            directory,
            rootfs,
            prefix=("env", "-u", "ORLOP_NETWORK", "nsenter", f"--net=/proc/{self.machine.pid}/ns/net"),
        )

    def devices(self) -> list[str]:
        """The names of the machine's devices, the loopback device apart."""
        return [each["ifname"] for each in self.machine.ip("link") if each["ifname"] != "lo"]

    def network(self, name: str) -> dict[str, Any]:
        """What `orlop network inspect` tells of one network."""
        found: list[dict[str, Any]] = json.loads(self.ok("network", "inspect", name))
        return found[0]

    def address(self, container: str, network: str = "bridge") -> str:
        """A container's IPv4 address."""
        return str(self.inspect(container)["NetworkSettings"]["Networks"][network]["IPAddress"])

    def reaches(self, container: str, address: str) -> bool:
        """Whether a container gets an answer from an address."""
        return self("exec", container, "busybox", "ping", "-c", "1", "-W", "1", address).code == 0

    def is_clean(self) -> bool:
        """Whether nothing of the engine's networks is on the machine."""
        running = self.run_root / "networks"
        names = [each.name for each in running.iterdir()] if running.exists() else []
        return not self.devices() and not self.machine.rules() and all(name[0] == "." for name in names)

    def close(self) -> None:
        """Remove everything; nothing must be left on the machine either."""
        try:
            super().close()
            wait_until(self.is_clean, "a machine without anything of the engine's")
        finally:
            self.machine.end()

    def __enter__(self) -> NetworkedEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.machine.end()
