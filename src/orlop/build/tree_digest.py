"""What a tree of files is, as a digest: names, kinds, modes, contents and what else matters of them, but no times.

Reading all files of a context takes long, so what a file's content was is kept together with what tells that it has not
changed since: its place on the disk, its size, and both of its times to the nanosecond. A file that changed just before it
was read is read again next time, since a change within the clock's tick shows in no time.
"""

from __future__ import annotations

import os
import stat
import time

from orlop import json_text
from orlop.errors import OrlopError
from orlop.storage import digest as digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from hashlib import _Hash

    from orlop.build.recopying import Listing
    from orlop.build.tree import Entry

_CHUNK = 1 << 20
#: A change within this time of being read may not show in a file's times (a jiffy is at most 10 ms).
_TICK = 50_000_000
_VERSION = 1


class KnownFiles:
    """What the contents of files were when they were last read, kept in a file of its own.

    It is never wrong and may be lost: whoever has no such file, or one that cannot be read, reads everything.
    """

    __slots__ = ("_before", "_is_changed", "_now", "_path", "read")

    def __init__(self, path: str = "") -> None:
        self._path = path
        self._before: dict[str, str] = {}
        self._now: dict[str, str] = {}
        self._is_changed = False
        #: How many files had to be read.
        self.read = 0
        if path:
            self._before = _load(path)

    def content(self, entry: Entry) -> str:
        """The digest of a regular file's content.

        Raises:
            OrlopError: it cannot be read.
        """
        about = entry.about
        key = f"{about.st_dev}:{about.st_ino}"
        state = f"{about.st_size}:{about.st_mtime_ns}:{about.st_ctime_ns}:"
        known = self._now.get(key) or self._before.get(key, "")
        if known.startswith(state):
            self._now[key] = known
            return known[len(state) :]
        begun = time.time_ns()
        digest = _of_file(entry)
        self.read += 1
        if max(about.st_mtime_ns, about.st_ctime_ns) < begun - _TICK:
            self._now[key] = state + digest
            self._is_changed = True
        return digest

    def save(self) -> None:
        """Keep what is known for the next time; what was not asked for any more is forgotten.

        Raises:
            OSError: it cannot be written.
        """
        if not self._path or not (self._is_changed or len(self._now) < len(self._before) // 2):
            return
        aside = f"{self._path}.{os.urandom(8).hex()}"
        with open(aside, "w", encoding="ascii") as file:
            file.write(json_text.dumps({"version": _VERSION, "files": self._now}))
        os.rename(aside, self._path)


def _load(path: str) -> dict[str, str]:
    try:
        with open(path, encoding="ascii") as file:
            found = json_text.loads(file.read())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict) or found.get("version") != _VERSION:
        return {}
    files = found.get("files")
    return files if isinstance(files, dict) else {}


class TreeDigest:
    """The digest of a sequence of trees. With ``owners`` owners and attributes count, as they do in an image.

    ``listing`` is told what there is.
    """

    __slots__ = ("_files", "_listing", "_owners", "_state")

    def __init__(self, files: KnownFiles, *, owners: bool, listing: Listing | None = None) -> None:
        self._listing = listing
        self._files = files
        self._owners = owners
        self._state: _Hash = digests.hasher()

    def word(self, text: str) -> None:
        """Have a text count."""
        self._state.update(os.fsencode(text) + b"\0")

    def add(self, entries: Iterable[Entry]) -> None:
        """Have all entries of a tree count.

        Raises:
            OrlopError: a file cannot be read.
        """
        for entry in entries:
            self.entry(entry, entry.path)

    def entry(self, entry: Entry, path: str) -> None:
        """Have one entry count, by the name of ``path``."""
        mode = entry.about.st_mode
        if stat.S_ISREG(mode):
            content = self._files.content(entry)
        elif stat.S_ISLNK(mode):
            content = os.readlink(entry.name, dir_fd=entry.holder)
        elif stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            content = str(entry.about.st_rdev)
        else:
            content = ""
        if self._listing is not None:
            self._listing.add(path, entry.about, content)
        text = f"{path}\0{mode:o}\0{content}\0"
        if self._owners:
            text += f"{entry.about.st_uid}:{entry.about.st_gid}\0"
            if not stat.S_ISLNK(mode):
                for name, value in sorted(entry.attributes().items()):
                    text += f"{os.fsdecode(name)}={value.hex()}\0"
        self._state.update(os.fsencode(text))

    def result(self) -> str:
        """The digest of all that was added, in hexadecimal digits."""
        return self._state.hexdigest()


def _of_file(entry: Entry) -> str:
    try:
        descriptor = entry.open()
    except OSError as error:
        raise OrlopError(f"{entry.path} cannot be read: {error.strerror}") from error
    state = digests.hasher()
    try:
        while data := os.read(descriptor, _CHUNK):
            state.update(data)
    except OSError as error:
        raise OrlopError(f"{entry.path} cannot be read: {error.strerror}") from error
    finally:
        os.close(descriptor)
    return state.hexdigest()
