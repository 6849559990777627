"""Carrying out ``orlop build`` in a child of the warm builder (`orlop.engine.warm_builder`), as `orlop.cli.warm` does other commands."""

from __future__ import annotations

import contextlib
import encodings.ascii
import os

import orlop.build
import orlop.build.dockerfile
import orlop.engine.building
from orlop.cli import build, build_progress, build_tree, warm
from orlop.engine import background, caller_limits, image_events, own_namespace, users, warm_builder, write_out
from orlop.runtime import run
from orlop.storage import digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

#: What a build would import late otherwise, with every module of `_PACKAGES`.
PRELOADED = (
    *(background, build, build_progress, build_tree, image_events, own_namespace, run, users, write_out),
    *(contextlib, encodings.ascii),
)
_PACKAGES = (orlop.build, orlop.build.dockerfile, orlop.engine.building)


def main(run_root: str) -> None:
    """Be the builder of an engine; see `orlop.engine.warm_builder`. Does not return."""
    if os.uname().machine in warm.MACHINES:
        for package in _PACKAGES:
            _load(package)
        digest.hasher()  # loads a large library
        warm_builder.main(run_root, warm.Commands(run_root, "builds", caller_limits.adopt))
    os._exit(0)


def _load(package: ModuleType) -> None:
    for directory in package.__path__:
        for name in os.listdir(directory):
            if name.endswith(".py") and not name.startswith("_"):
                __import__(f"{package.__name__}.{name.removesuffix('.py')}")
