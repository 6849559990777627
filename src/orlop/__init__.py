"""orlop: a container platform, from kernel calls to a command line with Docker's grammar.

General layout, each part calling only those below it::

    cli          words on a command line, nothing else
    library      the same from Python: `Engine`, and in `orlop.aio` for asyncio
    engine       containers as users know them: records, logs, monitors, the launcher
    runtime      an OCI bundle becomes a process; also `orlop-runtime`, with runc's command line
    linux        the kernel, one module per facility

`errors`, `json_text` and `options` are used by all of them. Importing this package costs almost nothing: what it
offers is imported when it is asked for.
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.explanation import Statement
    from orlop.engine.start import StartFailed
    from orlop.errors import (
        Conflict,
        ImageNotFound,
        InvalidArgument,
        NotFound,
        OrlopError,
        RegistryError,
        Unauthorized,
        Unsupported,
    )
    from orlop.library.container import Container
    from orlop.library.engine import DiskUsage, Engine, Event
    from orlop.library.entries import Difference, LogEntry, Problem, Repository, Step
    from orlop.library.errors import CommandFailed, ProgramError, TimedOut
    from orlop.library.images import Image
    from orlop.library.mounts import Bind, Tmpfs, VolumeMount
    from orlop.library.networks import Network
    from orlop.library.ports import HostPort
    from orlop.library.results import Result, Timings, Usage
    from orlop.library.snapshots import Snapshot
    from orlop.library.streams import Output, Stream
    from orlop.library.volumes import Volume

#: What is public, and the module that has it.
_PLACES = {
    "Bind": "library.mounts",
    "CommandFailed": "library.errors",
    "Conflict": "errors",
    "Container": "library.container",
    "Difference": "library.entries",
    "DiskUsage": "library.engine",
    "Engine": "library.engine",
    "Event": "library.engine",
    "HostPort": "library.ports",
    "Image": "library.images",
    "ImageNotFound": "errors",
    "InvalidArgument": "errors",
    "LogEntry": "library.entries",
    "Network": "library.networks",
    "NotFound": "errors",
    "OrlopError": "errors",
    "Output": "library.streams",
    "Problem": "library.entries",
    "ProgramError": "library.errors",
    "RegistryError": "errors",
    "Repository": "library.entries",
    "Result": "library.results",
    "Snapshot": "library.snapshots",
    "StartFailed": "engine.start",
    "Statement": "engine.explanation",
    "Step": "library.entries",
    "Stream": "library.streams",
    "TimedOut": "library.errors",
    "Timings": "library.results",
    "Tmpfs": "library.mounts",
    "Unauthorized": "errors",
    "Unsupported": "errors",
    "Usage": "library.results",
    "Volume": "library.volumes",
    "VolumeMount": "library.mounts",
}

__all__ = [
    "Bind",
    "CommandFailed",
    "Conflict",
    "Container",
    "Difference",
    "DiskUsage",
    "Engine",
    "Event",
    "HostPort",
    "Image",
    "ImageNotFound",
    "InvalidArgument",
    "LogEntry",
    "Network",
    "NotFound",
    "OrlopError",
    "Output",
    "Problem",
    "ProgramError",
    "RegistryError",
    "Repository",
    "Result",
    "Snapshot",
    "StartFailed",
    "Statement",
    "Step",
    "Stream",
    "TimedOut",
    "Timings",
    "Tmpfs",
    "Unauthorized",
    "Unsupported",
    "Usage",
    "Volume",
    "VolumeMount",
    "__version__",
]


def __getattr__(name: str) -> object:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module 'orlop' has no attribute {name!r}")
    import sys

    module = f"orlop.{place}"
    __import__(module)
    value = getattr(sys.modules[module], name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
