"""The runtime specification's ``config.json``: `load` it, `validate` it, and translate its terms.

Each section's rules are a module: `process`, `namespaces`, `mounts`, `linux`, and rarer ones that are imported
only when a configuration has such a section. `shapes` is the table of types. Only `bundle`, `machine` and
`default.for_this_machine` look at anything outside the configuration.
"""

from __future__ import annotations

from orlop.runtime.spec.bundle import load
from orlop.runtime.spec.validation import validate, validate_process, validate_resources

__all__ = ["load", "validate", "validate_process", "validate_resources"]
