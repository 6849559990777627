"""The byte code of orlop's modules in one file, so that a short command opens one file and not seventy.

Python keeps the byte code of each module in a file of its own and takes about a tenth of a millisecond to find,
check and read it, which adds up to a third of what a command like ``orlop-runtime run`` takes. So a command that had to
import modules in that way keeps what it found, in the package's own ``__pycache__``, and the next one finds
them there. A module is taken from it only while its source has the size and the time that it had then; the directory
is written by whoever may write Python's own byte code there, and by nobody else.

See PEP 451 (finders and loaders) and the ``marshal`` module.
"""

from __future__ import annotations

import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType
    from typing import Any

_PACKAGE = "orlop"
#: Modules that are imported before the file can be read.
_BEFORE = frozenset((_PACKAGE, __name__))
_LENGTH = 8
_ALL = "."

_bootstrap: Any = sys.modules["_frozen_importlib"]
_magic: bytes = sys.modules["_frozen_importlib_external"].MAGIC_NUMBER


class Collection:
    """Finds and loads the modules that the file has.

    The file begins with the length of a table, then the table: module name → (is a package, time of the source in
    nanoseconds, its size, where the byte code lies, how long it is). Under "" it has the interpreter's magic number,
    and under "." how long all the byte code is.
    """

    __slots__ = ("_code", "_directory", "_path", "_table")

    def __init__(self, directory: str) -> None:
        """``directory`` is the package's."""
        self._directory = directory
        self._path = f"{directory}/__pycache__/{_PACKAGE}.{sys.implementation.cache_tag}.collection"
        self._table: dict[str, Any] = {}
        self._code = memoryview(b"")
        try:
            with open(self._path, "rb", buffering=0) as file:
                data = memoryview(file.readall())
        except OSError:  # nobody has kept anything yet, or nobody may
            return
        start = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
        try:
            table = marshal.loads(data[_LENGTH:start])  # noqa: S302 - as trusted as Python's own files beside it
        except (EOFError, ValueError, TypeError):  # cut off, by a machine that lost power
            return
        if type(table) is dict and table.get("") == _magic and table.get(_ALL) == len(data) - start:
            self._table = table
            self._code = data[start:]

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        """The module's spec, or None to let Python look for it in its own way."""
        found = self._table.get(name)
        if not found or not name:
            return None
        is_package, modified, size, _, _ = found
        source = self._source(name, is_package)
        try:
            status = os.stat(source)
        except FileNotFoundError:
            return None
        if (status.st_mtime_ns, status.st_size) != (modified, size):
            return None
        spec: ModuleSpec = _bootstrap.ModuleSpec(name, self, origin=source, is_package=is_package)
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(source.rpartition("/")[0])
        return spec

    def _source(self, name: str, is_package: bool) -> str:
        below = name.partition(".")[2].replace(".", "/")
        return f"{self._directory}/{below}/__init__.py" if is_package else f"{self._directory}/{below}.py"

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """Python's own kind of module will do."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code."""
        module.__file__ = self._source(module.__name__, self._table[module.__name__][0])
        exec(self._load(module.__name__), module.__dict__)  # noqa: S102 - that is what importing is

    def _load(self, name: str) -> CodeType:
        _, _, _, start, length = self._table[name]
        code: CodeType = marshal.loads(self._code[start : start + length])  # noqa: S302 - see above
        return code

    def keep(self) -> None:
        """Write the file anew if modules were imported that it does not have, where Python could write too."""
        missed = [
            name
            for name, module in sys.modules.items()
            if name.startswith(_PACKAGE + ".")
            and name not in _BEFORE
            and getattr(module.__spec__, "loader", self) is not self
        ]
        if not missed or sys.dont_write_bytecode or not os.access(os.path.dirname(self._path), os.W_OK):
            return
        table: dict[str, Any] = {"": _magic}
        pieces: list[bytes] = []
        length = 0
        for name in {**self._table, **dict.fromkeys(missed)}:
            entry = self._entry(name) if name.startswith(_PACKAGE) else None
            if entry is not None:
                is_package, modified, size, code = entry
                table[name] = (is_package, modified, size, length, len(code))
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
        """What is to be kept of a module: one that was imported, or is here already and still right."""
        module = sys.modules.get(name)
        if module is None:
            kept = self._table[name]
            spec = self.find_spec(name)
            return (kept[0], kept[1], kept[2], marshal.dumps(self._load(name))) if spec else None
        spec = module.__spec__
        if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
            return None
        loader: Any = spec.loader
        if loader is self:  # the source may have changed since
            return (*self._table[name][:3], marshal.dumps(self._load(name)))
        status = os.stat(spec.origin)
        code = loader.get_code(name)
        is_package = spec.submodule_search_locations is not None
        return is_package, status.st_mtime_ns, status.st_size, marshal.dumps(code)


def use() -> Collection:
    """Have the package's modules found in its file from now on; call `Collection.keep` when the command is done."""
    collection = Collection(os.path.dirname(os.path.realpath(__file__)))
    sys.meta_path.insert(0, collection)
    return collection
