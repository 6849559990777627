"""From a seccomp profile in Docker's format to the ``linux.seccomp`` object of one container.

Docker's format adds conditions to the runtime specification's: rules that apply only with certain capabilities, on
certain architectures (in Go's names) or kernels, and the other architectures that come with the machine's own.
"""

from __future__ import annotations

import os

from orlop import json_text
from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

_LARGEST = 1 << 20

#: Of a machine: Go's name, the specification's, and other names that profiles use for it.
_MACHINES = {
    "x86_64": ("SCMP_ARCH_X86_64", ("amd64",)),
    "i686": ("SCMP_ARCH_X86", ("386", "x86")),
    "aarch64": ("SCMP_ARCH_AARCH64", ("arm64",)),
    "armv7l": ("SCMP_ARCH_ARM", ("arm",)),
    "armv8l": ("SCMP_ARCH_ARM", ("arm",)),
    "ppc64le": ("SCMP_ARCH_PPC64LE", ("ppc64le",)),
    "ppc64": ("SCMP_ARCH_PPC64", ("ppc64",)),
    "s390x": ("SCMP_ARCH_S390X", ("s390x",)),
    "riscv64": ("SCMP_ARCH_RISCV64", ("riscv64",)),
    "loongarch64": ("SCMP_ARCH_LOONGARCH64", ("loong64", "loongarch64")),
}

#: What a rule and a profile keep of themselves; the rest is conditions and comments.
_OF_RULE = ("action", "errnoRet", "args")
_OF_PROFILE = ("defaultAction", "defaultErrnoRet", "flags", "listenerPath", "listenerMetadata")

_defaults: dict[frozenset[str], dict[str, Any]] = {}


def default(capabilities: Iterable[str]) -> dict[str, Any]:
    """The default profile, for a container with these capabilities.

    The object is made once for each set of capabilities; treat it as read-only.
    """
    key = frozenset(capabilities)
    found = _defaults.get(key)
    if found is None:
        from orlop.engine.default_seccomp import PROFILE

        found = _defaults[key] = resolve(PROFILE, key)
    return found


def load(path: str, capabilities: Iterable[str]) -> dict[str, Any]:
    """The profile in a file, for a container with these capabilities.

    Raises:
        InvalidArgument: the file cannot be read, is no JSON or no profile.
    """
    try:
        with open(path, "rb") as file:
            text = file.read(_LARGEST + 1)
    except OSError as error:
        raise InvalidArgument(f"seccomp profile {path}: {error.strerror}") from None
    if len(text) > _LARGEST:
        raise InvalidArgument(f"seccomp profile {path}: larger than {_LARGEST} bytes")
    try:
        profile = json_text.loads(text)
    except ValueError as error:
        raise InvalidArgument(f"seccomp profile {path}: not JSON: {error}") from None
    try:
        return resolve(profile, capabilities)
    except InvalidArgument as error:
        raise InvalidArgument(f"{path}: {error}") from None


def resolve(
    profile: Mapping[str, Any],
    capabilities: Iterable[str],
    machine: str | None = None,
    kernel: str | None = None,
) -> dict[str, Any]:
    """Decide a profile's conditions.

    ``machine`` and ``kernel`` are as ``uname -m`` and ``uname -r`` print them, this machine's by default. Actions,
    operators and the like are passed on as they are; the runtime checks them.

    Raises:
        InvalidArgument: the profile's structure is wrong, or it contradicts itself.
    """
    if not isinstance(profile, dict):
        raise InvalidArgument("seccomp profile: not an object")
    system = os.uname()
    architecture, arches = _MACHINES.get(machine or system.machine, ("", (machine or system.machine,)))
    version = _version(kernel or system.release, "the kernel's release")
    held = frozenset(capabilities)
    resolved = {key: profile[key] for key in _OF_PROFILE if profile.get(key) is not None}
    architectures = _architectures(profile, architecture)
    if architectures:
        resolved["architectures"] = architectures
    rules = []
    for position, rule in enumerate(_list(profile, "syscalls", "the profile")):
        where = f"syscalls[{position}]"
        if not isinstance(rule, dict):
            raise InvalidArgument(f"seccomp profile: {where} is not an object")
        excludes = _object(rule, "excludes", where)
        if excludes and _any_of(excludes, held, arches, version, where):
            continue
        includes = _object(rule, "includes", where)
        if includes and not _all_of(includes, held, arches, version, where):
            continue
        kept: dict[str, Any] = {"names": _names(rule, where)}
        for key in _OF_RULE:
            if rule.get(key) is not None:
                kept[key] = rule[key]
        rules.append(kept)
    resolved["syscalls"] = rules
    return resolved


def _names(rule: Mapping[str, Any], where: str) -> list[Any]:
    names = _list(rule, "names", where)
    name = rule.get("name")
    if not name:
        return names
    if names:
        raise InvalidArgument(f"seccomp profile: {where} has both name and names; use names")
    return [name]


def _architectures(profile: Mapping[str, Any], native: str) -> list[Any]:
    architectures = _list(profile, "architectures", "the profile")
    families = _list(profile, "archMap", "the profile")
    if architectures and families:
        raise InvalidArgument("seccomp profile: both architectures and archMap are given; use one of them")
    for family in families:
        if not isinstance(family, dict):
            raise InvalidArgument("seccomp profile: an entry of archMap is not an object")
        if native and family.get("architecture") == native:
            return [native, *_list(family, "subArchitectures", "archMap")]
    return architectures


def _any_of(
    conditions: Mapping[str, Any],
    held: frozenset[str],
    arches: tuple[str, ...],
    version: tuple[int, ...],
    where: str,
) -> bool:
    """Whether a rule is excluded: one of its conditions is enough."""
    if any(arch in arches for arch in _list(conditions, "arches", where)):
        return True
    if any(capability in held for capability in _list(conditions, "caps", where)):
        return True
    least = conditions.get("minKernel")
    return bool(least) and version >= _version(least, where)


def _all_of(
    conditions: Mapping[str, Any],
    held: frozenset[str],
    arches: tuple[str, ...],
    version: tuple[int, ...],
    where: str,
) -> bool:
    """Whether a rule is included: one of the architectures, every capability, the kernel."""
    wanted = _list(conditions, "arches", where)
    if wanted and not any(arch in arches for arch in wanted):
        return False
    if not all(capability in held for capability in _list(conditions, "caps", where)):
        return False
    least = conditions.get("minKernel")
    return not least or version >= _version(least, where)


def _version(text: object, where: str) -> tuple[int, ...]:
    """Version and patch level, the first two numbers of a release: (6, 18)."""
    parts = text.split(".") if isinstance(text, str) else []
    digits = [part[: len(part) - len(part.lstrip("0123456789"))] for part in parts[:2]]
    if len(digits) < 2 or not all(digits):
        raise InvalidArgument(f"seccomp profile: {where}: {text!r} is not a kernel version")
    return tuple(int(number) for number in digits)


def _list(holder: Mapping[str, Any], key: str, where: str) -> list[Any]:
    value = holder.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidArgument(f"seccomp profile: {key} of {where} is not a list")
    return value


def _object(holder: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    value = holder.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidArgument(f"seccomp profile: {key} of {where} is not an object")
    return value
