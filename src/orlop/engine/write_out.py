"""Having images written to the disk while whoever got them goes on."""

from __future__ import annotations

import os

from orlop.engine import background, image_store
from orlop.storage import unwritten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location


def begin(location: Location) -> None:
    """Have a process of its own see to what is noted, if there is anything and nobody is at it.

    A process with several threads leaves it to the next command, since it could not fork.
    """
    storage = image_store.open_storage(location)
    if unwritten.is_waiting(storage) and len(os.listdir("/proc/self/task")) == 1:
        background.run("orlop-write", lambda: unwritten.settle(storage))
