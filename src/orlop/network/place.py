"""Where the networks of one engine keep their state.

``directory``, ``<root>/networks``, survives a reboot::

    <id>/network.json        one network (`orlop.network.record`)
    names/<name>             a symbolic link to the id that has the name

``run_directory``, ``<run root>/networks``, does not::

    <id>/addresses/<address> a symbolic link to the id of the container that has the address
    <id>/endpoints/<id>      one container on the network (`orlop.network.endpoint`)
    .ports/<id>              what of a container is published (`orlop.network.ports.published`)

Everything of a network in the run directory is there only while containers are on it.
"""

from __future__ import annotations


class Place:
    """One engine's directories of networks. Making the value touches nothing."""

    __slots__ = ("directory", "rootless", "run_directory")

    def __init__(self, directory: str, run_directory: str, *, rootless: bool) -> None:
        self.directory = directory
        self.run_directory = run_directory
        #: Whether the engine is an ordinary user's.
        self.rootless = rootless

    @property
    def links(self) -> str:
        """One directory per container that others are linked to (`orlop.engine.links`); there if any is."""
        return f"{self.run_directory}/.links"

    @property
    def names(self) -> str:
        """One symbolic link per network's name, to the id that has it."""
        return f"{self.directory}/names"

    def record(self, network_id: str) -> str:
        """A network's record."""
        return f"{self.directory}/{network_id}/network.json"

    def running(self, network_id: str) -> str:
        """What of a network is there only while containers are on it."""
        return f"{self.run_directory}/{network_id}"

    def addresses(self, network_id: str) -> str:
        """One symbolic link per address that is taken, to the id of the container that has it."""
        return f"{self.run_directory}/{network_id}/addresses"

    def endpoints(self, network_id: str) -> str:
        """One file per container that is on the network, with the container's id for its name."""
        return f"{self.run_directory}/{network_id}/endpoints"

    def ports(self, container_id: str) -> str:
        """What of a container is published (`orlop.network.ports.published`)."""
        return f"{self.run_directory}/.ports/{container_id}"
