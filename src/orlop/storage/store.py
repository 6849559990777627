"""Everything that one engine stores: blobs, snapshots, and what holds on to them."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.storage.blobs import Blobs
    from orlop.storage.leases import Leases
    from orlop.storage.snapshots.interface import Snapshots


class Storage:
    """The storage below an engine's root. Making the value touches nothing; `prepare` makes the directories.

    ``rootless`` says that it is an ordinary user's. What concerns snapshots then has to happen as root of a user
    namespace with the user's id ranges. ``driver`` names the snapshots' driver; without it ORLOP_STORAGE_DRIVER does,
    and without that the root keeps the one that it has (`orlop.storage.snapshots.choice`).
    """

    __slots__ = ("_blobs", "_driver", "_leases", "_snapshots", "directory", "rootless")

    def __init__(self, root: str, *, rootless: bool, driver: str = "") -> None:
        self.directory = root
        self.rootless = rootless
        self._driver = driver
        self._blobs: Blobs | None = None
        self._leases: Leases | None = None
        self._snapshots: Snapshots | None = None

    @property
    def blobs(self) -> Blobs:
        """Content by digest."""
        if self._blobs is None:
            from orlop.storage.blobs import Blobs

            self._blobs = Blobs(f"{self.directory}/images")
        return self._blobs

    @property
    def leases(self) -> Leases:
        """What operations in flight hold on to."""
        if self._leases is None:
            from orlop.storage.leases import Leases

            self._leases = Leases(f"{self.directory}/leases")
        return self._leases

    @property
    def snapshots(self) -> Snapshots:
        """File trees. The first use of a root settles which driver it has from then on.

        Raises:
            InvalidArgument: the driver that was asked for is not known.
            Conflict: the root has snapshots of another driver than the one that was asked for.
            Unsupported: the driver that was asked for does not work there, or this version does not know the root's.
        """
        if self._snapshots is None:
            from orlop.storage.snapshots import choice

            self._snapshots = choice.open_snapshots(
                f"{self.directory}/snapshots", asked=self._driver, rootless=self.rootless
            )
        return self._snapshots

    def prepare(self) -> None:
        """Make the directories that are missing.

        Raises:
            OSError: a directory cannot be made.
        """
        for directory in (self.directory, f"{self.directory}/leases", f"{self.directory}/snapshots"):
            # Nobody else may look in: a layer may hold a setuid program that the host has since repaired
            # (CVE-2021-41091).
            os.makedirs(directory, 0o700, exist_ok=True)
        self.blobs.prepare()
