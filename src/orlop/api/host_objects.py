"""The objects within a container's configuration, field by field: mounts, devices, limits, health checks, restart policies."""

from __future__ import annotations

from orlop.api.fields import Fields
from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    #: How each field is read that an object may have.
    Shape = Mapping[str, Callable[[Fields, str], object]]

_LEAST_DURATION = 1_000_000  # nanoseconds
_TESTS = ("NONE", "CMD", "CMD-SHELL")
_POLICIES = ("no", "on-failure", "always", "unless-stopped")


def _of(shape: Shape) -> Callable[[Fields, str], dict[str, Any]]:
    return lambda said, name: shaped(said.inner(name), shape)


def shaped(said: Fields, shape: Shape) -> dict[str, Any]:
    """The fields of an object that are there, each of the type that it should have.

    Raises:
        InvalidArgument: one is not.
    """
    return {name: read(said, name) for name, read in shape.items() if said.has(name)}


def _capabilities(said: Fields, name: str) -> list[list[str]]:
    value = said.plain()[name]
    if not isinstance(value, list):
        raise InvalidArgument(f"invalid JSON: {name} must be a list of lists of texts")
    return [Fields({name: each}).texts(name) for each in value]


_BIND: Shape = {
    "Propagation": Fields.text,
    "NonRecursive": Fields.flag,
    "CreateMountpoint": Fields.flag,
    "ReadOnlyNonRecursive": Fields.flag,
    "ReadOnlyForceRecursive": Fields.flag,
}
_DRIVER: Shape = {"Name": Fields.text, "Options": Fields.pairs}
_VOLUME: Shape = {
    "NoCopy": Fields.flag,
    "Labels": Fields.pairs,
    "DriverConfig": _of(_DRIVER),
    "Subpath": Fields.text,
}
_TMPFS: Shape = {"SizeBytes": Fields.number, "Mode": Fields.number}
_MOUNT: Shape = {
    "Type": Fields.text,
    "Source": Fields.text,
    "Target": Fields.text,
    "ReadOnly": Fields.flag,
    "Consistency": Fields.text,
    "BindOptions": _of(_BIND),
    "VolumeOptions": _of(_VOLUME),
    "TmpfsOptions": _of(_TMPFS),
    "ImageOptions": _of({"Subpath": Fields.text}),
}
#: The options that only mounts of one type may have.
_OPTIONS = {"bind": "BindOptions", "volume": "VolumeOptions", "tmpfs": "TmpfsOptions", "image": "ImageOptions"}
_DEVICE: Shape = {"PathOnHost": Fields.text, "PathInContainer": Fields.text, "CgroupPermissions": Fields.text}
_DEVICE_REQUEST: Shape = {
    "Driver": Fields.text,
    "Count": Fields.number,
    "DeviceIDs": Fields.texts,
    "Capabilities": _capabilities,
    "Options": Fields.pairs,
}
_ULIMIT: Shape = {"Name": Fields.text, "Soft": Fields.number, "Hard": Fields.number}
_HEALTH: Shape = {
    "Test": Fields.texts,
    "Interval": Fields.number,
    "Timeout": Fields.number,
    "StartPeriod": Fields.number,
    "StartInterval": Fields.number,
    "Retries": Fields.number,
}


def mounts(host: Fields, name: str) -> list[dict[str, Any]]:
    """``Mounts``."""
    found = [shaped(each, _MOUNT) for each in host.inners(name)]
    for each in found:
        if not each.get("Type"):
            wrong = "mount type unknown" if each.get("Target") else "field Target must not be empty"
            raise InvalidArgument(f'invalid mount config for type "": {wrong}')
        for kind, options in _OPTIONS.items():
            if options in each and each.get("Type") not in (kind, "cluster"):
                raise InvalidArgument(
                    f'invalid mount config for type "{each.get("Type", "")}": field {options} must not be specified'
                )
    return found


def devices(host: Fields, name: str) -> list[dict[str, Any]]:
    """``Devices``: what is not said of one is as on the host."""
    found = []
    for each in host.inners(name):
        said = shaped(each, _DEVICE)
        path = said.get("PathOnHost") or ""
        if not path:
            raise InvalidArgument("invalid device: the field PathOnHost is empty")
        found.append(
            {
                "PathOnHost": path,
                "PathInContainer": said.get("PathInContainer") or path,
                "CgroupPermissions": said.get("CgroupPermissions") or "rwm",
            }
        )
    return found


def device_requests(host: Fields, name: str) -> list[dict[str, Any]]:
    """``DeviceRequests``."""
    nothing = {"Driver": "", "Count": 0, "DeviceIDs": None, "Capabilities": None, "Options": None}
    return [{**nothing, **shaped(each, _DEVICE_REQUEST)} for each in host.inners(name)]


def ulimits(host: Fields, name: str) -> list[dict[str, Any]]:
    """``Ulimits``."""
    from orlop.linux.rlimit import NUMBERS

    found = []
    for each in host.inners(name):
        said = {"Name": "", "Soft": 0, "Hard": 0, **shaped(each, _ULIMIT)}
        if f"RLIMIT_{said['Name'].upper()}" not in NUMBERS or said["Name"] != said["Name"].lower():
            raise InvalidArgument(f"invalid ulimit type: {said['Name']}")
        found.append(said)
    return found


def for_devices(key: str) -> Callable[[Fields, str], list[dict[str, Any]]]:
    """Numbers for block devices, under ``key``."""

    def read(host: Fields, name: str) -> list[dict[str, Any]]:
        return [{"Path": each.text("Path"), key: each.number(key)} for each in host.inners(name)]

    return read


def health_check(said: Fields) -> dict[str, Any]:
    """``Healthcheck``.

    Raises:
        InvalidArgument: it cannot be one.
    """
    found = shaped(said.inner("Healthcheck"), _HEALTH)
    test = found.get("Test")
    if test and test[0] not in _TESTS:
        raise InvalidArgument(f'unknown type "{test[0]}" of the health check: it must be one of {", ".join(_TESTS)}')
    for name in ("Interval", "Timeout", "StartPeriod", "StartInterval"):
        if 0 != found.get(name, 0) < _LEAST_DURATION:
            raise InvalidArgument(f"{name} in Healthcheck cannot be less than 1ms")
    if found.get("Retries", 0) < 0:
        raise InvalidArgument("Retries in Healthcheck cannot be negative")
    return found


def restart_policy(host: Fields) -> dict[str, Any]:
    """``RestartPolicy``.

    Raises:
        InvalidArgument: there is no such policy.
    """
    said = host.inner("RestartPolicy")
    name, most = said.text("Name") or "no", said.number("MaximumRetryCount")
    if name not in _POLICIES:
        raise InvalidArgument(f"invalid restart policy: unknown policy '{name}'; use one of {', '.join(_POLICIES)}")
    if most and name != "on-failure" and said.text("Name"):
        raise InvalidArgument("invalid restart policy: maximum retry count can only be used with 'on-failure'")
    if most < 0:
        raise InvalidArgument("invalid restart policy: maximum retry count cannot be negative")
    return {"Name": name, "MaximumRetryCount": most if name == "on-failure" else 0}
