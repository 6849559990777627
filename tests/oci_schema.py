"""The OCI runtime specification's JSON schemas, where they are at hand.

``ORLOP_SPECS`` names the directory that has ``oci-runtime/*.json``, from the specification's ``schema`` directory.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

_SPECS = Path(os.environ.get("ORLOP_SPECS", Path(__file__).parents[1].parent / "shared/specs"))


def complaints(document: Any, schema: str) -> list[str]:
    """What ``schema`` (``config-schema.json``) finds wrong with a document."""
    directory = _SPECS / "oci-runtime"
    if not directory.is_dir():
        pytest.skip(f"no JSON schemas in {directory}: set ORLOP_SPECS")

    def find(name: str) -> Resource[Any]:
        path = directory / name.rpartition("/")[2]
        contents = json.loads(path.read_text()) if path.exists() else {}  # other platforms' are not needed
        return Resource.from_contents(contents, default_specification=DRAFT4)

    registry: Registry[Any] = Registry(retrieve=find)  # type: ignore[call-arg]
    validator = Draft4Validator({"$ref": schema}, registry=registry)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]
