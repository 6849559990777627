"""Doing something in a forked child: what it does to itself, or imports, or locks up, is not ours."""

from __future__ import annotations

import os

from orlop.errors import OrlopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST_MESSAGE = 4000


def run(action: Callable[[], None]) -> None:
    """Run ``action`` in a child, and wait for its end.

    Raises:
        OrlopError: it failed; with the sentence that it failed with.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            action()
            status = 0
        except Exception as error:  # noqa: BLE001 - a forked child must not return into the caller's code
            os.write(writer, _sentence(error).encode(errors="replace")[:_LONGEST_MESSAGE])
        finally:
            os._exit(status)
    os.close(writer)
    try:
        message = os.read(reader, _LONGEST_MESSAGE).decode(errors="replace")
    finally:
        os.close(reader)
        _, status = os.waitpid(child, 0)
    if status:
        raise OrlopError(message or "a process of orlop's own ended without a word")


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error) or type(error).__name__
