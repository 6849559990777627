"""Putting files into a tree: what COPY does once it is known which files are meant.

Neither tree is trusted. The source is read by descriptors; the target is resolved as a process would that has its root for
its root directory, and in it nothing is followed. Times, and with ``keep_owners`` owners and attributes too, come along.
Directories that have to be made on the way to the target are of 1970, so that two builds make the same ones, and the
directories that something is put into keep their times.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat

from orlop.build import tree
from orlop.errors import InvalidArgument, OrlopError, Unsupported
from orlop.linux import path as paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orlop.build.selection import Chosen
    from orlop.build.steps import Document
    from orlop.build.tree import Entry

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 16 << 20
#: Files up to this size are read and written at once.
_SMALL = 1 << 20
_PERMISSIONS = 0o777


class Style:
    """How files are to be there: ``owner`` is who they belong to, None if they keep theirs; ``mode`` gives permissions."""

    __slots__ = ("keep_owners", "mode", "owner")

    def __init__(self, owner: tuple[int, int] | None, mode: Callable[[int], int] | None, *, keep_owners: bool) -> None:
        self.owner = owner
        self.mode = mode
        self.keep_owners = keep_owners

    def owner_of(self, about: os.stat_result) -> tuple[int, int]:
        """Who a copy of a file belongs to."""
        if self.owner is not None:
            return self.owner
        return (about.st_uid, about.st_gid) if self.keep_owners else (0, 0)

    def mode_of(self, mode: int) -> int:
        """The permissions of a copy."""
        return stat.S_IMODE(mode) if self.mode is None else self.mode(mode)


class Copier:
    """Copies into the tree of an open root directory. ``anew`` if the target is to be as a directory that was not there."""

    __slots__ = ("_anew", "_links", "_root", "_style", "_times")

    def __init__(self, root: int, style: Style, *, anew: bool = False) -> None:
        self._root = root
        self._anew = anew
        self._style = style
        #: The copies of files that have several names, by their place on the disk.
        self._links: dict[tuple[int, int], tuple[int, str]] = {}
        #: The times that directories had before something was put into them.
        self._times: dict[tuple[int, int], tuple[int, tuple[int, int]]] = {}

    def copy(self, chosen: Sequence[Chosen], documents: Sequence[Document], target: str) -> None:
        """Copy files and here-documents to ``target``, as a directory if it ends with a slash or is one.

        Raises:
            OrlopError: something is in the way, or cannot be read or made.
        """
        into = target.endswith("/") or target == "/" or any(each.under for each in chosen)
        mask = os.umask(0)
        try:
            for each in chosen:
                place = posixpath.join(target, each.under) if each.under else target
                if each.is_directory:
                    self._directory(each, place)
                else:
                    self._file(each, place, into=into)
            for document in documents:
                self._document(document, target, into=into)
        finally:
            os.umask(mask)
            self._restore_times()

    def make_directory(self, path: str) -> None:
        """Make a directory with all that is missing above it, unless it is there.

        Raises:
            OrlopError: something is in the way.
        """
        os.close(self._ensure(path))
        self._restore_times()

    def into(self, path: str) -> int:
        """An open directory of the tree to put something into, made if it is not there; the caller closes it.

        Raises:
            OrlopError: something is in the way.
        """
        place = self._ensure(path)
        try:
            return tree.opened(place)
        finally:
            os.close(place)

    def _directory(self, chosen: Chosen, target: str) -> None:
        is_new = self._anew or not self._is_there(target)
        place = self._ensure(target)
        try:
            if is_new:
                self._settle_directory(place, chosen.about, chosen.as_entry())
        finally:
            os.close(place)
        directory = self.into(target)
        self._remember(directory, anew=is_new)
        opened = [_Open("", directory, None)]
        times: dict[str, int] = {}
        try:
            for entry in chosen.entries():
                parent, _, name = entry.path.rpartition("/")
                while opened[-1].path != parent:
                    if parent.startswith(f"{opened[-1].path}/") or len(opened) == 1:
                        opened.append(opened[-1].descend(parent, times))
                    else:
                        opened.pop().close()
                self._put(entry, opened[-1].descriptor, name, f"{target.rstrip('/')}/{entry.path}")
                if stat.S_ISDIR(entry.about.st_mode):
                    times[entry.path] = entry.about.st_mtime_ns
        finally:
            while opened:
                opened.pop().close()

    def _file(self, chosen: Chosen, target: str, *, into: bool) -> None:
        directory, name = self._place(target, chosen.name, into=into)
        try:
            self._remember(directory)
            self._put(chosen.as_entry(), directory, name, target)
        finally:
            os.close(directory)

    def _document(self, document: Document, target: str, *, into: bool) -> None:
        directory, name = self._place(target, document.name, into=into)
        try:
            self._remember(directory)
            self._clear(directory, name, target)
            file = os.open(name, _NEW_FILE, 0o600, dir_fd=directory)
            try:
                data = document.content.encode("utf-8", "surrogateescape")
                while data:
                    data = data[os.write(file, data) :]
                os.fchown(file, *(self._style.owner or (0, 0)))
                os.fchmod(file, self._style.mode_of(0o100644))
                os.utime(file, ns=(0, 0))
            finally:
                os.close(file)
        finally:
            os.close(directory)

    def _place(self, target: str, name: str, *, into: bool) -> tuple[int, str]:
        """The open directory that a file goes into, and its name there."""
        if into or self._is_directory(target):
            return self.into(target), name
        above, _, name = target.rpartition("/")
        return self.into(above or "/"), name

    def _is_there(self, path: str) -> bool:
        try:
            os.close(paths.open_in_root(self._root, path))
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def _is_directory(self, path: str) -> bool:
        try:
            os.close(paths.open_in_root(self._root, path, os.O_PATH | os.O_DIRECTORY))
        except OSError as error:
            if error.errno in tree.ABSENT:
                return False
            raise
        return True

    def _ensure(self, path: str) -> int:
        """Open a directory (O_PATH); what is missing of it is made."""
        try:
            return paths.open_in_root(self._root, path, os.O_PATH | os.O_DIRECTORY)
        except FileNotFoundError:
            pass  # made below
        except OSError as error:
            raise _in_the_way(path, error) from None
        parts = paths.split(path)
        for end in range(1, len(parts) + 1):
            some = "/" + "/".join(parts[:end])
            if self._is_there(some):
                continue
            above = self.into("/" + "/".join(parts[: end - 1]))
            try:
                self._remember(above)
            finally:
                os.close(above)
            try:
                made = paths.ensure_directory(self._root, some, 0o755)
            except OSError as error:
                raise _in_the_way(some, error) from None
            place = tree.opened(made)
            os.close(made)
            try:
                os.fchmod(place, 0o755)
                os.fchown(place, *(self._style.owner or (0, 0)))
                os.utime(place, ns=(0, 0))
                self._remember(place)
            finally:
                os.close(place)
        try:
            return paths.open_in_root(self._root, path, os.O_PATH | os.O_DIRECTORY)
        except OSError as error:
            raise _in_the_way(path, error) from None

    def _put(self, entry: Entry, directory: int, name: str, shown: str) -> None:
        """Make the copy of one entry in an open directory."""
        mode = entry.about.st_mode
        try:
            if stat.S_ISDIR(mode):
                self._make_directory(entry, directory, name, shown)
            elif stat.S_ISREG(mode):
                self._regular(entry, directory, name, shown)
            elif stat.S_ISLNK(mode):
                self._clear(directory, name, shown)
                os.symlink(os.readlink(entry.name, dir_fd=entry.holder), name, dir_fd=directory)
                self._settle(entry, directory, name)
            elif not stat.S_ISSOCK(mode):
                self._special(entry, directory, name, shown)
        except OSError as error:
            raise OrlopError(f"{shown} cannot be copied: {error.strerror}") from error

    def _make_directory(self, entry: Entry, directory: int, name: str, shown: str) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=directory)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(name, dir_fd=directory).st_mode):
                raise OrlopError(f"{shown} is no directory in the image, so none can be copied over it") from None
        made = os.open(name, _DIRECTORY, dir_fd=directory)
        try:
            self._settle_directory(made, entry.about, entry)
        finally:
            os.close(made)

    def _settle_directory(self, place: int, about: os.stat_result, source: Entry) -> None:
        """Give a directory owner, mode, attributes and times."""
        made = tree.opened(place)
        try:
            os.fchown(made, *self._style.owner_of(about))
            os.fchmod(made, self._style.mode_of(about.st_mode))
            if self._style.keep_owners:
                _set_attributes(made, source)
            os.utime(made, ns=(about.st_mtime_ns, about.st_mtime_ns))
        finally:
            os.close(made)

    def _regular(self, entry: Entry, directory: int, name: str, shown: str) -> None:
        about = entry.about
        key = (about.st_dev, about.st_ino)
        if about.st_nlink > 1 and key in self._links:
            self._clear(directory, name, shown)
            holder, first = self._links[key]
            try:
                os.link(first, name, src_dir_fd=holder, dst_dir_fd=directory, follow_symlinks=False)
                return
            except OSError as error:
                if error.errno not in (errno.EMLINK, errno.ENOENT, errno.EXDEV):
                    raise
        source = entry.open()
        try:
            about = os.fstat(source)
            if not stat.S_ISREG(about.st_mode):
                raise OrlopError(f"{entry.path} was replaced while it was copied")
            mode = self._style.mode_of(about.st_mode)
            file = self._new_file(directory, name, mode, shown)
            try:
                _transfer(source, file, about.st_size)
                self._own(file, self._style.owner_of(about), mode)
                if self._style.keep_owners:
                    _set_attributes(file, entry)
                os.utime(file, ns=(about.st_mtime_ns, about.st_mtime_ns))
            finally:
                os.close(file)
        finally:
            os.close(source)
        if about.st_nlink > 1:
            self._links[key] = (os.dup(directory), name)

    def _new_file(self, directory: int, name: str, mode: int, shown: str) -> int:
        """Make a file, in the place of one that is there; mostly there is none, and looking for it first takes time."""
        try:
            return os.open(name, _NEW_FILE, mode & _PERMISSIONS, dir_fd=directory)
        except FileExistsError:
            self._clear(directory, name, shown)
            return os.open(name, _NEW_FILE, mode & _PERMISSIONS, dir_fd=directory)

    @staticmethod
    def _own(file: int, owner: tuple[int, int], mode: int) -> None:
        """Give a new file its owner and its mode, if it has not got them from how it was made."""
        made = os.fstat(file)
        if (made.st_uid, made.st_gid) != owner:
            os.fchown(file, *owner)
        elif stat.S_IMODE(made.st_mode) == mode:
            return
        os.fchmod(file, mode)

    def _special(self, entry: Entry, directory: int, name: str, shown: str) -> None:
        about = entry.about
        if not stat.S_ISFIFO(about.st_mode) and not self._style.keep_owners:
            raise Unsupported(f"{shown} cannot be copied: a device of the context has no place in an image")
        self._clear(directory, name, shown)
        os.mknod(name, stat.S_IFMT(about.st_mode) | 0o600, about.st_rdev, dir_fd=directory)
        self._settle(entry, directory, name)
        os.chmod(f"/proc/self/fd/{directory}/{name}", self._style.mode_of(about.st_mode))
        os.utime(name, ns=(about.st_mtime_ns, about.st_mtime_ns), dir_fd=directory, follow_symlinks=False)

    def _settle(self, entry: Entry, directory: int, name: str) -> None:
        about = entry.about
        os.chown(name, *self._style.owner_of(about), dir_fd=directory, follow_symlinks=False)
        os.utime(name, ns=(about.st_mtime_ns, about.st_mtime_ns), dir_fd=directory, follow_symlinks=False)

    def _clear(self, directory: int, name: str, shown: str) -> None:
        try:
            os.unlink(name, dir_fd=directory)
        except FileNotFoundError:
            return
        except IsADirectoryError:
            raise OrlopError(f"{shown} is a directory in the image, so no file can be copied over it") from None

    def _remember(self, directory: int, *, anew: bool = False) -> None:
        """Note the times of a directory that something is going to be put into, unless they are noted already."""
        about = os.fstat(directory)
        key = (about.st_dev, about.st_ino)
        if anew and key in self._times:
            os.close(self._times.pop(key)[0])
        if key not in self._times:
            self._times[key] = (os.dup(directory), (about.st_atime_ns, about.st_mtime_ns))

    def _restore_times(self) -> None:
        for descriptor, times in self._times.values():
            os.utime(descriptor, ns=times)
            os.close(descriptor)
        self._times.clear()
        for holder, _ in self._links.values():
            os.close(holder)
        self._links.clear()


class _Open:
    """An open directory of the target, which gets its times when all that belongs into it is there."""

    __slots__ = ("_time", "descriptor", "path")

    def __init__(self, path: str, descriptor: int, time: int | None) -> None:
        self.path = path
        self.descriptor = descriptor
        self._time = time

    def descend(self, path: str, times: dict[str, int]) -> _Open:
        """Open the next directory on the way to ``path``."""
        name = path[len(self.path) :].lstrip("/").split("/", 1)[0]
        below = f"{self.path}/{name}" if self.path else name
        return _Open(below, os.open(name, _DIRECTORY, dir_fd=self.descriptor), times.pop(below, None))

    def close(self) -> None:
        """Leave the directory."""
        if self._time is not None:
            os.utime(self.descriptor, ns=(self._time, self._time))
        os.close(self.descriptor)


def _set_attributes(file: int, source: Entry) -> None:
    for name, value in source.attributes().items():
        os.setxattr(file, name, value)


def _transfer(source: int, file: int, size: int) -> None:
    done = 0
    if size <= _SMALL:
        data = os.read(source, size + 1)
        written = os.write(file, data) if data else 0
        if written == len(data) == size:
            return  # or it is growing, or the disk is full
        while data := data[written:]:
            written = os.write(file, data)
        _stream(source, file)
        return
    try:
        while done < size:
            count = os.copy_file_range(source, file, min(size - done, _CHUNK))
            if not count:
                break
            done += count
        return
    except OSError as error:
        if done or error.errno not in (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
    _stream(source, file)


def _stream(source: int, file: int) -> None:
    while data := os.read(source, _SMALL):
        while data:
            data = data[os.write(file, data) :]


def _in_the_way(path: str, error: OSError) -> OrlopError:
    if error.errno == errno.ENOTDIR:
        return OrlopError(f"{path} cannot be made in the image: something on the way to it is no directory")
    return OrlopError(f"{path} cannot be made in the image: {error.strerror}")


def permissions(text: str) -> Callable[[int], int] | None:
    """What ``--chmod`` does to a mode: an octal number sets it, ``u=rwX,go-w`` changes it; None if it is empty.

    Raises:
        InvalidArgument: it is neither.
    """
    if not text:
        return None
    if all(digit in "01234567" for digit in text) and len(text) <= 5 and int(text, 8) <= 0o7777:
        number = int(text, 8)
        return lambda _mode: number
    clauses = [_clause(each, text) for each in text.split(",")]

    def change(mode: int) -> int:
        bits = stat.S_IMODE(mode)
        for who, operator, rights in clauses:
            bits = _changed(bits, who, operator, rights, is_executable=stat.S_ISDIR(mode) or bool(mode & 0o111))
        return bits

    return change


def _clause(text: str, whole: str) -> tuple[str, str, str]:
    place = 0
    while place < len(text) and text[place] in "ugoa":
        place += 1
    who, operator, rights = text[:place] or "a", text[place : place + 1], text[place + 1 :]
    if operator not in ("+", "-", "=") or not operator or any(each not in "rwxXst" for each in rights):
        raise InvalidArgument(
            f"invalid mode '{whole}' of --chmod: expected an octal number, or text such as u=rwX,go=rX"
        )
    return who, operator, rights


def _changed(bits: int, who: str, operator: str, rights: str, *, is_executable: bool) -> int:
    one = 0
    for each in rights:
        one |= {"r": 4, "w": 2, "x": 1, "X": 1 if is_executable else 0}.get(each, 0)
    mask = special = 0
    for each, shift, bit in (("u", 6, stat.S_ISUID), ("g", 3, stat.S_ISGID), ("o", 0, stat.S_ISVTX)):
        if each in who or "a" in who:
            mask |= 7 << shift
            special |= bit if ("s" in rights and each != "o") or ("t" in rights and each == "o") else 0
    wanted = (one * 0o111) & mask | special
    if operator == "+":
        return bits | wanted
    if operator == "-":
        return bits & ~wanted
    return (bits & ~mask) | wanted
