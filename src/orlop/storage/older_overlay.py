"""Mounting overlays before Linux 6.7, which takes layers one by one (``lowerdir+``).

There all layers are one string, of 255 bytes for fsconfig(2) and a page together with all other options for mount(2).
So they are named by descriptors: ``/proc/self/fd/7:/proc/self/fd/8`` if that fits, and otherwise ``7:8`` as seen from
``/proc/self/fd``, where the most layers that the kernel stacks take half a page. The latter happens in a child with a
mount namespace of its own, whence the mount comes back detached.
"""

from __future__ import annotations

import os

from orlop.errors import OrlopError
from orlop.linux import mount, namespace, number
from orlop.linux.call import syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_DIRECTORIES = ("upperdir", "workdir")
_LONGEST_VALUE = 255
_LOWER = "lowerdir+"
_MS_RDONLY = 1


def new(options: Sequence[str], attributes: int) -> int:
    """A detached overlay mount, as `orlop.linux.mount.new` makes it.

    Raises:
        OSError: the kernel refuses.
        OrlopError: it refuses in the child; says what.
    """
    opened: list[int] = []
    try:
        lower, others = _opened(options, opened)
        value = ":".join(f"/proc/self/fd/{layer}" for layer in lower)
        if len(value) <= _LONGEST_VALUE:
            data = [f"lowerdir={value}", *(_spelled(each, "/proc/self/fd/") for each in others)]
            return mount.new("overlay", "overlay", data=data, attributes=attributes)
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return _from_child(options, attributes)


def _opened(options: Sequence[str], opened: list[int]) -> tuple[list[int], list[tuple[str, int | str]]]:
    """The layers' descriptors, and the other options with descriptors for directories."""
    lower: list[int] = []
    others: list[tuple[str, int | str]] = []
    for option in options:
        key, _, value = option.partition("=")
        if option in {"ro", "rw"}:
            continue
        if key != _LOWER and key not in _DIRECTORIES:
            others.append((key, value))
            continue
        opened.append(os.open(value, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        if key == _LOWER:
            lower.append(opened[-1])
        else:
            others.append((key, opened[-1]))
    return lower, others


def _spelled(option: tuple[str, int | str], prefix: str) -> str:
    key, value = option
    if isinstance(value, int):
        return f"{key}={prefix}{value}"
    return f"{key}={value}" if value else key


def _from_child(options: Sequence[str], attributes: int) -> int:
    """Mount in a child with a mount namespace of its own, and take the mount from there."""
    import _socket

    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    child = os.fork()
    if child == 0:
        try:
            rights = _mounted(options, attributes).to_bytes(4, "little")
            theirs.sendmsg([b"."], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
        except Exception as error:  # noqa: BLE001 - a forked child must not return into the caller's code
            text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            theirs.send(text.encode(errors="replace")[:4000])
        finally:
            os._exit(0)
    try:
        theirs.close()
        message, passed, _, _ = ours.recvmsg(4096, _socket.CMSG_SPACE(4), _socket.MSG_CMSG_CLOEXEC)
    finally:
        ours.close()
        os.waitpid(child, 0)
    if passed:
        return int.from_bytes(passed[0][2], "little")
    raise OrlopError(f"overlay cannot be mounted: {message.decode(errors='replace') or 'the mounting process died'}")


def _mounted(options: Sequence[str], attributes: int) -> int:
    """The child's part: the mount, on one of the layers where only this namespace sees it."""
    namespace.unshare(namespace.CLONE_NEWNS)
    syscall(number.MOUNT, "mount private", "/", b"", b"/", 0, mount.MS_REC | mount.MS_PRIVATE, 0)
    # Only what is opened here is of this namespace's mounts, and overlay takes no other.
    lower, others = _opened(options, [])
    data = ",".join([f"lowerdir={':'.join(map(str, lower))}", *(_spelled(each, "") for each in others)])
    place = f"/proc/self/fd/{lower[0]}"
    seen = os.readlink(place)
    os.chdir("/proc/self/fd")
    flags = _MS_RDONLY if attributes & mount.MOUNT_ATTR_RDONLY else 0
    syscall(number.MOUNT, "mount overlay", seen, b"overlay", place.encode(), b"overlay", flags, data.encode())
    return mount.clone(mount.AT_FDCWD, seen)
