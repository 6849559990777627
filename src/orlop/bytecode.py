"""The byte code of a program's modules in one file, so that a short command finds in it what it would find in seventy.

Python keeps the byte code of each module in a file of its own and takes about a tenth of a millisecond to find,
check and read it, which adds up to a third of what a command like ``orlop-runtime run`` takes. So a command that had to
import modules in that way keeps what it found, in the package's own ``__pycache__``, and the next one finds
them there. A module is taken from it only while its source has the size and the time that it had then; the directory
is written by whoever may write Python's own byte code there, and by nobody else.

The file also tells which modules a module imports while it is imported itself. They are loaded before it, one after the
other, without what Python's import system does around each of them.

See PEP 451 (finders and loaders) and the ``marshal`` module.
"""

from __future__ import annotations

import _thread
import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

_PACKAGE = "orlop"
#: Modules that are imported before the file can be read.
_BEFORE = frozenset((_PACKAGE, __name__))
_LENGTH = 8
_ALL = "."
#: What is read first; a longer table takes another read.
_FIRST = 1 << 16

_bootstrap: Any = sys.modules["_frozen_importlib"]
#: The interpreter's magic number, and the number of our own format.
_magic: bytes = sys.modules["_frozen_importlib_external"].MAGIC_NUMBER + b"2"
#: How many threads there are beside the first.
_other_threads: Callable[[], int] = _thread._count  # noqa: SLF001


