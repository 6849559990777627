"""Configurations that differ from the default one in a field or two."""

from __future__ import annotations

from typing import Any

from orlop.runtime.spec import default

#: As a value: take the field away.
ABSENT = object()


def changed(changes: dict[str, Any], *, rootless: bool = False) -> dict[str, Any]:
    """The default configuration with other values at paths like ``process.rlimits.0.type``."""
    spec = default.config(mapped=(1000, 1000) if rootless else None)
    for path, value in changes.items():
        target: Any = spec
        *parents, last = path.split(".")
        for name in parents:
            target = target[int(name)] if isinstance(target, list) else target.setdefault(name, {})
        if value is ABSENT:
            del target[last]
        elif isinstance(target, list):
            target[int(last) :] = [value]
        else:
            target[last] = value
    return spec


def namespaces(*kinds: str, **paths: str) -> list[dict[str, str]]:
    """A ``linux.namespaces``: new ones, and ones with a path."""
    return [{"type": kind} for kind in kinds] + [{"type": kind, "path": path} for kind, path in paths.items()]
