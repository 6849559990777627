"""Carrying out ``orlop build`` in a child of the warm builder (`orlop.engine.warm_builder`), as `orlop.cli.warm` does other commands."""

from __future__ import annotations

import contextlib
import encodings.ascii
import os

from orlop.build import archives, remote, tree_digest
from orlop.cli import build, build_progress, build_tree, warm
from orlop.engine import background, caller_limits, image_events, own_namespace, users, warm_builder, write_out
from orlop.engine.building import build as building
from orlop.engine.building import request, step_container, step_network
from orlop.runtime import run as runtime_run
from orlop.storage import digest

#: What a build would import late otherwise.
PRELOADED = (
    *(archives, background, build, build_progress, build_tree, building, image_events, own_namespace),
    *(remote, request, runtime_run, step_container, step_network, tree_digest, users, write_out),
    *(contextlib, encodings.ascii),
)


def main(run_root: str) -> None:
    """Be the builder of an engine; see `orlop.engine.warm_builder`. Does not return."""
    if os.uname().machine in warm.MACHINES:
        digest.hasher()  # loads a large library
        warm_builder.main(run_root, warm.Commands(run_root, "builds", caller_limits.adopt))
    os._exit(0)
