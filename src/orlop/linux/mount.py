"""Mounting by file descriptor: the new mount API (Linux 5.2, mount_setattr 5.12, idmaps 5.12).

A mount is made detached (`new`, `clone`), given its attributes while nobody can see it, and attached with
`attach` to a target that was opened once. No path is resolved twice, so nothing under a container's
control can be exchanged between the check and the mount.

Sources: fsopen(2), fsconfig(2), fsmount(2), open_tree(2), move_mount(2), mount_setattr(2).
"""

from __future__ import annotations

import os

from orlop.linux import number
from orlop.linux.call import buffer, check, libc_function, syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
AT_SYMLINK_NOFOLLOW = 0x100

OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC

MOVE_MOUNT_F_EMPTY_PATH = 0x04
MOVE_MOUNT_T_EMPTY_PATH = 0x40

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8
MOUNT_ATTR__ATIME = 0x70
MOUNT_ATTR_RELATIME = 0x0
MOUNT_ATTR_NOATIME = 0x10
MOUNT_ATTR_STRICTATIME = 0x20
MOUNT_ATTR_NODIRATIME = 0x80
MOUNT_ATTR_IDMAP = 0x100000
MOUNT_ATTR_NOSYMFOLLOW = 0x200000

MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MS_UNBINDABLE = 1 << 17

#: What `statfs_type` answers (magic.h).
PROC_SUPER_MAGIC = 0x9FA0
SYSFS_MAGIC = 0x62656572

MNT_DETACH = 2

FSOPEN_CLOEXEC = 1
FSMOUNT_CLOEXEC = 1
FSCONFIG_SET_FLAG = 0
FSCONFIG_SET_STRING = 1
FSCONFIG_CMD_CREATE = 6
_FSCONFIG_SET_FD = 5
_FSCONFIG_CMD_RECONFIGURE = 7
_FSPICK_CLOEXEC = 1
_FSPICK_EMPTY_PATH = 8


def new(
    kind: str,
    source: str | None,
    flags: Iterable[str] = (),
    data: Iterable[str] = (),
    attributes: int = 0,
    descriptors: Iterable[tuple[str, int]] = (),
) -> int:
    """Make a new, detached mount of file system type ``kind``.

    ``flags`` are superblock flags without a value (``ro``, ``sync``), ``data`` options as mount(8) writes
    them (``size=64k``, ``newinstance``), ``attributes`` are MOUNT_ATTR_* bits, ``descriptors`` options
    whose value is an open file.

    Returns:
        a descriptor (close-on-exec) of the mount's root.

    Raises:
        OSError: with the kernel's own explanation where it left one in the context's log.
    """
    context = syscall(number.FSOPEN, "fsopen", kind, kind.encode(), FSOPEN_CLOEXEC)
    try:
        try:
            for key, value in parameters(source, flags, data):
                _configure(context, kind, key, value)
            for key, descriptor in descriptors:
                syscall(
                    number.FSCONFIG, f"fsconfig {key}", kind, context, _FSCONFIG_SET_FD, key.encode(), 0, descriptor
                )
            syscall(number.FSCONFIG, "fsconfig create", kind, context, FSCONFIG_CMD_CREATE, 0, 0, 0)
        except OSError as error:
            raise _explained(error, context) from None
        return syscall(number.FSMOUNT, "fsmount", kind, context, FSMOUNT_CLOEXEC, attributes)
    finally:
        os.close(context)


def parameters(source: str | None, flags: Iterable[str], data: Iterable[str]) -> list[tuple[str, str | None]]:
    """What a new file system is told before it is made: keys, and their values where they are not just flags."""
    told: list[tuple[str, str | None]] = [("source", source)] if source else []
    told += [(flag, None) for flag in flags]
    for option in data:
        key, separator, value = option.partition("=")
        told.append((key, value if separator else None))
    return told


def reconfigure(mount: int, flags: Iterable[str], data: Iterable[str] = ()) -> None:
    """Change the superblock options of a mounted file system (fspick(2))."""
    context = syscall(number.FSPICK, "fspick", None, mount, b"", _FSPICK_CLOEXEC | _FSPICK_EMPTY_PATH)
    try:
        for flag in flags:
            _configure(context, "", flag, None)
        for option in data:
            key, _, value = option.partition("=")
            _configure(context, "", key, value)
        syscall(number.FSCONFIG, "fsconfig reconfigure", None, context, _FSCONFIG_CMD_RECONFIGURE, 0, 0, 0)
    finally:
        os.close(context)


