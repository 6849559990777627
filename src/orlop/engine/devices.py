"""Devices of the machine that a container may use: ``--device``, ``--device-cgroup-rule``."""

from __future__ import annotations

import os
import stat

from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from orlop.engine.settings import Settings

_EVERYTHING = "rwm"


def parse(text: str) -> dict[str, str]:
    """Docker's ``DeviceMapping`` from ``path[:path in the container][:permissions]``.

    Raises:
        ValueError: it has another form.
    """
    parts = text.split(":")
    source, target, access = parts[0], parts[0], _EVERYTHING
    if len(parts) == 2 and _is_access(parts[1]):
        access = parts[1]
    elif len(parts) in (2, 3):
        target = parts[1]
        access = parts[2] if len(parts) == 3 else _EVERYTHING
    if len(parts) > 3 or not source.startswith("/") or not target.startswith("/") or ".." in target.split("/"):
        raise ValueError("must be a device's absolute path, or path:path-in-container[:rwm]")
    if not _is_access(access):
        raise ValueError(f"invalid device mode: {access}")
    return {"PathOnHost": source, "PathInContainer": target, "CgroupPermissions": access}


def apply(config: dict[str, Any], settings: Settings, *, rootless: bool) -> None:
    """Put devices and the rules for them into a configuration.

    An ordinary user can make no device nodes: the host's own are mounted then, and its permissions count.

    Raises:
        InvalidArgument: a device is not there, or a rule cannot be read.
    """
    linux = config["linux"]
    for mapping in settings.devices:
        for node in nodes(mapping):
            if rootless:
                mount = {
                    "destination": node["path"],
                    "type": "bind",
                    "source": node.pop("source"),
                    "options": ["bind", "rprivate", "rw"],
                }
                config["mounts"].append(mount)
                continue
            node.pop("source")
            listed = linux.setdefault("devices", [])
            listed[:] = [each for each in listed if each["path"] != node["path"]]
            listed.append(node)
            if not settings.privileged:
                access = mapping.get("CgroupPermissions") or _EVERYTHING
                linux["resources"]["devices"].append(rule_for(node, access))
    if settings.device_cgroup_rules:
        rules = [rule(text) for text in settings.device_cgroup_rules]
        if not rootless:
            linux["resources"]["devices"] += rules


def rule_for(node: Mapping[str, Any], access: str) -> dict[str, Any]:
    """The rule of the devices' control group that lets a device be used."""
    return {"allow": True, "type": node["type"], "major": node["major"], "minor": node["minor"], "access": access}


def rule(text: str) -> dict[str, Any]:
    """A rule of the devices' control group from ``c 7:* rmw``.

    Raises:
        InvalidArgument: it has another form.
    """
    parts = text.split(" ")
    numbers = parts[1].split(":") if len(parts) == 3 else []
    if (
        len(numbers) != 2
        or parts[0] not in ("a", "b", "c")
        or not all(each == "*" or (each.isascii() and each.isdigit()) for each in numbers)
        or not _is_access(parts[2])
    ):
        raise InvalidArgument(f"invalid device cgroup format '{text}': use TYPE MAJOR:MINOR ACCESS as in 'c 7:* rmw'")
    found: dict[str, Any] = {"allow": True, "type": parts[0], "access": parts[2]}
    for name, number in zip(("major", "minor"), numbers, strict=True):
        if number != "*":
            found[name] = int(number)
    return found


def nodes(mapping: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The device, or all below a directory, each as in ``linux.devices`` and with its ``source``.

    Raises:
        InvalidArgument: it is not there, or no device.
    """
    source = mapping["PathOnHost"]
    target = mapping.get("PathInContainer") or source
    real = os.path.realpath(source)
    try:
        about = os.stat(real)
    except OSError as error:
        raise InvalidArgument(
            f'error gathering device information while adding custom device "{source}": {error.strerror}'
        ) from None
    if not stat.S_ISDIR(about.st_mode):
        yield _node(real, target, about, source)
        return
    found = False
    for directory, _, names in os.walk(real):
        for name in names:
            path = f"{directory}/{name}"
            try:
                about = os.lstat(path)
            except OSError:
                continue  # gone meanwhile
            if stat.S_ISCHR(about.st_mode) or stat.S_ISBLK(about.st_mode):
                found = True
                yield _node(path, target.rstrip("/") + path.removeprefix(real), about, source)
    if not found:
        raise InvalidArgument(f'error gathering device information while adding custom device "{source}": no devices')


def _node(source: str, target: str, about: os.stat_result, said: str) -> dict[str, Any]:
    if not (stat.S_ISCHR(about.st_mode) or stat.S_ISBLK(about.st_mode)):
        raise InvalidArgument(
            f'error gathering device information while adding custom device "{said}": not a device node'
        )
    return {
        "source": source,
        "path": os.path.normpath(target),
        "type": "c" if stat.S_ISCHR(about.st_mode) else "b",
        "major": os.major(about.st_rdev),
        "minor": os.minor(about.st_rdev),
        "fileMode": stat.S_IMODE(about.st_mode),
        "uid": about.st_uid,
        "gid": about.st_gid,
    }


def _is_access(text: str) -> bool:
    return 0 < len(text) <= 3 and set(text) <= set(_EVERYTHING) and len(set(text)) == len(text)
