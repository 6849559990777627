"""Everything that is known of a container, in the words of Docker's API."""

from __future__ import annotations

from orlop.engine import container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def describe(target: container.Container) -> dict[str, Any]:
    """What `orlop inspect` shows.

    Raises:
        NotFound: the container was removed meanwhile.
    """
    record = target.record
    config = container.read(f"{target.directory}/config.json") or {}
    network = record["HostConfig"]["NetworkMode"]
    return {
        "Id": target.id,
        "Created": record["Created"],
        "Path": record["Path"],
        "Args": record["Args"],
        "State": target.state(),
        "Image": record["Image"],
        "ResolvConfPath": f"{target.directory}/resolv.conf",
        "HostnamePath": f"{target.directory}/hostname",
        "HostsPath": f"{target.directory}/hosts",
        "LogPath": target.log,
        "Name": f"/{target.name}",
        "RestartCount": 0,
        "Driver": "overlay" if not record["Rootfs"] else "directory",
        "Platform": "linux",
        "Rootfs": (config.get("root") or {}).get("path", ""),
        "HostConfig": record["HostConfig"],
        "Mounts": [_mount(text) for text in record["HostConfig"]["Binds"]],
        "Config": record["Config"],
        "NetworkSettings": {"Networks": {network: {}}},
    }


def _mount(text: str) -> dict[str, Any]:
    from orlop.engine import binds

    mount = binds.mount(text)
    _, propagation, write = mount["options"]
    return {
        "Type": "bind",
        "Source": mount["source"],
        "Destination": mount["destination"],
        "Mode": text.split(":")[2] if text.count(":") == 2 else "",
        "RW": write == "rw",
        "Propagation": propagation,
    }
