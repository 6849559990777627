"""What went wrong, as an answer: the status and the texts by which clients know what it was."""

from __future__ import annotations

import errno
import re

from orlop.api import wording
from orlop.api.exchange import json
from orlop.errors import ImageNotFound, NotFound, OrlopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.api.exchange import Reply

#: Errors of the kernel that are about what was asked for, and the status that says so.
_OF_KERNEL = {errno.ENOSPC: 507, errno.EDQUOT: 507, errno.ENOENT: 404, errno.EACCES: 403, errno.EPERM: 403}


#: A whole ID, which no tag belongs to.
_ID = re.compile("[0-9a-f]{64}")


class PageNotFound(NotFound):
    """There is no such endpoint."""

    def __init__(self) -> None:
        super().__init__("page not found")


class NotInSwarm(OrlopError):
    """What is asked for takes a swarm."""

    http_status = 503

    def __init__(self) -> None:
        super().__init__(
            'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node '
            "to swarm and try again."
        )


def reply(error: BaseException) -> Reply:
    """The answer to a request that failed."""
    return json({"message": text(error)}, status(error))


def status(error: BaseException) -> int:
    """The HTTP status of an error."""
    if isinstance(error, OrlopError):
        code = getattr(error, "exit_code", 1)
        if code in (126, 127):
            return 400  # there is no such program in the container
    if found := wording.status(text(error)):
        return found
    if isinstance(error, OrlopError):
        return error.http_status
    if isinstance(error, OSError) and error.errno is not None:
        return _OF_KERNEL.get(error.errno, 500)
    return 500


def text(error: BaseException) -> str:
    """The words of an error, Docker's where it has some."""
    words = str(error) or type(error).__name__
    if isinstance(error, OSError) and not isinstance(error, OrlopError) and error.strerror:
        words = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    if isinstance(error, ImageNotFound) and error.image:
        return f"No such image: {_with_tag(error.image)}"
    return wording.of_docker(words)


def _with_tag(name: str) -> str:
    head, _, last = name.rpartition("/")
    if "@" in last or ":" in last or _ID.fullmatch(last):
        return name
    return f"{head}/{last}:latest" if head else f"{last}:latest"
