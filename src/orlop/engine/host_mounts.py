"""Mounts that cannot be made in a container's namespace alone, and are therefore on the host while a container needs them.

They are: a volume that has a file system of its own (``volume create --opt type=tmpfs``), the /dev/shm of a container
that shares it, and an image of which a container mounts a part. Who needs what is noted in ``<run root>/extras/<container's
id>/``, before it is mounted: a file that holds the path of a volume's mount, or a directory to mount on. The end of a container clears that away (`release`), whether
its monitor sees to it or the next command does; the last one that needs a mount takes it down. After a reboot
there are neither notes nor mounts.
"""

from __future__ import annotations

import fcntl
import os
import stat

from orlop.errors import OrlopError, Unsupported
from orlop.linux import mount
from orlop.runtime.spec import mount_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.location import Location

_SHARED_MEMORY = "shm"
_IMAGE = "image"
_PART = "part"
_VOLUME = "volume-"
_LOCK = ".lock"


def directory(location: Location, container_id: str) -> str:
    """Where it is noted what a container needs; there is none for nearly all containers."""
    return f"{location.run_root}/extras/{container_id}"


def shared_memory(location: Location, container_id: str) -> str:
    """The path of a container's /dev/shm that others can share."""
    return f"{directory(location, container_id)}/{_SHARED_MEMORY}"


def mount_shared_memory(location: Location, container_id: str, size: int) -> None:
    """Have a container's shared memory be there.

    Raises:
        OSError: the kernel refuses.
    """
    with _Locked(location):
        path = shared_memory(location, container_id)
        os.makedirs(path, 0o700, exist_ok=True)
        if not _is_mounted(path):
            attributes = mount.MOUNT_ATTR_NOSUID | mount.MOUNT_ATTR_NODEV | mount.MOUNT_ATTR_NOEXEC
            _attach(mount.new("tmpfs", "shm", (), ("mode=1777", f"size={size}"), attributes), path)


def mount_image(location: Location, container_id: str, destination: str, files: dict[str, Any]) -> str:
    """Have an image's files be there for one container, which mounts a part of them; where that is.

    ``files`` is what to mount to see them, as `orlop.storage.mounts.Mount` wrote it.

    Raises:
        OSError: the kernel refuses.
    """
    from orlop.storage import mounts

    path = f"{directory(location, container_id)}/{_IMAGE}{destination.replace('/', '-')}"
    with _Locked(location):
        os.makedirs(path, 0o700, exist_ok=True)
        if not _is_mounted(path):
            _attach(mounts.attach([mounts.Mount.from_json(files)]), path)
    return path


def mount_part(location: Location, container_id: str, destination: str, part: int) -> str:
    """Have the file or directory that ``part`` is open on be there for one container; where that is.

    Raises:
        OSError: the kernel refuses.
    """
    path = f"{directory(location, container_id)}/{_PART}{destination.replace('/', '-')}"
    with _Locked(location):
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        if not os.path.lexists(path):
            if stat.S_ISDIR(os.fstat(part).st_mode):
                os.mkdir(path, 0o700)
            else:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        _unmount(path)  # of an earlier start
        _attach(mount.clone(part, recursive=True), path)
    return path


def mount_volume(location: Location, container_id: str, volume: dict[str, Any]) -> None:
    """Have a volume's own file system be mounted; nothing happens for a volume that is a directory.

    Raises:
        OrlopError: it cannot be mounted, with the reason.
        Unsupported: that takes root.
    """
    options = volume["Options"] or {}
    if not options.get("type"):
        return
    if location.rootless:
        raise Unsupported(f"volume {volume['Name']} has a file system of its own, which only root can mount")
    path = volume["Mountpoint"]
    with _Locked(location):
        notes = directory(location, container_id)
        os.makedirs(notes, 0o700, exist_ok=True)
        with open(f"{notes}/{_VOLUME}{volume['Name']}", "w", encoding="utf-8") as note:
            note.write(path)
        if _is_mounted(path):
            return
        try:
            _attach(_open(options), path)
        except OSError as error:
            raise OrlopError(
                f"failed to mount local volume: mount {options['device']}:{path}"
                f", data: {options.get('o', '')}: {error.strerror}"
            ) from None


