"""What ADD takes from elsewhere: files at addresses, and git repositories."""

from __future__ import annotations

import os

from orlop import third_party
from orlop.errors import DigestMismatch, InvalidArgument, NotFound, OrlopError, RegistryError
from orlop.storage import digest as digests

_CHUNK = 256 << 10
_CONNECT = 30.0  # seconds
_READ = 120.0
_HOSTS = ("github.com/",)
#: Git asks nobody, and runs nothing that a repository or this machine's settings name.
_GIT = ("git", "-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never", "-c", "advice.detachedHead=false")
_COMMIT_DIGITS = frozenset("0123456789abcdef")


def is_git(source: str) -> bool:
    """Whether a source is a git repository."""
    if source.startswith(("git://", "git@", "ssh://")) or source.startswith(_HOSTS):
        return True
    if not source.startswith(("http://", "https://")):
        return False
    return source.partition("#")[0].partition("?")[0].endswith(".git")


def is_remote(source: str) -> bool:
    """Whether a source is an address of either kind."""
    return source.startswith(("http://", "https://")) or is_git(source)


def file_name(source: str) -> str:
    """The name of the file at an address.

    Raises:
        InvalidArgument: it has none.
    """
    from urllib.parse import unquote, urlsplit

    name = os.path.basename(unquote(urlsplit(source).path))
    if not name or name in {".", ".."} or "/" in name or "\0" in name:
        raise InvalidArgument(f"cannot determine a file's name from {source}: expected a destination that is a file")
    return name


def download(source: str, directory: int, name: str, checksum: str = "") -> str:
    """Put the file at an address into an open directory, with the time that the server says; returns its digest.

    Raises:
        NotFound: the server has nothing there.
        RegistryError: it refuses, cannot be reached, or ends the connection early.
        DigestMismatch: the file is not what ``checksum`` says.
        OSError: it cannot be written.
    """
    import email.utils

    urllib3 = third_party.load("urllib3", "downloading files")
    timeout = urllib3.Timeout(connect=_CONNECT, read=_READ)
    state = digests.hasher()
    try:
        answer = urllib3.PoolManager().request(
            "GET", source, preload_content=False, decode_content=False, timeout=timeout
        )
        if answer.status == 404:
            raise NotFound(f"cannot download {source}: the server has nothing there")
        if answer.status != 200:
            raise RegistryError(f"cannot download {source}: HTTP status {answer.status}", status=answer.status)
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=directory)
        try:
            for piece in answer.stream(_CHUNK):
                state.update(piece)
                data = memoryview(piece)
                while data:
                    data = data[os.write(file, data) :]
            changed = (
                email.utils.parsedate_to_datetime(answer.headers["Last-Modified"]).timestamp()
                if ("Last-Modified" in answer.headers)
                else 0
            )
            os.utime(file, (changed, changed))
        finally:
            os.close(file)
            answer.close()
    except urllib3.exceptions.HTTPError as error:
        raise RegistryError(f"cannot download {source}: {error}") from None
    except ValueError:
        raise RegistryError(f"cannot download {source}: its time of change is none") from None
    digest = digests.result(state)
    if checksum and checksum != digest:
        raise DigestMismatch(f"the file at {source} has the digest {digest} and not {checksum}")
    return digest


def check_checksum(text: str) -> None:
    """See whether a checksum can be one.

    Raises:
        InvalidArgument: it cannot.
    """
    algorithm, _, digits = text.partition(":")
    if algorithm != "sha256" or len(digits) != 64 or not _COMMIT_DIGITS.issuperset(digits):
        raise InvalidArgument(f"invalid --checksum '{text}': expected sha256: and 64 hexadecimal digits")


class GitSource:
    """``repository#reference:directory``; either may be left out, or be given as ``?ref=…&subdir=…``."""

    __slots__ = ("reference", "repository", "subdirectory")

    def __init__(self, text: str) -> None:
        repository, _, fragment = text.partition("#")
        if repository.startswith(_HOSTS):
            repository = f"https://{repository}"
        self.reference, _, self.subdirectory = fragment.partition(":")
        address, question, query = repository.partition("?")
        if question and "://" in repository:
            from urllib.parse import parse_qsl

            for name, value in parse_qsl(query):
                if name in {"ref", "branch", "tag", "commit", "checksum"}:
                    self.reference = self.reference or value
                elif name == "subdir":
                    self.subdirectory = self.subdirectory or value
                else:
                    raise InvalidArgument(
                        f"unknown part '{name}' of {text}: expected ref, branch, tag, commit or subdir"
                    )
            repository = address
        if self.reference.startswith("-") or repository.startswith("-"):
            raise InvalidArgument(f"invalid git repository {text}")
        self.repository = repository


def clone(source: GitSource, path: str, *, keep_git_dir: bool = False) -> str:
    """Check a repository out into a new directory; returns the commit.

    Raises:
        OrlopError: git is missing, or refuses.
    """
    wanted = source.reference or "HEAD"
    _git(["init", "--quiet", path])
    try:
        _git(["-C", path, "fetch", "--quiet", "--depth=1", source.repository, wanted])
        _git(["-C", path, "checkout", "--quiet", "--force", "FETCH_HEAD"])
    except OrlopError:
        if not (len(wanted) >= 7 and _COMMIT_DIGITS.issuperset(wanted)):
            raise
        # A commit by some of its digits is asked for, or the server gives none by its name: all of it has to come.
        _git(["-C", path, "fetch", "--quiet", source.repository, "+refs/*:refs/orlop/*"])
        _git(["-C", path, "checkout", "--quiet", "--force", wanted])
    if os.path.exists(f"{path}/.gitmodules"):
        _git(["-C", path, "submodule", "--quiet", "update", "--init", "--recursive", "--depth=1"])
    commit = _git(["-C", path, "rev-parse", "HEAD"]).strip()
    if not keep_git_dir:
        from orlop.storage import trees

        trees.remove(f"{path}/.git")
    return commit


def _git(arguments: list[str]) -> str:
    import subprocess

    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(  # noqa: S603 - what is run is git, and nothing of its arguments is an option of ours
            [*_GIT, *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise OrlopError("git repositories need the program git, which is not installed here") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise OrlopError(
            f"git cannot {arguments[2] if arguments[0] == '-C' else arguments[0]}: {lines[-1] if lines else ''}"
        )
    return done.stdout
