"""Rules about namespaces and about what needs one: mappings, clocks, names, kernel parameters.

``namespaces`` is passed around as a dictionary from type to path, "" where a new one is made.
"""

from __future__ import annotations

from orlop.errors import InvalidConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TYPES = ("cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts")

#: user_namespaces(7): lines that a uid_map or gid_map may have since Linux 4.15.
_MOST_MAPPINGS = 340
#: The kernel's __NEW_UTS_LEN.
_LONGEST_HOSTNAME = 64


def collect(linux: dict[str, Any]) -> dict[str, str]:
    """The configuration's namespaces by type, each with its path or "" for a new one.

    Raises:
        InvalidConfig: an unknown type, a type twice, or a relative path.
    """
    namespaces: dict[str, str] = {}
    for index, namespace in enumerate(linux.get("namespaces", ())):
        kind = namespace["type"]
        path = namespace.get("path", "")
        if kind not in TYPES:
            raise InvalidConfig(f"linux.namespaces[{index}].type {kind!r} is none of {', '.join(TYPES)}")
        if kind in namespaces:
            raise InvalidConfig(f"linux.namespaces lists {kind} twice")
        if path and path[0] != "/":
            raise InvalidConfig(f"linux.namespaces[{index}].path {path!r} must be absolute")
        namespaces[kind] = path
    return namespaces


def check(spec: dict[str, Any], linux: dict[str, Any], namespaces: dict[str, str], rootless: bool) -> list[str]:
    """Everything that is right or wrong depending on the namespaces; returns warnings.

    Raises:
        InvalidConfig: what is asked for would reach beyond the container, or could not be done.
    """
    warnings = _check_user(linux, namespaces, rootless)
    if linux.get("timeOffsets"):
        _check_clocks(linux["timeOffsets"], namespaces)
    for name in ("hostname", "domainname"):
        value = spec.get(name)
        if value:
            if "uts" not in namespaces:
                raise InvalidConfig(f"{name} needs a uts namespace in linux.namespaces")
            if len(value.encode("utf-8", "surrogatepass")) > _LONGEST_HOSTNAME:
                raise InvalidConfig(f"{name} must not be longer than {_LONGEST_HOSTNAME} bytes")
    if "mount" not in namespaces:
        for name in ("maskedPaths", "readonlyPaths"):
            if linux.get(name):
                raise InvalidConfig(f"linux.{name} needs a mount namespace in linux.namespaces")
    if linux.get("sysctl"):
        from orlop.runtime.spec import sysctl  # few containers set any

        sysctl.check(linux["sysctl"], namespaces)
    if linux.get("netDevices"):
        from orlop.runtime.spec import net_devices

        net_devices.check(linux["netDevices"], namespaces)
    return warnings


def _check_user(linux: dict[str, Any], namespaces: dict[str, str], rootless: bool) -> list[str]:
    path = namespaces.get("user")
    if rootless and path is None:
        raise InvalidConfig("a container without root privileges needs a user namespace in linux.namespaces")
    warnings = []
    for name in ("uidMappings", "gidMappings"):
        mappings = linux.get(name)
        if mappings:
            if path is None:
                warnings.append(f"linux.{name} has no effect without a user namespace in linux.namespaces")
            elif path:
                warnings.append(f"linux.{name} is not written: the user namespace {path!r} has mappings of its own")
            check_mappings(mappings, f"linux.{name}")
        elif path == "":
            raise InvalidConfig(f"linux.{name} is required for a new user namespace")
    return warnings


def check_mappings(mappings: list[dict[str, int]], path: str) -> None:
    """The kernel's rules for an id mapping (user_namespaces(7)).

    Raises:
        InvalidConfig: too many lines, an empty one, one beyond the last id, or two that overlap.
    """
    if len(mappings) > _MOST_MAPPINGS:
        raise InvalidConfig(f"{path} must not have more than {_MOST_MAPPINGS} entries")
    for index, mapping in enumerate(mappings):
        size = mapping["size"]
        if size == 0:
            raise InvalidConfig(f"{path}[{index}].size must be greater than zero")
        for name in ("containerID", "hostID"):
            first = mapping[name]
            if first + size > 0xFFFFFFFF:  # the last id, 4294967295, means "no change" and cannot be mapped
                raise InvalidConfig(f"{path}[{index}].{name} plus size goes beyond the last id")
            for other in range(index):
                start = mappings[other][name]
                if first < start + mappings[other]["size"] and start < first + size:
                    raise InvalidConfig(f"{path}[{index}] and {path}[{other}] overlap in {name}")


def is_mapped(mappings: list[dict[str, int]], number: int) -> bool:
    """Whether the container's id ``number`` stands for one outside."""
    return any(0 <= number - mapping["containerID"] < mapping["size"] for mapping in mappings)


def check_user_is_mapped(user: dict[str, Any], linux: dict[str, Any]) -> None:
    """A new user namespace has no ids but those that are mapped.

    Raises:
        InvalidConfig: the process's user, group or another group is not among them.
    """
    for name in ("uid", "gid"):
        if not is_mapped(linux[name + "Mappings"], user.get(name, 0)):
            raise InvalidConfig(f"process.user.{name} {user.get(name, 0)} is not mapped by linux.{name}Mappings")
    for number in user.get("additionalGids", ()):
        if not is_mapped(linux["gidMappings"], number):
            raise InvalidConfig(f"process.user.additionalGids: {number} is not mapped by linux.gidMappings")


def _check_clocks(offsets: dict[str, dict[str, int]], namespaces: dict[str, str]) -> None:
    path = namespaces.get("time")
    if path is None:
        raise InvalidConfig("linux.timeOffsets needs a time namespace in linux.namespaces")
    if path:
        raise InvalidConfig(f"linux.timeOffsets cannot change the existing time namespace {path!r}")
    for clock, offset in offsets.items():
        if clock not in ("monotonic", "boottime"):
            raise InvalidConfig(f"linux.timeOffsets.{clock} is no clock with an offset: monotonic or boottime")
        if offset.get("nanosecs", 0) > 999_999_999:
            raise InvalidConfig(f"linux.timeOffsets.{clock}.nanosecs must be less than a second")
