"""Rules for ``linux.netDevices``: network interfaces that move into the container."""

from __future__ import annotations

from orlop.errors import InvalidConfig

#: IFNAMSIZ, less the NUL at the end.
_LONGEST_NAME = 15


def check(devices: dict[str, dict[str, str]], namespaces: dict[str, str]) -> None:
    """Names as the kernel takes them (``dev_valid_name`` in net/core/dev.c), each once, and somewhere to go.

    Raises:
        InvalidConfig: no network namespace, a bad name, or two devices that end with the same name.
    """
    if "network" not in namespaces:
        raise InvalidConfig("linux.netDevices needs a network namespace in linux.namespaces")
    taken: dict[str, str] = {}
    for device, settings in devices.items():
        _check_name(device, f"linux.netDevices: {device!r}")
        name = settings.get("name") or device
        _check_name(name, f"linux.netDevices.{device}.name {name!r}")
        if name in taken:
            raise InvalidConfig(f"linux.netDevices: {taken[name]} and {device} would both be named {name}")
        taken[name] = device


def _check_name(name: str, where: str) -> None:
    valid = name not in ("", ".", "..") and len(name.encode("utf-8", "surrogatepass")) <= _LONGEST_NAME
    if not valid or "/" in name or ":" in name or name.split() != [name]:
        raise InvalidConfig(
            f"{where} is no name for a network interface: "
            f"1 to {_LONGEST_NAME} bytes without space, '/' and ':', not '.' or '..'"
        )
