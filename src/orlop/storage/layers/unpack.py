"""The entries of a layer become files in a directory, in the form that overlayfs takes for its upper directory.

An archive can do nothing outside the directory, and nothing to what the directory had before: it begins empty. Each
entry is made relative to its open parent directory, which was opened without following a link (`tree`). What is there
already comes from the same archive, and an entry replaces it, except a directory, which a second one becomes.

What is refused
    Absolute names and those with ``..``, paths through a symbolic link, hard links to what is not in the layer, names
    with a NUL, kinds that are not known. What a symbolic link points to is content, and can be anything.
What is left out, with a warning
    Devices where the kernel does not let us make them, as in a user namespace. The character device 0/0, which
    overlayfs takes for a whiteout. Extended attributes that do not belong to a file (`attributes.belongs`), among
    them all of overlayfs's own, with which an archive could make files appear from elsewhere (``redirect``, ``metacopy``),
    and attributes that the file system does not take.
What has no effect
    Owner, mode and times of a hard link, which are the other name's.
"""

from __future__ import annotations

import errno
import os
import stat

from orlop.errors import InsufficientSpace, InvalidArchive, OrlopError, Unsupported
from orlop.storage.layers import attributes, pax, tar_reader
from orlop.storage.layers.limits import MOST_MARKS
from orlop.storage.layers.tree import Directory, Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.storage.layers.limits import Limits
    from orlop.storage.layers.tar_reader import Entry, TarReader

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SPECIAL_BITS = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX

_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
#: Other names of AUFS's own.
_AUFS = b".wh..wh."

#: Files from this size on are asked whether there is room for them.
_LARGE = 1 << 20
_LONGEST_PATH = 4095  # PATH_MAX, without the NUL
_LARGEST_ID = 0xFFFFFFFE  # one more means "as it is" to chown(2)
_MOST_WARNINGS = 20
_FULL = (errno.ENOSPC, errno.EDQUOT)
_DEFAULT_ACL = "system.posix_acl_default"
#: What an attribute is refused with that this file or file system cannot have.
_NOT_HERE = (errno.ENOTSUP, errno.EPERM, errno.EINVAL)
#: What file systems say of an attribute that is too large for them; ext4 says that the disk is full.
_TOO_LARGE = (errno.ENOSPC, errno.E2BIG, errno.ERANGE, errno.EDQUOT)
#: Bytes of an access control list: 500 entries, where file systems take fewer.
_LARGEST_ACL = 4096


