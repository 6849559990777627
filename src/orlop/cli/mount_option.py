"""``--mount type=bind,source=/a,target=/b,readonly``: the fields as one of Docker's ``Mount`` objects."""

from __future__ import annotations

import csv
import os

from orlop.options import boolean, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Words that mean ``true`` when they stand alone.
_FLAGS = ("readonly", "ro", "volume-nocopy", "bind-nonrecursive")
_RECURSION: dict[str, dict[str, bool]] = {
    "enabled": {},
    "disabled": {"NonRecursive": True},
    "writable": {"ReadOnlyNonRecursive": True},
    "readonly": {"ReadOnlyForceRecursive": True},
}
_OWNERS = {
    "BindOptions": ("bind", "bind-*"),
    "VolumeOptions": ("volume", "volume-*"),
    "TmpfsOptions": ("tmpfs", "tmpfs-*"),
    "ImageOptions": ("image", "image-*"),
}


def read(text: str) -> dict[str, Any]:
    """One ``--mount``.

    Raises:
        ValueError: a field is not known, or its value is wrong, or fields do not go together.
    """
    try:
        fields = next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise ValueError(f"is no list of fields with commas between them: {error}") from None
    found: dict[str, Any] = {"Type": "volume"}
    for field in fields:
        key, equals, value = field.partition("=")
        key = key.strip().lower()
        if not equals and key == "idmap":
            value = "match-user"
        elif not equals and key not in _FLAGS:
            raise ValueError(f"invalid field '{field}' must be a key=value pair")
        elif not equals:
            value = "true"
        _field(found, key, value, field)
    _check(found)
    return found


def _field(found: dict[str, Any], key: str, value: str, field: str) -> None:
    if key == "type":
        found["Type"] = value.lower()
    elif key in ("source", "src"):
        found["Source"] = os.path.abspath(value) if value == "." or value.startswith(("./", "../")) else value
    elif key in ("target", "dst", "destination"):
        found["Target"] = value
    elif key in ("readonly", "ro"):
        found["ReadOnly"] = _boolean(key, value)
    elif key == "consistency":
        found["Consistency"] = value.lower()
    elif key == "idmap":
        found["IDMap"] = value
    elif key == "bind-propagation":
        _within(found, "BindOptions")["Propagation"] = value.lower()
    elif key == "bind-nonrecursive":
        _within(found, "BindOptions")["NonRecursive"] = _boolean(key, value)
    elif key == "bind-recursive":
        if value not in _RECURSION:
            raise ValueError(
                f'invalid value for {key}: {value} (must be "enabled", "disabled", "writable", or "readonly")'
            )
        _within(found, "BindOptions").update(_RECURSION[value])
    elif key == "volume-nocopy":
        _within(found, "VolumeOptions")["NoCopy"] = _boolean(key, value)
    elif key == "volume-subpath":
        _within(found, "VolumeOptions")["Subpath"] = value
    elif key == "volume-label":
        name, _, label = value.partition("=")
        _within(found, "VolumeOptions").setdefault("Labels", {})[name] = label
    elif key == "volume-driver":
        _within(found, "VolumeOptions").setdefault("DriverConfig", {})["Name"] = value
    elif key == "volume-opt":
        name, _, option = value.partition("=")
        driver = _within(found, "VolumeOptions").setdefault("DriverConfig", {})
        driver.setdefault("Options", {})[name] = option
    elif key == "image-subpath":
        _within(found, "ImageOptions")["Subpath"] = value
    elif key == "tmpfs-size":
        _within(found, "TmpfsOptions")["SizeBytes"] = _size(key, value)
    elif key == "tmpfs-mode":
        _within(found, "TmpfsOptions")["Mode"] = _mode(key, value)
    else:
        raise ValueError(f"unexpected key '{key}' in '{field}'")


def _within(found: dict[str, Any], name: str) -> dict[str, Any]:
    options: dict[str, Any] = found.setdefault(name, {})
    return options


def _boolean(key: str, value: str) -> bool:
    try:
        return boolean(value)
    except ValueError:
        raise ValueError(f"invalid value for {key}: {value}") from None


def _size(key: str, value: str) -> int:
    try:
        return size(value)
    except ValueError:
        raise ValueError(f"invalid value for {key}: {value}") from None


def _mode(key: str, value: str) -> int:
    try:
        return int(value, 8)
    except ValueError:
        raise ValueError(f"invalid value for {key}: {value}") from None


def _check(found: dict[str, Any]) -> None:
    kind = found["Type"]
    if kind not in ("bind", "volume", "tmpfs", "image"):
        raise ValueError(f"invalid mount type: {kind} (must be bind, volume, tmpfs or image)")
    if not found.get("Target"):
        raise ValueError("target is required")
    for name, (owner, words) in _OWNERS.items():
        if name in found and kind != owner:
            raise ValueError(f"cannot mix '{words}' options with mount type '{kind}'")
    options = found.get("BindOptions") or {}
    if options.get("ReadOnlyForceRecursive"):
        if not found.get("ReadOnly"):
            raise ValueError("option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction")
        if options.get("Propagation", "rprivate") != "rprivate":
            raise ValueError("option 'bind-recursive=readonly' requires 'bind-propagation=rprivate'")
    if options.get("ReadOnlyNonRecursive") and not found.get("ReadOnly"):
        raise ValueError("option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction")
