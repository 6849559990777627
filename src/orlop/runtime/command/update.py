"""``orlop-runtime update``."""

from __future__ import annotations

from orlop import json_text
from orlop.errors import InvalidArgument
from orlop.options import Option, Parser, integer, limit, natural

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.options import Parsed
    from orlop.runtime.command.invocation import Invocation

PARSER = Parser(
    "orlop-runtime update",
    "ID",
    "Change the limits of a container; what is not named, or is 0, stays as it is",
    (
        Option("-r, --resources", "Read them from this file (- for standard input), ignore the rest", value="file"),
        Option("--blkio-weight", "Weight of block I/O, 10 to 1000", value="n", read=natural),
        Option("--cpu-period", "Length of a CPU period, in microseconds", value="us", read=natural),
        Option("--cpu-quota", "CPU time per period, in microseconds (-1 for no limit)", value="us", read=integer),
        Option("--cpu-burst", "Unused quota that may be saved up, in microseconds", value="us", read=natural),
        Option("--cpu-share", "CPU shares, relative to other containers", value="n", read=natural),
        Option("--cpu-rt-period", "Length of a realtime period, in microseconds", value="us", read=natural),
        Option("--cpu-rt-runtime", "Realtime CPU time per period, in microseconds", value="us", read=integer),
        Option("--cpuset-cpus", "CPUs to use", value="list"),
        Option("--cpuset-mems", "Memory nodes to use", value="list"),
        Option("--cpu-idle", "1: run only when nothing else does; 0: as usual", value="n", read=natural),
        Option("--memory", "Memory limit (-1 for none)", value="bytes", read=limit),
        Option("--memory-reservation", "Memory to keep when the machine runs short", value="bytes", read=limit),
        Option("--memory-swap", "Limit of memory and swap together (-1 for none)", value="bytes", read=limit),
        Option("--pids-limit", "How many processes there may be (-1 for no limit)", value="n", read=integer),
        Option("--l3-cache-schema", "Intel RDT/CAT schema of the L3 cache", value="schema"),
        Option("--mem-bw-schema", "Intel RDT/MBA schema of the memory bandwidth", value="schema"),
        # The kernel gave these up in Linux 5.4 and 6.13; runc takes and ignores them too.
        Option("--kernel-memory", "No effect", value="bytes", hidden=True),
        Option("--kernel-memory-tcp", "No effect", value="bytes", hidden=True),
    ),
    at_least=1,
    at_most=1,
    single_dash=True,
)

#: Where in ``linux.resources`` each option's value goes.
_PLACES = (
    ("blkio-weight", "blockIO", "weight"),
    ("cpu-period", "cpu", "period"),
    ("cpu-quota", "cpu", "quota"),
    ("cpu-burst", "cpu", "burst"),
    ("cpu-share", "cpu", "shares"),
    ("cpu-rt-period", "cpu", "realtimePeriod"),
    ("cpu-rt-runtime", "cpu", "realtimeRuntime"),
    ("cpuset-cpus", "cpu", "cpus"),
    ("cpuset-mems", "cpu", "mems"),
    ("cpu-idle", "cpu", "idle"),
    ("memory", "memory", "limit"),
    ("memory-reservation", "memory", "reservation"),
    ("memory-swap", "memory", "swap"),
    ("pids-limit", "pids", "limit"),
)


def execute(said: Parsed, invocation: Invocation) -> int:
    """Change what was given."""
    container = invocation.container(said.arguments[0])

    from orlop.runtime import update

    if said["resources"] is not None:
        update.update(container, _read(said["resources"]))
        return 0
    changes: dict[str, Any] = {}
    for option, section, name in _PLACES:
        if said.given(option):
            changes.setdefault(section, {})[name] = said[option]
    schemata = [said[option] for option in ("l3-cache-schema", "mem-bw-schema") if said[option]]
    update.update(container, changes, schemata=schemata)
    return 0


def _read(path: str) -> dict[str, Any]:
    try:
        with open(0 if path == "-" else path, "rb", closefd=path != "-") as file:
            resources = json_text.loads(file.read())
    except OSError as error:
        raise InvalidArgument(f"open {path}: {(error.strerror or '').lower()}") from None
    except ValueError as error:
        raise InvalidArgument(f"resources in {path} are not JSON: {error}") from None
    if type(resources) is not dict:
        raise InvalidArgument(f"resources in {path} must be an object")
    return resources
