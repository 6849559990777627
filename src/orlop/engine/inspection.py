"""Everything that is known of a container, in the words of Docker's API."""

from __future__ import annotations

from orlop.engine import container, exec_record, host_config, network_settings, pausing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: What Docker tells in any case of a container's configuration.
_UNSAID = {
    "Domainname": "",
    "AttachStdin": False,
    "AttachStdout": False,
    "AttachStderr": False,
}


def describe(target: container.Container) -> dict[str, Any]:
    """What `orlop inspect` shows.

    Raises:
        NotFound: the container was removed meanwhile.
    """
    record = target.record
    config = container.read(f"{target.directory}/config.json") or {}
    state = pausing.state(target)
    count = state.pop("RestartCount", 0)
    if "Healthcheck" in record["Config"]:
        from orlop.engine import health

        known = health.state(target, running=state["Running"])
        if known is not None:
            state["Health"] = known
    return {
        "Id": target.id,
        "Created": record["Created"],
        "Path": record["Path"],
        "Args": record["Args"],
        "State": state,
        "Image": record["Image"],
        "ResolvConfPath": f"{target.directory}/resolv.conf",
        "HostnamePath": f"{target.directory}/hostname",
        "HostsPath": f"{target.directory}/hosts",
        "LogPath": target.log,
        "Name": f"/{target.name}",
        "RestartCount": count,
        "ExecIDs": exec_record.running(target.location, target.id) or None,
        "Driver": _driver(record),
        "Platform": "linux",
        "MountLabel": (config.get("linux") or {}).get("mountLabel", ""),
        "ProcessLabel": (config.get("process") or {}).get("selinuxLabel", ""),
        "AppArmorProfile": (config.get("process") or {}).get("apparmorProfile", ""),
        "Rootfs": (config.get("root") or {}).get("path", ""),
        "HostConfig": {**host_config.described(record["HostConfig"]), **_paths(config), **_links(target)},
        "GraphDriver": {"Name": _driver(record), "Data": _layers(record, target.directory)},
        "Mounts": record.get("Mounts") or [],
        "Config": {**_UNSAID, **record["Config"]},
        "NetworkSettings": network_settings.describe(target, state),
        **({"Snapshots": record["Snapshots"]} if record.get("Snapshots") else {}),
        **({"ImageManifestDescriptor": {"digest": record["Manifest"]}} if record.get("Manifest") else {}),
    }


def _paths(config: dict[str, Any]) -> dict[str, Any]:
    linux = config.get("linux") or {}
    return {"MaskedPaths": linux.get("maskedPaths"), "ReadonlyPaths": linux.get("readonlyPaths")}


def _links(target: container.Container) -> dict[str, Any]:
    if not target.record["HostConfig"].get("Links"):
        return {}
    from orlop.engine import links

    return {"Links": links.described(target)}


def _driver(record: dict[str, Any]) -> str:
    return str(record.get("Driver") or ("directory" if record["Rootfs"] else "overlay"))


def _layers(record: dict[str, Any], directory: str) -> dict[str, str] | None:
    """Where the files of a container of an image are, in Docker's words for overlays where it is one."""
    mounts = record.get("RootMounts")
    if not mounts:
        return None
    if mounts[0]["type"] != "overlay":
        return {"Dir": mounts[0]["source"]}
    found: dict[str, list[str]] = {}
    for option in mounts[0]["options"]:
        key, _, value = option.partition("=")
        found.setdefault(key, []).append(value)
    return {
        "LowerDir": ":".join(found.get("lowerdir+", ())),
        "MergedDir": f"{directory}/rootfs",  # where it is in the container's mount namespace; elsewhere it is empty
        "UpperDir": "".join(found.get("upperdir", ())),
        "WorkDir": "".join(found.get("workdir", ())),
    }
