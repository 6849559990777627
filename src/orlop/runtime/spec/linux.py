"""Rules about the rest of the ``linux`` section: devices, resources, paths, personality, cache allocation."""

from __future__ import annotations

from orlop.errors import InvalidConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def check(linux: dict[str, Any]) -> None:
    """Every rule that needs nothing but the section itself.

    Raises:
        InvalidConfig: naming the field.
    """
    if "devices" in linux:
        _check_devices(linux["devices"])
    for name in ("maskedPaths", "readonlyPaths"):
        for index, path in enumerate(linux.get(name, ())):
            if not path or path[0] != "/":
                raise InvalidConfig(f"linux.{name}[{index}] {path!r} must be an absolute path")
    cgroup = linux.get("cgroupsPath", "")
    if ".." in cgroup and ".." in cgroup.split("/"):
        raise InvalidConfig(f"linux.cgroupsPath {cgroup!r} must not lead upwards with '..'")
    if "resources" in linux:
        check_resources(linux["resources"])
    if "personality" in linux:
        personality = linux["personality"]
        if personality["domain"] not in ("LINUX", "LINUX32"):
            raise InvalidConfig(f"linux.personality.domain {personality['domain']!r} is none of LINUX, LINUX32")
        if personality.get("flags"):
            raise InvalidConfig("linux.personality.flags must be empty: the specification has no flags yet")
    if "memoryPolicy" in linux:
        from orlop.runtime.spec import scheduling  # few containers ask

        scheduling.check_memory_policy(linux["memoryPolicy"])
    if "intelRdt" in linux:
        _check_cache_allocation(linux["intelRdt"])


def _check_devices(devices: list[dict[str, Any]]) -> None:
    for index, device in enumerate(devices):
        where = f"linux.devices[{index}]"
        kind = device["type"]
        if kind not in ("c", "b", "u", "p"):
            raise InvalidConfig(f"{where}.type {kind!r} is none of c, b, u, p")
        path = device["path"]
        if not path or path[0] != "/":
            raise InvalidConfig(f"{where}.path {path!r} must be an absolute path")
        for name, beyond in (("major", 1 << 12), ("minor", 1 << 20)):  # linux/kdev_t.h: 12 and 20 bits
            if name in device:
                if kind != "p" and not 0 <= device[name] < beyond:
                    raise InvalidConfig(f"{where}.{name} must be from 0 to {beyond - 1}, not {device[name]}")
            elif kind != "p":
                raise InvalidConfig(f"{where}.{name} is required for a device of type {kind}")


def check_resources(resources: dict[str, Any]) -> None:
    """The rules of ``linux.resources``, which ``update`` takes by itself as well.

    Raises:
        InvalidConfig: naming the field.
    """
    for index, rule in enumerate(resources.get("devices", ())):
        where = f"linux.resources.devices[{index}]"
        if rule.get("type", "") not in ("", "a", "b", "c"):
            raise InvalidConfig(f"{where}.type {rule['type']!r} is none of a, b, c")
        if rule.get("access", "").strip("rwm"):
            raise InvalidConfig(f"{where}.access {rule['access']!r} must be made of r, w and m")
    for index, limit in enumerate(resources.get("hugepageLimits", ())):
        size = limit["pageSize"]
        number = size[:-2]
        if size[-2:] not in ("KB", "MB", "GB") or not (number.isascii() and number.isdigit()) or number[0] == "0":
            raise InvalidConfig(f"linux.resources.hugepageLimits[{index}].pageSize {size!r} is no size like 2MB")
    for device, limits in resources.get("rdma", {}).items():
        if "hcaHandles" not in limits and "hcaObjects" not in limits:
            raise InvalidConfig(f"linux.resources.rdma.{device} needs hcaHandles or hcaObjects")
    if resources.get("memory", {}).get("swappiness", 0) > 100:
        raise InvalidConfig("linux.resources.memory.swappiness must be from 0 to 100")
    for name in resources.get("unified", ()):
        if "/" in name or name in ("", ".", ".."):
            raise InvalidConfig(f"linux.resources.unified: {name!r} is no name of a cgroup's file")


def _check_cache_allocation(wanted: dict[str, Any]) -> None:
    group = wanted.get("closID", "")
    if group in (".", "..", "info", "mon_data", "mon_groups") or ("/" in group and group != "/") or "\n" in group:
        raise InvalidConfig(f"linux.intelRdt.closID {group!r} must be the name of one group, or / for the default one")
    bandwidth = wanted.get("memBwSchema", "")
    if bandwidth and (not bandwidth.startswith("MB:") or "\n" in bandwidth):
        raise InvalidConfig("linux.intelRdt.memBwSchema must start with 'MB:' and have no newline")
    for index, line in enumerate(wanted.get("schemata", ())):
        if "\n" in line:
            raise InvalidConfig(f"linux.intelRdt.schemata[{index}] must not contain a newline")
