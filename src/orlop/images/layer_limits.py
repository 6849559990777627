"""How much a layer of an image may be, as orlop's configuration says (`orlop.configuration`).

::

    [layers]
    max_entries = 4_000_000   # files, directories and whiteouts of one layer
    max_size = "200g"         # bytes of one layer when it is unpacked; without it what the disk has
    max_ratio = 200           # how many times its size a compressed one comes to, where that is more than 4 GiB

It is a limit for what strangers send. What is made here, from a container or a file system's archive, keeps it too, so
that it can be had again.
"""

from __future__ import annotations

import os

from orlop import configuration
from orlop.errors import InvalidArgument
from orlop.storage.layers.limits import Limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_KEYS = {"max_entries": "entries", "max_size": "size", "max_ratio": "ratio"}


def configured(environment: Mapping[str, str] = os.environ, system: str = configuration.SYSTEM) -> Limits:
    """The limits that the configuration gives, and for what it does not speak of the usual ones.

    Raises:
        InvalidArgument: a file is not TOML, or says something of layers that means nothing.
    """
    found: dict[str, int] = {}
    for path, table in configuration.tables(environment, "layers", system):
        for key, value in table.items():
            if key not in _KEYS:
                raise InvalidArgument(f'layers in {path} has the unknown key "{key}": there are {", ".join(_KEYS)}')
            found[_KEYS[key]] = _number(key, value, path)
    return Limits(**found)


def _number(key: str, value: Any, path: str) -> int:
    if key == "max_size" and isinstance(value, str):
        from orlop import options

        try:
            value = options.size(value)
        except ValueError as error:
            raise InvalidArgument(f"{key} of layers in {path} {error}") from None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidArgument(f"{key} of layers in {path} must be a number of at least 1")
    return value
