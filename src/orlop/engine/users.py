"""Who a container's program runs as: ``--user`` against the container's own /etc/passwd and /etc/group.

The files are the image's, so hostile: they are opened below the root file system only, read up to a limit,
and never waited for. A number is always an id, even where a line of /etc/passwd has it as a name
(CVE-2016-3697).
"""

from __future__ import annotations

import errno
import os
import stat

from orlop.engine import layered_files
from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from orlop.storage.mounts import Mount

_LARGEST_FILE = 4 << 20
_LARGEST_ID = (1 << 32) - 2


class User:
    """The user a program runs as; ``groups`` are supplementary."""

    __slots__ = ("gid", "groups", "home", "uid")

    def __init__(self, uid: int, gid: int, groups: list[int], home: str) -> None:
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.home = home

    def config(self) -> dict[str, Any]:
        """As ``process.user`` of the OCI configuration.

        The group itself is among the supplementary ones, as login(1) has it: else a program could leave it by a
        set-group-id file, and get past files that deny that group what they allow others (CVE-2022-36109).
        """
        return {
            "uid": self.uid,
            "gid": self.gid,
            "additionalGids": [self.gid, *(group for group in self.groups if group != self.gid)],
        }


def find(rootfs: str, wanted: str, more: Sequence[str] = ()) -> User:
    """Resolve ``user[:group]``, each a name or a number; empty is root. ``more`` are further groups.

    Raises:
        InvalidArgument: a name that the container's files do not have, or a number out of range.
    """
    root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return resolve(wanted, _read(root, "passwd"), lambda: _read(root, "group"), more)
    finally:
        os.close(root)


def find_in_snapshot(mounts: Sequence[Mount], wanted: str, more: Sequence[str] = ()) -> User:
    """`find` in the tree of a snapshot that is not mounted.

    Raises:
        InvalidArgument: as `find`.
        OSError: a layer cannot be read.
    """

    def read(name: str) -> str:
        return layered_files.read(mounts, f"/etc/{name}", _LARGEST_FILE) or ""

    return resolve(wanted, read("passwd"), lambda: read("group"), more)


def resolve(wanted: str, passwd: str, group_file: Any, more: Sequence[str] = ()) -> User:
    """`find` with the files' texts; ``group_file`` is called only if groups matter."""
    name, colon, group = wanted.partition(":")
    name = name or "0"
    number = _number(name, wanted)
    entry = _passwd_entry(passwd, name, number)
    if entry is None and number is None:
        raise InvalidArgument(f"unable to find user {name}: no matching entries in the container's /etc/passwd")
    if entry is None:
        uid, gid, home = number or 0, 0, ""
    else:
        name, uid, gid, home = entry
    if colon and group:
        group_number = _number(group, wanted)
        if group_number is None:
            group_number = _group_number(group_file(), group)
        if group_number is None:
            raise InvalidArgument(f"unable to find group {group}: no matching entries in the container's /etc/group")
        gid, groups = group_number, []
    else:
        groups = _memberships(group_file(), name) if entry is not None else []
    if more:
        known = group_file()
        groups += [_named_group(known, each) for each in more]
    return User(uid, gid, groups, home or "/")


def _named_group(groups: str, wanted: str) -> int:
    number = _number(wanted, wanted)
    if number is None:
        number = _group_number(groups, wanted)
    if number is None:
        raise InvalidArgument(f"unable to find group {wanted}: no matching entries in the container's /etc/group")
    return number


def _number(text: str, wanted: str) -> int | None:
    if not (text.isascii() and text.isdigit()):
        return None
    if len(text) > 10 or int(text) > _LARGEST_ID:
        raise InvalidArgument(f'invalid user "{wanted}": ids are from 0 to {_LARGEST_ID}')
    return int(text)


def _passwd_entry(passwd: str, name: str, number: int | None) -> tuple[str, int, int, str] | None:
    for line in passwd.splitlines():
        fields = line.split(":")
        if len(fields) < 6 or not _is_id(fields[2]) or not _is_id(fields[3]):
            continue
        if int(fields[2]) == number if number is not None else fields[0] == name:
            home = fields[5] if fields[5].startswith("/") else ""
            return fields[0], int(fields[2]), int(fields[3]), home
    return None


def _group_number(groups: str, name: str) -> int | None:
    for line in groups.splitlines():
        fields = line.split(":")
        if len(fields) >= 3 and fields[0] == name and _is_id(fields[2]):
            return int(fields[2])
    return None


def _memberships(groups: str, name: str) -> list[int]:
    found = []
    for line in groups.splitlines():
        fields = line.split(":")
        if len(fields) >= 4 and _is_id(fields[2]) and name in fields[3].split(","):
            found.append(int(fields[2]))
    return found


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= _LARGEST_ID


def _read(root: int, name: str) -> str:
    try:
        descriptor = _open(root, name)
    except OSError:
        return ""  # a root file system without users is common
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ""
        return os.read(descriptor, _LARGEST_FILE).decode(errors="replace")
    finally:
        os.close(descriptor)


def _open(root: int, name: str) -> int:
    # O_NONBLOCK: a FIFO in its place must not hold us.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
    try:
        etc = os.open("etc", os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root)
        try:
            return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=etc)
        finally:
            os.close(etc)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
    # A link is on the way: what it means below the root takes openat2, and with it `_ctypes` to import.
    from orlop.linux import path

    return path.open_in_root(root, f"/etc/{name}", flags)