class Unpacker:
    """Makes the files of one layer below an empty directory, in a process whose umask is 0."""

    __slots__ = ("_default_acls", "_limits", "_reader", "_root", "_suppressed", "entries", "tree", "warnings")

    def __init__(self, reader: TarReader, directory: int, limits: Limits) -> None:
        self._reader = reader
        self._root = directory
        self._limits = limits
        self.tree = Tree(directory)
        self._default_acls: dict[bytes, bytes] = {}
        self._suppressed = 0
        self.entries = 0
        self.warnings: list[str] = []

    def run(self) -> None:
        """Unpack everything.

        Raises:
            InvalidArchive: the archive is damaged, hostile, or has what is not known.
            InsufficientSpace: the file system is full.
            OrlopError: the kernel refuses something else.
        """
        self._prepare_root()
        entry = None
        try:
            try:
                while True:
                    entry = None
                    entry = self._reader.next()
                    if entry is None:
                        break
                    self.entries += 1
                    if self.entries + self.tree.made > self._limits.entries:
                        raise InvalidArchive(f"the layer has more than {self._limits.entries} entries")
                    self._make(entry)
                self._set_default_acls()
            except InvalidArchive as error:
                if entry is None:
                    raise
                raise InvalidArchive(f"cannot unpack {_shown(entry.name)}: {error}") from None
            except OSError as error:
                raise _explained(error, entry) from None
            except (OverflowError, ValueError) as error:  # a time or a number that no system call takes
                raise InvalidArchive(f"cannot unpack {_shown(entry.name if entry else b'')}: {error}") from None
        except BaseException:
            self.tree.abandon()
            raise
        try:
            self.tree.close()
        except OSError as error:
            raise _explained(error, None) from None
        if self._suppressed:
            self.warnings.append(f"{self._suppressed} more warnings like these")

    def _prepare_root(self) -> None:
        """See that nothing is inherited from the host's own directory."""
        status = os.fstat(self._root)
        if status.st_mode & stat.S_ISGID:
            os.fchmod(self._root, stat.S_IMODE(status.st_mode) & ~stat.S_ISGID)
        try:
            os.removexattr(self._root, _DEFAULT_ACL)
        except OSError as error:
            if error.errno not in (errno.ENODATA, errno.ENOTSUP):
                raise

    def _make(self, entry: Entry) -> None:
        name = entry.name
        if name[:2] == b"./":
            name = name[2:]
        if name[-1:] == b"/":
            name = name.rstrip(b"/")
        if len(name) > _LONGEST_PATH:
            raise InvalidArchive(os.strerror(errno.ENAMETOOLONG).lower())
        parent_name, _, last = name.rpartition(b"/")
        # A path is the key of an open directory only if it is spelled in the plainest way.
        parent = self.tree.lookup(parent_name) if name[:1] != b"/" and last and last[:1] != b"." else None
        if parent is None:
            parts = split(entry.name)
            last = parts.pop() if parts else b""
            parent_name = b"/".join(parts)
            name = b"/".join((parent_name, last)) if parts else last
            if any(part.startswith(_WHITEOUT) for part in parts):
                if parts[0].startswith(_AUFS):
                    return
                raise InvalidArchive("a directory on the way has a name that is kept for whiteouts")
            if last.startswith(_WHITEOUT):
                self._white_out(parent_name, last)
                return
            if not last:
                self._make_root(entry)
                return
            parent = self.tree.directory(parent_name)
        kind = entry.kind
        if kind == tar_reader.FILE:
            self._make_file(entry, parent, name, last)
        elif kind == tar_reader.DIRECTORY:
            self._make_directory(entry, parent, name, last)
        elif kind == tar_reader.SYMBOLIC_LINK:
            self._make_symbolic_link(entry, parent, name, last)
        elif kind == tar_reader.HARD_LINK:
            self._make_hard_link(entry, parent, name, last)
        else:
            self._make_node(entry, parent, name, last)

    def _make_file(self, entry: Entry, parent: Directory, name: bytes, last: bytes) -> None:
        size = entry.size
        if size >= _LARGE:
            self._check_space(entry)
        mode = entry.mode
        try:
            file = os.open(last, _CREATE, mode & 0o777, dir_fd=parent.descriptor)
        except FileExistsError:
            self.tree.clear(parent, name, last)
            file = os.open(last, _CREATE, mode & 0o777, dir_fd=parent.descriptor)
        try:
            if entry.pieces is not None:
                self._reader.copy_pieces(file, entry.pieces, size)
            elif size:
                self._reader.copy(file)
            uid, gid = entry.uid, entry.gid
            if uid or gid or parent.gid:
                self._own(entry, file)
            # Writing and a new owner take special bits and capabilities away, so they come after.
            if mode & _SPECIAL_BITS:
                os.fchmod(file, mode)
            if entry.records:
                self._set_attributes(entry, file)
            mtime = entry.mtime
            atime = entry.atime
            os.utime(file, ns=(mtime if atime is None else atime, mtime))
        finally:
            os.close(file)

    def _make_directory(self, entry: Entry, parent: Directory, name: bytes, last: bytes) -> None:
        directory = self.tree.lookup(name)
        if directory is None:
            descriptor = self._open_new_directory(parent, name, last)
            directory = self.tree.keep(Directory(name, descriptor, 0, 0, 0))
        self._describe(entry, directory)

    def _open_new_directory(self, parent: Directory, name: bytes, last: bytes) -> int:
        try:
            os.mkdir(last, 0o700, dir_fd=parent.descriptor)
        except FileExistsError:
            try:
                return os.open(last, _OPEN_DIRECTORY, dir_fd=parent.descriptor)
            except OSError as error:
                if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                    raise
            hidden = self.tree.is_whiteout(parent, last)
            os.unlink(last, dir_fd=parent.descriptor)
            os.mkdir(last, 0o700, dir_fd=parent.descriptor)
            if hidden:
                self.tree.mark_opaque(name)
        return os.open(last, _OPEN_DIRECTORY, dir_fd=parent.descriptor)

    def _make_root(self, entry: Entry) -> None:
        if entry.kind != tar_reader.DIRECTORY:
            raise InvalidArchive("the layer's root is not a directory")
        self._describe(entry, self.tree.root)

    def _describe(self, entry: Entry, directory: Directory) -> None:
        """Give a directory what the archive says of it; the times come when it is closed."""
        descriptor = directory.descriptor
        self._own(entry, descriptor)
        os.fchmod(descriptor, entry.mode)
        directory.gid = entry.gid
        directory.mtime = entry.mtime
        directory.atime = entry.mtime if entry.atime is None else entry.atime
        self.tree.named(directory)
        if entry.records:
            self._set_attributes(entry, descriptor, directory.path)

    def _make_symbolic_link(self, entry: Entry, parent: Directory, name: bytes, last: bytes) -> None:
        if not entry.link:
            raise InvalidArchive("a symbolic link without a target")
        descriptor = parent.descriptor
        try:
            os.symlink(entry.link, last, dir_fd=descriptor)
        except FileExistsError:
            self.tree.clear(parent, name, last)
            os.symlink(entry.link, last, dir_fd=descriptor)
        if entry.uid or entry.gid or parent.gid:
            self._own(entry, last, descriptor)
        if entry.records:
            self._set_attributes_by_name(entry, parent, last)
        self._set_times(entry, parent, last)

    def _make_hard_link(self, entry: Entry, parent: Directory, name: bytes, last: bytes) -> None:
        parts = split(entry.link, "a hard link to ")
        if not parts:
            raise InvalidArchive("a hard link to the layer's root")
        target = parts.pop()
        target_parent = b"/".join(parts)
        try:
            self.tree.directory(target_parent, make=False)
            # The second call may have closed what the first one opened; the third one finds both.
            self.tree.directory(parent.path)
            source = self.tree.directory(target_parent, make=False)
            parent = self.tree.directory(parent.path)
            status = os.stat(target, dir_fd=source.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            raise InvalidArchive(f"a hard link to {_shown(entry.link)}, which is not in the layer before it") from None
        if stat.S_ISDIR(status.st_mode):
            raise InvalidArchive(f"a hard link to {_shown(entry.link)}, which is a directory")
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
            raise InvalidArchive(f"a hard link to {_shown(entry.link)}, which the layer deletes")
        if source is parent and target == last:
            return
        try:
            self._link(source, target, parent, last)
        except FileExistsError:
            there = os.stat(last, dir_fd=parent.descriptor, follow_symlinks=False)
            if (there.st_dev, there.st_ino) == (status.st_dev, status.st_ino):
                return
            if (target_parent + b"/").startswith(name + b"/"):
                raise InvalidArchive(
                    f"a hard link to {_shown(entry.link)}, in the directory that it replaces"
                ) from None
            self.tree.clear(parent, name, last)
            self._link(source, target, parent, last)

    def _link(self, source: Directory, target: bytes, parent: Directory, last: bytes) -> None:
        os.link(target, last, src_dir_fd=source.descriptor, dst_dir_fd=parent.descriptor, follow_symlinks=False)

    def _make_node(self, entry: Entry, parent: Directory, name: bytes, last: bytes) -> None:
        self.tree.clear(parent, name, last)
        if entry.kind == tar_reader.FIFO:
            kind, device = stat.S_IFIFO, 0
        else:
            if not (0 <= entry.major < 1 << 12 and 0 <= entry.minor < 1 << 20):
                raise InvalidArchive(f"the impossible device number {entry.major}:{entry.minor}")
            kind = stat.S_IFCHR if entry.kind == tar_reader.CHARACTER_DEVICE else stat.S_IFBLK
            device = os.makedev(entry.major, entry.minor)
            if kind == stat.S_IFCHR and device == 0:
                self._warn(entry.name, "the character device 0/0 is left out, since it would delete what is below")
                return
        try:
            os.mknod(last, kind | 0o600, device, dir_fd=parent.descriptor)
        except PermissionError:
            if kind == stat.S_IFIFO:
                raise
            self._warn(entry.name, "the device is left out, since the kernel does not let us make it here")
            return
        self._own(entry, last, parent.descriptor)
        os.chmod(last, entry.mode, dir_fd=parent.descriptor)  # no link: we have just made it
        if entry.records:
            self._set_attributes_by_name(entry, parent, last)
        self._set_times(entry, parent, last)

    def _white_out(self, directory: bytes, last: bytes) -> None:
        if last == _OPAQUE:
            self.tree.mark_opaque(self.tree.directory(directory).path)
            return
        if last.startswith(_AUFS):
            return
        hidden = last[len(_WHITEOUT) :]
        if hidden in {b"", b".", b".."}:
            raise InvalidArchive("a whiteout of nothing")
        name = b"/".join((directory, hidden)) if directory else hidden
        self.tree.white_out(self.tree.directory(directory), name, hidden)

    def _own(self, entry: Entry, file: int | bytes, directory: int | None = None) -> None:
        """Give an open file, or a name in a directory, its owner."""
        if entry.uid > _LARGEST_ID or entry.gid > _LARGEST_ID:
            raise InvalidArchive(f"the impossible owner {entry.uid}:{entry.gid}")
        try:
            os.chown(file, entry.uid, entry.gid, dir_fd=directory, follow_symlinks=isinstance(file, int))
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            raise OrlopError(
                f"cannot unpack {_shown(entry.name)}: its owner {entry.uid}:{entry.gid} has no id in this user namespace:"
                f" give the user a larger range in /etc/subuid and /etc/subgid"
            ) from None

    def _set_times(self, entry: Entry, parent: Directory, last: bytes) -> None:
        atime = entry.mtime if entry.atime is None else entry.atime
        os.utime(last, ns=(atime, entry.mtime), dir_fd=parent.descriptor, follow_symlinks=False)

    def _set_attributes(self, entry: Entry, file: int | bytes, directory: bytes | None = None) -> None:
        """Set extended attributes of a file by its descriptor or its name in the working directory.

        ``directory`` is the path, if it is a directory.
        """
        for key, value in pax.extended_attributes(entry.records):
            if not attributes.belongs(key):
                self._warn(entry.name, f"the extended attribute {key[:80]!r} is left out")
            elif not value and key.startswith("system."):
                self._warn(entry.name, "an access control list is left out, since it names users without their numbers")
            elif key == _DEFAULT_ACL and directory is not None:
                self._keep_default_acl(directory, value)
            else:
                self._set_attribute(entry, file, key, value)

    def _set_attribute(self, entry: Entry, file: int | bytes, key: str, value: bytes) -> None:
        try:
            if isinstance(file, int):
                os.setxattr(file, key, value)
            else:
                os.setxattr(file, key, value, follow_symlinks=False)
        except OSError as error:
            if error.errno in _TOO_LARGE:
                raise InsufficientSpace(
                    f"cannot unpack {_shown(entry.name)}: its extended attribute {key[:80]!r} of {len(value)} bytes does not"
                    f" fit into this file system"
                ) from None
            if error.errno not in _NOT_HERE:
                raise
            self._warn(entry.name, f"the extended attribute {key[:80]!r} is left out: {os.strerror(error.errno)}")

    def _set_attributes_by_name(self, entry: Entry, parent: Directory, last: bytes) -> None:
        """Set extended attributes of what cannot be opened, for which there is no call with a directory (before Linux 6.13)."""
        if not pax.extended_attributes(entry.records):
            return
        back = os.open(".", os.O_PATH | os.O_CLOEXEC)
        try:
            os.fchdir(parent.descriptor)
            self._set_attributes(entry, last)
        finally:
            os.fchdir(back)
            os.close(back)

    def _keep_default_acl(self, directory: bytes, value: bytes) -> None:
        self._default_acls[directory] = value
        if len(self._default_acls) > MOST_MARKS or len(value) > _LARGEST_ACL:
            raise InvalidArchive("too many or too large default access control lists")

    def _set_default_acls(self) -> None:
        """Set what would have been inherited by everything that was made meanwhile."""
        for name, value in self._default_acls.items():
            try:
                directory = self.tree.directory(name, make=False)
            except (FileNotFoundError, InvalidArchive):
                continue  # another entry has replaced it
            try:
                os.setxattr(directory.descriptor, _DEFAULT_ACL, value)
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                self._warn(name, f"the default access control list is left out: {os.strerror(error.errno)}")

    def _check_space(self, entry: Entry) -> None:
        needed = entry.size if entry.pieces is None else sum(entry.pieces[1::2])
        status = os.fstatvfs(self._root)
        free = status.f_bavail * status.f_frsize
        if needed > free:
            raise InsufficientSpace(
                f"cannot unpack {_shown(entry.name)}: it has {needed} bytes, and the file system has {free} left"
            )

    def _warn(self, name: bytes, what: str) -> None:
        if len(self.warnings) < _MOST_WARNINGS:
            self.warnings.append(f"{_shown(name)}: {what}")
        else:
            self._suppressed += 1


def split(name: bytes, what: str = "") -> list[bytes]:
    """The components of an entry's path; none for the root.

    Raises:
        InvalidArchive: it leads out of the layer.
    """
    parts = [part for part in name.split(b"/") if part and part != b"."]
    if b".." in parts:
        raise InvalidArchive(f"{what}a path with '..' in it")
    if parts and name[:1] == b"/":
        raise InvalidArchive(f"{what}an absolute path")
    if not parts and not name:
        raise InvalidArchive(f"{what}an empty name")
    if b"\0" in name:
        raise InvalidArchive(f"{what}a name with a NUL in it")
    return parts


def _shown(name: bytes) -> str:
    """A name for an error's text, with what a terminal would obey made harmless."""
    text = name[:200].decode("utf-8", "backslashreplace")
    return '"' + "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text) + '"'


def _explained(error: OSError, entry: Entry | None) -> OrlopError:
    """What the kernel's refusal means."""
    what = f"cannot unpack {_shown(entry.name)}" if entry is not None else "cannot unpack the layer"
    number = error.errno or 0
    if number in _FULL:
        return InsufficientSpace(
            f"{what}: the file system has no {'quota' if number == errno.EDQUOT else 'space'} left"
        )
    reason = os.strerror(number)
    reason = f"{reason[:1].lower()}{reason[1:]}"
    if number in (errno.ENAMETOOLONG, errno.EFBIG, errno.EINVAL, errno.ELOOP, errno.EOVERFLOW):
        return InvalidArchive(f"{what}: {reason}")
    if number == errno.EPERM:
        return Unsupported(f"{what}: {reason}: it needs root's rights, or those of root in a user namespace")
    return OrlopError(f"{what}: {reason}")
