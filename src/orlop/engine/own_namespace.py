"""Doing something as root of a user namespace with the calling user's id ranges.

An ordinary user's containers leave files that belong to ids of /etc/subuid, which outside of such a
namespace the user may not touch.
"""

from __future__ import annotations

import os

from orlop.engine import id_maps
from orlop.errors import OrlopError
from orlop.linux import credentials, namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def run(action: Callable[[], None]) -> None:
    """Run ``action`` in a forked child that is root in a new user namespace.

    Raises:
        OrlopError: it failed there.
    """
    ready_reader, ready_writer = os.pipe()
    go_reader, go_writer = os.pipe()
    error_reader, error_writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(go_writer)
            os.close(error_reader)
            namespace.unshare(namespace.CLONE_NEWUSER)
            os.write(ready_writer, b"1")
            if os.read(go_reader, 1):
                credentials.set_group(0)
                credentials.set_user(0)
                action()
                status = 0
        except Exception as error:  # noqa: BLE001 - a forked child must not return into the caller's code
            os.write(error_writer, str(error).encode()[:4000])
        finally:
            os._exit(status)
    for descriptor in (ready_writer, go_reader, error_writer):
        os.close(descriptor)
    try:
        if os.read(ready_reader, 1):
            uid_maps, gid_maps = id_maps.of_this_user()
            namespace.map_users(child, uid_maps, gid_maps, privileged=False)
            os.write(go_writer, b"1")
        message = os.read(error_reader, 4096).decode(errors="replace")
    finally:
        for descriptor in (ready_reader, go_writer, error_reader):
            os.close(descriptor)
        _, status = os.waitpid(child, 0)
    if status:
        raise OrlopError(message or "a user namespace could not be set up")
