"""What a user names as a build's context becomes a directory: a path, an archive, an address, a git repository, or nothing.

What is not a directory already is put into a snapshot that is of no use after the build.
"""

from __future__ import annotations

import os

from orlop.build import remote
from orlop.errors import InvalidArgument, NotFound
from orlop.linux import path as paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.build.temporary import Temporary
    from orlop.storage.store import Storage

DOCKERFILE = "Dockerfile"
_CHUNK = 1 << 20


class ContextSource:
    """A context's ``directory``; ``is_local`` if it is the user's own, and ``dockerfile`` where that is all there is.

    ``commit`` is what of a git repository it is.
    """

    __slots__ = ("commit", "directory", "dockerfile", "is_local")

    def __init__(
        self, directory: str, *, is_local: bool = False, dockerfile: bytes | None = None, commit: str = ""
    ) -> None:
        self.commit = commit
        self.directory = directory
        self.is_local = is_local
        self.dockerfile = dockerfile

    def read(self, name: str) -> bytes:
        """A file below the directory, such as the Dockerfile, whatever links are there.

        Raises:
            NotFound: it is not there.
            InvalidArgument: it is no file.
        """
        root = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            descriptor = paths.open_in_root(root, name, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise NotFound(f"cannot read the Dockerfile {name}: {os.strerror(error.errno or 0).lower()}") from None
        finally:
            os.close(root)
        with open(descriptor, "rb") as file:
            try:
                return file.read()
            except OSError:
                raise InvalidArgument(f"cannot read the Dockerfile {name}: it is no file") from None


def find(
    source: str, storage: Storage, temporary: Temporary, aside: str, stdin: int = 0, *, keep_git_dir: bool = False
) -> ContextSource:
    """The context that a user names; ``aside`` is a directory for what is only needed meanwhile.

    Raises:
        NotFound: there is no such directory.
        InvalidArgument, InvalidArchive: it is none, and no archive.
        OrlopError: it cannot be had.
    """
    if source == "-":
        return _of_stream(stdin, storage, temporary, aside, "standard input")
    if remote.is_git(source):
        git = remote.GitSource(source)
        directory = temporary.directory()
        commit = remote.clone(git, f"{directory}/git", keep_git_dir=keep_git_dir)
        root = os.open(f"{directory}/git", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            below = paths.open_in_root(root, git.subdirectory or "/", os.O_PATH | os.O_DIRECTORY)
            return ContextSource(os.readlink(f"/proc/self/fd/{below}"), commit=commit)
        except OSError as error:
            raise NotFound(f"{git.subdirectory} is no directory of {git.repository}: {error.strerror}") from None
        finally:
            os.close(root)
    if source.startswith(("http://", "https://")):
        holder = os.open(aside, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remote.download(source, holder, "context")
            descriptor = os.open("context", os.O_RDONLY | os.O_CLOEXEC, dir_fd=holder)
        finally:
            os.close(holder)
        try:
            return _of_file(descriptor, storage, temporary, aside, source)
        finally:
            os.close(descriptor)
    if not os.path.isdir(source):
        if os.path.exists(source):
            raise InvalidArgument(f"the context {source} is no directory: name the directory that the Dockerfile is in")
        raise NotFound(f"the context {source} does not exist")
    return ContextSource(os.path.abspath(source), is_local=True)


def _of_stream(stream: int, storage: Storage, temporary: Temporary, aside: str, name: str) -> ContextSource:
    path = f"{aside}/stream"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        while data := os.read(stream, _CHUNK):
            while data:
                data = data[os.write(descriptor, data) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
        return _of_file(descriptor, storage, temporary, aside, name)
    finally:
        os.close(descriptor)
        os.unlink(path)


def _of_file(descriptor: int, storage: Storage, temporary: Temporary, aside: str, name: str) -> ContextSource:
    """An archive is unpacked; anything else is a Dockerfile that has no context."""
    from orlop.build import archives

    if archives.is_archive(descriptor):
        key = temporary.key()
        storage.snapshots.prepare(key)
        target = storage.snapshots.unpack_target(key)
        archives.unpack(descriptor, target, f"{aside}/plain", name)
        return ContextSource(target.path)
    text = os.read(descriptor, 8 << 20)
    if not text.strip():
        raise InvalidArgument(f"{name} is empty: expected an archive of the context, or a Dockerfile")
    return ContextSource(temporary.directory(), dockerfile=text)
