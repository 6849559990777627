"""What a cgroup's path may be, and what ``cgroupsPath`` means."""

from __future__ import annotations

from orlop.errors import InvalidConfig, Unsupported

#: Where containers go that do not ask for another place. It is ours: whoever leaves it empty removes it.
DEFAULT_PARENT = "/orlop"


def absolute(path: str) -> str:
    """``path`` without needless slashes.

    Raises:
        InvalidConfig: it is not absolute, names the root, or has ``.`` or ``..`` in it.
    """
    if not path.startswith("/"):
        raise InvalidConfig(f"cgroup path {path!r} is not absolute")
    return "/" + _relative(path)


def resolve(cgroups_path: str | None, container_id: str, parent: str) -> str:
    """The absolute path that a configuration's ``cgroupsPath`` means; ``parent`` is where relative ones lie."""
    if not cgroups_path:
        return f"{parent}/{_relative(container_id)}"
    if cgroups_path.startswith("/"):
        return absolute(cgroups_path)
    if cgroups_path.count(":") == 2 and "/" not in cgroups_path:
        raise Unsupported(
            f"cgroupsPath {cgroups_path!r} is for systemd, which does not run here; give a path such as /orlop/name"
        )
    return f"{parent}/{_relative(cgroups_path)}"


def child(path: str, name: str) -> str:
    """The path of a cgroup below ``path``, named relative to it.

    Raises:
        InvalidConfig: the name leads out of ``path`` or is empty.
    """
    return f"{path}/{_relative(name)}"


def parents(path: str) -> list[str]:
    """The cgroups above ``path`` but for the root, the innermost first."""
    found = []
    while (path := path.rpartition("/")[0]) != "":
        found.append(path)
    return found


def _relative(path: str) -> str:
    parts = [part for part in path.split("/") if part]
    if not parts:
        raise InvalidConfig(f"cgroup path {path!r} names no cgroup below the root")
    for part in parts:
        if part in (".", ".."):
            raise InvalidConfig(f"cgroup path {path!r} must not contain {part!r}")
        if "\0" in part or "\n" in part:
            raise InvalidConfig(f"cgroup path {path!r} contains a character that a cgroup's name cannot have")
        if len(part.encode()) > 255:
            raise InvalidConfig(f"cgroup path {path!r} has a name longer than 255 bytes")
    return "/".join(parts)