def mount_here(volume: dict[str, Any]) -> None:
    """Mount a volume's own file system for a process with a mount namespace of its own, which takes it along in the end.

    Raises:
        OSError: it cannot be mounted.
    """
    options = volume["Options"] or {}
    if options.get("type") and not os.path.ismount(volume["Mountpoint"]):
        _attach(_open(options), volume["Mountpoint"])


def release(location: Location, container_id: str) -> None:
    """Take down what no other container needs."""
    notes = directory(location, container_id)
    with _Locked(location):
        try:
            names = os.listdir(notes)
        except FileNotFoundError:
            return
        for name in sorted(names, reverse=True):  # parts before the images that they are parts of
            path = f"{notes}/{name}"
            if not name.startswith(_VOLUME):
                _unmount(path)
                if os.path.isdir(path):
                    os.rmdir(path)
                else:
                    os.unlink(path)
                continue
            with open(path, encoding="utf-8") as note:
                target = note.read()
            os.unlink(path)
            if target and not _is_needed(location, name, target):
                _unmount(target)
        os.rmdir(notes)


def _is_needed(location: Location, name: str, target: str) -> bool:
    for other in os.listdir(f"{location.run_root}/extras"):
        try:
            with open(f"{location.run_root}/extras/{other}/{name}", encoding="utf-8") as note:
                if note.read() == target:
                    return True
        except (FileNotFoundError, NotADirectoryError):
            continue
    return False


def _open(options: dict[str, str]) -> int:
    """What a volume's options say, as a detached mount."""
    kind, device = options["type"], options["device"]
    wanted = mount_options.parse(options["o"].split(",") if options.get("o") else (), kind)
    if wanted.bind:
        tree = mount.clone(mount.AT_FDCWD, device, recursive=wanted.recursive)
        if wanted.set_attributes or wanted.clear_attributes:
            mount.set_attributes(tree, wanted.set_attributes, wanted.clear_attributes)
        return tree
    data = [_resolved(word) for word in wanted.data] if kind in ("nfs", "nfs4", "cifs") else wanted.data
    return mount.new(kind, device, wanted.superblock, data, wanted.set_attributes)


def _resolved(word: str) -> str:
    """The kernel takes addresses only: the name in ``addr=`` is looked up, as mount.nfs(8) does."""
    key, _, value = word.partition("=")
    if key != "addr":
        return word
    import socket

    try:
        return f"addr={socket.getaddrinfo(value, None)[0][4][0]}"
    except OSError as error:
        raise OrlopError(f"cannot look up {value} of the volume's addr={value}: {error.strerror}") from None


def _attach(tree: int, path: str) -> None:
    try:
        target = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            mount.attach(tree, target)
        finally:
            os.close(target)
    finally:
        os.close(tree)


def _is_mounted(path: str) -> bool:
    """Whether something is mounted there: also what lies on the same file system, which os.path.ismount cannot tell."""
    for character, code in (("\\", "\\134"), (" ", "\\040"), ("\t", "\\011"), ("\n", "\\012")):
        path = path.replace(character, code)  # proc(5)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return any(line.split(" ", 5)[4] == path for line in file)


def _unmount(path: str) -> None:
    if _is_mounted(path):
        mount.unmount(path)


class _Locked:
    """``with _Locked(location):`` nobody else mounts, unmounts or takes notes."""

    __slots__ = ("_descriptor", "_location")

    def __init__(self, location: Location) -> None:
        self._location = location
        self._descriptor = -1

    def __enter__(self) -> None:
        place = f"{self._location.run_root}/extras"
        try:
            os.mkdir(place, 0o700)
        except FileExistsError:
            pass  # not the first time
        self._descriptor = os.open(f"{place}/{_LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def __exit__(self, *_exception: object) -> None:
        os.close(self._descriptor)
