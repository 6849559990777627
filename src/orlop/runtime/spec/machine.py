"""What a configuration asks of this machine that only the machine can answer.

`validation` says whether a configuration makes sense; this says whether the kernel has what it needs, for the
sections that must not be ignored where it has not. Nothing is looked up for a configuration that asks for none.
"""

from __future__ import annotations

import os

from orlop.errors import InvalidConfig, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def check(spec: dict[str, Any]) -> None:
    """Refuse what this machine cannot give to a configuration that `validate` has passed.

    Raises:
        Unsupported: the kernel lacks something, by name.
        InvalidConfig: ``linux.sysctl`` or ``linux.netDevices`` would reach the host's own network namespace.
    """
    linux = spec.get("linux", {})
    process = spec.get("process", {})
    if "intelRdt" in linux:
        from orlop.runtime import cache_allocation

        cache_allocation.mounted("linux.intelRdt cannot be used")
    if process.get("apparmorProfile", "unconfined") not in ("", "unconfined") and not has_apparmor():
        raise Unsupported(
            f"process.apparmorProfile {process['apparmorProfile']!r}: this kernel has no AppArmor enabled"
        )
    for name, label in (
        ("process.selinuxLabel", process.get("selinuxLabel")),
        ("linux.mountLabel", linux.get("mountLabel")),
    ):
        if label and not has_selinux():
            raise Unsupported(f"{name} {label!r}: this kernel has no SELinux enabled")
    if linux.get("sysctl") or linux.get("netDevices"):
        _check_network(linux)


def _check_network(linux: dict[str, Any]) -> None:
    """A path may lead to the namespace that the runtime is in itself."""
    for namespace in linux.get("namespaces", ()):
        if namespace["type"] != "network" or not namespace.get("path"):
            continue
        path = namespace["path"]
        try:
            there = os.stat(path)
        except OSError as error:
            raise InvalidConfig(f"linux.namespaces: cannot reach {path}: {error.strerror}") from None
        here = os.stat("/proc/self/ns/net")
        if (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino):
            return
        if linux.get("netDevices"):
            raise InvalidConfig(f"linux.netDevices: {path} is the runtime's own network namespace")
        for name in linux["sysctl"]:
            if name.replace("/", ".").startswith("net."):
                raise InvalidConfig(f"linux.sysctl.{name}: {path} is the runtime's own network namespace")


def has_apparmor() -> bool:
    """Whether the kernel has AppArmor switched on."""
    return _first_line("/sys/module/apparmor/parameters/enabled") == "Y"


def has_selinux() -> bool:
    """Whether the kernel has SELinux switched on and its file system mounted."""
    return os.path.exists("/sys/fs/selinux/enforce")


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline().strip()
    except FileNotFoundError:
        return ""
