"""The entries of an archive become files in a tree that is in use: a container's, or a directory of the user's.

Unlike a layer (`orlop.storage.layers.unpack`) such an archive comes to where there is something, and to where somebody
hostile may be exchanging directories for links at the same time. It happens in a process that has the tree's root as its
root directory and few rights (`orlop.storage.layers.confinement`), so that nothing outside can be reached by whatever
path; and each entry is made in its directory, which was opened before, under a name that was free, following no link.

What is there already
    is replaced, but by Docker's rules: a directory stays one, and gets what the archive says of it; a directory is
    replaced by something else, or something else by a directory, only if that is asked for. What is mounted there, as
    /etc/hosts of a container, cannot be replaced, and is written to if it is a file.
Ways
    In a container they are what they are to the container: links in them are followed, below its root. In a directory of
    the user's a way through a link is refused.
What is refused
    Names with ``..``, and whatever lies in the kernel's own file systems.
"""

from __future__ import annotations

import errno
import os
import stat

from orlop import json_text
from orlop.engine import container_tree
from orlop.errors import InsufficientSpace, InvalidArchive, InvalidArgument, NotFound, OrlopError, Unsupported
from orlop.linux import path, prctl
from orlop.storage.layers import attributes, confinement, decompress, limits, pax, tar_reader
from orlop.storage.layers.stream import Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.storage.layers.tar_reader import Entry, TarReader

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OVERWRITE = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BENEATH = path.RESOLVE_BENEATH | path.RESOLVE_NO_SYMLINKS | path.RESOLVE_NO_MAGICLINKS
_SET_IDS = stat.S_ISUID | stat.S_ISGID
_MOST_OPEN = 64
#: Directories whose times are set at the end; those of further ones are when they were made.
_MOST_TIMES = 100_000
_MOST_WARNINGS = 20
#: As deep as directories that are to be replaced may be.
_DEEPEST = 500
_FULL = (errno.ENOSPC, errno.EDQUOT)
_ERRORS: dict[str, type[OrlopError]] = {
    "InsufficientSpace": InsufficientSpace,
    "InvalidArchive": InvalidArchive,
    "InvalidArgument": InvalidArgument,
    "NotFound": NotFound,
    "Unsupported": Unsupported,
}


class Rules:
    """How an archive is to be extracted.

    ``destination`` is the directory in the tree, from its root. The first component ``renames[0]`` of every name becomes
    ``renames[1]``; if it is empty, that is put before every name. ``follows`` says that links on the way are followed, as
    in a container; ``keeps_owners`` that files belong to whom the archive says, and keep set-user-id bits, capabilities
    and devices that this could give rights to; ``replaces_directories`` that what is a directory may become something
    else, and the other way round.
    """

    __slots__ = ("destination", "follows", "keeps_owners", "renames", "replaces_directories")

    def __init__(
        self,
        destination: str,
        *,
        renames: tuple[str, str] | None = None,
        follows: bool,
        keeps_owners: bool,
        replaces_directories: bool = False,
    ) -> None:
        self.destination = destination
        self.renames = renames
        self.follows = follows
        self.keeps_owners = keeps_owners
        self.replaces_directories = replaces_directories


class Extracted:
    """What came of an archive: its ``size`` without compression, and ``warnings`` about what was left out."""

    __slots__ = ("size", "warnings")

    def __init__(self, size: int, warnings: list[str]) -> None:
        self.size = size
        self.warnings = warnings


def extract(source: int, root: int, rules: Rules) -> Extracted:
    """Extract an archive, plain or compressed, from a file or a pipe below ``root``.

    Raises:
        InvalidArchive: it is damaged, hostile, or no archive.
        InvalidArgument: something is in the way.
        NotFound: the destination is not there.
        InsufficientSpace: the file system is full.
        Unsupported: it is compressed with something unknown, or takes rights that are missing.
        OrlopError: the kernel refuses something else.
    """
    head = decompress.read_head(source)
    codec = decompress.codec(decompress.detect(head))

    def work(source: int, root: int) -> bytes:
        prctl.set_dumpable(False)  # a container that sees this machine's processes is not to look into us
        return json_text.dumps(_work(source, root, head, codec, rules)).encode()

    report, status = confinement.run(work, source, root)
    if report == confinement.NOT_PERMITTED:
        raise Unsupported("extracting an archive needs root's rights, or those of root in a user namespace")
    try:
        said: dict[str, Any] = json_text.loads(report)
    except ValueError:
        raise OrlopError(f"the process that extracted the archive ended with wait status {status}") from None
    if "error" in said:
        raise _ERRORS.get(said["error"], OrlopError)(str(said["message"]))
    return Extracted(said["size"], said["warnings"])


