"""``orlop stats``."""

from __future__ import annotations

import sys

from orlop.errors import NotFound
from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.container import Container
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop stats",
    "[CONTAINER...]",
    "Display a live stream of container(s) resource usage statistics",
    (
        Option("-a, --all", "Show all containers (default shows just running)"),
        Option("--format", "'table', 'json', or a template such as '{{.MemUsage}}'", value="string", default="table"),
        Option("--no-stream", "Disable streaming stats and only pull the first result"),
        Option("--no-trunc", "Do not truncate output"),
    ),
)

#: Seconds between two samples.
_INTERVAL = 1.0
_COLUMNS = (
    ("CONTAINER ID", "ID"),
    ("NAME", "Name"),
    ("CPU %", "CPUPerc"),
    ("MEM USAGE / LIMIT", "MemUsage"),
    ("MEM %", "MemPerc"),
    ("NET I/O", "NetIO"),
    ("BLOCK I/O", "BlockIO"),
    ("PIDS", "PIDs"),
)
_RUNNING = ("running", "paused")

# What a terminal obeys (console_codes(4)).
_TOP_LEFT = "\033[H"
_CLEAR_LINE = "\033[K"
_CLEAR_REST = "\033[J"
_CLEAR = "\033[2J"


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    import time

    from orlop.engine import repair

    repair.everything(location)
    on_screen = not said["no-stream"] and said["format"].strip().partition(" ")[0] in ("", "table")
    if on_screen:
        sys.stdout.write(_CLEAR)
    samples = _sampled(location, said, {})
    while True:
        if samples:
            time.sleep(_INTERVAL)
            samples = _sampled(location, said, samples)
        _draw(_text(samples, said), on_screen=on_screen)
        if said["no-stream"] or (said.arguments and not samples):
            return 0
        if not samples:
            time.sleep(_INTERVAL)
            samples = _sampled(location, said, {})


def _draw(text: str, *, on_screen: bool) -> None:
    if on_screen:
        lines = text.removesuffix("\n").split("\n")
        text = _TOP_LEFT + "".join(f"{line}{_CLEAR_LINE}\n" for line in lines) + _CLEAR_REST
    sys.stdout.write(text)
    sys.stdout.flush()


def _sampled(location: Location, said: Parsed, before: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """A sample of each container that is wanted now, by what the user calls it, or its ID."""
    from orlop.engine import statistics

    found = {}
    for called, target in _chosen(location, said, known=before):
        try:
            found[called] = statistics.sample(target, before.get(called))
        except NotFound:
            continue  # removed just now
    return found


def _chosen(location: Location, said: Parsed, known: dict[str, dict[str, Any]]) -> list[tuple[str, Container]]:
    from orlop.engine import container

    if said.arguments:
        if not known:
            return [(name, container.find(location, name)) for name in said.arguments]
        return [(name, container.Container(location, known[name]["id"])) for name in said.arguments if name in known]
    found = [container.Container(location, each) for each in container.every_id(location)]
    if not said["all"]:
        found = [each for each in found if each.state()["Status"] in _RUNNING]
    return [(each.id, each) for each in found]


def _text(samples: dict[str, dict[str, Any]], said: Parsed) -> str:
    import io

    from orlop.cli import listing

    out = io.StringIO()
    rows = [_row(called, each, full=said["no-trunc"]) for called, each in samples.items()]
    listing.show(said["format"], rows, _COLUMNS, out=out)
    return out.getvalue()


def _row(called: str, sample: dict[str, Any], *, full: bool) -> dict[str, str]:
    from orlop import units

    memory = sample["memory_stats"]
    used, limit = _used_memory(memory), memory.get("limit", 0)
    received = sum(each["rx_bytes"] for each in sample.get("networks", {}).values())
    sent = sum(each["tx_bytes"] for each in sample.get("networks", {}).values())
    read, written = _block_io(sample)
    container_id = sample["id"]
    return {
        "BlockIO": f"{units.human_size(read, 3)} / {units.human_size(written, 3)}",
        "CPUPerc": f"{_processor(sample):.2f}%",
        "Container": called if called != container_id or full else called[:12],
        "ID": container_id if full else container_id[:12],
        "MemPerc": f"{100 * used / limit if limit else 0:.2f}%",
        "MemUsage": f"{units.binary_size(used)} / {units.binary_size(limit)}",
        "Name": sample["name"].removeprefix("/"),
        "NetIO": f"{units.human_size(received, 3)} / {units.human_size(sent, 3)}",
        "PIDs": str(sample["pids_stats"].get("current", 0)),
    }


def _processor(sample: dict[str, Any]) -> float:
    """Percent of one processor's time between this sample and the one before."""
    now, before = sample["cpu_stats"], sample["precpu_stats"]
    passed = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    used = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    if passed <= 0 or used <= 0 or not before.get("system_cpu_usage"):
        return 0.0
    return float(used / passed * now["online_cpus"] * 100)


def _used_memory(memory: dict[str, Any]) -> int:
    """Without the part of the page cache that the kernel would give away first."""
    usage = int(memory.get("usage", 0))
    stats = memory.get("stats", {})
    cached = int(stats.get("total_inactive_file", stats.get("inactive_file", 0)))
    return usage - cached if cached < usage else usage


def _block_io(sample: dict[str, Any]) -> tuple[int, int]:
    read = written = 0
    for entry in sample["blkio_stats"]["io_service_bytes_recursive"] or ():
        if entry["op"][:1] in ("R", "r"):
            read += entry["value"]
        elif entry["op"][:1] in ("W", "w"):
            written += entry["value"]
    return read, written
