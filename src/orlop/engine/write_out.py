"""Having images written to the disk while whoever got them goes on."""

from __future__ import annotations

import os

from orlop.engine import background, image_store
from orlop.errors import OrlopError
from orlop.storage import unwritten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.storage.store import Storage


def begin(location: Location) -> None:
    """Have somebody see to what is noted, if there is anything and nobody is at it.

    That is a process of its own, or where several threads are, with which a process cannot be forked, one more of these.
    """
    storage = image_store.open_storage(location)
    if not unwritten.is_waiting(storage):
        return
    if len(os.listdir("/proc/self/task")) == 1:
        background.run("orlop-write", lambda: unwritten.settle(storage))
        return
    import threading

    threading.Thread(target=_settle, args=(storage,), name="orlop-write", daemon=True).start()


def _settle(storage: Storage) -> None:
    try:
        unwritten.settle(storage)
    except (OSError, OrlopError):
        return  # as where a process does it: what could not be written is not confirmed