class Collection:
    """Finds and loads the modules that the file has.

    The file begins with the length of a table, then the table: module name → (is a package, time of the source in
    nanoseconds, its size, where the byte code lies, how long it is, the modules that are loaded before it or None if that
    is not known). Under "" it has whose format this is, and under "." how long all the byte code is.
    """

    __slots__ = ("_ahead", "_code", "_depth", "_directory", "_done", "_identity", "_path", "_size", "_start", "_table")

    def __init__(self, directory: str, program: str) -> None:
        """``directory`` is the package's; each of its programs has a file of its own."""
        self._directory = directory
        self._path = f"{directory}/__pycache__/{program}.{sys.implementation.cache_tag}.collection"
        self._table: dict[str, Any] = {}
        self._start = 0
        #: Which file it is: another command may replace it at any time.
        self._identity: tuple[int, int, int, int] | None = None
        self._size = 0
        #: Byte code that was read and not used yet.
        self._code: dict[str, bytes] = {}
        #: How many modules are being executed, each for another, and those that were.
        self._depth = 0
        self._done: list[str] = []
        #: What was loaded for a module that nothing of ours imported.
        self._ahead: dict[str, tuple[str, ...]] = {}
        descriptor = self._open()
        if descriptor < 0:
            return  # nobody has kept anything yet, or nobody may
        data = os.read(descriptor, _FIRST)
        self._start = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
        if self._start > len(data):
            data += os.read(descriptor, self._start - len(data))
        os.close(descriptor)
        try:
            table = marshal.loads(data[_LENGTH : self._start])  # noqa: S302 - as trusted as Python's own files beside it
        except (EOFError, ValueError, TypeError):  # cut off, by a machine that lost power
            return
        if type(table) is dict and table.get("") == _magic and table.get(_ALL) == self._size - self._start:
            self._table = table

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        """The module's spec, or None to let Python look for it in its own way."""
        found = self._table.get(name)
        if not found or not name or not self._is_current(name):
            return None
        if not self._depth and found[5] and not _other_threads():
            self._load_ahead(found[5])
        if name not in self._code:
            self._read((name,))
        if name not in self._code:
            return None
        return self._spec(name)

    def _spec(self, name: str) -> ModuleSpec:
        is_package = self._table[name][0]
        source = self._source(name, is_package)
        spec: ModuleSpec = _bootstrap.ModuleSpec(name, self, origin=source, is_package=is_package)
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(source.rpartition("/")[0])
        return spec

    def _is_current(self, name: str) -> bool:
        """Whether a module's source is still the one that it was when its byte code was kept."""
        is_package, modified, size = self._table[name][:3]
        try:
            status = os.stat(self._source(name, is_package))
        except FileNotFoundError:
            return False
        return (status.st_mtime_ns, status.st_size) == (modified, size)

    def _source(self, name: str, is_package: bool) -> str:
        below = name.partition(".")[2].replace(".", "/")
        return f"{self._directory}/{below}/__init__.py" if is_package else f"{self._directory}/{below}.py"

    def _open(self) -> int:
        """A descriptor of the file, which must not stay open; -1 if there is none, or another one by now."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return -1
        status = os.fstat(descriptor)
        identity = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
        if self._identity in (None, identity):
            self._identity = identity
            self._size = status.st_size
            return descriptor
        os.close(descriptor)
        return -1

    def _read(self, names: tuple[str, ...]) -> None:
        """Have the byte code of these modules at hand, if the file is still there."""
        descriptor = self._open()
        if descriptor < 0:
            return
        for name in names:
            self._code[name] = os.pread(descriptor, self._table[name][4], self._start + self._table[name][3])
        os.close(descriptor)

    def _load_ahead(self, names: tuple[str, ...]) -> None:
        """Load modules, each of which needs only those before it."""
        loaded = sys.modules
        names = tuple(name for name in names if name not in loaded and name in self._table)
        if not all(map(self._is_current, names)):
            return  # what they import may be something else by now
        self._read(names)
        for name in names:
            parent, _, last = name.rpartition(".")
            if name in loaded or parent not in loaded or name not in self._code:
                continue  # it comes with its package
            module = loaded[name] = _bootstrap.module_from_spec(self._spec(name))
            try:
                self.exec_module(module)
            except BaseException:
                del loaded[name]
                raise
            setattr(loaded[parent], last, module)

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """Python's own kind of module will do."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code."""
        name = module.__name__
        module.__file__ = self._source(name, self._table[name][0])
        before = len(self._done)
        self._depth += 1
        try:
            exec(marshal.loads(self._code.pop(name)), module.__dict__)  # noqa: S102, S302 - that is what importing is
        finally:
            self._depth -= 1
        if not self._depth and self._table[name][5] is None:
            self._ahead[name] = tuple(self._done[before:])
        self._done.append(name)

    def keep(self) -> None:
        """Write the file anew if it could tell more, where Python could write too.

        That is if modules were imported that it does not have, or if now it is known what one imports.
        """
        missed = [
            name
            for name, module in sys.modules.items()
            if name.startswith(_PACKAGE + ".")
            and name not in _BEFORE
            and getattr(module.__spec__, "loader", self) is not self
        ]
        if missed:
            self._ahead = {}  # it does not tell of these
        if (
            not (missed or self._ahead)
            or sys.dont_write_bytecode
            or not os.access(os.path.dirname(self._path), os.W_OK)
        ):
            return
        kept = [name for name in self._table if name.startswith(_PACKAGE) and name not in missed]
        kept = [name for name in kept if self._is_current(name)]
        changed = {*missed, *self._table} - {*kept}
        self._read(tuple(kept))
        table: dict[str, Any] = {"": _magic}
        pieces: list[bytes] = []
        length = 0
        for name in (*kept, *missed):
            entry = self._entry(name)
            if entry is not None:
                *about, code = entry
                ahead = self._ahead.get(name, self._table[name][5] if name in kept else None)
                table[name] = (*about, length, len(code), None if ahead and not changed.isdisjoint(ahead) else ahead)
                pieces.append(code)
                length += len(code)
        table[_ALL] = length
        head = marshal.dumps(table)
        aside = f"{self._path}.{os.getpid()}"
        try:
            with open(aside, "xb") as file:
                file.write(b"".join((len(head).to_bytes(_LENGTH, "little"), head, *pieces)))
            os.rename(aside, self._path)
        except OSError:
            # A full disk, or another command that does the same. Nothing depends on it.
            return

    def _entry(self, name: str) -> tuple[bool, int, int, bytes] | None:
        """What is to be kept of a module: one that is here already and still right, or was imported."""
        if name in self._code:
            return (*self._table[name][:3], self._code[name])
        spec = getattr(sys.modules.get(name), "__spec__", None)
        if spec is None or spec.loader is self or spec.origin is None or not spec.origin.endswith(".py"):
            return None
        loader: Any = spec.loader
        status = os.stat(spec.origin)
        code = loader.get_code(name)
        is_package = spec.submodule_search_locations is not None
        return is_package, status.st_mtime_ns, status.st_size, marshal.dumps(code)


def use(program: str) -> Collection:
    """Have the package's modules found in a program's file from now on; call `Collection.keep` when it is done."""
    collection = Collection(os.path.dirname(os.path.realpath(__file__)), program)
    sys.meta_path.insert(0, collection)
    return collection