def _configure(context: int, kind: str, key: str, value: str | None) -> None:
    if value is None:
        syscall(number.FSCONFIG, f"fsconfig {key}", kind, context, FSCONFIG_SET_FLAG, key.encode(), 0, 0)
    else:
        syscall(
            number.FSCONFIG,
            f"fsconfig {key}={value}",
            kind,
            context,
            FSCONFIG_SET_STRING,
            key.encode(),
            os.fsencode(value),
            0,
        )


def _explained(error: OSError, context: int) -> OSError:
    """Add what the kernel wrote to the context's message log, if anything, to an error."""
    try:
        message = os.read(context, 1024)
    except OSError:
        return error  # an empty log answers ENODATA
    text = message.decode(errors="replace")
    if text[1:2] == " ":  # "e ", "w " or "i ": the message's level
        text = text[2:]
    return OSError(error.errno, f"{error.strerror} ({text.strip()})", error.filename)


def clone(directory: int, path: str = "", *, recursive: bool = False, follow: bool = True) -> int:
    """A detached copy of the mount at ``path`` (a bind mount that is nowhere yet).

    An empty ``path`` means the descriptor itself.
    """
    flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC
    if not path:
        flags |= AT_EMPTY_PATH
    if recursive:
        flags |= AT_RECURSIVE
    if not follow:
        flags |= AT_SYMLINK_NOFOLLOW
    return syscall(number.OPEN_TREE, "open_tree", path or None, directory, os.fsencode(path), flags)


def attach(mount: int, target: int) -> None:
    """Attach a detached mount on the file or directory that ``target`` is open on (O_PATH is enough)."""
    flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
    syscall(number.MOVE_MOUNT, "move_mount", None, mount, b"", target, b"", flags)


def set_attributes(
    mount: int,
    set_bits: int = 0,
    clear_bits: int = 0,
    *,
    propagation: int = 0,
    user_namespace: int = -1,
    recursive: bool = False,
    path: str = "",
) -> None:
    """Change a mount's attributes, its propagation or its id mapping (mount_setattr(2))."""
    attributes = attribute_words(set_bits, clear_bits, propagation, user_namespace)
    flags = (0 if path else AT_EMPTY_PATH) | (AT_RECURSIVE if recursive else 0)
    syscall(
        number.MOUNT_SETATTR,
        "mount_setattr",
        path or None,
        mount,
        os.fsencode(path),
        flags,
        attributes,
        len(attributes),
    )


def attribute_words(set_bits: int, clear_bits: int = 0, propagation: int = 0, user_namespace: int = -1) -> bytes:
    """``struct mount_attr``.

    Setting any access-time attribute needs MOUNT_ATTR__ATIME among the cleared bits; that is added here.
    """
    if (set_bits | clear_bits) & MOUNT_ATTR__ATIME:
        clear_bits |= MOUNT_ATTR__ATIME
    if user_namespace >= 0:
        set_bits |= MOUNT_ATTR_IDMAP
    return b"".join(word.to_bytes(8, "little") for word in (set_bits, clear_bits, propagation, max(user_namespace, 0)))


def unmount(path: str, flags: int = MNT_DETACH) -> None:
    """umount2(2)."""
    syscall(number.UMOUNT2, "umount2", path, os.fsencode(path), flags)


def pivot_root(new_root: str, put_old: str) -> None:
    """Make ``new_root`` the root of this mount namespace (pivot_root(2))."""
    syscall(number.PIVOT_ROOT, "pivot_root", new_root, os.fsencode(new_root), os.fsencode(put_old))


def move_here_as_root(directory: str) -> None:
    """Move the mount at ``directory`` over ``/`` (MS_MOVE): what is left where pivot_root cannot be, as on an initramfs."""
    syscall(number.MOUNT, "mount move", directory, os.fsencode(directory), b"/", 0, 0x2000, 0)


def statfs_type(descriptor: int) -> int:
    """The magic number of the file system that a descriptor is on (statfs(2)), such as PROC_SUPER_MAGIC."""
    storage = bytearray(256)
    view = buffer(storage)
    check(libc_function("fstatfs", 2)(descriptor, view), "fstatfs")
    return int.from_bytes(storage[:8], "little")
