"""``--cidfile``: a file that gets the id of the container that was made."""

from __future__ import annotations

import os

from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.options import Parsed


def check(said: Parsed) -> None:
    """Refuse a file that is there, before anything is made.

    Raises:
        InvalidArgument: as said, or it cannot be made.
    """
    path = said["cidfile"]
    if not path:
        return
    if os.path.lexists(path):
        raise _exists(path)
    if not os.access(os.path.dirname(os.path.abspath(path)), os.W_OK | os.X_OK):
        raise InvalidArgument(f"cannot make the container ID file {path}: its directory cannot be written to")


def write(said: Parsed, container_id: str) -> None:
    """The container is there.

    Raises:
        InvalidArgument: the file is there by now.
        OSError: it cannot be made.
    """
    path = said["cidfile"]
    if not path:
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        raise _exists(path) from None
    try:
        os.write(descriptor, container_id.encode())
    finally:
        os.close(descriptor)


def _exists(path: str) -> InvalidArgument:
    return InvalidArgument(f"container ID file found, make sure the other container isn't running or delete {path}")
