"""A mount's ``options``, translated to what the new mount API takes.

The list in a ``config.json`` mixes five languages: attributes of the mount (``nosuid``), the same for a whole
tree (``rnosuid``), flags of the file system behind it (``sync``), propagation (``rslave``), and words that only
the file system knows (``size=64k``). `parse` sorts them::

    options = parse(["nosuid", "noatime", "mode=755"], "tmpfs")
    fsmount(fd, 0, options.set_attributes)

Words: "Linux mount options" of the runtime specification's ``config.md``. Numbers: ``linux/mount.h``. When two
options contradict each other, the later one holds.
"""

from __future__ import annotations

from orlop.linux.mount import (
    MOUNT_ATTR__ATIME,
    MOUNT_ATTR_NOATIME,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NODIRATIME,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_NOSYMFOLLOW,
    MOUNT_ATTR_RDONLY,
    MOUNT_ATTR_RELATIME,
    MOUNT_ATTR_STRICTATIME,
    MS_PRIVATE,
    MS_REC,
    MS_SHARED,
    MS_SLAVE,
    MS_UNBINDABLE,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: Options that set an attribute; with an ``r`` in front they set it on every mount below as well.
_SET = {
    "ro": MOUNT_ATTR_RDONLY,
    "nosuid": MOUNT_ATTR_NOSUID,
    "nodev": MOUNT_ATTR_NODEV,
    "noexec": MOUNT_ATTR_NOEXEC,
    "nodiratime": MOUNT_ATTR_NODIRATIME,
    "nosymfollow": MOUNT_ATTR_NOSYMFOLLOW,
}
_CLEAR = {
    "rw": MOUNT_ATTR_RDONLY,
    "suid": MOUNT_ATTR_NOSUID,
    "dev": MOUNT_ATTR_NODEV,
    "exec": MOUNT_ATTR_NOEXEC,
    "diratime": MOUNT_ATTR_NODIRATIME,
    "symfollow": MOUNT_ATTR_NOSYMFOLLOW,
}
_SET_ATIME = {
    "relatime": MOUNT_ATTR_RELATIME,
    "noatime": MOUNT_ATTR_NOATIME,
    "strictatime": MOUNT_ATTR_STRICTATIME,
}
#: Taking one choice back leaves the kernel's default, which is relatime.
_CLEAR_ATIME = {
    "norelatime": MOUNT_ATTR_RELATIME,
    "atime": MOUNT_ATTR_NOATIME,
    "nostrictatime": MOUNT_ATTR_STRICTATIME,
}
#: Flags of the superblock: what they say and whether they switch it on.
_SUPERBLOCK = {
    "ro": ("ro", True),
    "rw": ("ro", False),
    "sync": ("sync", True),
    "async": ("sync", False),
    "dirsync": ("dirsync", True),
    "lazytime": ("lazytime", True),
    "nolazytime": ("lazytime", False),
    "mand": ("mand", True),
    "nomand": ("mand", False),
}
_PROPAGATION = {
    "private": MS_PRIVATE,
    "rprivate": MS_PRIVATE | MS_REC,
    "shared": MS_SHARED,
    "rshared": MS_SHARED | MS_REC,
    "slave": MS_SLAVE,
    "rslave": MS_SLAVE | MS_REC,
    "unbindable": MS_UNBINDABLE,
    "runbindable": MS_UNBINDABLE | MS_REC,
}
#: Documented, but without a counterpart in the new mount API: file systems that keep a change counter keep it
#: always, and the kernel reports a failed mount through the file system's context, not in its log.
_WITHOUT_EFFECT = ("silent", "loud", "iversion", "noiversion")


class MountOptions:
    """What a mount's options ask for.

    Attributes:
        bind: mount what is at ``source``, not a new file system.
        recursive: with the mounts below it (``rbind``): ``AT_RECURSIVE`` for ``open_tree``.
        remount: change the mount that is at the destination.
        set_attributes: ``MOUNT_ATTR_*`` of this mount alone, for ``fsmount`` or ``mount_setattr``.
        clear_attributes: ``MOUNT_ATTR_*`` to clear first, for ``mount_setattr``; a new file system has none.
        superblock: names for ``fsconfig(FSCONFIG_SET_FLAG)``; empty for a bind mount, whose file system is
            somebody else's.
        recursive_set: ``MOUNT_ATTR_*`` for ``mount_setattr`` with ``AT_RECURSIVE``, after the mounting.
        recursive_clear: the same, to clear.
        propagation: ``MS_*`` types to apply after the mounting, in this order; ``MS_REC`` where recursive.
        idmap: None, ``"idmap"`` (this mount) or ``"ridmap"`` (with the mounts below it).
        tmpcopyup: fill the new tmpfs with what the image has at the destination.
        data: what only the file system understands, ``key`` (a flag) or ``key=value`` (a string).
        ignored: documented options that mean nothing to the new mount API.
    """

    __slots__ = (
        "bind",
        "clear_attributes",
        "data",
        "idmap",
        "ignored",
        "propagation",
        "recursive",
        "recursive_clear",
        "recursive_set",
        "remount",
        "set_attributes",
        "superblock",
        "tmpcopyup",
    )

    def __init__(self) -> None:
        self.bind = False
        self.recursive = False
        self.remount = False
        self.set_attributes = 0
        self.clear_attributes = 0
        self.superblock: list[str] = []
        self.recursive_set = 0
        self.recursive_clear = 0
        self.propagation: list[int] = []
        self.idmap: str | None = None
        self.tmpcopyup = False
        self.data: list[str] = []
        self.ignored: list[str] = []

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__ if getattr(self, name))
        return f"MountOptions({said})"


