"""A bundle's ``config.json``, from the disk."""

from __future__ import annotations

import os

from orlop import json_text
from orlop.errors import InvalidConfig, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Far above any real configuration: Docker's are 20 KB with the largest seccomp profile.
_MOST_BYTES = 32 << 20


def load(bundle: str, name: str = "config.json") -> dict[str, Any]:
    """Read ``<bundle>/config.json``, or a file of another name.

    Raises:
        NotFound: there is no such file.
        InvalidConfig: it cannot be read, is not JSON, or is not an object.
    """
    path = os.path.join(bundle, name)
    try:
        with open(path, "rb", buffering=0) as file:
            text = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(f"no container configuration at {path}") from None
    except OSError as error:
        raise InvalidConfig(f"cannot read {path}: {error.strerror}") from None
    if len(text) > _MOST_BYTES:
        raise InvalidConfig(f"{path} is larger than {_MOST_BYTES >> 20} MiB")
    try:
        spec = json_text.loads(text)
        if b"\\ud" in text or b"\\uD" in text:
            _check(spec)
    except ValueError as error:
        raise InvalidConfig(f"{path} is not JSON: {error}") from None
    if type(spec) is not dict:
        raise InvalidConfig(f"{path} must hold an object")
    return spec


def _check(value: object) -> None:
    """Refuse half of a surrogate pair, which is no character, unless it stands for a byte that is none (os.fsdecode)."""
    if isinstance(value, str):
        value.encode("utf-8", "surrogateescape")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check(key)
            _check(item)
    elif isinstance(value, list):
        for item in value:
            _check(item)
