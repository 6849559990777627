"""Extended attributes that belong to a file and go into a layer with it; all others are the host's own business.

What stays: labels of security modules, which differ from machine to machine (``security.selinux``, ``security.ima``, …),
properties of the file system (``btrfs.*``), ``trusted.*``, which only the host's root reads and sets, and every
``*.overlay.*``, which mean something to overlayfs itself.
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_KEPT = frozenset({"security.capability", "system.posix_acl_access", "system.posix_acl_default"})
_OVERLAY = "user.overlay."

#: There is no such attribute; or none at all on this kind of file or file system.
_NONE = (errno.ENODATA, errno.ENOTSUP)


def belongs(name: str) -> bool:
    """Whether an attribute is part of the file, wherever it is."""
    return name in _KEPT or (name.startswith("user.") and not name.startswith(_OVERLAY))


def names(file: int | str) -> list[str]:
    """All of a file's extended attributes, the host's included; a path's last component is not followed.

    Raises:
        OSError: they cannot be read.
    """
    try:
        return os.listxattr(file) if isinstance(file, int) else os.listxattr(file, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NONE:
            raise
        return []


def value(file: int | str, name: str) -> bytes | None:
    """One attribute, or None if the file does not have it (any more).

    Raises:
        OSError: it cannot be read.
    """
    try:
        return os.getxattr(file, name) if isinstance(file, int) else os.getxattr(file, name, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NONE:
            raise
        return None


def read(file: int | str, present: Iterable[str] | None = None) -> dict[bytes, bytes]:
    """The attributes that belong to a file; ``present`` is what `names` said, if that was asked already.

    Raises:
        OSError: they cannot be read.
    """
    found: dict[bytes, bytes] = {}
    for name in names(file) if present is None else present:
        if belongs(name):
            content = value(file, name)
            if content is not None:
                found[os.fsencode(name)] = content
    return found
