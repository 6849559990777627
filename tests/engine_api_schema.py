"""The description of Docker's Engine API, where it is at hand: what it says of each answer.

``ORLOP_SPECS`` names the directory that has ``docker-engine-api.yaml``, the description of the version that is served.
"""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft4Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

_SPECS = Path(os.environ.get("ORLOP_SPECS", Path(__file__).parents[1].parent / "shared/specs"))


def path() -> Path:
    """The file; skips the test where it is not at hand."""
    found = _SPECS / "docker-engine-api.yaml"
    if not found.exists():
        pytest.skip(f"no description of the API in {found}: set ORLOP_SPECS")
    return found


@functools.cache
def description() -> dict[str, Any]:
    """All of it, in JSON Schema's words."""
    loaded: dict[str, Any] = yaml.load(path().read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return dict(_nullable(loaded))


def _nullable(value: Any) -> Any:
    """Swagger's way to say that something may be null, in JSON Schema's; and a reference has nothing beside it."""
    if isinstance(value, list):
        return [_nullable(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {key: _nullable(each) for key, each in value.items() if key not in ("example", "x-nullable")}
    if isinstance(value.get("format"), str):
        del found["format"]
    if value.get("x-nullable") is True or value.get("x-omitempty") is True:
        return {"anyOf": [found, {"type": "null"}]}
    return found


def _route(method: str, path: str) -> tuple[str, dict[str, Any]]:
    for pattern, operations in description()["paths"].items():
        expression = re.sub(r"\{\w+\}", "[^/]+" if "/images/" not in pattern else ".+", pattern)
        if method.lower() in operations and re.fullmatch(expression, path):
            return pattern, operations[method.lower()]
    raise AssertionError(f"the description has no {method} {path}")


def complaints(method: str, path: str, status: int, document: Any) -> list[str]:
    """What the description finds wrong with an answer; that of an error is checked for every endpoint."""
    pattern, operation = _route(method, path)
    response = operation["responses"].get(str(status)) or operation["responses"].get(status)
    if response is None:
        return [f"{method} {pattern} has no answer {status}"]
    schema = response.get("schema")
    if schema is None:
        return []
    resource: Resource[Any] = Resource.from_contents(description(), default_specification=DRAFT4)
    registry: Registry[Any] = Registry().with_resource("urn:api", resource)

    def absolute(value: Any) -> Any:
        if isinstance(value, list):
            return [absolute(each) for each in value]
        if isinstance(value, dict):
            return {key: f"urn:api{each}" if key == "$ref" else absolute(each) for key, each in value.items()}
        return value

    validator = Draft4Validator(absolute(schema), registry=registry)
    return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(document)]
