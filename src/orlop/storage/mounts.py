"""What to mount to see a file tree, as a value, and the mounting itself.

A tree is mounted detached: it is nowhere in the host's file system, so nobody else sees it, no other mount
namespace gets a copy, and it ends with the last descriptor, also by SIGKILL. Files in it are reached from the
descriptor (``dir_fd=``), or by a program through ``/proc/self/fd``. A runtime attaches it as a container's root.
"""

from __future__ import annotations

import os

from orlop.errors import InvalidArgument
from orlop.linux import mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

#: fsconfig(2) takes no longer strings (strndup_user in fs/fsopen.c).
_LONGEST_VALUE = 255

LOWER = "lowerdir+"
_WORK = "workdir="
_VOLATILE = "volatile"


class Mount:
    """One mount: ``type`` is ``overlay`` or ``bind``; ``options`` are as mount(8) writes them.

    The layers of an overlay are separate ``lowerdir+=`` options, the uppermost first.
    """

    __slots__ = ("options", "source", "type")

    def __init__(self, type: str, source: str, options: Sequence[str]) -> None:  # noqa: A002 - the field's name
        self.type = type
        self.source = source
        self.options = list(options)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mount) and self.as_json() == other.as_json()

    __hash__ = None  # type: ignore[assignment]  # the options can be changed

    def __repr__(self) -> str:
        return f"Mount({self.type!r}, {self.source!r}, {self.options!r})"

    def as_json(self) -> dict[str, Any]:
        """The mount as a runtime specification's mount without its destination."""
        return {"type": self.type, "source": self.source, "options": list(self.options)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Mount:
        """The mount that `as_json` wrote."""
        return cls(value["type"], value["source"], value["options"])

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written to it."""
        return "ro" in self.options


def volatile(mounts: Sequence[Mount]) -> list[Mount]:
    """The same mounts, without everything that anybody has written to the file system being put on the disk when they end.

    That is what the kernel does whenever an overlay that can be written to goes. Only for trees that are of no use if the
    machine goes down before somebody has seen to that. Before they are mounted otherwise, `settle` is called.
    """
    if _release(os.uname().release) < (5, 10):
        return list(mounts)
    return [
        Mount(each.type, each.source, [*each.options, _VOLATILE])
        if any(option.startswith(_WORK) for option in each.options)
        else each
        for each in mounts
    ]


def settle(mounts: Sequence[Mount]) -> None:
    """Have what was mounted `volatile` be mounted otherwise, by taking away the mark that keeps overlay from mounting it again."""
    for each in mounts:
        if _VOLATILE not in each.options:
            continue
        work = next(option for option in each.options if option.startswith(_WORK)).removeprefix(_WORK)
        mark = f"{work}/work/incompat/{_VOLATILE}"
        try:
            os.unlink(f"{mark}/dirty")
            os.rmdir(mark)
        except FileNotFoundError:
            continue  # it was never mounted, or has been seen to


def attach(mounts: Sequence[Mount]) -> int:
    """Mount a snapshot detached, in the user namespace that the caller is in.

    Returns:
        an O_PATH descriptor (close-on-exec) of the mount's root, for `orlop.linux.mount.attach` or ``dir_fd=``.

    Raises:
        OSError: the kernel refuses.
        InvalidArgument: it is not exactly one mount, or of an unknown type.
    """
    if len(mounts) != 1:
        raise InvalidArgument(f"a snapshot is seen by one mount, not by {len(mounts)}")
    what = mounts[0]
    attributes = mount.MOUNT_ATTR_RDONLY if what.read_only else 0
    if what.type == "bind":
        root = mount.clone(mount.AT_FDCWD, what.source, follow=False)
        try:
            # Where the host's mounts are shared, what is mounted below must not turn up there.
            mount.set_attributes(root, attributes, propagation=mount.MS_PRIVATE)
        except OSError:
            os.close(root)
            raise
        return root
    if what.type == "overlay":
        return _overlay(what, attributes)
    raise InvalidArgument(f"mounts of type {what.type} are not known: expected overlay or bind")


def _overlay(what: Mount, attributes: int) -> int:
    settle([what])  # whoever mounted it before may have had to begin anew
    if is_older_kernel(os.uname().release):
        from orlop.storage import older_overlay

        return older_overlay.new(what.options, attributes)
    opened: list[int] = []
    try:
        options = [_spelled(option, opened) for option in what.options if option not in {"ro", "rw"}]
        return mount.new("overlay", what.source, data=options, attributes=attributes)
    finally:
        for descriptor in opened:
            os.close(descriptor)


def is_older_kernel(release: str) -> bool:
    """Whether a kernel of this release (uname(2)) is one before 6.7, where overlay knows no ``lowerdir+``.

    It is not tried instead, because each trial leaves a complaint in the kernel's log.
    """
    return _release(release) < (6, 7)


def _release(release: str) -> tuple[int, int]:
    major, _, rest = release.partition(".")
    minor = ""
    for character in rest:
        if not character.isdigit():
            break
        minor += character
    return int(major), int(minor or "0")


def _spelled(option: str, opened: list[int]) -> str:
    """An option as fsconfig(2) reads it right: a path that is too long, or has what overlay takes for escapes, by descriptor."""
    key, _, value = option.partition("=")
    if not value.startswith("/") or (
        len(os.fsencode(value)) <= _LONGEST_VALUE and "\\" not in value and "," not in value
    ):
        return option
    opened.append(os.open(value, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
    return f"{key}=/proc/self/fd/{opened[-1]}"


class attached:  # noqa: N801 - used like a function, as contextlib's are
    """``with attached(mounts) as root:`` has a tree mounted for a while; ``root`` is a readable directory descriptor.

    Nothing is attached to the host's file system. ``f"/proc/self/fd/{root}"`` is a path for whatever needs one.

    Raises:
        OSError: the kernel refuses.
    """

    __slots__ = ("_mounts", "_root")

    def __init__(self, mounts: Sequence[Mount]) -> None:
        self._mounts = mounts
        self._root = -1

    def __enter__(self) -> int:
        root = attach(self._mounts)
        try:
            self._root = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root)
        finally:
            os.close(root)
        return self._root

    def __exit__(self, *_exception: object) -> None:
        os.close(self._root)
        settle(self._mounts)
