"""Doing something to networks where an ordinary user's are: by a child that enters the namespaces of who holds them."""

from __future__ import annotations

import os

from orlop.errors import OrlopError
from orlop.network import home
from orlop.runtime import channel as channels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


def call(holder: int, action: Callable[[], tuple[Any, Sequence[int]]]) -> tuple[Any, list[int]]:
    """Do something in the namespaces of the process ``holder``.

    Returns what ``action`` returns: something that JSON knows, and a few descriptors.

    Raises:
        OrlopError, OSError: as ``action``, or the namespaces cannot be entered.
    """
    ours, theirs = channels.pair()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            ours.close()
            home.enter(holder)
            value, descriptors = action()
            theirs.send("done", descriptors=descriptors, value=value)
            status = 0
        except BaseException as error:  # noqa: BLE001 - a forked child must not return into the caller's code
            theirs.send("error", **channels.describe(error))
        finally:
            os._exit(status)
    theirs.close()
    try:
        answer = ours.receive()
    finally:
        ours.close()
        os.waitpid(child, 0)
    if answer is None:
        raise OrlopError("a process of orlop's own ended without a word, where the networks are")
    told, received = answer
    if told["kind"] == "error":
        if "reason" in told and told["class"] != "StepFailed":
            raise OSError(told["errno"], told["reason"], told["path"] or None)
        raise channels.revive(told)
    return told["value"], received
