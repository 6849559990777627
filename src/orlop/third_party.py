"""Packages of others, imported by the commands that need them and by no other.

The entry points start the interpreter without `site`, so the directory where pip put these packages is not on the
path until the first of them is asked for.
"""

from __future__ import annotations

import _thread
import sys

from orlop.errors import Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType


_finding = _thread.allocate_lock()


#: Modules whose package has another name.
_PACKAGES = {"dns.message": "dnspython", "yaml": "PyYAML"}


def load(name: str, purpose: str) -> ModuleType:
    """Import a module that orlop depends on; ``purpose`` says to the user what it is needed for.

    Raises:
        Unsupported: it is not installed.
    """
    module = find(name)
    if module is None:
        package = _PACKAGES.get(name) or (name if name.startswith("backports.") else name.partition(".")[0])
        raise Unsupported(f"{purpose} needs the Python package {package}: install it with 'pip install {package}'")
    return module


def find(name: str) -> ModuleType | None:
    """Import a module if it is installed; None if it is not."""
    module = _import(name)
    if module is None and sys.flags.no_site:
        with _finding:  # another thread may be at it, as where layers are unpacked
            if "site" not in sys.modules:
                import site

                site.main()
        module = _import(name)
    return module


def _import(name: str) -> ModuleType | None:
    try:
        __import__(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(error.name + ".")):
            raise  # it is there, and something that it needs is not
        return None
    return sys.modules[name]
