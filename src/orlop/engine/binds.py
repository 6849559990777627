"""What ``-v`` writes as ``source:target[:options]``, as one of Docker's ``Mount`` objects."""

from __future__ import annotations

import os

from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROPAGATION = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
#: How files of a mount belong to the container's user: see `orlop.engine.mount_plan`.
MATCH_USER = "match-user"
_WITHOUT_EFFECT = ("z", "Z", "consistent", "cached", "delegated", "default")


def parse(text: str) -> dict[str, Any]:
    """A bind mount, or a volume if its source is a name and not a path. ``Mode`` is the options' text.

    Raises:
        InvalidArgument: the text has another form, or the target is not absolute.
    """
    parts = text.split(":")
    if len(parts) not in (2, 3) or not parts[0] or not parts[1]:
        raise InvalidArgument(f'invalid volume "{text}": use source:target[:options]')
    source, target = parts[0], parts[1]
    is_volume = not source.startswith("/")
    if is_volume and "/" in source:
        raise InvalidArgument(
            f'invalid volume "{text}": the source must be an absolute path, or the name of a volume, which has no "/"'
        )
    mode = parts[2] if len(parts) == 3 else ""
    found: dict[str, Any] = {
        "Type": "volume" if is_volume else "bind",
        "Source": source if is_volume else os.path.normpath(source),
        "Target": target_of(target, f'invalid volume "{text}"'),
        "Mode": mode,
    }
    _options(found, text, mode)
    return found


def target_of(target: str, about: str) -> str:
    """Where something is to be mounted, in the shortest form.

    Raises:
        InvalidArgument: it is no absolute path, or the root directory; the message begins with ``about``.
    """
    if not target.startswith("/") or "\0" in target:
        raise InvalidArgument(f'{about}: the target "{target}" must be an absolute path')
    path = "/" + os.path.normpath(target).lstrip("/")
    if path == "/":
        raise InvalidArgument(f'{about}: the target cannot be "/"')
    return path


def _options(found: dict[str, Any], text: str, words: str) -> None:
    write = ""
    bind: dict[str, Any] = {"CreateMountpoint": True}
    for word in words.split(",") if words else ():
        if word in ("ro", "rw") and not write:
            write = word
        elif found["Type"] == "bind" and word in PROPAGATION and "Propagation" not in bind:
            bind["Propagation"] = word
        elif found["Type"] == "bind" and word == "bind-nonrecursive":
            bind["NonRecursive"] = True
        elif word == "idmap":
            found["IDMap"] = MATCH_USER
        elif found["Type"] == "volume" and word == "nocopy":
            found["VolumeOptions"] = {"NoCopy": True}
        elif word not in _WITHOUT_EFFECT:
            raise InvalidArgument(f'invalid volume "{text}": unknown or repeated option "{word}"')
    found["ReadOnly"] = write == "ro"
    if found["Type"] == "bind":
        found["BindOptions"] = bind


def make_source(path: str) -> None:
    """Make a bind mount's source directory if nothing is there, as ``docker run -v`` does.

    Raises:
        InvalidArgument: it cannot be made.
    """
    if os.path.lexists(path):
        return
    try:
        os.makedirs(path, 0o755, exist_ok=True)
    except OSError as error:
        raise InvalidArgument(f"the mount source {path} does not exist and cannot be made: {error.strerror}") from None
