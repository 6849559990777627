"""How long listing a thousand images takes, beyond the interpreter's start."""

from __future__ import annotations

import subprocess
from statistics import median
from typing import TYPE_CHECKING

from bench.images import sample

if TYPE_CHECKING:
    from bench.images.contestants import Contestant
    from bench.workspace import Workspace

IMAGES = 1000


def seconds_for_images(contestant: Contestant, workspace: Workspace, rounds: int) -> tuple[float, float]:
    """Medians in seconds: of ``orlop images`` with a thousand of them, and of ``orlop version``, which only starts."""
    layer = sample.small(workspace.path)
    command = [*contestant.engine.command, "import"]
    for number in range(IMAGES):
        change = f"--change=LABEL number={number}"
        subprocess.run(
            [*command, change, str(layer), f"bench/many:{number}"],
            env=dict(contestant.engine.environment),
            check=True,
            stdout=subprocess.DEVNULL,
        )
    listed = [contestant.engine.run("images") for _ in range(rounds)]
    started = [contestant.engine.run("version") for _ in range(rounds)]
    return median(listed), median(started)