def _work(source: int, root: int, head: bytes, codec: decompress.Codec | None, rules: Rules) -> dict[str, Any]:
    entry = None
    try:
        status = os.fstatvfs(root)
        free = status.f_bavail * status.f_frsize
        stream = Stream(decompress.chunks(head, source, codec, limits.DEFAULT, free), None)
        try:
            reader = tar_reader.TarReader(stream)
            extraction = _Extraction(reader, root, rules)
            while (entry := reader.next()) is not None:
                extraction.make(entry)
            extraction.finish()
            size = stream.drain()  # whoever writes it is not to find that nobody reads
        finally:
            stream.close()
    except OrlopError as error:
        text = str(error).replace("the layer's archive", "the archive").replace("the layer", "the archive")
        return {"error": type(error).__name__, "message": text}
    except OSError as error:
        name = _shown(entry.name) if entry is not None else ""
        kind = InsufficientSpace if error.errno in _FULL else OrlopError
        reason = os.strerror(error.errno or 0)
        return {"error": kind.__name__, "message": f"cannot copy {name or 'it'}: {reason[:1].lower()}{reason[1:]}"}
    except (OverflowError, ValueError) as error:  # a time or a number that no system call takes
        return {"error": "InvalidArchive", "message": f"the archive has an impossible entry: {error}"}
    except MemoryError:
        return {"error": "OrlopError", "message": "there is not enough memory to extract the archive"}
    return {"size": size, "warnings": extraction.warnings}


