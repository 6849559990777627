"""Bind mounts as Docker's ``-v`` writes them: ``source:target[:options]``."""

from __future__ import annotations

import os

from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PROPAGATION = ("private", "rprivate", "shared", "rshared", "slave", "rslave")


def mount(text: str) -> dict[str, Any]:
    """One ``-v`` as an entry of the OCI configuration's ``mounts``.

    Raises:
        InvalidArgument: the text has another form, or a path is not absolute.
    """
    parts = text.split(":")
    if len(parts) not in (2, 3) or not parts[0] or not parts[1]:
        raise InvalidArgument(f'invalid volume "{text}": use source:target[:options]')
    source, target = parts[0], parts[1]
    if not source.startswith("/"):
        raise InvalidArgument(
            f'invalid volume "{text}": the source must be an absolute path (named volumes do not exist yet)'
        )
    if not target.startswith("/"):
        raise InvalidArgument(f'invalid volume "{text}": the target "{target}" must be an absolute path')
    target = os.path.normpath(target)
    if target.strip("/") == "":
        raise InvalidArgument(f'invalid volume "{text}": the target cannot be "/"')
    return {
        "destination": target,
        "type": "bind",
        "source": os.path.normpath(source),
        "options": _options(text, parts[2] if len(parts) == 3 else ""),
    }


def _options(text: str, words: str) -> list[str]:
    write = ""
    propagation = ""
    recursion = "rbind"
    for word in words.split(",") if words else ():
        if word in ("ro", "rw") and not write:
            write = word
        elif word in _PROPAGATION and not propagation:
            propagation = word
        elif word == "bind-nonrecursive":
            recursion = "bind"
        elif word not in ("z", "Z", "nocopy", "consistent", "cached", "delegated"):
            raise InvalidArgument(f'invalid volume "{text}": unknown or repeated option "{word}"')
    return [recursion, propagation or "rprivate", write or "rw"]


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