def parse(options: Iterable[str], kind: str = "") -> MountOptions:
    """Sort a mount's ``options``; ``kind`` is its ``type``, where ``"bind"`` alone already means a bind mount."""
    result = MountOptions()
    result.bind = kind == "bind"
    superblock: dict[str, bool] = {}
    for option in options:
        attributes = _attribute(option, result.set_attributes, result.clear_attributes)
        if attributes is not None:
            result.set_attributes, result.clear_attributes = attributes
            if option in _SUPERBLOCK:  # ro and rw say both, as in mount(2)
                flag, on = _SUPERBLOCK[option]
                superblock[flag] = on
        elif option in _PROPAGATION:
            result.propagation.append(_PROPAGATION[option])
        elif option in _SUPERBLOCK:
            flag, on = _SUPERBLOCK[option]
            superblock[flag] = on
        elif option == "bind":
            result.bind = True
        elif option == "rbind":
            result.bind = result.recursive = True
        elif option == "remount":
            result.remount = True
        elif option == "tmpcopyup":
            result.tmpcopyup = True
        elif option in ("idmap", "ridmap"):
            result.idmap = option
        elif option in _WITHOUT_EFFECT:
            result.ignored.append(option)
        elif option and option != "defaults":
            attributes = None
            if option[0] == "r":
                attributes = _attribute(option[1:], result.recursive_set, result.recursive_clear)
            if attributes is None:
                result.data.append(option)
            else:
                result.recursive_set, result.recursive_clear = attributes
    if not result.bind:
        result.superblock = _superblock_flags(superblock, result.remount)
    return result


def _attribute(option: str, on: int, off: int) -> tuple[int, int] | None:
    """The attributes to set and to clear with ``option`` added, or None if it names no attribute."""
    bit = _SET.get(option)
    if bit is not None:
        return on | bit, off & ~bit
    bit = _CLEAR.get(option)
    if bit is not None:
        return on & ~bit, off | bit
    bit = _SET_ATIME.get(option)
    if bit is not None:
        return on & ~MOUNT_ATTR__ATIME | bit, off | MOUNT_ATTR__ATIME
    bit = _CLEAR_ATIME.get(option)
    if bit is not None:
        if on & MOUNT_ATTR__ATIME == bit:
            on &= ~MOUNT_ATTR__ATIME
        return on, off | MOUNT_ATTR__ATIME
    return None


def _superblock_flags(asked: dict[str, bool], remount: bool) -> list[str]:
    """The flags by the names that ``fsconfig`` knows; what is off already needs no word unless it was on before."""
    flags = []
    for flag, on in asked.items():
        if on:
            flags.append(flag)
        elif remount:
            flags.append({"ro": "rw", "sync": "async"}.get(flag, "no" + flag))
    return flags


def known() -> list[str]:
    """Every option that `parse` does not leave to the file system, in alphabetical order."""
    attributes = [*_SET, *_CLEAR, *_SET_ATIME, *_CLEAR_ATIME]
    words = ["bind", "defaults", "idmap", "rbind", "remount", "ridmap", "tmpcopyup"]
    recursive = ["r" + option for option in attributes]
    return sorted({*attributes, *recursive, *words, *_SUPERBLOCK, *_PROPAGATION, *_WITHOUT_EFFECT})
