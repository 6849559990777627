"""What an engine that nobody works on must not have: anything that belongs to nothing.

Only files and the kernel are asked, so that looking repairs nothing.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.engine.conftest import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.engine.conftest import Engine

#: What there may be in a container's directory: whatever else is there was left by a write that was broken off.
_FILES = {
    "config.json",
    "config.template.json",
    "container.json",
    "health.json",
    "hostname",
    "hosts",
    "json.log",
    "resolv.conf",
    "resources.json",
    "rootfs",
    "seccomp.json",
    "state.json",
    "upper",
    "work",
}
#: In the run directory, one entry for each container that runs.
_OF_RUNNING = ("containers", "control", "extras", "monitors", "runtime")


def settled(engine: Engine) -> None:
    """Give one command, and wait until nothing is left over; what others are still ending may take its time."""
    engine.ok("ps", "-a")
    end = time.monotonic() + PATIENCE
    while left := found(engine):
        assert time.monotonic() < end, left
        time.sleep(0.01)


def found(engine: Engine) -> list[str]:
    """What is left over, by its path or its name."""
    return [*_containers(engine), *_run_directory(engine), *_storage(engine), *_of_the_kernel(engine)]


def running(engine: Engine) -> set[str]:
    """The ids of the containers that are recorded as alive."""
    return {each for each in _published(engine) if _state(engine, each) in ("running", "restarting")}


def _state(engine: Engine, container_id: str) -> str:
    try:
        state = json.loads((engine.root / "containers" / container_id / "state.json").read_text())
    except FileNotFoundError:
        return "created"
    return str(state["Status"])


def _published(engine: Engine) -> list[str]:
    return [each for each in engine.containers() if each[0] != "."]


def _containers(engine: Engine) -> Iterator[str]:
    ids = _published(engine)
    yield from (each for each in engine.containers() if each[0] == ".")
    named = {}
    for path in _entries(engine.root / "names"):
        holder = os.readlink(path)
        if holder not in ids or holder in named:
            yield f"name {path.name} of {holder}"
        named[holder] = path.name
    for each in ids:
        try:
            record = json.loads((engine.root / "containers" / each / "container.json").read_text())
        except FileNotFoundError:
            continue  # removed just now
        if named.get(each) != record["Name"]:
            yield f"{each} without its name {record['Name']}"
        for path in _entries(engine.root / "containers" / each, hidden=True):
            if path.name not in _FILES and not path.name.startswith("json.log."):
                yield str(path)


def _run_directory(engine: Engine) -> Iterator[str]:
    alive = running(engine)
    for name in _OF_RUNNING:
        for path in _entries(engine.run_root / name, hidden=True):
            if path.name.removesuffix(".sock") not in alive:
                yield str(path)
    ids = _published(engine)
    yield from (str(path) for path in _entries(engine.run_root / "execs", hidden=True) if path.name not in ids)
    held = {path.name for path in _entries(engine.run_root / "monitors")}
    yield from (f"{each} runs and has no monitor" for each in alive - held)
    for path in _entries(engine.run_root / "seccomp", hidden=True):
        if len(path.name) != 64:
            yield str(path)


def _storage(engine: Engine) -> Iterator[str]:
    ids = _published(engine)
    yield from (f"snapshot {each}" for each in engine.snapshots() if each not in ids)
    yield from (f"volume {each}" for each in engine.volumes() if each[0] == ".")
    for driver in _entries(engine.root / "snapshots"):
        if driver.is_dir():
            yield from (
                str(path) for path in _entries(driver, hidden=True) if path.name[0] == "." and path.name != ".empty"
            )
    for name in ("images/ingest", "images/trash", "leases", "locks", "unwritten"):
        yield from (str(path) for path in _entries(engine.root / name, hidden=True) if path.name != "lock")
    for path in _entries(engine.root / "images", hidden=True):
        if path.name not in {"oci-layout", "images", "ingest", "blobs", "index.lock", "index.json", "trash"}:
            yield str(path)


def _of_the_kernel(engine: Engine) -> Iterator[str]:
    alive = running(engine)
    own = str(engine.root)
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        yield from (line for line in file if f" {own}/" in line or f" {engine.run_root}/" in line)
    monitors = engine.processes("orlop-monitor")
    if len(monitors) > len(alive):
        yield f"monitors {monitors} for {len(alive)} containers"
    for hierarchy in (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*/")):
        for path in _entries(hierarchy / "orlop"):
            if path.name in _known(engine) and path.name not in alive:
                yield str(path)


def _known(engine: Engine) -> set[str]:
    """Every id that the engine has ever given, by its events: cgroups are named for them."""
    try:
        text = (engine.root / "events/events.json").read_text()
    except FileNotFoundError:
        return set()
    return {json.loads(line)["Actor"]["ID"] for line in text.splitlines() if line.endswith("}")}


def _entries(directory: Path, *, hidden: bool = False) -> list[Path]:
    try:
        return [directory / name for name in sorted(os.listdir(directory)) if hidden or name[0] != "."]
    except FileNotFoundError:
        return []


def damaged_logs(engine: Engine) -> list[str]:
    """Logs that are not whole up to the last line that was written."""
    damaged = []
    for each in _published(engine):
        try:
            *lines, _ = (engine.root / "containers" / each / "json.log").read_bytes().split(b"\n")
        except FileNotFoundError:
            continue
        for line in lines:
            try:
                json.loads(line)
            except ValueError:
                damaged.append(f"{each}: {line!r}")
    return damaged