class _Extraction:
    """The entries of one archive, made one after the other, in a process whose umask is 0."""

    __slots__ = ("_destination", "_directories", "_reader", "_root", "_rules", "_times", "warnings")

    def __init__(self, reader: TarReader, root: int, rules: Rules) -> None:
        self._reader = reader
        self._root = root
        self._rules = rules
        self._directories: dict[bytes, int] = {}
        self._times: dict[bytes, tuple[int, int]] = {}
        self.warnings: list[str] = []
        try:
            self._destination = self._open(b"", make=False)
        except NotADirectoryError:
            raise InvalidArgument(f"{rules.destination} is not a directory") from None
        except FileNotFoundError:
            raise NotFound(f"could not find the directory {rules.destination}") from None

    def make(self, entry: Entry) -> None:
        """Make what an entry says."""
        parts = self._parts(entry.name)
        if not parts:
            return  # the destination itself, which stays as it is
        directory = self._directory(b"/".join(parts[:-1]))
        name = parts[-1]
        kind = entry.kind
        is_there = self._clear(entry, directory, name)
        if kind == tar_reader.DIRECTORY:
            self._make_directory(entry, directory, name, b"/".join(parts), is_there=is_there)
        elif kind == tar_reader.FILE:
            self._make_file(entry, directory, name, is_there=is_there)
        elif kind == tar_reader.HARD_LINK:
            self._make_hard_link(entry, directory, name)
        elif kind == tar_reader.SYMBOLIC_LINK:
            os.symlink(entry.link, name, dir_fd=directory)
            self._own(entry, name, directory)
            self._set_times(entry, name, directory)
        else:
            self._make_node(entry, directory, name)

    def finish(self) -> None:
        """Set the times of directories, to which nothing is added any more."""
        for name, times in self._times.items():
            try:
                os.utime(self._directory(name, make=False), ns=times)
            except FileNotFoundError:
                continue  # somebody has removed it meanwhile

    def _parts(self, name: bytes) -> list[bytes]:
        """The components of a name, below the destination."""
        parts = [part for part in name.split(b"/") if part and part != b"."]
        if b".." in parts:
            raise InvalidArchive(f"{_shown(name)} is refused: it has '..' in its path")
        if b"\0" in name:
            raise InvalidArchive(f"{_shown(name)} is refused: it has a NUL in its path")
        if self._rules.renames is not None:
            old, new = (os.fsencode(word) for word in self._rules.renames)
            if not old:
                return [new, *parts]
            if parts and parts[0] == old:
                parts[0] = new
        return parts

    # Directories

    def _directory(self, name: bytes, *, make: bool = True) -> int:
        """The directory of a name, opened; a missing one is made. It stays open until the call after the next."""
        if not name:
            return self._destination
        found = self._directories.pop(name, -1)
        if found < 0:
            found = self._open(name, make=make)
            if len(self._directories) >= _MOST_OPEN:
                os.close(self._directories.pop(next(iter(self._directories))))
        self._directories[name] = found  # the last one to be closed
        return found

    def _open(self, name: bytes, *, make: bool) -> int:
        try:
            descriptor = self._open_way(name, make=make)
        except OSError as error:
            if not name or error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
            what = "what is no directory" if self._rules.follows else "a symbolic link, or what is no directory"
            raise InvalidArgument(f"{_shown(name)} is refused: the way there goes through {what}") from None
        if container_tree.is_kernel_s(descriptor):
            raise InvalidArgument(f"{_shown(name) if name else self._rules.destination} is not a place for files")
        return descriptor

    def _open_way(self, name: bytes, *, make: bool) -> int:
        whole = self._rules.destination + "/" + os.fsdecode(name)
        if self._rules.follows:
            if not make:
                handle = path.open_in_root(self._root, whole, os.O_PATH | os.O_DIRECTORY)
            else:
                handle = path.ensure_directory(self._root, whole)
            try:
                return os.open(".", _DIRECTORY, dir_fd=handle)
            finally:
                os.close(handle)
        at = self._destination if name else self._root
        way = name or self._rules.destination.strip("/") or "."
        try:
            return path.open_at(at, way, _DIRECTORY, resolve=_BENEATH)
        except FileNotFoundError:
            if not make:
                raise
        parent, _, last = name.rpartition(b"/")
        holder = self._directory(parent)
        os.mkdir(last, 0o755, dir_fd=holder)
        return os.open(last, _DIRECTORY, dir_fd=holder)

    def _forget(self, name: bytes) -> None:
        """Close what was replaced by something else."""
        below = name + b"/"
        for key in [key for key in self._directories if key == name or key.startswith(below)]:
            os.close(self._directories.pop(key))
        for key in [key for key in self._times if key == name or key.startswith(below)]:
            del self._times[key]

    # What is there

    def _clear(self, entry: Entry, directory: int, name: bytes) -> bool:
        """Make room for an entry; True if what is there is to become it."""
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            return False
        is_directory = stat.S_ISDIR(status.st_mode)
        if is_directory and entry.kind == tar_reader.DIRECTORY:
            return True
        if is_directory or entry.kind == tar_reader.DIRECTORY:
            if not self._rules.replaces_directories:
                one, other = ("directory", "non-directory") if is_directory else ("non-directory", "directory")
                raise InvalidArgument(f"cannot overwrite {one} {_shown(entry.name)} with {other}")
            self._forget(b"/".join(self._parts(entry.name)))
        if _is_mounted(directory, name):
            if stat.S_ISREG(status.st_mode) and entry.kind == tar_reader.FILE:
                return True
            raise InvalidArgument(f"cannot overwrite {_shown(entry.name)}: something is mounted there")
        try:
            if is_directory:
                _remove(directory, name)
            else:
                os.unlink(name, dir_fd=directory)
        except FileNotFoundError:
            return False
        return False

    # Files

    def _make_directory(self, entry: Entry, directory: int, name: bytes, whole: bytes, *, is_there: bool) -> None:
        if not is_there:
            os.mkdir(name, 0o700, dir_fd=directory)
        descriptor = os.open(name, _DIRECTORY, dir_fd=directory)
        try:
            if container_tree.is_kernel_s(descriptor):
                raise InvalidArgument(f"{_shown(entry.name)} is not a place for files")
            self._own(entry, descriptor)
            os.fchmod(descriptor, self._mode(entry))
            self._set_attributes(entry, descriptor)
        finally:
            os.close(descriptor)
        if len(self._times) < _MOST_TIMES:
            self._times[whole] = (entry.mtime if entry.atime is None else entry.atime, entry.mtime)

    def _make_file(self, entry: Entry, directory: int, name: bytes, *, is_there: bool) -> None:
        file = (
            self._open_mounted(entry, directory, name) if is_there else os.open(name, _CREATE, 0o600, dir_fd=directory)
        )
        try:
            if entry.pieces is not None:
                self._reader.copy_pieces(file, entry.pieces, entry.size)
            elif entry.size:
                self._reader.copy(file)
            # Writing and a new owner take special bits and capabilities away, so they come after.
            self._own(entry, file)
            os.fchmod(file, self._mode(entry))
            self._set_attributes(entry, file)
            os.utime(file, ns=(entry.mtime if entry.atime is None else entry.atime, entry.mtime))
        finally:
            os.close(file)

    def _open_mounted(self, entry: Entry, directory: int, name: bytes) -> int:
        """Open a file that something is mounted on, empty."""
        file = os.open(name, _OVERWRITE, dir_fd=directory)
        if not stat.S_ISREG(os.fstat(file).st_mode) or container_tree.is_kernel_s(file):
            os.close(file)
            raise InvalidArgument(f"{_shown(entry.name)} is not a place for files")
        os.ftruncate(file, 0)
        return file

    def _make_hard_link(self, entry: Entry, directory: int, name: bytes) -> None:
        parts = self._parts(entry.link)
        if not parts:
            raise InvalidArchive(f"{_shown(entry.name)} is refused: it is a hard link to the archive's root")
        try:
            source = self._directory(b"/".join(parts[:-1]), make=False)
            os.link(parts[-1], name, src_dir_fd=source, dst_dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            raise InvalidArchive(
                f"{_shown(entry.name)} is refused: it is a hard link to {_shown(entry.link)}, which is not there"
            ) from None

    def _make_node(self, entry: Entry, directory: int, name: bytes) -> None:
        if entry.kind == tar_reader.FIFO:
            kind, device = stat.S_IFIFO, 0
        elif not self._rules.keeps_owners:
            self._warn(f"{_shown(entry.name)} is left out, since it is a device")
            return
        else:
            kind = stat.S_IFCHR if entry.kind == tar_reader.CHARACTER_DEVICE else stat.S_IFBLK
            device = os.makedev(entry.major, entry.minor)
        try:
            os.mknod(name, kind | (entry.mode & 0o777), device, dir_fd=directory)
        except PermissionError:
            if kind == stat.S_IFIFO:
                raise
            self._warn(f"{_shown(entry.name)} is left out, since the kernel does not let us make devices here")
            return
        self._own(entry, name, directory)
        self._set_times(entry, name, directory)

    # What is said of them

    def _mode(self, entry: Entry) -> int:
        return entry.mode if self._rules.keeps_owners else entry.mode & ~_SET_IDS

    def _own(self, entry: Entry, file: int | bytes, directory: int | None = None) -> None:
        if not self._rules.keeps_owners:
            return
        try:
            os.chown(file, entry.uid, entry.gid, dir_fd=directory, follow_symlinks=isinstance(file, int))
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            # An id that an ordinary user's namespace does not have: the file is the container's root's.

    def _set_times(self, entry: Entry, name: bytes, directory: int) -> None:
        atime = entry.mtime if entry.atime is None else entry.atime
        os.utime(name, ns=(atime, entry.mtime), dir_fd=directory, follow_symlinks=False)

    def _set_attributes(self, entry: Entry, file: int) -> None:
        if not entry.records:
            return
        for key, value in pax.extended_attributes(entry.records):
            if not attributes.belongs(key) or not (self._rules.keeps_owners or key.startswith("user.")):
                continue
            try:
                os.setxattr(file, key, value)
            except OSError as error:
                if error.errno not in (errno.ENOTSUP, errno.EPERM, errno.EINVAL):
                    raise
                self._warn(f"the extended attribute {key[:80]!r} of {_shown(entry.name)} is left out")

    def _warn(self, what: str) -> None:
        if len(self.warnings) < _MOST_WARNINGS:
            self.warnings.append(what)


def _is_mounted(directory: int, name: bytes) -> bool:
    """Whether something is mounted on what is called so: removing that would take the mount along, in the container too.

    The kernel refuses it only to processes of the mount namespace that the mount is in (fs/namei.c, vfs_unlink).
    """
    try:
        os.close(path.open_at(directory, name, os.O_PATH | os.O_NOFOLLOW, resolve=path.RESOLVE_NO_XDEV))
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno == errno.EXDEV:
            return True
        raise
    return False


def _remove(parent: int, name: bytes) -> None:
    """Remove a directory with all that is in it, while others may be moving it about: every step is by descriptor."""
    stack = [(parent, name, os.open(name, _DIRECTORY, dir_fd=parent))]
    try:
        while stack:
            holder, name, directory = stack[-1]
            deeper = b""
            for text in os.listdir(directory):
                each = os.fsencode(text)
                if _is_mounted(directory, each):
                    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
                if stat.S_ISDIR(os.stat(each, dir_fd=directory, follow_symlinks=False).st_mode):
                    deeper = each
                    break
                os.unlink(each, dir_fd=directory)
            if deeper:
                if len(stack) >= _DEEPEST:
                    raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
                stack.append((directory, deeper, os.open(deeper, _DIRECTORY, dir_fd=directory)))
                continue
            os.rmdir(name, dir_fd=holder)
            os.close(stack.pop()[2])
    finally:
        for _, _, directory in stack:
            os.close(directory)


def _shown(name: bytes) -> str:
    """A name for a message, with what a terminal would obey made harmless."""
    text = name[:200].decode("utf-8", "backslashreplace")
    return '"' + "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text) + '"'
