"""The keys for leaving a terminal that a command is told, by ``--detach-keys`` or by ``detachKeys`` in ``~/.docker/config.json``."""

from __future__ import annotations

import os

from orlop.engine.detach_keys import DEFAULT, DetachKeys, read


def choose(said: str | None) -> DetachKeys:
    """The keys of a command that was told some, or None.

    Raises:
        InvalidArgument: they are no keys.
    """
    return DetachKeys(read(said or _configured() or DEFAULT))


def _configured() -> str:
    directory = os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")
    try:
        with open(f"{directory}/config.json", "rb") as file:
            text = file.read()
    except OSError:
        return ""
    from orlop import json_text

    try:
        found = json_text.loads(text)
    except ValueError:
        return ""  # who logs in is told
    keys = found.get("detachKeys") if isinstance(found, dict) else ""
    return keys if isinstance(keys, str) else ""
