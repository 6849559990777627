"""Rules about ``mounts`` and the root file system's propagation."""

from __future__ import annotations

from orlop.errors import InvalidConfig
from orlop.runtime.spec import namespaces as _namespaces
from orlop.runtime.spec.mount_options import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable")


def check(mounts: list[dict[str, Any]], linux: dict[str, Any], namespaces: dict[str, str]) -> list[str]:
    """Every mount's rules; returns warnings.

    Raises:
        InvalidConfig: naming the mount by its index.
    """
    warnings = []
    new_user = namespaces.get("user") == ""
    for index, mount in enumerate(mounts):
        destination = mount["destination"]
        _expand_idmap(index, mount, linux)
        options = mount.get("options", ())
        if not destination:
            raise InvalidConfig(f"mounts[{index}].destination must not be empty")
        if destination[0] != "/":
            warnings.append(
                f"mounts[{index}].destination {destination!r} is relative, which is deprecated; it is taken as below /"
            )
        if "bind" in options or "rbind" in options or mount.get("type") == "bind":
            if not mount.get("source"):
                raise InvalidConfig(f"mounts[{index}].source is required for a bind mount")
            warnings += [
                f"mounts[{index}].options: {option!r} means nothing to a bind mount and is ignored"
                for option in parse(options).data
            ]
        elif not mount.get("type") and "remount" not in options:
            raise InvalidConfig(f"mounts[{index}].type is required unless the options have bind or rbind")
        elif new_user:
            _check_owner(index, options, linux)
        if "uidMappings" in mount or "gidMappings" in mount or "idmap" in options or "ridmap" in options:
            warnings += _check_idmap(index, mount, options, namespaces)
    return warnings


def check_propagation(linux: dict[str, Any]) -> None:
    """The value of ``linux.rootfsPropagation``; the recursive forms are what Docker writes.

    Raises:
        InvalidConfig: another word.
    """
    word = linux.get("rootfsPropagation")
    if word and word not in PROPAGATIONS:
        raise InvalidConfig(f"linux.rootfsPropagation {word!r} is none of shared, slave, private, unbindable")


def _check_owner(index: int, options: Any, linux: dict[str, Any]) -> None:
    """In a new user namespace the kernel takes only ids that are mapped for a file system's owner."""
    for option in options:
        name, equals, value = option.partition("=")
        if name not in ("uid", "gid") or not equals:
            continue
        is_number = value.isascii() and value.isdigit() and len(value) < 11  # else the file system says what is wrong
        if is_number and not _namespaces.is_mapped(linux[name + "Mappings"], int(value)):
            raise InvalidConfig(f"mounts[{index}].options: {option} is not mapped by linux.{name}Mappings")


def _expand_idmap(index: int, mount: dict[str, Any], linux: dict[str, Any]) -> None:
    """Turn crun's ``idmap=uids=0-1-10#10-11-10;gids=0-100-10`` (crun(1), "idmap mount options") into the mount's mappings.

    Each range is an id of the file system, the id that it becomes, and their number. With ``@`` in front the latter is
    one of the container's.

    Raises:
        InvalidConfig: it is of another form, or an id is not mapped in the container.
    """
    for place, option in enumerate(mount.get("options", ())):
        word, equals, text = option.partition("=")
        if word not in ("idmap", "ridmap") or not equals:
            continue
        for part in text.split(";"):
            kind, _, ranges = part.partition("=")
            if kind not in ("uids", "gids"):
                raise InvalidConfig(
                    f"mounts[{index}].options: {option!r} must have the form idmap=uids=0-1-10;gids=0-1-10"
                )
            name = f"{kind[:-1]}Mappings"
            mount[name] = [
                _id_range(each, linux.get(name, ()), f"mounts[{index}].options") for each in ranges.split("#")
            ]
        mount["options"][place] = word


def _id_range(text: str, container: Any, where: str) -> dict[str, int]:
    relative = text.startswith("@")
    numbers = text.removeprefix("@").split("-")
    if len(numbers) != 3 or not all(each.isascii() and each.isdigit() and len(each) < 11 for each in numbers):
        raise InvalidConfig(f"{where}: {text!r} is no range of ids like 0-1000-10")
    inside, outside, size = map(int, numbers)
    if relative:
        for each in container:
            if each["containerID"] <= outside and outside + size <= each["containerID"] + each["size"]:
                outside += each["hostID"] - each["containerID"]
                break
        else:
            raise InvalidConfig(f"{where}: {text!r} is not mapped in the container")
    return {"containerID": inside, "hostID": outside, "size": size}


def _check_idmap(index: int, mount: dict[str, Any], options: Any, namespaces: dict[str, str]) -> list[str]:
    for name in ("uidMappings", "gidMappings"):
        if mount.get(name):
            _namespaces.check_mappings(mount[name], f"mounts[{index}].{name}")
    has_uids, has_gids = bool(mount.get("uidMappings")), bool(mount.get("gidMappings"))
    if has_uids != has_gids:
        given, missing = ("uidMappings", "gidMappings") if has_uids else ("gidMappings", "uidMappings")
        raise InvalidConfig(f"mounts[{index}].{given} must come with {missing}")
    asked = "idmap" in options or "ridmap" in options
    if not asked and not has_uids:
        return []
    if not ("bind" in options or "rbind" in options or mount.get("type") == "bind"):
        raise InvalidConfig(f"mounts[{index}] is no bind mount, and only those can have ids mapped")
    if not has_uids and "user" not in namespaces:
        raise InvalidConfig(
            f"mounts[{index}] asks for idmap but has no uidMappings and gidMappings, "
            "and there is no user namespace to take them from"
        )
    if not asked:
        return [f"mounts[{index}] has mappings without idmap or ridmap in its options; it is taken as idmap"]
    return []
