"""Containers and images in a line each, as the API lists them."""

from __future__ import annotations

from orlop import ago
from orlop.api.shapes import filled
from orlop.engine import network_settings
from orlop.images import reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from orlop.engine.container_list import ImageNames, Listed
    from orlop.images.store import Image


def container(each: Listed, names: ImageNames) -> dict[str, Any]:
    """Docker's ``ContainerSummary``."""
    record = each.record
    settings = network_settings.describe(each.target, each.state)
    return {
        "Id": each.target.id,
        "Names": [f"/{each.target.name}"],
        "Image": names.of(record),
        "ImageID": record["Image"],
        "Command": each.command(),
        "Created": ago.seconds(each.created),
        "Ports": _ports(settings["Ports"]),
        "Labels": record["Config"].get("Labels") or {},
        "State": each.state["Status"],
        "Status": each.status(),
        "HostConfig": {"NetworkMode": record["HostConfig"]["NetworkMode"]},
        "NetworkSettings": {"Networks": filled(settings["Networks"])},
        "Mounts": record.get("Mounts") or [],
    }


def _ports(settings: Mapping[str, list[dict[str, str]] | None]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for port, bindings in settings.items():
        number, _, protocol = port.partition("/")
        plain = {"PrivatePort": int(number), "Type": protocol or "tcp"}
        found += [{"IP": each["HostIp"], **plain, "PublicPort": int(each["HostPort"])} for each in bindings or ()]
        if not bindings:
            found.append(plain)
    return found


def image(found: Image) -> dict[str, Any]:
    """Docker's ``ImageSummary``."""
    config = found.config
    return {
        "Id": found.id,
        "ParentId": "",
        "RepoTags": [reference.parse(name).familiar for name in found.tags],
        "RepoDigests": [reference.parse(name).familiar for name in found.digests],
        "Created": ago.seconds(found.created) if found.created else 0,
        "Size": found.size,
        "SharedSize": -1,
        "Labels": config.config.labels or None,
        "Containers": -1,
    }
