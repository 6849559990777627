"""Whose namespaces a container has: its own, the host's, or another container's (``--pid``, ``--ipc``, ``--network``, …)."""

from __future__ import annotations

from orlop.engine import container, network_mode
from orlop.errors import InvalidArgument, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.location import Location
    from orlop.engine.settings import Settings

HOST = "host"
PRIVATE = "private"
SHAREABLE = "shareable"
NONE = "none"
#: Before the name or id of the container whose namespace it is.
CONTAINER = "container:"

#: Settings that are modes: the namespace's type in the OCI configuration, what Docker calls it, and what may be said.
_MODES = (
    ("network", "network", "network", (NONE, HOST, CONTAINER)),
    ("pid", "pid", "PID", ("", PRIVATE, HOST, CONTAINER)),
    ("ipc", "ipc", "IPC", ("", PRIVATE, SHAREABLE, NONE, HOST, CONTAINER)),
    ("uts", "uts", "UTS", ("", PRIVATE, HOST, CONTAINER)),
    ("cgroup_namespace", "cgroup", "CGROUP", ("", PRIVATE, HOST)),
    ("user_namespace", "user", "USER", ("", HOST)),
)


def donor_of(mode: str) -> str:
    """The container that a mode names, or empty."""
    return mode.removeprefix(CONTAINER) if mode.startswith(CONTAINER) else ""


def resolve(location: Location, settings: Settings) -> None:
    """Check the modes, and replace the names of other containers by their ids.

    Raises:
        InvalidArgument: there is no such mode, or it contradicts another setting.
        NotFound: there is no such container.
        Unsupported: an ordinary user asks for what takes root.
    """
    for attribute, _, title, known in _MODES:
        mode = getattr(settings, attribute)
        if attribute == "network" and network_mode.is_connected(mode):
            continue
        donor = donor_of(mode)
        if mode == CONTAINER or (mode not in known and not (donor and CONTAINER in known)):
            raise InvalidArgument(f"invalid {title} mode: {mode}")
        if donor:
            other = container.find(location, donor)
            if attribute == "ipc" and other.record["HostConfig"].get("IpcMode") != SHAREABLE:
                raise InvalidArgument(
                    f"container {donor}: non-shareable IPC (hint: use --ipc shareable for the donor container)"
                )
            setattr(settings, attribute, CONTAINER + other.id)
    if location.rootless and settings.user_namespace == HOST:
        raise Unsupported("--userns host: an ordinary user's containers need a user namespace of their own")
    _check_network(settings)
    if settings.hostname and settings.uts not in ("", PRIVATE):
        raise InvalidArgument("conflicting options: hostname and the UTS mode")
    if settings.domainname and settings.uts not in ("", PRIVATE):
        raise InvalidArgument("conflicting options: domainname and the UTS mode")


def _check_network(settings: Settings) -> None:
    if settings.networks and not network_mode.is_connected(settings.network):
        raise InvalidArgument("conflicting options: cannot attach both user-defined and non-user-defined network-modes")
    if not donor_of(settings.network):
        return
    for is_given, what in (
        (settings.hostname, "hostname"),
        (settings.dns or settings.dns_search or settings.dns_options, "dns"),
        (settings.extra_hosts, "custom host-to-IP mapping"),
    ):
        if is_given:
            raise InvalidArgument(f"conflicting options: {what} and the network mode")


def apply(linux: dict[str, Any], settings: Settings) -> None:
    """Take the namespaces out of ``linux.namespaces`` that are the host's; those of others come at each start."""
    shared = {kind for attribute, kind, _, _ in _MODES if getattr(settings, attribute) == HOST and kind != "user"}
    linux["namespaces"] = [each for each in linux["namespaces"] if each["type"] not in shared]


def joined(host_config: dict[str, Any]) -> dict[str, str]:
    """The containers whose namespaces a record's ``HostConfig`` names, by the namespace's type."""
    names = {"network": "NetworkMode", "pid": "PidMode", "ipc": "IpcMode", "uts": "UTSMode"}
    found = {kind: donor_of(host_config.get(name) or "") for kind, name in names.items()}
    return {kind: donor for kind, donor in found.items() if donor}


def hostname_of_donor(location: Location, settings: Settings) -> str:
    """The host name of the container on whose network this one is, or empty."""
    donor = donor_of(settings.network)
    return str(container.Container(location, donor).record["Config"]["Hostname"]) if donor else ""
