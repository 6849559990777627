"""Many processes that give one engine commands at random, and what has to hold afterwards."""

from __future__ import annotations

import os
import random
import subprocess
import time
from typing import TYPE_CHECKING

from tests.integration.engine import leftovers
from tests.integration.images.commands.archives import docker_archive, small

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.engine.conftest import Engine

#: Names are few, so that all get in each other's way.
_NAMES = [f"c{number}" for number in range(8)]
_IMAGES = [f"app:{number}" for number in range(3)]
#: What a command may end with: done, refused, no such thing; or what the container ended with.
_STATUSES = {0, 1, 3, 125, 126, 127, 128, 137, 143}
#: What is nobody's mistake but the engine's.
_SUSPICIOUS = ("Traceback", "Errno", "monitor was killed", "is damaged", "launcher ended")


def _verbs(directory: Path, chance: random.Random) -> list[str]:
    name, image = chance.choice(_NAMES), chance.choice(_IMAGES)
    rootfs = chance.choice([["plain"], [image], ["--rootfs", "ROOTFS"]])
    choices = [
        ["create", "--name", name, *rootfs, "sleep", "100"],
        ["run", "-d", "--name", name, *rootfs, "sleep", "100"],
        ["run", "-d", "--name", name, "--restart", "always", *rootfs, "true"],
        ["run", "--rm", "-v", "/data", *rootfs, "sh", "-c", "echo here; exit 3"],
        ["run", "--name", name, "-v", "shared:/data", *rootfs, "true"],
        ["start", name],
        ["exec", name, "true"],
        ["stop", "-t", "0", name],
        ["restart", "-t", "0", name],
        ["kill", name],
        ["pause", name],
        ["unpause", name],
        ["rename", name, chance.choice(_NAMES)],
        ["rm", "-f", "-v", name],
        ["rm", name],
        ["commit", name, image],
        ["cp", f"{directory}/file", f"{name}:/file"],
        ["snapshot", name],
        ["restore", "-t", "0", name, "1"],
        ["fork", name, chance.choice(_NAMES)],
        ["update", "--memory", "64m", "--memory-swap", "-1", name],
        ["update", "--mount-add", "type=tmpfs,target=/mnt/added", name],
        ["update", "--mount-rm", "/mnt/added", name],
        ["inspect", name],
        ["ps", "-a"],
        ["logs", name],
        ["load", "-i", f"{directory}/{image}.tar"],
        ["rmi", "-f", image],
        ["tag", "plain", image],
        ["image", "prune", "-f"],
        ["container", "prune", "-f"],
        ["volume", "prune", "-af"],
    ]
    return chance.choice(choices)


def _prepare(directory: Path) -> None:
    """Make the files that commands read."""
    (directory / "file").write_text("text")
    for image in _IMAGES:
        layers = [small("common"), small(image)]
        (directory / f"{image}.tar").write_bytes(docker_archive(image, layers, {"Env": ["PATH=/bin"]}))


def hammer(engine: Engine, directory: Path, processes: int, seconds: float, *, killing: bool) -> int:
    """Have so many commands under way for so long; with ``killing`` one in ten is killed. How many were given."""
    _prepare(directory)
    chance = random.Random(os.environ.get("ORLOP_SEED", "1"))
    end = time.monotonic() + seconds
    under_way: list[tuple[list[str], subprocess.Popen[bytes], bool]] = []
    given = 0
    while under_way or time.monotonic() < end:
        while len(under_way) < processes and time.monotonic() < end:
            words = _verbs(directory, chance)
            process = engine.popen(*words, stdin=-3, stdout=-3, stderr=subprocess.PIPE)
            under_way.append((words, process, killing and chance.random() < 0.1))
            given += 1
        words, process, is_victim = under_way.pop(0)
        if is_victim:
            time.sleep(chance.random() * 0.02)
            process.kill()
        _, errors = process.communicate(timeout=120)
        text = errors.decode(errors="replace")
        if not is_victim:
            assert process.returncode in _STATUSES, (words, process.returncode, text)
            assert not [each for each in _SUSPICIOUS if each in text], (words, text)
    holds(engine)
    return given


def besiege(engine: Engine, directory: Path, processes: int, seconds: float) -> int:
    """Have so many commands under way, and all the time somebody of the engine killed, whoever it is; how many were."""
    _prepare(directory)
    chance = random.Random(os.environ.get("ORLOP_SEED", "1"))
    end = time.monotonic() + seconds
    under_way: list[subprocess.Popen[bytes]] = []
    killed = 0
    while time.monotonic() < end:
        while len(under_way) < processes:
            words = _verbs(directory, chance)
            under_way.append(engine.popen(*words, stdin=-3, stdout=-3, stderr=subprocess.PIPE))
        victim = chance.choice([*engine.processes(), *(each.pid for each in under_way)])
        try:
            os.kill(victim, 9)
        except ProcessLookupError:
            pass
        else:
            killed += 1
        time.sleep(chance.random() * 0.1)
        for each in under_way:
            if each.poll() is not None:
                _end(each)
        under_way = [each for each in under_way if each.returncode is None]
    for each in under_way:
        _end(each)
    holds(engine)
    return killed


def _end(process: subprocess.Popen[bytes]) -> None:
    """See a command to its end, which must be no accident of its own."""
    _, errors = process.communicate(timeout=120)
    assert process.returncode in _STATUSES | {-9}, (process.args, process.returncode, errors)
    assert b"Traceback" not in errors, (process.args, errors)


def holds(engine: Engine) -> None:
    """Nothing is lost, nothing is left, and all of it can be taken away."""
    leftovers.settled(engine)
    assert leftovers.damaged_logs(engine) == []
    names = [each for each in os.listdir(engine.root / "names") if each[0] != "."]
    if names:
        engine.ok("inspect", *names)
        engine.ok("rm", "-f", "-v", *names)
    engine.ok("volume", "prune", "-af")
    assert engine.volumes() == []
    engine.ok("system", "check")
    engine.ok("image", "prune", "-af")
    leftovers.settled(engine)
    blobs = engine.root / "images/blobs/sha256"
    assert os.listdir(blobs) == []
    assert [each for each in os.listdir(engine.root / "snapshots/overlay") if each[0] != "."] == []
