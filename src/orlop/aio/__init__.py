"""The same for asyncio: ``async with orlop.aio.Engine() as engine: await engine.containers.run("debian", ["true"])``.

What waits for a program, its output, events or its end waits in the event loop. What only takes a moment, or is done by a
process of its own, is done by `orlop.library` in threads.
"""

from __future__ import annotations

from orlop.aio.containers import Container, Containers
from orlop.aio.engine import Engine
from orlop.aio.streams import Stream

__all__ = ["Container", "Containers", "Engine", "Stream"]
